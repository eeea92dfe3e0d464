package rtp

import (
	"net/netip"
	"testing"
)

var (
	signalledAddr = netip.MustParseAddrPort("10.0.0.5:4000") // private, as SDP says it
	natAddr       = netip.MustParseAddrPort("203.0.113.7:31000")
	otherAddr     = netip.MustParseAddrPort("198.51.100.66:5555")
)

// step is one packet and what the latch should say.
type step struct {
	from   netip.AddrPort
	seq    uint16
	proven bool
	want   verdict
}

// run gives n packets in sequence from one source the same verdict.
func run(from netip.AddrPort, seq uint16, n int, want verdict) []step {
	var s []step
	for i := range n {
		s = append(s, step{from, seq + uint16(i), false, want})
	}
	return s
}

func steps(runs ...[]step) []step {
	var all []step
	for _, r := range runs {
		all = append(all, r...)
	}
	return all
}

func TestLatch(t *testing.T) {
	tests := []struct {
		name      string
		signalled netip.AddrPort
		steps     []step
		dest      netip.AddrPort
	}{
		{
			"the signalled address is believed at once", signalledAddr,
			steps(run(signalledAddr, 1, 1, locked), run(signalledAddr, 2, 3, passed)), signalledAddr,
		},
		{"nobody heard yet", signalledAddr, nil, signalledAddr},
		{
			"behind NAT", signalledAddr,
			steps(run(natAddr, 65534, 3, held), run(natAddr, 1, 1, locked), run(natAddr, 2, 2, passed)), natAddr,
		},
		{
			"signalled no address",
			netip.AddrPort{},
			steps(run(natAddr, 1, 3, held), run(natAddr, 4, 1, locked)), natAddr,
		},
		{"three packets are not enough", signalledAddr, run(natAddr, 1, 3, held), signalledAddr},
		{
			"packets out of sequence are not enough", signalledAddr,
			steps(run(natAddr, 1, 3, held), run(natAddr, 9, 3, held), run(natAddr, 1, 3, held)), signalledAddr,
		},
		{
			"the same packet again and again is not enough", signalledAddr,
			steps(run(natAddr, 1, 1, held), run(natAddr, 1, 1, held), run(natAddr, 1, 1, held), run(natAddr, 1, 1, held)), signalledAddr,
		},
		{
			"a stranger beside the peer at its signalled address", signalledAddr,
			steps(run(otherAddr, 1, 3, held), run(signalledAddr, 1, 1, locked), run(otherAddr, 4, 9, refused)), signalledAddr,
		},
		{"a stranger between the packets of the peer does not keep it out", signalledAddr, []step{
			{natAddr, 1, false, held},
			{otherAddr, 900, false, held},
			{natAddr, 2, false, held},
			{otherAddr, 7, false, held},
			{natAddr, 3, false, held},
			{otherAddr, 80, false, held},
			{natAddr, 4, false, locked},
			{otherAddr, 81, false, refused},
		}, natAddr},
		{
			"once locked nobody else is heard", signalledAddr,
			steps(run(natAddr, 1, 3, held), run(natAddr, 4, 1, locked), run(otherAddr, 1, 20, refused), run(natAddr, 5, 1, passed)), natAddr,
		},
		{
			"the signalled address takes over", signalledAddr,
			steps(run(natAddr, 1, 3, held), run(natAddr, 4, 1, locked), run(signalledAddr, 1, 3, held), run(signalledAddr, 4, 1, locked),
				run(natAddr, 5, 1, refused)), signalledAddr,
		},
		{
			"an authenticated packet is believed at once", signalledAddr,
			[]step{{natAddr, 1, true, locked}, {natAddr, 2, true, passed}, {otherAddr, 3, true, refused}},
			natAddr,
		},
		{
			"an authenticated packet from the signalled address takes over", signalledAddr,
			[]step{{natAddr, 1, true, locked}, {signalledAddr, 2, true, locked}, {natAddr, 3, true, refused}},
			signalledAddr,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var l latch
			l.signal(tt.signalled)
			for i, s := range tt.steps {
				got := refused
				if l.admits(s.from) {
					got, _ = l.packet(s.from, 7, s.seq, s.proven)
				}
				if got != s.want {
					t.Fatalf("step %d, %v seq %d: got %d, want %d", i, s.from, s.seq, got, s.want)
				}
			}
			if got := l.dest(); got != tt.dest {
				t.Errorf("sends to %v, want %v", got, tt.dest)
			}
		})
	}
}

