package sip_test

import (
	"cmp"
	"context"
	"crypto/tls"
	"log/slog"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/skybridge-media/skybridge/actors"
	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/actors/node"
	"github.com/skybridge-media/skybridge/actors/participant"
	"github.com/skybridge-media/skybridge/actors/watcher"
	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/g711"
	"github.com/skybridge-media/skybridge/codecs/g722"
	"github.com/skybridge-media/skybridge/codecs/h264"
	"github.com/skybridge-media/skybridge/codecs/opus"
	"github.com/skybridge-media/skybridge/codecs/vp8"
	"github.com/skybridge-media/skybridge/media/port"
	"github.com/skybridge-media/skybridge/media/rtp"
	"github.com/skybridge-media/skybridge/media/sdp"
	"github.com/skybridge-media/skybridge/services/sip"
)

// patience is how long a test waits for what must happen.
const patience = 15 * time.Second

var (
	loopback   = netip.MustParseAddr("127.0.0.1")
	publicAddr = netip.MustParseAddr("198.51.100.7")
)

// A bench is a running service with a node that the test plays.
type bench struct {
	*testing.T
	Server  *sip.Server
	Node    *fakeNode
	Metrics *sip.Metrics
	Ports   *rtp.PortRange
	panics  int // that the test causes
	stop    context.CancelFunc
	served  sync.WaitGroup
}

// media are all codecs.
func media() sdp.Capabilities {
	return sdp.Capabilities{
		Audio: []*codecs.Audio{&opus.Mono, &g722.G722, &g711.PCMU, &g711.PCMA},
		Video: []*codecs.Video{&h264.H264, &vp8.VP8},
	}
}

// newBench starts a service on free ports of 127.0.0.1.
func newBench(t *testing.T, change ...func(*sip.Config, *sip.Deps)) *bench {
	t.Helper()
	return newPreparedBench(t, func(*sip.Server) {}, change...)
}

