package bfcp_test

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/skybridge-media/skybridge/media/sdp"
	"github.com/skybridge-media/skybridge/services/sip/bfcp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// id is what both sides of a test have agreed on.
var id = sdp.FloorID{Conference: 0x01020304, User: 9, Floor: 1}

// A cable carries datagrams between two sockets in fake time.
type cable struct {
	mu   sync.Mutex // guards what follows
	lose func(b []byte) bool
	log  []packet
}

type packet struct {
	at   time.Time
	from netip.AddrPort
	b    []byte
}

// A plug is one end of a cable.
type plug struct {
	*cable
	addr   netip.AddrPort
	peers  map[netip.AddrPort]*plug
	in     chan packet
	closed chan struct{}
	once   sync.Once
}

func (c *cable) plugs(addrs ...string) []*plug {
	peers := map[netip.AddrPort]*plug{}
	var all []*plug
	for _, a := range addrs {
		p := &plug{cable: c, addr: netip.MustParseAddrPort(a), peers: peers, in: make(chan packet, 100), closed: make(chan struct{})}
		peers[p.addr] = p
		all = append(all, p)
	}
	return all
}

func (p *plug) ReadFrom(b []byte) (int, net.Addr, error) {
	select {
	case m := <-p.in:
		return copy(b, m.b), net.UDPAddrFromAddrPort(m.from), nil
	case <-p.closed:
		return 0, nil, net.ErrClosed
	}
}

func (p *plug) WriteTo(b []byte, to net.Addr) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := packet{time.Now(), p.addr, slices.Clone(b)}
	p.log = append(p.log, m)
	peer := p.peers[to.(*net.UDPAddr).AddrPort()]
	if peer != nil && (p.lose == nil || !p.lose(b)) {
		peer.in <- m
	}
	return len(b), nil
}

func (p *plug) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}
func (p *plug) LocalAddr() net.Addr              { return net.UDPAddrFromAddrPort(p.addr) }
func (p *plug) SetDeadline(time.Time) error      { return os.ErrNoDeadline }
func (p *plug) SetReadDeadline(time.Time) error  { return os.ErrNoDeadline }
func (p *plug) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }

// losing sets which packets are lost from now on.
func (c *cable) losing(f func(b []byte) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lose = f
}

// sent is what was sent from an address, oldest first.
func (c *cable) sent(from netip.AddrPort) []packet {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(c.log), func(p packet) bool { return p.from != from })
}

// A side is an endpoint and what it says.
type side struct {
	*bfcp.Endpoint
	addr netip.AddrPort

	mu     sync.Mutex // guards what follows
	events []any
	happen func(event any)
}

func (s *side) notify(event any) {
	s.mu.Lock()
	s.events = append(s.events, event)
	happen := s.happen
	s.mu.Unlock()
	if happen != nil {
		happen(event)
	}
}

// expect fails unless exactly these events came since the last time.
func (s *side) expect(t *testing.T, want ...any) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if got := fmt.Sprintf("%+v", s.events); got != fmt.Sprintf("%+v", want) {
		t.Errorf("got events %T %s, want %T %+v", s.events, got, want, want)
	}
	s.events = nil
}

// A pair is a server and a client on one cable, in a bubble.
type pair struct {
	*cable
	server, client *side
}

// bubble runs f with a server and a client that know each other.
func bubble(t *testing.T, f func(t *testing.T, p *pair)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := &pair{cable: new(cable), server: new(side), client: new(side)}
		plugs := p.plugs("192.0.2.1:40006", "198.51.100.30:16390")
		var err error
		p.server.addr, p.client.addr = plugs[0].addr, plugs[1].addr
		p.server.Endpoint, err = bfcp.Datagrams(plugs[0], bfcp.Config{
			Floor:  sdp.Floor{Role: sdp.FloorServer, Server: id, Address: p.client.addr},
			Notify: p.server.notify,
		})
		if err != nil {
			t.Fatal(err)
		}
		defer p.server.Close()
		p.client.Endpoint, err = bfcp.Datagrams(plugs[1], bfcp.Config{
			Floor:  sdp.Floor{Role: sdp.FloorClient, Client: id, Address: p.server.addr},
			Notify: p.client.notify,
		})
		if err != nil {
			t.Fatal(err)
		}
		defer p.client.Close()
		synctest.Wait()
		p.server.expect(t, bfcp.Ready{})
		p.client.expect(t, bfcp.Ready{})
		f(t, p)
	})
}

// is matches packets of one primitive.
func is(p bfcp.Primitive) func([]byte) bool {
	return func(b []byte) bool { return len(b) > 1 && b[1] == byte(p) }
}

// all matches every packet.
func all([]byte) bool { return true }

// A phone is a peer of which a test writes every message.
type phone struct {
	*testing.T
	*plug
	to net.Addr
}

// exchange sends a message and returns what comes back: all messages until
// nothing happens any more.
func (p *phone) exchange(m bfcp.Message) []*bfcp.Message {
	p.Helper()
	b, err := m.Marshal()
	if err != nil {
		p.Fatal(err)
	}
	return p.raw(b)
}

func (p *phone) raw(b []byte) []*bfcp.Message {
	p.Helper()
	if _, err := p.WriteTo(b, p.to); err != nil {
		p.Fatal(err)
	}
	synctest.Wait()
	return p.received()
}

func (p *phone) received() []*bfcp.Message {
	p.Helper()
	var all []*bfcp.Message
	for {
		select {
		case got := <-p.in:
			m, err := bfcp.Parse(got.b)
			if err != nil {
				p.Fatal(err)
			}
			all = append(all, m)
		default:
			return all
		}
	}
}

// settle acknowledges what the server says by itself, until it has said
// everything, and returns that.
func (p *phone) settle(got []*bfcp.Message) []*bfcp.Message {
	p.Helper()
	acks := map[bfcp.Primitive]bfcp.Primitive{bfcp.FloorStatus: bfcp.FloorStatusAck, bfcp.FloorRequestStatus: bfcp.FloorRequestStatusAck}
	for i := 0; i < len(got); i++ {
		if ack, ok := acks[got[i].Primitive]; ok && !got[i].Response {
			got = append(got, p.exchange(response(numbered(got[i].Transaction, message(ack))))...)
		}
	}
	return got
}

// dialled runs f with a phone and the endpoint of a role that it has reached.
func dialled(t *testing.T, role sdp.FloorRole, f func(t *testing.T, p *phone, s *side)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		plugs := new(cable).plugs("192.0.2.1:40006", "198.51.100.30:16390")
		s := &side{addr: plugs[0].addr}
		var err error
		s.Endpoint, err = bfcp.Datagrams(plugs[0], bfcp.Config{
			Floor:     sdp.Floor{Role: role, Server: id, Client: id, Address: plugs[1].addr},
			Notify:    s.notify,
			KeepAlive: -1,
		})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		synctest.Wait()
		f(t, &phone{t, plugs[1], plugs[0].LocalAddr()}, s)
	})
}
