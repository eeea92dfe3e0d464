package remote

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/skybridge-media/skybridge/bus"
	"github.com/skybridge-media/skybridge/bus/embedded"
)

// rig is a Remote and, beside it, a bare connection that plays a peer.
type rig struct {
	*Remote
	t      *testing.T
	peer   *nats.Conn
	events chan any
	got    chan any // what the actor "open" has received
}

// me is who the bare connection says it is.
var me = address{"peer", "0-1"}

func newRig(t *testing.T) *rig {
	t.Helper()
	srv, err := embedded.Start(embedded.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	g := &rig{t: t, events: make(chan any, 1000), got: make(chan any, 1000)}
	connect := func() *nats.Conn {
		nc, err := nats.Connect(srv.URL(), nats.ReconnectBufSize(-1))
		if err != nil {
			t.Fatal(err)
		}
		return nc
	}
	g.peer = connect()
	nc := connect()
	sys := actor.NewActorSystem(actor.WithDeadLetterThrottleInterval(time.Millisecond),
		actor.WithLoggerFactory(quiet))
	sys.EventStream.Subscribe(func(e any) {
		switch e.(type) {
		case *PeerUp, *PeerDown, *LinkGap, *Renewed, *Replaced:
			g.events <- e
		}
	})
	reg := NewRegistry()
	reg.Add(100, &wrapperspb.StringValue{})
	g.Remote, err = New(sys, nc, Config{Node: "n", Registry: reg, Allow: func(string) bool { return true }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sys.Root.SpawnNamed(actor.PropsFromFunc(func(c actor.Context) {
		switch m := c.Message().(type) {
		case *actor.Started, *actor.Stopping, *actor.Stopped:
		default:
			g.got <- m
		}
	}), "open"); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = g.Close()
		nc.Close()
		g.peer.Close()
		_ = srv.Close()
	})
	return g
}

func quiet(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }

// beat sends a heartbeat of the peer and waits until it is heard.
func (g *rig) beat() {
	g.t.Helper()
	g.publish(bus.HeartbeatSubject(me.node, me.incarnation), pulse{}.encode())
	if up, ok := g.event().(*PeerUp); !ok || up.Address != me.String() {
		g.t.Fatalf("got %+v", up)
	}
}

func (g *rig) publish(subject string, data []byte) {
	g.t.Helper()
	if err := g.peer.Publish(subject, data); err != nil {
		g.t.Fatal(err)
	}
	if err := g.peer.Flush(); err != nil {
		g.t.Fatal(err)
	}
}

// send sends text to the actor "open" as the peer's message number seq.
func (g *rig) send(seq uint64, text string) {
	g.t.Helper()
	body, err := g.reg.encode(nil, &envelope{target: "open"}, wrapperspb.String(text))
	if err != nil {
		g.t.Fatal(err)
	}
	s := g.self.Load()
	g.publish(bus.ActorSubject(s.node, s.incarnation, "u"), seal(body, seq, me.String()))
}

func (g *rig) sendProbe(seq uint64, payload []byte) {
	g.t.Helper()
	s := g.self.Load()
	g.publish(bus.ActorSubject(s.node, s.incarnation, "u"), seal(appendPayload(nil, numProbe, payload), seq, me.String()))
}

func (g *rig) event() any { g.t.Helper(); return take(g.t, g.events) }

func (g *rig) text() string {
	g.t.Helper()
	m, ok := take(g.t, g.got).(*wrapperspb.StringValue)
	if !ok {
		g.t.Fatalf("got %T", m)
	}
	return m.Value
}

func take[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(10 * time.Second):
		t.Fatalf("no %T", *new(T))
		panic("unreachable")
	}
}

func TestLinkGap(t *testing.T) {
	g := newRig(t)
	g.beat()
	for seq, text := range []string{"", "one", "two"} {
		if seq > 0 {
			g.send(uint64(seq), text)
			if got := g.text(); got != text {
				t.Errorf("got %s, want %s", got, text)
			}
		}
	}
	g.send(2, "two again") // dropped: it was there before
	g.send(6, "six")
	if gap, ok := g.event().(*LinkGap); !ok || gap.Lost != 3 || gap.Address != me.String() {
		t.Errorf("got %+v, want 3 lost", gap)
	}
	if got := g.text(); got != "six" {
		t.Errorf("got %s, want six", got)
	}
	g.sendProbe(9, nil)
	if gap, ok := g.event().(*LinkGap); !ok || gap.Lost != 2 {
		t.Errorf("got %+v, want 2 lost at the end", gap)
	}
}

// TestGapAtStart expects the very first message to be number one.
func TestGapAtStart(t *testing.T) {
	g := newRig(t)
	g.beat()
	g.send(3, "three")
	if gap, ok := g.event().(*LinkGap); !ok || gap.Lost != 2 {
		t.Errorf("got %+v, want 2 lost", gap)
	}
}

