package payload

import (
	"bytes"
	"fmt"
	"iter"
)

// NAL unit types (RFC 6184 table 1, ITU-T H.264 table 7-1).
const (
	nalSlice = 1
	nalIDR   = 5
	nalSPS   = 7
	nalPPS   = 8
	nalSTAPA = 24
	nalFUA   = 28

	nalType = 0x1f // mask of the type
	nalRef  = 0xe0 // mask of F and NRI

	fuStart = 0x80
	fuEnd   = 0x40
)

// minLimit is the least payload size that makes sense: header bytes must fit
// with room to spare.
const minLimit = 64

func errLimit(limit int) error {
	return fmt.Errorf("payload: a limit of %d bytes is below %d", limit, minLimit)
}

// packetizeH264 follows RFC 6184: in mode 0 one NAL unit per payload
// (section 6.2); in mode 1 small units travel together in a STAP-A (section
// 5.7.1) and large ones are cut into FU-A (section 5.8).
//
// A NAL unit above limit cannot be cut in mode 0. The encoder is told to keep
// slices below it; one that is larger all the same is sent whole, and IP
// fragments it.
func packetizeH264(unit []byte, mode, limit int) ([][]byte, error) {
	if limit < minLimit {
		return nil, errLimit(limit)
	}
	p := h264Packetizer{limit: limit}
	p.buf = make([]byte, 0, len(unit)+len(unit)/limit*4+64)
	for nal := range nalUnits(unit) {
		switch {
		case mode == 0:
			p.single(nal)
		case len(nal) > limit:
			p.flush()
			p.fragment(nal)
		default:
			p.gather(nal)
		}
	}
	p.flush()
	return p.payloads, nil
}

type h264Packetizer struct {
	limit    int
	buf      []byte // all payloads; never grows beyond what was made
	payloads [][]byte

	gathered [][]byte // small units that wait to travel together
	size     int      // of the STAP-A they make
}

func (p *h264Packetizer) single(nal []byte) {
	at := len(p.buf)
	p.buf = append(p.buf, nal...)
	p.cut(at)
}

// gather keeps nal for a STAP-A, sending what was gathered before if both do
// not fit together.
func (p *h264Packetizer) gather(nal []byte) {
	if p.size+2+len(nal) > p.limit {
		p.flush()
	}
	if p.size == 0 {
		p.size = 1
	}
	p.gathered = append(p.gathered, nal)
	p.size += 2 + len(nal)
}

func (p *h264Packetizer) flush() {
	switch len(p.gathered) {
	case 0:
		return
	case 1:
		p.single(p.gathered[0])
	default:
		at := len(p.buf)
		p.buf = append(p.buf, nalSTAPA)
		for _, nal := range p.gathered {
			// F is the or, NRI the maximum of all (section 5.7).
			p.buf[at] |= nal[0] & 0x80
			p.buf[at] = max(p.buf[at]&0x60, nal[0]&0x60) | p.buf[at]&^0x60
			p.buf = append(p.buf, byte(len(nal)>>8), byte(len(nal)))
			p.buf = append(p.buf, nal...)
		}
		p.cut(at)
	}
	p.gathered, p.size = p.gathered[:0], 0
}

func (p *h264Packetizer) fragment(nal []byte) {
	head, rest := nal[0], nal[1:]
	room := p.limit - 2
	n := (len(rest) + room - 1) / room
	size := (len(rest) + n - 1) / n // equal parts: no tiny last packet
	for flags := byte(fuStart); len(rest) > 0; flags = 0 {
		part := rest[:min(size, len(rest))]
		rest = rest[len(part):]
		if len(rest) == 0 {
			flags |= fuEnd
		}
		at := len(p.buf)
		p.buf = append(p.buf, head&nalRef|nalFUA, flags|head&nalType)
		p.buf = append(p.buf, part...)
		p.cut(at)
	}
}

// cut makes what buf holds from at on a payload.
func (p *h264Packetizer) cut(at int) {
	p.payloads = append(p.payloads, p.buf[at:len(p.buf):len(p.buf)])
}

// nalUnits iterates over the NAL units of an Annex B byte stream (ITU-T H.264
// annex B), start codes and trailing zeros removed, empty ones left out.
func nalUnits(unit []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		_, rest, found := cutStartCode(unit)
		for found {
			var nal []byte
			nal, rest, found = cutStartCode(rest)
			nal = bytes.TrimRight(nal, "\x00")
			if len(nal) > 0 && !yield(nal) {
				return
			}
		}
	}
}

// cutStartCode slices b around its first 00 00 01.
func cutStartCode(b []byte) (before, after []byte, found bool) {
	return bytes.Cut(b, startCode[1:])
}

var startCode = []byte{0, 0, 0, 1}
