package payload

import "fmt"

// Bits of a VP8 payload descriptor (RFC 7741 section 4.2) and of the payload
// header behind it (section 4.3).
const (
	vp8Extended  = 0x80 // X: an extension byte follows
	vp8Start     = 0x10 // S: a partition begins
	vp8Partition = 0x07 // PID: 0 for the first one

	vp8PictureID = 0x80 // I, in the extension byte
	vp8TL0       = 0x40 // L
	vp8Temporal  = 0x30 // T or K: one byte for both
	vp8Long      = 0x80 // M: the picture ID has 15 bits

	vp8Inter = 0x01 // P, inverse key frame flag
)

// packetizeVP8 writes the one-byte descriptor: no picture identifiers, because
// a receiver may be moved from one encode to another between two pictures and
// the identifiers would jump.
func packetizeVP8(unit []byte, limit int) ([][]byte, error) {
	if limit < minLimit {
		return nil, errLimit(limit)
	}
	if len(unit) == 0 {
		return nil, nil
	}
	room := limit - 1
	n := (len(unit) + room - 1) / room
	size := (len(unit) + n - 1) / n // equal parts: no tiny last packet
	buf := make([]byte, 0, len(unit)+n)
	payloads := make([][]byte, 0, n)
	for first := byte(vp8Start); len(unit) > 0; first = 0 {
		part := unit[:min(size, len(unit))]
		unit = unit[len(part):]
		at := len(buf)
		buf = append(append(buf, first), part...)
		payloads = append(payloads, buf[at:len(buf):len(buf)])
	}
	return payloads, nil
}

// vp8Descriptor is what a receiver needs of a payload descriptor. Picture ID,
// TL0PICIDX, TID and KEYIDX are stepped over: sequence numbers tell the same.
type vp8Descriptor struct {
	start     bool
	partition byte
	body      []byte // never empty
}

// first reports whether a picture begins here.
func (d vp8Descriptor) first() bool { return d.start && d.partition == 0 }

func parseVP8(p []byte) (vp8Descriptor, error) {
	if len(p) == 0 {
		return vp8Descriptor{}, fmt.Errorf("%w: empty payload", ErrMalformed)
	}
	d := vp8Descriptor{start: p[0]&vp8Start != 0, partition: p[0] & vp8Partition}
	at := 1
	if p[0]&vp8Extended != 0 && len(p) > 1 {
		ext := p[1]
		at++
		if ext&vp8PictureID != 0 {
			if len(p) > at && p[at]&vp8Long != 0 {
				at++
			}
			at++
		}
		if ext&vp8TL0 != 0 {
			at++
		}
		if ext&vp8Temporal != 0 {
			at++
		}
	}
	if len(p) <= at {
		return vp8Descriptor{}, fmt.Errorf("%w: nothing behind the descriptor", ErrMalformed)
	}
	d.body = p[at:]
	return d, nil
}

func (a *Assembler) addVP8(p []byte) error {
	d, err := parseVP8(p)
	switch {
	case err != nil:
		return err
	case d.first() != (len(a.unit) == 0):
		return fmt.Errorf("%w: picture begins at the wrong payload", ErrMalformed)
	}
	a.unit = append(a.unit, d.body...)
	return nil
}
