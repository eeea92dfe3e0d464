package sip

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"runtime/debug"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/emiago/sipgo/sip"
	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"
)

// A transport owns the sockets. Messages that parse go to deliver, on the
// goroutine that read them, so that those of one peer stay in order.
type transport struct {
	log     *slog.Logger
	metrics *Metrics
	limits  Limits
	parser  *sip.Parser
	guard   *guard
	deliver func(sip.Message, flow)
	mute    rate.Sometimes // lets one line a second through about what strangers do wrong

	udp      *udpSocket     // set before anything is served; nil: none
	readers  sync.WaitGroup // and whoever else is to be waited for
	dialling singleflight.Group
	life     context.Context // ends with close, and dialling with it
	end      context.CancelFunc

	mu        sync.Mutex // guards what follows
	closed    bool
	listeners []net.Listener
	streams   map[*stream]struct{}
	perSource map[netip.Addr]int
	dialled   map[streamKey]*stream
}

// A streamKey identifies a connection that we made. The name is part of it: a
// certificate that was good for one host says nothing about another at the
// same address.
type streamKey struct {
	proto string
	to    netip.AddrPort
	name  string
}

func newTransport(cfg *Config, log *slog.Logger, m *Metrics) *transport {
	life, end := context.WithCancel(context.Background())
	return &transport{
		life:      life,
		end:       end,
		log:       log,
		metrics:   m,
		limits:    cfg.Limits,
		parser:    newParser(),
		guard:     newGuard(cfg.Limits.MessagesPerSource),
		mute:      rate.Sometimes{Interval: time.Second},
		streams:   make(map[*stream]struct{}),
		perSource: make(map[netip.Addr]int),
		dialled:   make(map[streamKey]*stream),
	}
}

// listenBoth binds UDP and TCP to the same port of addr. With port 0 the
// kernel picks one that is free for both.
func listenBoth(addr netip.Addr, port int) (*net.UDPConn, net.Listener, error) {
	host := ""
	if addr.IsValid() {
		host = addr.String()
	}
	for attempt := 0; ; attempt++ {
		l, err := net.Listen("tcp", net.JoinHostPort(host, fmt.Sprint(port)))
		if err != nil {
			return nil, nil, err
		}
		at := addrPort(l.Addr())
		u, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, at.Port())))
		if err == nil {
			return u, l, nil
		}
		_ = l.Close()
		if port != 0 || attempt == 16 || !errors.Is(err, syscall.EADDRINUSE) {
			return nil, nil, err
		}
	}
}

// bindUDP takes over a socket, which serveUDP reads.
func (t *transport) bindUDP(conn *net.UDPConn) {
	t.udp = &udpSocket{transport: t, conn: conn, at: addrPort(conn.LocalAddr())}
}

// serveUDP reads the socket on a goroutine of its own until the transport is
// closed.
func (t *transport) serveUDP() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.closed {
		t.readers.Go(t.udp.read)
	}
}

// serveStreams accepts connections until the transport is closed. config is
// nil for TCP.
func (t *transport) serveStreams(l net.Listener, config *tls.Config) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	t.listeners = append(t.listeners, l)
	proto := "TCP"
	if config != nil {
		proto = "TLS"
	}
	t.readers.Go(func() {
		for pause := time.Duration(0); ; {
			conn, err := l.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				// Out of file descriptors, most likely: others have to
				// end before there is room.
				pause = min(time.Second, max(5*time.Millisecond, 2*pause))
				t.log.Warn("accepting a connection failed", "transport", proto, "err", err)
				time.Sleep(pause)
				continue
			}
			pause = 0
			if config != nil {
				conn = tls.Server(conn, config)
			}
			s := &stream{transport: t, conn: conn, proto: proto, remote: addrPort(conn.RemoteAddr())}
			if !t.remember(s) {
				t.metrics.dropped.WithLabelValues(dropConnection).Inc()
				_ = conn.Close()
			}
		}
	})
}

// remember takes a connection in, within the limits, and starts to read it.
func (t *transport) remember(s *stream) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	source := s.remote.Addr()
	if t.closed || len(t.streams) >= t.limits.Connections ||
		s.dialled == nil && t.perSource[source] >= t.limits.ConnectionsPerSource {
		return false
	}
	t.streams[s] = struct{}{}
	if s.dialled == nil {
		t.perSource[source]++
	} else {
		t.dialled[*s.dialled] = s
	}
	t.metrics.connections.WithLabelValues(s.proto).Inc()
	t.readers.Go(s.read)
	return true
}

