// Package rtp moves RTP and RTCP packets between sockets and participants:
// port ranges, symmetric RTP that learns safely, SDES-SRTP.
//
// On Linux a few goroutines read the sockets of all sessions (docs/adr/0009);
// elsewhere, and with the build tag portable, each socket has one.
package rtp

import (
	"github.com/pion/rtcp"
	pion "github.com/pion/rtp"
)

// A Writer puts packets on the wire. [Session] implements it for SIP,
// services/webrtc for browsers. Both methods are safe for concurrent use and
// do not retain what they are given.
type Writer interface {
	// WriteRTP sends one packet. Version is set by the Writer; everything else
	// of the header is the caller's.
	WriteRTP(h *pion.Header, payload []byte) error

	// WriteRTCP sends one compound packet.
	WriteRTCP(packets []rtcp.Packet) error
}

// A BatchWriter sends packets that are there at the same time, as those of a
// picture are, for less than a [Writer] sends each.
type BatchWriter interface {
	Writer

	// WriteRTPBatch sends packets in order. What of the header they do not say
	// is that of h. An error is that of the first one that could not be sent;
	// the others are sent all the same.
	WriteRTPBatch(h *pion.Header, packets []Packet) error
}

// A Packet is one of a batch.
type Packet struct {
	Sequence  uint16
	Timestamp uint32
	Marker    bool
	Payload   []byte
}
