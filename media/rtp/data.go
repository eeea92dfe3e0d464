package rtp

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/pion/rtcp"
	pion "github.com/pion/rtp"
)

// DataHandler hands on the payload of each packet, in memory of its own: for
// streams that are no media, such as control of cameras. Each is handed on once,
// and none after a later one: nobody wants to be moved by a command of before.
// Packets of other types than agreed the session has dropped.
func DataHandler(take func(payload []byte)) Handler {
	var seen order
	return Handler{
		RTP: func(p *pion.Packet, _ time.Time) {
			if seen.later(p.SSRC, p.SequenceNumber) {
				take(slices.Clone(p.Payload))
			}
		},
		RTCP: func([]rtcp.Packet, time.Time) {},
	}
}

// maxMisorder is how far behind a packet may be; what is further is of a sender
// that has begun anew (RFC 3550 appendix A.1).
const maxMisorder = 100

// An order knows the latest packet of a stream.
type order struct {
	begun bool
	ssrc  uint32
	last  uint16
}

// later reports whether a packet is the latest.
func (o *order) later(ssrc uint32, seq uint16) bool {
	if o.begun && ssrc == o.ssrc && o.last-seq <= maxMisorder {
		return false
	}
	o.begun, o.ssrc, o.last = true, ssrc, seq
	return true
}

// A DataSender sends payloads of such a stream, one in each packet. It belongs to
// one goroutine.
type DataSender struct {
	header pion.Header
	clock  int
	begun  time.Time
	first  uint32 // timestamp
}

// NewDataSender makes a sender whose timestamps count at clock Hz.
func NewDataSender(clock int) *DataSender {
	return &DataSender{
		header: pion.Header{SequenceNumber: uint16(rand.Uint32())}, clock: clock, begun: time.Now(), first: rand.Uint32(),
	}
}

// Send sends a payload of a type through w.
func (s *DataSender) Send(w Writer, ssrc uint32, payloadType uint8, payload []byte) error {
	h := &s.header
	h.SequenceNumber++
	h.SSRC, h.PayloadType = ssrc, payloadType
	h.Timestamp = s.first + uint32(time.Since(s.begun).Seconds()*float64(s.clock))
	return w.WriteRTP(h, payload)
}
