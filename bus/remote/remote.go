package remote

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/nats-io/nats.go"

	"github.com/skybridge-media/skybridge/bus"
)

// Config describes a Remote. Node is required.
type Config struct {
	// Node is the name of this node, unique in the cluster, without "@".
	Node string

	// Registry lists what may cross nodes. The default is [NewRegistry].
	Registry *Registry

	// Allow says which actors of this node others may reach, by name. Futures
	// always are, because replies go there. The default is none else.
	Allow func(id string) bool

	// Heartbeat is how often this node says that it lives; the default is
	// 300 ms. DeadAfter is the silence after which another is dead; the default
	// is four heartbeats. All nodes of a cluster use the same.
	Heartbeat, DeadAfter time.Duration

	// QueueMessages and QueueBytes bound what waits to be handed to NATS; the
	// defaults are 8,192 and 64 MiB.
	QueueMessages, QueueBytes int

	Log     *slog.Logger // nil discards
	Metrics *Metrics     // nil counts nowhere
}

func (c *Config) validate() error {
	if c.Registry == nil {
		c.Registry = NewRegistry()
	}
	if c.Allow == nil {
		c.Allow = func(string) bool { return false }
	}
	c.Heartbeat = cmp.Or(c.Heartbeat, 300*time.Millisecond)
	c.DeadAfter = cmp.Or(c.DeadAfter, 4*c.Heartbeat)
	c.QueueMessages = cmp.Or(c.QueueMessages, 8192)
	c.QueueBytes = cmp.Or(c.QueueBytes, 64<<20)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Metrics == nil {
		c.Metrics = NewMetrics(nil)
	}
	switch {
	case c.Node == "" || strings.Contains(c.Node, "@") || len(c.Node) > maxAddressBytes/2:
		return fmt.Errorf("remote: Node: %q is not a node's name", c.Node)
	case c.Heartbeat < 10*time.Millisecond:
		return fmt.Errorf("remote: Heartbeat: %v is less than 10 ms", c.Heartbeat)
	case c.DeadAfter < 2*c.Heartbeat:
		return fmt.Errorf("remote: DeadAfter: %v is less than two heartbeats", c.DeadAfter)
	case c.QueueMessages < 1 || c.QueueBytes < 1:
		return errors.New("remote: QueueMessages, QueueBytes: a queue is required")
	}
	return nil
}

// Remote connects an actor system to those of other nodes. It is safe for
// concurrent use.
type Remote struct {
	cfg Config
	sys *actor.ActorSystem
	nc  *nats.Conn
	reg *Registry

	process string // see incarnation
	self    atomic.Pointer[self]
	own     atomic.Pointer[map[string]bool] // every address this process ever had
	out     outbox
	state   atomic.Int32
	stop    chan struct{}
	wg      sync.WaitGroup
	pulse   *nats.Subscription
	renewed chan string // an address that the clock's goroutine is to give up

	renewMu sync.Mutex // one Renew at a time

	mu     sync.Mutex       // guards the rest, and the tables of peers
	peers  map[string]*peer // by address, the dead included
	nodes  map[string]*peer // the one that is heard now, by node
	dead   []*peer          // oldest first
	grace  time.Time        // until then nobody is judged
	echoed time.Time        // when a heartbeat of our own came back last
}

// States of a Remote.
const (
	running  = iota
	replaced // cut off: another process uses our name
	closed
)

// self is what belongs to one incarnation of this node.
type self struct {
	address
	number uint64 // 1 for the first
	text   string // node@incarnation
	subs   []*nats.Subscription
}

// New connects sys to the others that use the same NATS. It must be called
// before sys sends anything to another node. The caller keeps nc, and closes it
// after the Remote.
func New(sys *actor.ActorSystem, nc *nats.Conn, cfg Config) (*Remote, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if a := sys.ProcessRegistry.Address; a != local {
		return nil, fmt.Errorf("remote: the system has address %s already", a)
	}
	switch {
	case nc.Opts.ReconnectBufSize >= 0:
		return nil, errors.New("remote: the connection would deliver messages late: it needs ReconnectBufSize(-1)")
	case nc.Opts.NoEcho:
		return nil, errors.New("remote: the connection must not have NoEcho: a node listens to its own heartbeats")
	}
	r := &Remote{
		cfg: cfg, sys: sys, nc: nc, reg: cfg.Registry.compile(),
		process: newProcess(time.Now()),
		stop:    make(chan struct{}), renewed: make(chan string, 1),
		peers: map[string]*peer{}, nodes: map[string]*peer{}, echoed: time.Now(),
	}
	r.out.init(cfg)
	r.own.Store(&map[string]bool{})
	s, err := r.incarnate(1)
	if err != nil {
		return nil, err
	}
	r.become(s)
	if r.pulse, err = r.subscribe(bus.AllHeartbeats, r.onHeartbeat); err != nil {
		return nil, errors.Join(err, s.unsubscribe())
	}
	sys.ProcessRegistry.RegisterAddressResolver(r.resolve)
	r.wg.Go(r.write)
	r.wg.Go(r.clock)
	return r, nil
}

