package bfcp

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/skybridge-media/skybridge/media/sdp"
)

// Config is what an [Endpoint] needs to know.
type Config struct {
	// Floor is what SDP agreed on: our role, and the identifiers. Over UDP its
	// Address is where we send until the peer sends from elsewhere.
	Floor sdp.Floor

	// Notify gets [Requested], [Withdrawn], [Decided], [Presenter], [Ready] and
	// [Lost], one at a time, in order. It must not block; it may call methods
	// of the endpoint, except Close. Of a peer that changes who presents all the
	// time it gets the newest now and then.
	Notify func(event any)

	// KeepAlive is how long a client is silent before it says Hello. Zero means
	// 20 s, which keeps the bindings of most NATs; negative: never.
	KeepAlive time.Duration

	// MTU is the largest datagram to send, in octets. Zero means 1200.
	MTU int

	Log *slog.Logger // nil: none
}

const (
	defaultKeepAlive = 20 * time.Second
	defaultMTU       = 1200
	leastMTU         = 64
)

// Validate names the field that is wrong.
func (c *Config) validate() error {
	const both = sdp.FloorClient | sdp.FloorServer
	switch {
	case c.Floor.Role == 0 || c.Floor.Role&^both != 0:
		return errors.New("bfcp: Floor.Role is neither client nor server")
	case c.Notify == nil:
		return errors.New("bfcp: Notify is nil")
	case c.MTU != 0 && c.MTU < leastMTU:
		return errors.New("bfcp: MTU is below 64")
	}
	return nil
}

// An Endpoint controls one floor with one peer: as the server that the peer
// asks, as the client that asks the peer, or as both. Safe for concurrent use.
type Endpoint struct {
	cfg     Config
	log     *slog.Logger
	carrier carrier
	cancel  context.CancelFunc
	running sync.WaitGroup
	wake    chan struct{} // holds one; nobody waits to post
	arrived chan arrival

	mu     sync.Mutex // guards what follows
	queue  []func()
	closed bool

	// What follows belongs to the goroutine of loop.
	path      path // where we send; nil: nobody known
	heard     bool // the peer has sent over path
	lost      bool
	spoken    time.Time // when we have last sent
	assembler Assembler
	requests  requests
	answers   answers
	server    server
	client    client
}

// Datagrams controls a floor over UDP. The endpoint owns the socket from now
// on, even if there is an error.
func Datagrams(conn net.PacketConn, cfg Config) (*Endpoint, error) {
	e, err := start(&datagrams{conn}, cfg)
	if err != nil {
		_ = conn.Close()
	}
	return e, err
}

// Listen controls a floor over the connections that the peer opens to l. The
// endpoint owns l from now on, even if there is an error.
func Listen(l net.Listener, cfg Config) (*Endpoint, error) {
	e, err := start(&streams{listener: l}, cfg)
	if err != nil {
		_ = l.Close()
	}
	return e, err
}

// Dial controls a floor over a connection that we open to the peer, to
// Floor.Address, and open again when it breaks. A nil dialer is a plain one.
func Dial(d *net.Dialer, cfg Config) (*Endpoint, error) {
	if !cfg.Floor.Address.IsValid() {
		return nil, errors.New("bfcp: Floor.Address says nowhere to connect to")
	}
	d = cmp.Or(d, &net.Dialer{Timeout: 10 * time.Second})
	addr := cfg.Floor.Address.String()
	return start(&streams{dial: func(ctx context.Context) (net.Conn, error) { return d.DialContext(ctx, "tcp", addr) }}, cfg)
}

func start(c carrier, cfg Config) (*Endpoint, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	cfg.KeepAlive = cmp.Or(cfg.KeepAlive, defaultKeepAlive)
	cfg.MTU = cmp.Or(cfg.MTU, defaultMTU)
	e := &Endpoint{
		cfg:     cfg,
		log:     cmp.Or(cfg.Log, slog.New(slog.DiscardHandler)),
		carrier: c,
		wake:    make(chan struct{}, 1),
		arrived: make(chan arrival),
	}
	e.requests.reset()
	e.server.limit = rate.NewLimiter(requestsPerSecond, requestsAtOnce)
	e.client.limit = rate.NewLimiter(requestsPerSecond, requestsAtOnce)
	ctx, cancel := context.WithCancel(context.Background())
	e.cancel = cancel
	e.running.Go(func() { c.run(ctx, func(a arrival) bool { return e.deliver(ctx, a) }) })
	e.running.Go(func() { e.loop(ctx) })
	return e, nil
}