// lockTo returns a latch that has found the peer behind a NAT.
func lockTo(from netip.AddrPort) *latch {
	l := new(latch)
	l.signal(signalledAddr)
	for i := range learnPackets {
		l.packet(from, 7, uint16(i), false)
	}
	return l
}

func TestLatchRefusesBeforeSignalling(t *testing.T) {
	var l latch
	if l.admits(natAddr) {
		t.Error("admits before anything was signalled")
	}
}

func TestLatchOpensAgain(t *testing.T) {
	t.Run("the source stays the peer meanwhile", func(t *testing.T) {
		l := lockTo(natAddr)
		l.signal(signalledAddr)
		for seq := range uint16(learnPackets) {
			if v, _ := l.packet(natAddr, 7, 100+seq, false); v != passed {
				t.Fatalf("packet %d: %d", seq, v)
			}
		}
		if l.open {
			t.Error("still open after the peer was heard")
		}
	})
	t.Run("another port of the same NAT is learned", func(t *testing.T) {
		l := lockTo(natAddr)
		l.signal(signalledAddr)
		moved := netip.AddrPortFrom(natAddr.Addr(), 32000)
		for seq := range uint16(learnPackets) {
			l.packet(moved, 7, 100+seq, false)
		}
		if l.dest() != moved {
			t.Errorf("sends to %v, want %v", l.dest(), moved)
		}
	})
	t.Run("a new address is where to send at once", func(t *testing.T) {
		l := lockTo(natAddr)
		moved := netip.MustParseAddrPort("192.0.2.33:6000")
		l.signal(moved)
		if l.dest() != moved {
			t.Errorf("sends to %v, want %v", l.dest(), moved)
		}
		if v, _ := l.packet(natAddr, 7, 1, false); v != held {
			t.Errorf("the old source: %d, want held", v)
		}
	})
}

// An SSRC may change at any time, and the lock is on the address; but a run of
// packets is that of one stream.
func TestLatchAndSSRC(t *testing.T) {
	l := lockTo(natAddr)
	if v, _ := l.packet(natAddr, 8, 9999, false); v != passed {
		t.Errorf("another SSRC of the peer: %d", v)
	}
	l = new(latch)
	l.signal(signalledAddr)
	for i := range uint16(2 * learnPackets) {
		if v, _ := l.packet(natAddr, uint32(i), i, false); v != held {
			t.Errorf("packet %d of ever other streams: %d", i, v)
		}
	}
}

// However many sources there are, the memory is bounded, and a flood of single
// packets does not push out the one that is in sequence.
func TestLatchUnderFlood(t *testing.T) {
	l := new(latch)
	l.signal(signalledAddr)
	l.packet(natAddr, 7, 0, false)
	for seq := uint16(1); seq < learnPackets; seq++ {
		if v, _ := l.packet(natAddr, 7, seq, false); v == locked {
			break
		}
		for port := range uint16(500) {
			l.packet(netip.AddrPortFrom(otherAddr.Addr(), 1000+port), 1, port, false)
		}
		if len(l.candidates) > maxCandidates {
			t.Fatalf("%d candidates", len(l.candidates))
		}
	}
	if l.dest() != natAddr {
		t.Errorf("sends to %v, want %v", l.dest(), natAddr)
	}
}

func TestControlLatch(t *testing.T) {
	media := natAddr
	sameHost := netip.AddrPortFrom(natAddr.Addr(), 31999)
	signalled := netip.MustParseAddrPort("10.0.0.5:4001")

	var l controlLatch
	l.signal(signalled)
	if got, want := l.dest(media), netip.AddrPortFrom(natAddr.Addr(), 31001); got != want {
		t.Errorf("before RTCP: sends to %v, want %v", got, want)
	}
	if got := l.dest(signalledAddr); got != signalled {
		t.Errorf("without NAT: sends to %v, want %v", got, signalled)
	}
	if l.packet(otherAddr, media, false) {
		t.Error("believes another host")
	}
	if !l.packet(sameHost, media, false) || l.dest(media) != sameHost {
		t.Errorf("does not learn from the host of RTP: sends to %v", l.dest(media))
	}
	if l.packet(natAddr, media, false) {
		t.Error("changes its mind once locked")
	}
	if !l.packet(signalled, media, false) || l.dest(media) != signalled {
		t.Errorf("does not believe the signalled address: sends to %v", l.dest(media))
	}
	l.signal(signalled)
	if !l.packet(otherAddr, media, true) {
		t.Error("does not believe an authenticated packet")
	}
}