// incarnate opens the subjects of this node's n-th incarnation.
func (r *Remote) incarnate(n uint64) (*self, error) {
	s := &self{address: address{r.cfg.Node, incarnation(r.process, n)}, number: n}
	s.text = s.String()
	lanes := []struct {
		subject string
		handle  func(*self, *nats.Msg)
	}{
		{bus.ActorSubject(s.node, s.incarnation, "u"), r.onUser},
		{bus.ActorSubject(s.node, s.incarnation, "s"), r.onSystem},
		{bus.ActorSubject(s.node, s.incarnation, "n") + ".>", r.onNobody},
	}
	for _, l := range lanes {
		sub, err := r.subscribe(l.subject, func(m *nats.Msg) {
			if r.self.Load() == s { // the past incarnation of a renewed node is dead
				l.handle(s, m)
			}
		})
		if err != nil {
			return nil, errors.Join(err, s.unsubscribe())
		}
		s.subs = append(s.subs, sub)
	}
	return s, nil
}

// maxPendingBytes is what may wait for one subscription's handler. Handlers
// only decode and enqueue, and what the client drops is a hole in a link.
const maxPendingBytes = 256 << 20

func (r *Remote) subscribe(subject string, handle nats.MsgHandler) (*nats.Subscription, error) {
	sub, err := r.nc.Subscribe(subject, handle)
	if err != nil {
		return nil, fmt.Errorf("remote: subscribe %s: %w", subject, err)
	}
	if err := sub.SetPendingLimits(-1, maxPendingBytes); err != nil {
		return nil, errors.Join(err, sub.Unsubscribe())
	}
	return sub, nil
}

func (s *self) unsubscribe() error {
	var errs []error
	for _, sub := range s.subs {
		if err := sub.Unsubscribe(); !errors.Is(err, nats.ErrConnectionClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// become makes s the present incarnation.
func (r *Remote) become(s *self) {
	own := map[string]bool{s.text: true}
	for a := range *r.own.Load() {
		own[a] = true
	}
	r.own.Store(&own)
	r.self.Store(s)
}

// Address returns this node's present address, node@incarnation.
func (r *Remote) Address() string { return r.self.Load().text }

// NewPID returns the PID of the actor id at address. The result is local when
// the address is this node's, or was.
func (r *Remote) NewPID(address, id string) *actor.PID {
	if r.isOwn(address) {
		address = local
	}
	return actor.NewPID(address, id)
}

// Peers lists the addresses of the other nodes that are heard, in order.
func (r *Remote) Peers() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var heard []string
	for _, p := range r.nodes {
		heard = append(heard, p.text)
	}
	slices.Sort(heard)
	return heard
}

func (r *Remote) isOwn(address string) bool {
	return address == local || (*r.own.Load())[address]
}

// resolve implements [actor.AddressResolver].
func (r *Remote) resolve(pid *actor.PID) (actor.Process, bool) {
	if r.isOwn(pid.Address) {
		return r.sys.ProcessRegistry.GetLocal(pid.Id)
	}
	if p := r.peer(pid.Address); p != nil {
		return process{r, p}, true
	}
	return nil, false
}

// localize turns an address as the node at source wrote it into what it means
// here.
func (r *Remote) localize(address, source string) string {
	switch {
	case address == local:
		return source
	case r.isOwn(address):
		return local
	}
	return address
}

// Close says goodbye, so that others need not wait for silence, and stops. What
// is sent from now on is a dead letter.
func (r *Remote) Close() error {
	r.mu.Lock() // against spawn
	before := r.state.Swap(closed)
	r.mu.Unlock()
	if before == closed {
		return nil
	}
	close(r.stop)
	r.wg.Wait()
	s := r.self.Load()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	err := r.nc.Publish(s.pulseSubject(), pulse{bye: true}.encode())
	if err == nil {
		err = r.nc.FlushWithContext(ctx)
	}
	if errors.Is(err, nats.ErrReconnectBufExceeded) || errors.Is(err, nats.ErrConnectionClosed) {
		err = nil // nobody hears us anyway
	}
	s.subs = append(s.subs, r.pulse)
	return errors.Join(err, s.unsubscribe())
}

// allowed reports whether others may reach the actor.
func (r *Remote) allowed(id string) bool {
	return strings.HasPrefix(id, "future$") || !isInternal(id) && r.cfg.Allow(id)
}

// isInternal reports whether id is one of protoactor's own processes, some of
// which panic when they are sent a message.
func isInternal(id string) bool {
	return id == "deadletter" || id == "eventstream" || strings.HasPrefix(id, "guardian$")
}

// spawn runs f on a goroutine that Close waits for, unless it is too late.
func (r *Remote) spawn(f func()) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state.Load() == closed {
		return false
	}
	r.wg.Go(f)
	return true
}

// deadLetter gives up a message. Whoever waits for a reply to it is told.
func (r *Remote) deadLetter(pid *actor.PID, message any, sender *actor.PID) {
	r.cfg.Metrics.deadLetters.Inc()
	r.sys.EventStream.Publish(&actor.DeadLetterEvent{PID: pid, Message: message, Sender: sender})
}
