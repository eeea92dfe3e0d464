package rtp

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"
	pion "github.com/pion/rtp"
	"github.com/pion/srtp/v3"
)

// ErrClosed is returned by the methods of a [Session] after Close.
var ErrClosed = errors.New("rtp: session closed")

// A Handler takes what a peer sends, with the time it arrived at this machine,
// which may be a while before. Both functions are called from goroutines that
// many sessions share, each for one packet at a time, but RTCP possibly while RTP
// runs. Packets are borrowed for the call. A handler must not block and must not
// close the session it is called from.
type Handler struct {
	RTP  func(packet *pion.Packet, arrived time.Time)
	RTCP func(packets []rtcp.Packet, arrived time.Time)
}

// Config is what a [Session] is made with.
type Config struct {
	Bind    netip.Addr   // the local address; invalid means all
	Ports   *PortRange   // where the two ports come from; nil means that the kernel picks
	Log     *slog.Logger // nil means no log
	Metrics *Metrics     // nil means not counted
}

// Remote is the peer as its SDP describes it.
type Remote struct {
	RTP  netip.AddrPort // invalid or unspecified: unknown, to be learned
	RTCP netip.AddrPort // likewise
	Mux  bool           // RTCP shares the port of RTP (RFC 5761)

	// Types are the payload types the peer may send. Others are dropped.
	Types []uint8

	// Crypto keys the stream; nil means plain RTP.
	Crypto *Crypto
}

// A Session is the sockets of one m-line: it sends to where the peer is and
// hands on what the peer, and nobody else, sends. All methods are safe for
// concurrent use. It must be closed.
type Session struct {
	log     *slog.Logger
	metrics *Metrics
	pair    pair
	handler Handler

	// reporting makes calls of handler.RTCP one at a time: RTCP may come
	// through both sockets.
	reporting sync.Mutex

	once sync.Once

	route atomic.Pointer[route] // where to send; nil until known
	out   sender
	in    receiver
	count counters
}

// route says where packets go. Immutable.
type route struct {
	rtp, rtcp netip.AddrPort
	mux       bool
}

// Listen binds the two sockets of a session. Nothing is read before Start;
// what arrives until then waits in the socket. [ErrNoPorts] says that the range
// is exhausted.
func Listen(cfg Config) (*Session, error) {
	ports := cmp.Or(cfg.Ports, &PortRange{})
	p, err := ports.open(cfg.Bind)
	if err != nil {
		return nil, fmt.Errorf("rtp: listen on %v: %w", cfg.Bind, err)
	}
	// Key frames come in bursts of some hundred packets. The kernel caps what
	// we may ask for, and the default does as well where it does.
	p.rtp.setReadBuffer(socketBuffer)
	s := &Session{
		log:     cmp.Or(cfg.Log, slog.New(slog.DiscardHandler)),
		metrics: cfg.Metrics,
		pair:    p,
	}
	if s.metrics == nil {
		s.metrics = NewMetrics(nil)
	}
	s.metrics.sessions.Inc()
	s.metrics.traffic.Add(s)
	return s, nil
}

// socketBuffer is the receive buffer asked for, in bytes.
const socketBuffer = 1 << 20

// Start begins to read. It is called once.
func (s *Session) Start(h Handler) {
	s.handler = h
	s.pair.rtp.watch(s, false)
	s.pair.rtcp.watch(s, true)
}

// Port is the local port for RTP.
func (s *Session) Port() int { return s.pair.rtp.port }

// RTCPPort is the local port for RTCP while it does not share that of RTP.
func (s *Session) RTCPPort() int { return s.pair.rtcp.port }

// SetRemote takes the peer's side of a completed offer and answer, the first
// one and each later one. It opens learning again. A direction whose key is
// the same as before goes on with its rollover counter; a new key starts at
// zero (RFC 4568 section 7.1.4).
func (s *Session) SetRemote(r Remote) error {
	r.RTP, r.RTCP = clean(r.RTP), clean(r.RTCP)
	if r.Mux {
		r.RTCP = r.RTP
	}
	// Both contexts are made before either is used, so that an error leaves
	// the session as it was.
	var send, recv *srtp.Context
	if r.Crypto != nil {
		var err error
		if send, err = r.Crypto.sender(); err != nil {
			return err
		}
		if recv, err = r.Crypto.receiver(); err != nil {
			return err
		}
	}
	s.out.rekey(r.Crypto, send)

	s.in.mu.Lock()
	defer s.in.mu.Unlock()
	s.in.rekey(r.Crypto, recv)
	s.in.setTypes(r.Types)
	s.in.mux = r.Mux
	s.in.media.signal(r.RTP)
	s.in.control.signal(r.RTCP)
	s.publish()
	return nil
}

// publish makes what the latches know the route of the senders. s.in.mu is held.
func (s *Session) publish() {
	r := &route{rtp: s.in.media.dest(), mux: s.in.mux}
	r.rtcp = r.rtp
	if !r.mux {
		r.rtcp = s.in.control.dest(r.rtp)
	}
	if old := s.route.Load(); old == nil || *old != *r {
		s.route.Store(r)
	}
}

// Close closes the sockets, waits until the handler has returned for the last
// time, and frees the ports. Later calls do nothing.
func (s *Session) Close() error {
	var err error
	s.once.Do(func() {
		s.pair.rtp.unwatch()
		s.pair.rtcp.unwatch()
		err = s.pair.close()
		s.pair.rtp.quiet()
		s.pair.rtcp.quiet()
		s.metrics.sessions.Dec()
		s.metrics.traffic.Remove(s)
	})
	return err
}

// clean drops addresses that nothing can be sent to, and the IPv6 wrapping of
// IPv4 ones, so that addresses compare.
func clean(a netip.AddrPort) netip.AddrPort {
	if !a.IsValid() || a.Port() == 0 || a.Addr().IsUnspecified() || a.Addr().IsMulticast() {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}