// Close says goodbye, closes the socket, and returns when everything has
// stopped. There are no events afterwards. It may be called again.
func (e *Endpoint) Close() {
	e.mu.Lock()
	if !e.closed {
		e.queue = append(e.queue, e.leave)
		e.closed = true
	}
	e.mu.Unlock()
	e.poke()
	e.running.Wait()
}

// SetAddress is for a new offer or answer of the peer: where it says that it
// receives datagrams. Nothing happens if it says what it said before, because
// then it may well send from elsewhere.
func (e *Endpoint) SetAddress(addr netip.AddrPort) {
	e.post(func() {
		if p := e.carrier.to(addr); p != nil && addr != e.cfg.Floor.Address {
			e.cfg.Floor.Address = addr
			e.path, e.heard = p, false
			e.greet()
			e.advance()
		}
	})
}

// Restart begins anew over the same socket or connection, for a new offer or
// answer that changes roles or identifiers. What was asked for and granted is
// forgotten without events, and notify gets those that come from now on.
func (e *Endpoint) Restart(f sdp.Floor, notify func(event any)) {
	e.post(func() {
		if p := e.carrier.to(f.Address); p != nil && f.Address != e.cfg.Floor.Address {
			e.path = p
		}
		e.cfg.Floor, e.cfg.Notify = f, notify
		e.heard, e.lost = false, false
		e.requests.reset()
		e.answers = answers{}
		e.server = server{last: e.server.last, limit: e.server.limit}
		e.client = client{view: view{limit: e.client.limit}}
		if e.path != nil {
			e.greet()
		}
	})
}

// post runs f on the loop.
func (e *Endpoint) post(f func()) {
	e.mu.Lock()
	if !e.closed {
		e.queue = append(e.queue, f)
	}
	e.mu.Unlock()
	e.poke()
}

func (e *Endpoint) poke() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

func (e *Endpoint) deliver(ctx context.Context, a arrival) bool {
	select {
	case e.arrived <- a:
		return true
	case <-ctx.Done():
		return false
	}
}

// loop is the goroutine that everything happens on.
func (e *Endpoint) loop(ctx context.Context) {
	e.path = e.carrier.to(e.cfg.Floor.Address)
	e.spoken = time.Now()
	if e.path != nil {
		e.greet()
	}
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for ctx.Err() == nil {
		timer.Reset(time.Until(e.next()))
		select {
		case a := <-e.arrived:
			e.arrive(a)
		case <-e.wake:
			e.drain()
		case <-timer.C:
		}
		e.elapse(time.Now())
	}
}

// drain runs what was posted.
func (e *Endpoint) drain() {
	e.mu.Lock()
	queue := e.queue
	e.queue = nil
	e.mu.Unlock()
	for _, f := range queue {
		f()
	}
}

// next is when something is due.
func (e *Endpoint) next() time.Time {
	next := time.Now().Add(time.Hour)
	for _, t := range []time.Time{e.requests.due, e.server.due(), e.client.due, e.greeting()} {
		if !t.IsZero() && t.Before(next) {
			next = t
		}
	}
	return next
}

// elapse does what is due.
func (e *Endpoint) elapse(now time.Time) {
	if t := e.requests.due; !t.IsZero() && !now.Before(t) {
		e.retransmit(now)
	}
	if t := e.server.due(); !t.IsZero() && !now.Before(t) {
		e.server.tell(e) // it is pending
	}
	if t := e.client.due; !t.IsZero() && !now.Before(t) {
		e.client.show(e)
	}
	if t := e.greeting(); !t.IsZero() && !now.Before(t) {
		e.spoken = now
		e.greet()
	}
}

// leave ends the endpoint.
func (e *Endpoint) leave() {
	if e.path != nil && e.heard && !e.carrier.reliable() { // a connection is just closed
		// Nobody waits for the answer: a peer that does not hear it finds out by
		// SIP.
		_ = e.transmit(e.path, e.message(Goodbye, e.outgoing()))
	}
	e.cancel()
}

// outgoing are the identifiers of what we begin as any role.
func (e *Endpoint) outgoing() sdp.FloorID {
	if e.is(sdp.FloorServer) {
		return e.cfg.Floor.Server
	}
	return e.cfg.Floor.Client
}

func (e *Endpoint) is(role sdp.FloorRole) bool { return e.cfg.Floor.Role&role != 0 }
