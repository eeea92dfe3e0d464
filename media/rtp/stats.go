package rtp

import (
	"net/netip"
	"sync/atomic"
)

// Stats is what has passed through a [Session] since it was made. Bytes are
// those of UDP payloads.
type Stats struct {
	RTPIn, RTPOut, RTCPIn, RTCPOut Traffic

	Malformed    uint64 // datagrams that were neither RTP nor RTCP, or RTP on the port for RTCP
	WrongSource  uint64 // packets from somebody who is not the peer
	WrongType    uint64 // RTP packets of a payload type that was not negotiated
	AuthFailures uint64 // packets SRTP refused: forged, replayed, or of another key
	Unroutable   uint64 // packets not sent because nobody knows where the peer is
	Unsent       uint64 // packets that the kernel had no room for

	Remote  netip.AddrPort // where RTP goes; invalid while unknown
	Learned bool           // Remote is not what the peer signalled
}

// Traffic counts packets and their bytes.
type Traffic struct{ Packets, Bytes uint64 }

func (t *Traffic) add(u Traffic) {
	t.Packets += u.Packets
	t.Bytes += u.Bytes
}

// Stats returns the counters. It is cheap, but they are not of one instant.
func (s *Session) Stats() Stats {
	s.in.mu.Lock()
	remote := s.in.media.dest()
	learned := remote != s.in.media.signalled
	s.in.mu.Unlock()
	c := &s.count
	return Stats{
		RTPIn:        c.rtpIn.load(),
		RTPOut:       c.rtpOut.load(),
		RTCPIn:       c.rtcpIn.load(),
		RTCPOut:      c.rtcpOut.load(),
		Malformed:    c.dropped[dropMalformed].Load(),
		WrongSource:  c.dropped[dropSource].Load(),
		WrongType:    c.dropped[dropType].Load(),
		AuthFailures: c.dropped[dropAuth].Load(),
		Unroutable:   c.dropped[dropUnroutable].Load(),
		Unsent:       c.dropped[dropFull].Load(),
		Remote:       remote,
		Learned:      learned,
	}
}

// counters are the live form of [Stats].
type counters struct {
	rtpIn, rtpOut, rtcpIn, rtcpOut traffic
	dropped                        [dropReasons]atomic.Uint64
}

type traffic struct{ packets, bytes atomic.Uint64 }

func (t *traffic) add(size int) {
	t.packets.Add(1)
	t.bytes.Add(uint64(size))
}

func (t *traffic) load() Traffic { return Traffic{t.packets.Load(), t.bytes.Load()} }

// dropReason says why a packet went no further.
type dropReason int

const (
	dropMalformed dropReason = iota
	dropSource
	dropType
	dropAuth
	dropUnroutable
	dropFull

	dropReasons
)

func (r dropReason) String() string {
	return [dropReasons]string{"malformed", "source", "payload_type", "auth", "unroutable", "send_buffer_full"}[r]
}
