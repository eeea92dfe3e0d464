package rtp

import "net/netip"

// Learning where a peer really is (symmetric RTP) must not let a stranger steal
// the stream by being faster. The rules:
//
//   - Only RTP counts that is valid, of a negotiated payload type and, with
//     SRTP, authenticated.
//   - The signalled address is believed at its first packet, and so is an
//     authenticated packet from anywhere.
//   - Anybody else must send learnPackets packets in sequence. They are kept
//     and delivered once the source is believed, so that a peer behind a NAT
//     loses neither its first word nor its first key frame.
//   - Once locked, only that source is heard. A new answer or offer opens the
//     lock; the peer's signalled address, which only signalling can change,
//     may always take it over.
const (
	learnPackets  = 4 // as Asterisk's strictrtp; within 80 ms of audio
	maxCandidates = 4 // sources watched at once while learning
)

// verdict is what a latch says about one packet.
type verdict int

const (
	refused verdict = iota // not from the peer
	held                   // may become the peer: keep a copy in the candidate
	passed                 // from the peer
	locked                 // from the peer, first of a newly locked source
)

// A latch decides whose RTP is the peer's. It has no clock and no socket.
// Not safe for concurrent use.
type latch struct {
	signalled  netip.AddrPort // from SDP; invalid while unknown
	source     netip.AddrPort // whom we believe; invalid while nobody
	open       bool           // source may change
	candidates []candidate
}

// A candidate is a source that may turn out to be the peer.
type candidate struct {
	source netip.AddrPort
	ssrc   uint32
	next   uint16
	run    int      // packets in sequence so far
	held   [][]byte // copies of them, to be delivered when it is the peer
}

// signal takes the address of a new answer or offer and opens learning.
// Invalid means that the peer did not say where it is.
func (l *latch) signal(addr netip.AddrPort) {
	if addr != l.signalled {
		// The peer says that it has moved: whoever sends from the old place
		// has to show that it is the peer.
		l.source = netip.AddrPort{}
	}
	l.signalled = addr
	l.open = true
	l.candidates = nil
}

// dest is where to send RTP; invalid while nobody knows.
func (l *latch) dest() netip.AddrPort {
	if l.source.IsValid() {
		return l.source
	}
	return l.signalled
}

// admits reports whether a packet from there can be anything but refused. It
// spares the cost of decrypting what a stranger sends.
func (l *latch) admits(from netip.AddrPort) bool {
	return l.open || from == l.source || from == l.signalled
}

// packet judges one valid packet. proven means that it was authenticated. With
// held and locked the candidate is valid until the next call.
func (l *latch) packet(from netip.AddrPort, ssrc uint32, seq uint16, proven bool) (verdict, *candidate) {
	switch {
	case from == l.source && !l.open:
		return passed, nil
	case from == l.signalled && from != l.source && l.open,
		proven && from != l.source && l.admits(from):
		return l.lock(from)
	case from == l.source && (proven || from == l.signalled):
		l.open, l.candidates = false, nil
		return passed, nil
	case !l.admits(from):
		return refused, nil
	}

	c := l.candidate(from)
	if c.run == 0 || ssrc != c.ssrc || seq != c.next {
		c.run, c.held = 0, nil
	}
	c.ssrc, c.next = ssrc, seq+1
	c.run++
	switch {
	case c.run >= learnPackets && from == l.source:
		l.open, l.candidates = false, nil
		return passed, nil
	case c.run >= learnPackets:
		found := *c
		_, _ = l.lock(from)
		return locked, &found
	case from == l.source:
		return passed, nil // still the peer until another one shows that it is
	}
	return held, c
}

func (l *latch) lock(from netip.AddrPort) (verdict, *candidate) {
	l.source, l.open, l.candidates = from, false, nil
	return locked, nil
}

// candidate finds or makes the record of a source. When there are too many,
// the one with the shortest run makes room.
func (l *latch) candidate(from netip.AddrPort) *candidate {
	shortest := 0
	for i := range l.candidates {
		if l.candidates[i].source == from {
			return &l.candidates[i]
		}
		if l.candidates[i].run < l.candidates[shortest].run {
			shortest = i
		}
	}
	if len(l.candidates) < maxCandidates {
		l.candidates = append(l.candidates, candidate{source: from})
		return &l.candidates[len(l.candidates)-1]
	}
	l.candidates[shortest] = candidate{source: from}
	return &l.candidates[shortest]
}

// A controlLatch does the same for RTCP. One packet is enough: RTCP is rare,
// and the host must be the one that RTP or signalling has named.
type controlLatch struct {
	signalled netip.AddrPort
	source    netip.AddrPort
	open      bool
}

func (l *controlLatch) signal(addr netip.AddrPort) {
	if addr != l.signalled {
		l.source = netip.AddrPort{}
	}
	l.signalled, l.open = addr, true
}

// packet reports whether a valid RTCP packet is from the peer. proven means
// that it was authenticated; media is the source of the peer's RTP.
func (l *controlLatch) packet(from, media netip.AddrPort, proven bool) bool {
	switch {
	case from == l.signalled:
	case !l.open:
		return from == l.source
	case proven:
	case media.IsValid() && from.Addr() == media.Addr():
	default:
		return false
	}
	l.source, l.open = from, false
	return true
}

// dest is where to send RTCP, given where RTP goes.
func (l *controlLatch) dest(media netip.AddrPort) netip.AddrPort {
	switch {
	case l.source.IsValid():
		return l.source
	case l.signalled.IsValid() && l.signalled.Addr() == media.Addr():
		return l.signalled
	case media.IsValid() && media.Port() < 65535:
		// RTP came through a NAT that signalling does not know. The port
		// above is the best guess until RTCP arrives.
		return netip.AddrPortFrom(media.Addr(), media.Port()+1)
	}
	return l.signalled
}
