//go:build !portable

package rtp

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	pion "github.com/pion/rtp"
)

func TestSockaddr(t *testing.T) {
	for _, tt := range []struct {
		addr, want string
		six        bool
	}{
		{"192.0.2.1:65535", "192.0.2.1:65535", false},
		{"192.0.2.1:255", "192.0.2.1:255", true},
		{"[::ffff:192.0.2.1]:256", "192.0.2.1:256", false},
		{"[2001:db8::1]:5060", "[2001:db8::1]:5060", true},
		{"[fe80::1%7]:1", "[fe80::1%7]:1", true},
		{"[fe80::1%lo]:1", "[fe80::1%1]:1", true},
	} {
		var sa sockaddr
		sa.set(netip.MustParseAddrPort(tt.addr), tt.six)
		if got := sa.get(); got != netip.MustParseAddrPort(tt.want) {
			t.Errorf("%s: got %v, want %s", tt.addr, got, tt.want)
		}
	}
	if got := new(sockaddr).get(); got.IsValid() {
		t.Errorf("nothing: got %v", got)
	}
}

// open makes a session on addr.
func open(t *testing.T, addr netip.Addr) *Session {
	t.Helper()
	s, err := Listen(Config{Bind: addr})
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// stream writes n packets in sequence to a port of addr.
func stream(t *testing.T, to netip.AddrPort, n int) {
	t.Helper()
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
	must(t, err)
	defer conn.Close()
	for i := range n {
		b, err := (&pion.Packet{Header: pion.Header{Version: 2, PayloadType: 96, SSRC: 7, SequenceNumber: uint16(i)}}).Marshal()
		must(t, err)
		_, err = conn.Write(b)
		must(t, err)
	}
}

// A packet has arrived when it did, however long it has waited for its reader.
func TestArrival(t *testing.T) {
	s := open(t, loopback)
	must(t, s.SetRemote(Remote{Types: []uint8{96}}))
	before := time.Now()
	stream(t, netip.AddrPortFrom(loopback, uint16(s.Port())), learnPackets)
	after := time.Now()
	arrivals := make(chan time.Time, learnPackets)
	s.Start(Handler{RTP: func(_ *pion.Packet, at time.Time) { arrivals <- at }})
	for range learnPackets {
		// The clocks of both may be read at different ticks.
		if at := <-arrivals; at.Before(before.Add(-time.Millisecond)) || at.After(after.Add(time.Millisecond)) {
			t.Errorf("arrived %v after it was sent, which took %v", at.Sub(before), after.Sub(before))
		}
	}
}

// What the kernel has no room for is counted as lost, and nobody's error.
func TestSendBufferFull(t *testing.T) {
	s := open(t, loopback)
	for errno, want := range map[syscall.Errno]error{0: nil, syscall.EAGAIN: nil, syscall.ENOBUFS: nil, syscall.EPERM: syscall.EPERM} {
		if err := s.account(sendError(errno), 100, &s.count.rtpOut); !errors.Is(err, want) {
			t.Errorf("errno %d: got %v, want %v", errno, err, want)
		}
	}
	if st := s.Stats(); st.Unsent != 2 || st.RTPOut != (Traffic{1, 100}) {
		t.Errorf("%+v", st)
	}
}

// One socket takes both families where no address is asked for.
func TestDualStack(t *testing.T) {
	s := open(t, netip.Addr{})
	if !s.pair.rtp.six {
		t.Skip("no IPv6 here")
	}
	got := make(chan *pion.Packet, 100)
	s.Start(Handler{RTP: func(p *pion.Packet, _ time.Time) { got <- p.Clone() }})
	for _, addr := range []string{"127.0.0.1", "::1"} {
		must(t, s.SetRemote(Remote{Types: []uint8{96}}))
		peer, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(addr), 0)))
		if err != nil {
			t.Skip(err) // no loopback of that family
		}
		defer peer.Close()
		from := peer.LocalAddr().(*net.UDPAddr).AddrPort()
		must(t, s.SetRemote(Remote{RTP: from, Types: []uint8{96}}))
		b, err := (&pion.Packet{Header: pion.Header{Version: 2, PayloadType: 96, SSRC: 7}, Payload: []byte(addr)}).Marshal()
		must(t, err)
		_, err = peer.WriteToUDPAddrPort(b, netip.AddrPortFrom(from.Addr(), uint16(s.Port())))
		must(t, err)
		if p := <-got; string(p.Payload) != addr {
			t.Errorf("got %q from %s", p.Payload, addr)
		}
		must(t, s.WriteRTP(&pion.Header{PayloadType: 96}, []byte("back")))
		n, err := peer.Read(make([]byte, 100))
		if err != nil || n != 12+len("back") {
			t.Errorf("%s got %d bytes, %v", addr, n, err)
		}
	}
}

// TestCloseUnderFire opens and closes sessions whose peers, and writers, do not
// stop: nothing is handed on after Close, and no socket is mistaken for the one
// that had its number before.
func TestCloseUnderFire(t *testing.T) {
	const rounds, at = 12, 4
	var wg sync.WaitGroup
	for range at {
		wg.Go(func() {
			for range rounds {
				s, err := Listen(Config{Bind: loopback})
				if err != nil {
					t.Error(err)
					return
				}
				var handled, closed atomic.Bool
				first := make(chan struct{})
				_ = s.SetRemote(Remote{RTP: netip.AddrPortFrom(loopback, uint16(s.Port())), Types: []uint8{96}})
				s.Start(Handler{RTP: func(*pion.Packet, time.Time) {
					if closed.Load() {
						t.Error("handed on after Close")
					}
					if !handled.Swap(true) {
						close(first)
					}
				}})
				ended := make(chan struct{})
				go func() { // to itself: its own port is its peer
					defer close(ended)
					h := &pion.Header{PayloadType: 96, SSRC: 7}
					for s.WriteRTP(h, []byte{1}) == nil {
						h.SequenceNumber++
					}
				}()
				<-first
				if err := s.Close(); err != nil {
					t.Error(err)
				}
				closed.Store(true)
				<-ended
			}
		})
	}
	wg.Wait()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if n := len(shared.all); n != 0 {
		t.Errorf("%d pollers without a socket", n)
	}
}

// A flood of one session leaves the others their turn.
func TestFlood(t *testing.T) {
	flooded, calm := open(t, loopback), open(t, loopback)
	to := func(s *Session) netip.AddrPort { return netip.AddrPortFrom(loopback, uint16(s.Port())) }
	for _, s := range []*Session{flooded, calm} {
		must(t, s.SetRemote(Remote{RTP: to(s), Types: []uint8{96}}))
	}
	const packets = 10 * batchSize
	for i := range packets {
		must(t, flooded.WriteRTP(&pion.Header{PayloadType: 96, SequenceNumber: uint16(i)}, nil))
	}
	must(t, calm.WriteRTP(&pion.Header{PayloadType: 96}, nil))
	// Nothing is read before both are known to the poller they share, so that
	// neither needs a lock.
	flooded.pair.rtp.reading.Lock()
	before, done := 0, make(chan struct{})
	flooded.Start(Handler{RTP: func(*pion.Packet, time.Time) {
		if before++; before == packets {
			close(done)
		}
	}})
	heard := make(chan int, 1)
	calm.Start(Handler{RTP: func(*pion.Packet, time.Time) { heard <- before }})
	flooded.pair.rtp.reading.Unlock()
	<-done
	if n := <-heard; n > 3*batchSize {
		t.Errorf("the calm session waited for %d packets of the other one", n)
	}
}
