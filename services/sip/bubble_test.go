package sip_test

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtcp"
	pion "github.com/pion/rtp"

	"github.com/skybridge-media/skybridge/actors"
	"github.com/skybridge-media/skybridge/actors/node"
	"github.com/skybridge-media/skybridge/media/rtp"
	"github.com/skybridge-media/skybridge/services/sip"
)

// A bubble is a service in fake time. Its peers are connected in memory.
type bubble struct {
	*testing.T
	Server  *sip.Server
	Node    *fakeNode
	Metrics *sip.Metrics
	at      *memListener
	peers   uint16
}

// inBubble runs f with a service in fake time. Goroutines that are alive when f
// has returned, and the service is closed, fail the test.
func inBubble(t *testing.T, f func(b *bubble)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		log := slog.New(slog.DiscardHandler)
		sys := actors.NewSystem(log, actors.NewMetrics(nil))
		n := newFakeNode(sys)
		b := &bubble{T: t, Node: n, Metrics: sip.NewMetrics(nil), at: &memListener{conns: make(chan net.Conn), done: make(chan struct{})}}
		cfg := sip.Config{Bind: loopback}
		deps := sip.Deps{Log: log, Metrics: b.Metrics, System: sys, Node: n.pid, Media: media()}
		var err error
		if b.Server, err = sip.New(cfg, deps); err != nil {
			t.Fatal(err)
		}
		b.Server.UseRTP(func() (sip.Session, error) { return &memSession{}, nil })
		b.Server.ServeOn(b.at, nil)
		defer func() {
			_ = b.Server.Close()
			n.closePorts()
			sys.Shutdown()
			time.Sleep(2 * time.Second) // let the dead-letter throttle run out
		}()
		f(b)
	})
}

// dial lets the service call u over the connection that there is.
func (b *bubble) dial(u *ua) *called {
	b.Helper()
	synctest.Wait() // until the connection has been accepted
	b.Server.Adopt(u.local)
	b.Server.Dial(node.NewCall(), node.Dial{Alias: "room", URI: "sip:bob@" + u.local.String() + ";transport=tcp"})
	return &called{ua: u, invite: u.expectRequest("INVITE"), tag: fmt.Sprintf("bob%d", unique.Add(1))}
}

// newUA connects a peer.
func (b *bubble) newUA() *ua {
	b.peers++
	local := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.7"), 10000+b.peers)
	server, client := net.Pipe()
	b.at.conns <- &memConn{server, b.at.Addr(), net.TCPAddrFromAddrPort(local)}
	u := &ua{
		T: b.T, transport: "TCP", local: local, remote: memAddr, in: make(chan message, 4096),
		stream: &memConn{client, net.TCPAddrFromAddrPort(local), b.at.Addr()},
	}
	u.start()
	return u
}

var memAddr = netip.MustParseAddrPort("127.0.0.1:5060")

// A memListener hands out connections in memory.
type memListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (l *memListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *memListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *memListener) Addr() net.Addr { return net.TCPAddrFromAddrPort(memAddr) }

// A memConn is a connection in memory that has addresses.
type memConn struct {
	net.Conn
	local, remote net.Addr
}

func (c *memConn) LocalAddr() net.Addr  { return c.local }
func (c *memConn) RemoteAddr() net.Addr { return c.remote }

// A memSession is RTP that goes nowhere.
type memSession struct{ remote rtp.Remote }

func (s *memSession) WriteRTP(*pion.Header, []byte) error            { return nil }
func (s *memSession) WriteRTPBatch(*pion.Header, []rtp.Packet) error { return nil }
func (s *memSession) WriteRTCP([]rtcp.Packet) error                  { return nil }
func (s *memSession) Start(rtp.Handler)                              {}
func (s *memSession) Port() int                                      { return 40000 }
func (s *memSession) RTCPPort() int                                  { return 40001 }
func (s *memSession) Close() error                                   { return nil }

func (s *memSession) SetRemote(r rtp.Remote) error {
	s.remote = r
	return nil
}

// closedWithin reports whether the service closes the connection.
func (u *ua) closedWithin(d time.Duration) bool {
	select {
	case _, ok := <-u.in:
		return !ok
	case <-time.After(d):
		return false
	}
}
