package sip

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emiago/sipgo/sip"
	"golang.org/x/time/rate"

	"github.com/skybridge-media/skybridge/actors/node"
	"github.com/skybridge-media/skybridge/actors/participant"
	"github.com/skybridge-media/skybridge/media/port"
	"github.com/skybridge-media/skybridge/media/rtp"
	"github.com/skybridge-media/skybridge/media/sdp"
)

var (
	_ node.Dialer            = (*Server)(nil)
	_ participant.Signalling = (*call)(nil)
)

// A Server speaks SIP. It implements [node.Dialer]. Its methods are safe for
// concurrent use, once Listen has returned.
type Server struct {
	cfg       Config
	deps      Deps
	log       *slog.Logger
	metrics   *Metrics
	resolver  Resolver
	listenRTP func(rtp.Config) (session, error)

	transport *transport
	tx        *transactions
	udp       *net.UDPConn
	tcp, tls  net.Listener

	life    context.Context // ends when the service gives up on everything
	end     context.CancelFunc
	running sync.WaitGroup // calls, and what they wait for
	routing atomic.Int32   // requests of calls that look for their way
	refused rate.Sometimes // lets ten lines a second through about calls that were refused
	closing sync.Once
	closed  chan struct{}

	mu      sync.Mutex // guards what follows
	stopped bool
	calls   map[*call]struct{}
	dialogs map[dialogKey]*call
	invites map[inviteKey]*call
}

// An inviteKey tells one INVITE that arrives twice, by two ways, from two
// INVITEs (RFC 3261 section 8.2.2.2).
type inviteKey struct {
	callID, from string
	seq          uint32
}

// Addrs are the addresses that a Server is bound to.
type Addrs struct {
	SIP  netip.AddrPort // UDP and TCP
	SIPS netip.AddrPort // TLS; invalid when there is none
}

// New checks the configuration. It opens nothing.
func New(cfg Config, deps Deps) (*Server, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if deps.Metrics == nil {
		deps.Metrics = NewMetrics(nil)
	}
	if deps.PortMetrics == nil {
		deps.PortMetrics = port.NewMetrics(nil)
	}
	if deps.RTPMetrics == nil {
		deps.RTPMetrics = rtp.NewMetrics(nil)
	}
	life, end := context.WithCancel(context.Background())
	s := &Server{
		cfg:       cfg,
		deps:      deps,
		log:       deps.Log,
		metrics:   deps.Metrics,
		resolver:  deps.Resolver,
		listenRTP: func(c rtp.Config) (session, error) { return rtp.Listen(c) },
		transport: newTransport(&cfg, deps.Log, deps.Metrics),
		tx:        newTransactions(deps.Metrics),
		life:      life,
		end:       end,
		refused:   rate.Sometimes{Interval: 100 * time.Millisecond},
		closed:    make(chan struct{}),
		calls:     make(map[*call]struct{}),
		dialogs:   make(map[dialogKey]*call),
		invites:   make(map[inviteKey]*call),
	}
	s.transport.deliver = s.deliver
	if s.resolver == nil {
		s.resolver = net.DefaultResolver
	}
	return s, nil
}

// Listen binds all sockets. Nothing is read before Serve; what arrives until
// then waits.
func (s *Server) Listen() error {
	udp, tcp, err := listenBoth(s.cfg.Bind, s.cfg.Port)
	if err != nil {
		return err
	}
	if s.cfg.TLS != nil {
		host := ""
		if s.cfg.Bind.IsValid() {
			host = s.cfg.Bind.String()
		}
		l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(s.cfg.TLSPort)))
		if err != nil {
			_ = udp.Close()
			_ = tcp.Close()
			return err
		}
		s.tls = l
	}
	// A burst of calls should wait rather than be sent again. The kernel caps
	// what we may ask for.
	_ = udp.SetReadBuffer(4 << 20)
	s.udp, s.tcp = udp, tcp
	s.transport.bindUDP(udp)
	return nil
}

// Addrs says what Listen has bound.
func (s *Server) Addrs() Addrs {
	a := Addrs{SIP: addrPort(s.tcp.Addr())}
	if s.tls != nil {
		a.SIPS = addrPort(s.tls.Addr())
	}
	return a
}

// Serve answers until ctx is done or Close is called, then closes the service.
func (s *Server) Serve(ctx context.Context) error {
	s.transport.serveUDP()
	s.transport.serveStreams(s.tcp, nil)
	if s.tls != nil {
		s.transport.serveStreams(s.tls, s.cfg.TLS)
	}
	select {
	case <-ctx.Done():
		return s.Close()
	case <-s.closed:
		return nil
	}
}

// goodbye is how long Close lets calls end politely.
const goodbye = 2 * time.Second