// newPreparedBench is newBench for tests that reach into the service before it
// runs.
func newPreparedBench(t *testing.T, prepare func(*sip.Server), change ...func(*sip.Config, *sip.Deps)) *bench {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	if os.Getenv("SKYBRIDGE_TEST_LOG") != "" {
		log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	ports, err := rtp.NewPortRange(21000, 24999)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{T: t, Metrics: sip.NewMetrics(nil), Ports: ports}
	sys := actors.NewSystem(log, actors.NewMetrics(nil))
	b.Node = newFakeNode(sys)
	cfg := sip.Config{Bind: loopback}
	deps := sip.Deps{
		Log: log, Metrics: b.Metrics, System: sys, Node: b.Node.pid, Media: media(), Ports: ports,
		Watchers: watcher.NewSet(watcher.Deps{Log: log, Metrics: actors.NewMetrics(nil), System: sys, Node: b.Node.pid}),
	}
	for _, f := range change {
		f(&cfg, &deps)
	}
	if b.Server, err = sip.New(cfg, deps); err != nil {
		t.Fatal(err)
	}
	if err := b.Server.Listen(); err != nil {
		t.Fatal(err)
	}
	prepare(b.Server)
	ctx, stop := context.WithCancel(context.Background())
	b.stop = stop
	b.served.Go(func() {
		if err := b.Server.Serve(ctx); err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	t.Cleanup(func() {
		b.close()
		// A participant may not have read yet that it has a port.
		settled(t, "without port pairs at the end", func() bool {
			b.Node.closePorts()
			return b.Ports.Used() == 0
		})
		sys.Shutdown()
		if n := b.Metrics.Panics(); n != b.panics {
			t.Errorf("%d panics, want %d", n, b.panics)
		}
	})
	return b
}

func (b *bench) close() {
	b.stop()
	b.served.Wait()
}

// withTLS adds a TLS listener with a certificate for 127.0.0.1.
func withTLS(t *testing.T) func(*sip.Config, *sip.Deps) {
	cert := certificate(t)
	return func(cfg *sip.Config, _ *sip.Deps) {
		cfg.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	}
}

// settled waits until f is true.
func settled(t *testing.T, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !f(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not %s after %v", what, patience)
		}
	}
}

// A fakeNode admits calls into rooms that do not exist. Some aliases get
// another answer.
type fakeNode struct {
	sys *actor.ActorSystem
	pid *actor.PID

	mu           sync.Mutex // guards what follows
	participants []*fakeParticipant
	asked        int
	leased       []node.Reserve
	silent       bool                     // it does not answer those
	hold         map[string]chan struct{} // aliases whose callers wait
	conference   *actor.PID               // of everybody; nil: the participant plays it
	later        bool                     // callers have no conference yet
}

func newFakeNode(sys *actor.ActorSystem) *fakeNode {
	n := &fakeNode{sys: sys, hold: make(map[string]chan struct{})}
	n.pid = sys.Root.Spawn(actor.PropsFromFunc(n.receive))
	return n
}

func (n *fakeNode) receive(c actor.Context) {
	if m, ok := c.Message().(*node.Reserve); ok {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.leased = append(n.leased, *m)
		if c.Sender() != nil && !n.silent {
			c.Respond(&node.Reserved{})
		}
		return
	}
	m, ok := c.Message().(*node.Admit)
	if !ok {
		return
	}
	n.mu.Lock()
	n.asked++
	wait := n.hold[m.Alias]
	n.mu.Unlock()
	switch m.Alias {
	case "nobody":
		c.Respond(node.ErrNotFound)
	case "locked":
		c.Respond(conference.ErrLocked)
	case "secret":
		c.Respond(node.ErrPIN)
	case "full":
		c.Respond(conference.ErrFull)
	case "busy":
		c.Respond(node.ErrCapacity)
	case "broken":
		c.Respond(context.Canceled)
	case "elsewhere":
		c.Respond(&node.Redirect{Node: "other", Contacts: node.Contacts{SIP: "192.0.2.7:5070", SIPS: "192.0.2.7:5071"}})
	default:
		p := &fakeParticipant{Admit: m, events: make(chan any, 1000)}
		p.pid = c.ActorSystem().Root.Spawn(actor.PropsFromFunc(p.receive))
		n.mu.Lock()
		n.participants = append(n.participants, p)
		n.mu.Unlock()
		reply := &node.Admitted{Participant: p.pid, Conference: cmp.Or(n.conference, p.pid), Room: m.Alias}
		if n.later {
			reply.Conference = nil
		}
		if wait == nil {
			c.Respond(reply)
			return
		}
		sender, root := c.Sender(), c.ActorSystem().Root
		go func() {
			<-wait
			root.Send(sender, reply)
		}()
	}
}

// wait makes callers of alias wait until the function that it returns is
// called.
func (n *fakeNode) wait(alias string) (release func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	ch := make(chan struct{})
	n.hold[alias] = ch
	return sync.OnceFunc(func() { close(ch) })
}

// participant returns the i-th participant, once it has been admitted.
func (n *fakeNode) participant(t *testing.T, i int) *fakeParticipant {
	t.Helper()
	var p *fakeParticipant
	settled(t, "admitted", func() bool {
		n.mu.Lock()
		defer n.mu.Unlock()
		if i < len(n.participants) {
			p = n.participants[i]
		}
		return p != nil
	})
	return p
}

func (n *fakeNode) count() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.asked
}

// admitted is how many calls were let in.
func (n *fakeNode) admitted() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.participants)
}

// closePorts does what participants do when their actor system stops.
func (n *fakeNode) closePorts() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range n.participants {
		p.close()
	}
}

// A fakeParticipant notes what it is told, and closes its port at the end.
type fakeParticipant struct {
	*node.Admit
	pid    *actor.PID
	events chan any

	mu   sync.Mutex // guards port
	port participant.Port
}

func (p *fakeParticipant) receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *participant.Connect:
		p.mu.Lock()
		p.port = m.Port
		p.mu.Unlock()
		p.events <- m
	case *participant.Ended:
		p.close()
		p.events <- m
	case port.Silent, actor.AutoReceiveMessage, actor.SystemMessage:
	default:
		p.events <- m
	}
}

func (p *fakeParticipant) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.port != nil {
		p.port.Close()
	}
}

// hangup does what a participant does that is disconnected.
func (p *fakeParticipant) hangup(r participant.Reason) {
	p.close()
	p.Signalling.Hangup(r)
}

// next returns the next event, which must be of type E.
func next[E any](t *testing.T, p *fakeParticipant) E {
	t.Helper()
	select {
	case e := <-p.events:
		v, ok := e.(E)
		if !ok {
			t.Fatalf("participant was told %T %+v, want %T", e, e, v)
		}
		return v
	case <-time.After(patience):
		var want E
		t.Fatalf("participant was not told %T", want)
		return want
	}
}

func timeout() <-chan time.Time { return time.After(patience) }