// TestProbes expects a probe after the last message, no second one, and one for
// the asking.
func TestProbes(t *testing.T) {
	g := newRig(t)
	envelopes := make(chan envelope, 100)
	if _, err := g.peer.Subscribe(bus.ActorSubject(me.node, me.incarnation, "u"), func(m *nats.Msg) {
		var e envelope
		if err := e.decode(m.Data); err != nil {
			t.Error(err)
		}
		envelopes <- e
	}); err != nil {
		t.Fatal(err)
	}
	g.beat()
	stop := make(chan struct{})
	beating := make(chan struct{})
	go func() { // the peer lives
		defer close(beating)
		for {
			select {
			case <-stop:
				return
			case <-time.After(100 * time.Millisecond):
				_ = g.peer.Publish(bus.HeartbeatSubject(me.node, me.incarnation), pulse{}.encode())
			}
		}
	}()
	defer func() { close(stop); <-beating }()

	g.sys.Root.Send(g.NewPID(me.String(), "x"), wrapperspb.String("hello"))
	first, probe := take(t, envelopes), take(t, envelopes)
	if first.number != 100 || first.seq != 1 || first.source != g.Address() {
		t.Errorf("got %+v", first)
	}
	if probe.number != numProbe || probe.seq != 2 || len(probe.payload) != 0 {
		t.Errorf("got %+v, want a probe", probe)
	}
	select {
	case e := <-envelopes:
		t.Errorf("an idle link carries %+v", e)
	case <-time.After(4 * g.cfg.Heartbeat):
	}
	g.sendProbe(1, appendVarint(nil, 1, 1))
	if e := take(t, envelopes); e.number != numProbe || e.seq != 3 {
		t.Errorf("got %+v, want a probe in return", e)
	}
}

// TestBuried plays a peer that has taken this node for dead.
func TestBuried(t *testing.T) {
	tests := []struct {
		name      string
		target    func(g *rig) string
		successor func(g *rig) string
		renews    bool
		replaces  bool
	}{
		{"this incarnation", (*rig).Address, nil, true, false},
		{"a past incarnation", func(*rig) string { return "n@0-1" }, nil, false, false},
		{"another node", func(*rig) string { return "m@0-1" }, nil, false, false},
		{"for an older process", (*rig).Address, func(*rig) string { return "n@0-7" }, true, false},
		{"for a later incarnation of ours", (*rig).Address, func(g *rig) string { return "n@" + incarnation(g.process, 9) }, true, false},
		{"for a younger process", (*rig).Address, func(*rig) string { return "n@zzzz-1" }, false, true},
		{"for nonsense", (*rig).Address, func(*rig) string { return "@@" }, true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := newRig(t)
			old, s := g.Address(), g.self.Load()
			successor := ""
			if tt.successor != nil {
				successor = tt.successor(g)
			}
			body := appendString(nil, fieldTarget, tt.target(g))
			body = seal(appendPayload(body, numBuried, appendString(nil, 1, successor)), 0, me.String())
			g.publish(bus.ActorSubject(s.node, s.incarnation, "s"), body)
			switch {
			case tt.renews:
				if e, ok := g.event().(*Renewed); !ok || e.Old != old {
					t.Errorf("got %+v", e)
				}
			case tt.replaces:
				if e, ok := g.event().(*Replaced); !ok || e.By != successor {
					t.Errorf("got %+v", e)
				}
			default:
				g.beat() // comes after: the first event is not a renewal
				if g.Address() != old {
					t.Error("renewed")
				}
			}
		})
	}
}

func TestVersion(t *testing.T) {
	g := newRig(t)
	g.beat()
	other := bus.HeartbeatSubject("future", "0-1")
	told := make(chan *nats.Msg, 10)
	if _, err := g.peer.ChanSubscribe(bus.ActorSubject("future", "0-1", "s"), told); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		g.publish(other, appendVarint(nil, 1, version+1))
	}
	g.send(1, "x") // is handled by another subscription, but shows that we are alive
	if got := g.text(); got != "x" {
		t.Errorf("got %s", got)
	}
	if got := g.Peers(); len(got) != 1 || got[0] != me.String() {
		t.Errorf("peers are %v", got)
	}
	if len(told) > 0 {
		t.Error("a peer of another version was told to renew, which would not help")
	}
}

// TestForgetsTheDead expects addresses that never come back to be forgotten.
func TestForgetsTheDead(t *testing.T) {
	g := newRig(t)
	for i := range maxDead + 100 {
		g.declareDead(g.Remote.peer(fmt.Sprintf("old@0-%d", i)), "silent")
	}
	g.forgetDead(time.Now())
	g.mu.Lock()
	peers, dead := len(g.peers), len(g.dead)
	g.mu.Unlock()
	if peers > maxDead+1 || dead != maxDead {
		t.Errorf("%d peers, %d dead are remembered, want %d", peers, dead, maxDead)
	}
	g.forgetDead(time.Now().Add(2 * keepDead))
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.dead) != 0 {
		t.Errorf("%d dead are remembered for ever", len(g.dead))
	}
}

// TestSweepWatches expects the watch of an actor that has stopped to be
// withdrawn, because protoactor does not do that.
func TestSweepWatches(t *testing.T) {
	g := newRig(t)
	numbers := make(chan uint32, 10)
	if _, err := g.peer.Subscribe(bus.ActorSubject(me.node, me.incarnation, "s"), func(m *nats.Msg) {
		var e envelope
		if err := e.decode(m.Data); err != nil {
			t.Error(err)
		}
		numbers <- e.number
		_ = m.Respond(nil)
	}); err != nil {
		t.Fatal(err)
	}
	g.beat()
	stopped := make(chan struct{})
	watcher := g.sys.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		switch c.Message().(type) {
		case *actor.Started:
			c.Watch(actor.NewPID(me.String(), "x"))
		case *actor.Stopped:
			close(stopped)
		}
	}))
	if n := take(t, numbers); n != numWatch {
		t.Errorf("got message %d, want a watch", n)
	}
	g.sweepWatches() // the watcher lives
	g.sys.Root.Stop(watcher)
	<-stopped
	g.sweepWatches()
	if n := take(t, numbers); n != numUnwatch {
		t.Errorf("got message %d, want the watch withdrawn", n)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if n := len(g.peers[me.String()].watches); n != 0 {
		t.Errorf("%d watches are left", n)
	}
}