// Close ends all calls with a BYE, waits for the answers for two seconds at
// most, and frees everything. New calls are refused from now on.
func (s *Server) Close() error {
	s.closing.Do(func() {
		s.mu.Lock()
		s.stopped = true
		open := make([]*call, 0, len(s.calls))
		for c := range s.calls {
			open = append(open, c)
		}
		s.mu.Unlock()
		for _, c := range open {
			c.inbox.post(func() { c.hangup(reasonGoing) })
		}
		s.settle(time.Now().Add(goodbye))
		s.end()
		for _, c := range open {
			c.inbox.post(func() { c.finish(reasonGoing) })
		}
		s.tx.close()
		s.transport.close()
		s.running.Wait()
		for _, c := range open {
			if c.media != nil {
				c.media.close() // unless the participant has
			}
		}
		if s.udp != nil { // bound; Serve may never have run
			_ = s.udp.Close()
			_ = s.tcp.Close()
		}
		if s.tls != nil {
			_ = s.tls.Close()
		}
		close(s.closed)
	})
	<-s.closed
	return nil
}

// settle waits until calls and transactions of ours have ended.
func (s *Server) settle(deadline time.Time) {
	for time.Now().Before(deadline) {
		s.mu.Lock()
		calls := len(s.calls)
		s.mu.Unlock()
		if calls == 0 && s.routing.Load() == 0 && s.tx.asking() == 0 {
			return
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-s.life.Done():
			return
		}
	}
}

// register takes a call in, unless there are too many, or its INVITE has
// arrived already by another way. The caller has to start it then.
func (s *Server) register(c *call) *refusal {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped || len(s.calls) >= s.cfg.Limits.Calls {
		return refusalFor(node.ErrCapacity)
	}
	if c.invite != nil {
		c.key = inviteKey{c.invite.req.callID, c.invite.req.from.tag(), c.invite.req.seq}
		if s.invites[c.key] != nil {
			return refuse(sip.StatusLoopDetected, "Loop Detected")
		}
		s.invites[c.key] = c
	}
	s.calls[c] = struct{}{}
	s.dialogs[c.dialog.key()] = c
	s.metrics.dialogs.Inc()
	s.running.Add(1) // under the lock: Close waits once nothing is added any more
	return nil
}

// confirm makes a call that we have placed findable by the tag of who answered.
func (s *Server) confirm(c *call, d *dialog) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.dialogs, c.dialog.key())
	c.dialog = d
	s.dialogs[d.key()] = c
}

// forget is the end of register.
func (s *Server) forget(c *call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.calls, c)
	delete(s.dialogs, c.dialog.key())
	delete(s.invites, c.key)
	s.metrics.dialogs.Dec()
}

// find returns the call of an in-dialog request. One that answers us may be
// faster than its 200.
func (s *Server) find(r *request) *call {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.dialogs[dialogKey{r.callID, r.to.tag(), r.from.tag()}]; c != nil {
		return c
	}
	return s.dialogs[dialogKey{r.callID, r.to.tag(), ""}]
}

// capabilities are what a call on f may use. Keys that are offered over a flow
// that anybody can read are taken: the peer has decided. We do not offer them
// there.
func (s *Server) capabilities(f flow, offering bool) *sdp.Capabilities {
	c := s.deps.Media
	if offering { // only where there is room for slides, and another try without: see prepare
		c.Slides, c.Floor, c.Camera = false, 0, false
	}
	switch {
	case s.cfg.Crypto == CryptoRequired:
		c.Crypto = sdp.CryptoRequired
	case s.cfg.Crypto == CryptoOff, offering && f.network() != "TLS":
		c.Crypto = sdp.CryptoOff
	default:
		c.Crypto = sdp.CryptoOptional
	}
	return &c
}

// address is where the peer behind f reaches us.
func (s *Server) address(f flow) netip.Addr {
	if s.cfg.Public.IsValid() {
		return s.cfg.Public
	}
	return f.local().Addr()
}

// port is where we listen for what f speaks.
func (s *Server) port(f flow) int {
	switch {
	case f.network() != "TLS":
		return int(s.Addrs().SIP.Port())
	case s.tls != nil:
		return int(s.Addrs().SIPS.Port())
	}
	return int(f.local().Port())
}

// contactFor is our URI for a dialog on f.
func (s *Server) contactFor(f flow, user string, secure bool) string {
	return contactURI(user, s.address(f).String(), s.port(f), f.network(), secure)
}

// stampVia puts us on top of the way that the response will take back.
func (s *Server) stampVia(req *sip.Request, f flow, branch string) {
	host := net.JoinHostPort(s.address(f).String(), strconv.Itoa(s.port(f)))
	req.PrependHeader(header("Via", "SIP/2.0/%s %s;branch=%s;rport", f.network(), host, branch))
	req.SetTransport(f.network())
}