// forget is the end of remember.
func (t *transport) forget(s *stream) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.streams, s)
	if s.dialled != nil {
		if t.dialled[*s.dialled] == s {
			delete(t.dialled, *s.dialled)
		}
	} else if source := s.remote.Addr(); t.perSource[source] > 1 {
		t.perSource[source]--
	} else {
		delete(t.perSource, source)
	}
	t.metrics.connections.WithLabelValues(s.proto).Dec()
}

var errTransport = errors.New("sip: transport not available")

// flowTo returns a flow to addr: the UDP socket, a connection that we made
// before, or a new one. It waits for Limits.Dial at most.
func (t *transport) flowTo(ctx context.Context, key streamKey, config *tls.Config) (flow, error) {
	switch key.proto {
	case "UDP":
		if t.udp == nil {
			return nil, errTransport
		}
		return &udpFlow{socket: t.udp, to: key.to}, nil
	case "TCP", "TLS":
	default:
		return nil, errTransport
	}
	if key.proto == "TCP" {
		key.name = ""
	}
	t.mu.Lock()
	s, closed := t.dialled[key], t.closed
	if !closed {
		t.readers.Add(1)
		defer t.readers.Done()
	}
	t.mu.Unlock()
	switch {
	case closed:
		return nil, errTransport
	case s != nil && s.alive():
		return s, nil
	}
	// Whoever asks first dials for everybody, and does not stop when its own
	// caller loses patience. Another may have finished since we looked.
	result := t.dialling.DoChan(fmt.Sprint(key), func() (any, error) {
		t.mu.Lock()
		s := t.dialled[key]
		t.mu.Unlock()
		if s != nil && s.alive() {
			return s, nil
		}
		return t.dial(key, config)
	})
	select {
	case r := <-result:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.(*stream), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (t *transport) dial(key streamKey, config *tls.Config) (*stream, error) {
	ctx, cancel := context.WithTimeout(t.life, t.limits.Dial)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", key.to.String())
	if err != nil {
		return nil, err
	}
	if key.proto == "TLS" {
		config = config.Clone()
		if config.ServerName == "" {
			config.ServerName = key.name
		}
		c := tls.Client(conn, config)
		if err := c.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return nil, fmt.Errorf("TLS with %s: %w", key.name, err)
		}
		conn = c
	}
	s := &stream{transport: t, conn: conn, proto: key.proto, remote: key.to, dialled: &key}
	if !t.remember(s) {
		_ = conn.Close()
		return nil, fmt.Errorf("%w: too many connections", errTransport)
	}
	return s, nil
}

// garbage answers what is no SIP message, if it was meant to be a request, and
// says so, but not at the rate at which it arrives.
func (t *transport) garbage(f flow, data []byte, err error) {
	t.metrics.malformed.WithLabelValues(f.network()).Inc()
	t.mute.Do(func() {
		t.log.Warn("malformed message", "transport", f.network(), "peer", f.peer(), "bytes", len(data), "err", printable(err.Error(), 200))
	})
	if req, why := salvage(data); req != nil {
		t.reject(normaliseRequest(req, f.peer()), f, why)
	}
}

// reject refuses req, as answer does.
func (t *transport) reject(req *sip.Request, f flow, why *refusal) {
	t.answer(req, f, why.response(req, newTag()))
}

// answer sends a response without a transaction: the same request again gets
// the same answer. Nothing is sent to who did not even say how to reach it, nor
// to an ACK.
func (t *transport) answer(req *sip.Request, f flow, res *sip.Response) {
	v, err := parseVia(text(req, "Via"))
	if err != nil || req.Method == sip.ACK {
		return
	}
	if u, ok := f.(*udpFlow); ok {
		f = &udpFlow{socket: u.socket, to: replyTo(v, u.to)}
	}
	countSent(t.metrics, f, res, false)
	if err := f.WriteMsg(res); err != nil {
		t.log.Debug("response not sent", "peer", f.peer(), "err", err)
	}
}

// contain is deferred around the handling of one message: a panic ends with
// the message that caused it. It is a bug, and is logged as one.
func (t *transport) contain(f flow) {
	if p := recover(); p != nil {
		t.metrics.panics.Inc()
		t.log.Error("panic while a message was handled", "peer", f.peer(), "panic", p, "stack", string(debug.Stack()))
	}
}

// close ends everything and waits for it.
func (t *transport) close() {
	t.mu.Lock()
	t.closed = true
	open := slices.Collect(maps.Keys(t.streams))
	listeners := t.listeners
	t.mu.Unlock()
	t.end()
	if t.udp != nil {
		_ = t.udp.conn.Close()
	}
	for _, l := range listeners {
		_ = l.Close()
	}
	for _, s := range open {
		s.close()
	}
	t.readers.Wait()
}
