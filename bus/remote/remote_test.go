package remote_test

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/skybridge-media/skybridge/bus"
	"github.com/skybridge-media/skybridge/bus/bustest"
	"github.com/skybridge-media/skybridge/bus/embedded"
	"github.com/skybridge-media/skybridge/bus/remote"
)

func TestMain(m *testing.M) {
	if os.Getenv(childName) != "" {
		if err := runChild(); err != nil {
			fmt.Fprintln(os.Stderr, "child:", err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// patience is how long anything may take that should take no time.
const patience = 30 * time.Second

func registry() *remote.Registry {
	r := remote.NewRegistry()
	r.Add(100, &wrapperspb.StringValue{})
	r.Add(101, &wrapperspb.Int64Value{})
	r.Add(102, &wrapperspb.BytesValue{})
	return r
}

// node is one process of a cluster, all of them in the test's.
type node struct {
	*remote.Remote
	t      *testing.T
	sys    *actor.ActorSystem
	nc     *nats.Conn
	events chan any // what the Remote publishes
	ids    atomic.Int64
}

func newNode(t *testing.T, url, name string, change ...func(*remote.Config)) *node {
	t.Helper()
	n := &node{t: t, events: make(chan any, 10_000)}
	var err error
	n.nc, err = nats.Connect(url, nats.Name(name), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond),
		nats.ReconnectBufSize(-1), nats.RetryOnFailedConnect(true), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	if err != nil {
		t.Fatal(err)
	}
	n.sys = newSystem()
	n.sys.EventStream.Subscribe(func(e any) {
		switch e.(type) {
		case *remote.PeerUp, *remote.PeerDown, *remote.LinkGap, *remote.Renewed, *remote.Replaced:
			n.events <- e
		}
	})
	cfg := remote.Config{
		Node: name, Registry: registry(), Allow: func(id string) bool { return strings.HasPrefix(id, "open/") },
		Log: slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelInfo})).With("node", name),
	}
	for _, f := range change {
		f(&cfg)
	}
	if n.Remote, err = remote.New(n.sys, n.nc, cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Errorf("close %s: %v", name, err)
		}
		n.nc.Close()
		n.sys.Shutdown()
	})
	return n
}

func newSystem() *actor.ActorSystem {
	return actor.NewActorSystem(
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }),
		actor.WithDeadLetterThrottleInterval(time.Millisecond), // a goroutine stays for so long
	)
}

// testWriter sends log lines to the test's log while the test runs.
type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	if w.t.Context().Err() == nil {
		w.t.Log(strings.TrimSpace(string(p)))
	}
	return len(p), nil
}

// spawn starts an actor that others may reach.
func (n *node) spawn(f actor.ReceiveFunc) *actor.PID {
	n.t.Helper()
	pid, err := n.sys.Root.SpawnNamed(actor.PropsFromFunc(f), fmt.Sprint("open/", n.ids.Add(1)))
	if err != nil {
		n.t.Fatal(err)
	}
	return pid
}

// at returns a PID of n's actor for use elsewhere.
func (n *node) at(pid *actor.PID) *actor.PID { return actor.NewPID(n.Address(), pid.Id) }

// ask sends and waits for the reply, without protoactor's racy future.
func (n *node) ask(to *actor.PID, msg any) any {
	n.t.Helper()
	replies := make(chan any, 1)
	asker := n.spawn(func(c actor.Context) {
		switch m := c.Message().(type) {
		case actor.SystemMessage, actor.AutoReceiveMessage:
		default:
			select {
			case replies <- m:
			default:
			}
		}
	})
	defer n.sys.Root.Stop(asker)
	n.sys.Root.RequestWithCustomSender(to, msg, asker)
	return receive(n.t, replies)
}

// watcher returns an actor that watches what it is sent, or stops watching it,
// and what it is told.
func (n *node) watcher() (*actor.PID, <-chan *actor.Terminated) {
	told := make(chan *actor.Terminated, 100)
	return n.spawn(func(c actor.Context) {
		switch m := c.Message().(type) {
		case watch:
			c.Watch(m.pid)
		case unwatch:
			c.Unwatch(m.pid)
		case *actor.Terminated:
			told <- m
		}
	}), told
}

type (
	watch   struct{ pid *actor.PID }
	unwatch struct{ pid *actor.PID }
)

// watchNow lets w watch pid and returns when that has taken effect: the answer
// to a second watch, of nobody, comes after it.
func (n *node) watchNow(w *actor.PID, told <-chan *actor.Terminated, pid *actor.PID) {
	n.t.Helper()
	n.sys.Root.Send(w, watch{pid})
	n.sys.Root.Send(w, watch{actor.NewPID(pid.Address, "open/nobody")})
	if got := receive(n.t, told); got.Why != actor.TerminatedReason_NotFound || got.Who.Id != "open/nobody" {
		n.t.Fatalf("told %v of %v", got.Why, got.Who)
	}
}

func receive[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	return receiveWithin(t, c, patience)
}

func receiveWithin[T any](t *testing.T, c <-chan T, d time.Duration) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(d):
		t.Fatalf("no %T within %v", *new(T), d)
		panic("unreachable")
	}
}

// next returns the next event of a type, and drops others before it.
func next[T any](n *node) T {
	n.t.Helper()
	return nextWithin[T](n, patience)
}

func nextWithin[T any](n *node, d time.Duration) T {
	n.t.Helper()
	timeout := time.After(d)
	for {
		select {
		case e := <-n.events:
			if e, ok := e.(T); ok {
				return e
			}
		case <-timeout:
			n.t.Fatalf("no %T within %v", *new(T), d)
		}
	}
}

// pair returns two nodes that have heard each other.
func pair(t *testing.T, change ...func(*remote.Config)) (a, b *node) {
	t.Helper()
	url := bustest.Serve(t, embedded.Config{}).URL()
	a, b = newNode(t, url, "A", change...), newNode(t, url, "B", change...)
	meet(t, a, b)
	return a, b
}

func meet(t *testing.T, a, b *node) {
	t.Helper()
	if up := next[*remote.PeerUp](a); up.Address != b.Address() {
		t.Fatalf("A heard %s, want %s", up.Address, b.Address())
	}
	if up := next[*remote.PeerUp](b); up.Address != a.Address() {
		t.Fatalf("B heard %s, want %s", up.Address, a.Address())
	}
}

// echo answers with what it gets, and says which trace header came with it.
func echo(c actor.Context) {
	switch m := c.Message().(type) {
	case *wrapperspb.StringValue:
		trace := ""
		if h := c.MessageHeader(); h != nil {
			trace = h.Get("traceparent")
		}
		c.Respond(wrapperspb.String(m.Value + trace))
	case *wrapperspb.BytesValue:
		c.Respond(&bus.Error{Code: bus.Full, Text: "conference: full"})
	}
}

func TestRequest(t *testing.T) {
	a, b := pair(t)
	pid := b.at(b.spawn(echo))
	if got, ok := a.ask(pid, wrapperspb.String("ping")).(*wrapperspb.StringValue); !ok || got.Value != "ping" {
		t.Errorf("got %v", got)
	}
	if got := a.Peers(); len(got) != 1 || got[0] != b.Address() {
		t.Errorf("A's peers are %v", got)
	}
}

// TestFuture asks in protoactor's own way, long before the deadline, where its
// future has no race.
func TestFuture(t *testing.T) {
	a, b := pair(t)
	got, err := a.sys.Root.RequestFuture(b.at(b.spawn(echo)), wrapperspb.String("ping"), time.Minute).Result()
	if s, ok := got.(*wrapperspb.StringValue); err != nil || !ok || s.Value != "ping" {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestHeaders(t *testing.T) {
	a, b := pair(t)
	pid := b.at(b.spawn(echo))
	a.sys.Root.WithSenderMiddleware(func(next actor.SenderFunc) actor.SenderFunc {
		return func(c actor.SenderContext, target *actor.PID, e *actor.MessageEnvelope) {
			e.SetHeader("traceparent", "/00-abc-def-01")
			next(c, target, e)
		}
	})
	if got := a.ask(pid, wrapperspb.String("ping")).(*wrapperspb.StringValue).Value; got != "ping/00-abc-def-01" {
		t.Errorf("got %q", got)
	}
}

// TestErrorReply expects a sentinel to equal its copy from another node.
func TestErrorReply(t *testing.T) {
	a, b := pair(t)
	want := &bus.Error{Code: bus.Full, Text: "conference: full"}
	if got, _ := a.ask(b.at(b.spawn(echo)), wrapperspb.Bytes(nil)).(error); !errors.Is(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestOrder(t *testing.T) {
	const senders, each = 4, 2000 // what fits into the queue
	a, b := pair(t)
	got := make(chan int64, senders*each)
	pid := b.at(b.spawn(func(c actor.Context) {
		if m, ok := c.Message().(*wrapperspb.Int64Value); ok {
			got <- m.Value
		}
	}))
	var wg sync.WaitGroup
	for s := range int64(senders) {
		wg.Go(func() {
			for i := range int64(each) {
				a.sys.Root.Send(pid, wrapperspb.Int64(s*each+i))
			}
		})
	}
	wg.Wait()
	var want [senders]int64
	for range senders * each {
		v := receive(t, got)
		s, i := v/each, v%each
		if want[s] != i {
			t.Fatalf("sender %d: got %d, want %d", s, i, want[s])
		}
		want[s]++
	}
}

// TestDeadLetters expects every message that cannot arrive to be answered, and
// at once.
func TestDeadLetters(t *testing.T) {
	a, b := pair(t)
	secret, err := b.sys.Root.SpawnNamed(actor.PropsFromFunc(echo), "secret")
	if err != nil {
		t.Fatal(err)
	}
	open := b.at(b.spawn(echo))
	tests := []struct {
		name string
		to   *actor.PID
		msg  any
	}{
		{"no such actor", actor.NewPID(b.Address(), "open/none"), wrapperspb.String("x")},
		{"actor not for others", b.at(secret), wrapperspb.String("x")},
		{"guardian", actor.NewPID(b.Address(), "guardian$1"), wrapperspb.String("x")},
		{"event stream", actor.NewPID(b.Address(), "eventstream"), wrapperspb.String("x")},
		{"no such node", actor.NewPID("Z@nowhere-1", "open/1"), wrapperspb.String("x")},
		{"no address at all", actor.NewPID("what", "open/1"), wrapperspb.String("x")},
		{"not protobuf", open, "plain text"},
		{"not registered", open, wrapperspb.Bool(true)},
		{"too large", open, wrapperspb.Bytes(make([]byte, 2<<20))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			began := time.Now()
			if got, ok := a.ask(tt.to, tt.msg).(*actor.DeadLetterResponse); !ok {
				t.Errorf("got %T %v, want a DeadLetterResponse", got, got)
			}
			if d := time.Since(began); d > 2*time.Second {
				t.Errorf("took %v", d)
			}
		})
	}
	if got := a.ask(open, wrapperspb.String("still there")).(*wrapperspb.StringValue).Value; got != "still there" {
		t.Errorf("afterwards got %q", got)
	}
}

func TestQueueFull(t *testing.T) {
	a, b := pair(t, func(c *remote.Config) { c.QueueBytes = 1 })
	if got, ok := a.ask(b.at(b.spawn(echo)), wrapperspb.String("x")).(*actor.DeadLetterResponse); !ok {
		t.Errorf("got %v, want a DeadLetterResponse", got)
	}
}

func TestWatch(t *testing.T) {
	a, b := pair(t)
	w, told := a.watcher()
	tests := []struct {
		name string
		end  func(pid *actor.PID)
	}{
		{"stopped there", func(pid *actor.PID) { b.sys.Root.Stop(actor.NewPID("nonhost", pid.Id)) }},
		{"stopped from here", func(pid *actor.PID) { a.sys.Root.Stop(pid) }},
		{"poisoned from here", func(pid *actor.PID) { a.sys.Root.Poison(pid) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			pid := b.at(b.spawn(echo))
			a.watchNow(w, told, pid)
			tt.end(pid)
			got := receive(t, told)
			if !got.Who.Equal(pid) || got.Why != actor.TerminatedReason_Stopped {
				t.Errorf("got %v of %v, want %v of %v", got.Why, got.Who, actor.TerminatedReason_Stopped, pid)
			}
		})
	}
	t.Run("unknown actor", func(t *testing.T) {
		a.sys.Root.Send(w, watch{actor.NewPID(b.Address(), "open/none")})
		if got := receive(t, told); got.Why != actor.TerminatedReason_NotFound || got.Who.Id != "open/none" {
			t.Errorf("got %v of %v", got.Why, got.Who)
		}
	})
	t.Run("actor not for others", func(t *testing.T) {
		a.sys.Root.Send(w, watch{actor.NewPID(b.Address(), "guardian$1")})
		if got := receive(t, told); got.Why != actor.TerminatedReason_NotFound {
			t.Errorf("got %v of %v", got.Why, got.Who)
		}
	})
	t.Run("unknown node", func(t *testing.T) {
		began := time.Now()
		a.sys.Root.Send(w, watch{actor.NewPID("Z@nowhere-1", "open/1")})
		if got := receive(t, told); got.Why != actor.TerminatedReason_AddressTerminated {
			t.Errorf("got %v of %v", got.Why, got.Who)
		}
		if d := time.Since(began); d > 2*time.Second {
			t.Errorf("took %v", d)
		}
	})
	t.Run("withdrawn", func(t *testing.T) {
		first, second := b.at(b.spawn(echo)), b.at(b.spawn(echo))
		a.sys.Root.Send(w, watch{first})
		a.sys.Root.Send(w, watch{second})
		a.sys.Root.Send(w, unwatch{first})
		a.sys.Root.Stop(first)
		a.sys.Root.Stop(second)
		if got := receive(t, told); !got.Who.Equal(second) {
			t.Errorf("told of %v, which is not watched any more", got.Who)
		}
	})
}

// noticeWithin is how soon the loss of a node must be noticed.
const noticeWithin = 2 * time.Second

// stalls measures for how long this machine, busy with other things, did not
// let the test run. Nobody can notice anything in that time.
func stalls(t *testing.T) (total func() time.Duration) {
	const step = 10 * time.Millisecond
	var sum atomic.Int64
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			began := time.Now()
			select {
			case <-time.After(step):
			case <-stop:
				return
			}
			if late := time.Since(began) - step; late > 50*time.Millisecond {
				sum.Add(int64(late))
			}
		}
	}()
	t.Cleanup(func() { close(stop); <-stopped })
	return func() time.Duration { return time.Duration(sum.Load()) }
}

// crash cuts a node off without a goodbye, as kill -9 would.
func (n *node) crash() { n.nc.Close() }

func TestCrash(t *testing.T) {
	a, b := pair(t)
	pid := b.at(b.spawn(echo))
	w, told := a.watcher()
	a.watchNow(w, told, pid)

	stalled := stalls(t)
	began := time.Now()
	b.crash()
	got := receive(t, told)
	took := time.Since(began) - stalled()
	if got.Why != actor.TerminatedReason_AddressTerminated || !got.Who.Equal(pid) {
		t.Errorf("got %v of %v", got.Why, got.Who)
	}
	if took > noticeWithin {
		t.Errorf("noticed after %v, want less than %v", took, noticeWithin)
	}
	t.Logf("noticed after %v", took)
	if down := next[*remote.PeerDown](a); down.Address != pid.Address || down.Reason != "silent" {
		t.Errorf("got %+v", down)
	}

	began = time.Now()
	if got, ok := a.ask(pid, wrapperspb.String("x")).(*actor.DeadLetterResponse); !ok {
		t.Errorf("the dead answer %v", got)
	}
	a.sys.Root.Send(w, watch{actor.NewPID(pid.Address, "open/other")})
	if got := receive(t, told); got.Why != actor.TerminatedReason_AddressTerminated {
		t.Errorf("a later watch gets %v", got.Why)
	}
	if d := time.Since(began); d > 100*time.Millisecond {
		t.Errorf("a dead node takes %v to find out again", d)
	}
}

func TestBye(t *testing.T) {
	a, b := pair(t)
	pid := b.at(b.spawn(echo))
	w, told := a.watcher()
	a.watchNow(w, told, pid)
	began := time.Now()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, told); got.Why != actor.TerminatedReason_AddressTerminated {
		t.Errorf("got %v", got.Why)
	}
	if d := time.Since(began); d > time.Second {
		t.Errorf("took %v", d)
	}
	if down := next[*remote.PeerDown](a); down.Reason != "bye" {
		t.Errorf("got %+v", down)
	}
	if got, ok := b.ask(a.at(a.spawn(echo)), wrapperspb.String("x")).(*actor.DeadLetterResponse); !ok {
		t.Errorf("a closed remote delivers: %v", got)
	}
}

// TestRestartedNode expects a new process of the same name to end the old one
// at once: there is no need to wait for silence.
func TestRestartedNode(t *testing.T) {
	url := bustest.Serve(t, embedded.Config{}).URL()
	a, b := newNode(t, url, "A"), newNode(t, url, "B")
	meet(t, a, b)
	old := b.at(b.spawn(echo))
	w, told := a.watcher()
	a.watchNow(w, told, old)
	b.crash()
	began := time.Now()
	again := newNode(t, url, "B")
	if got := receive(t, told); got.Why != actor.TerminatedReason_AddressTerminated {
		t.Errorf("got %v", got.Why)
	}
	if d := time.Since(began); d > time.Second {
		t.Errorf("took %v", d)
	}
	if down := next[*remote.PeerDown](a); down.Reason != "replaced" {
		t.Errorf("got %+v", down)
	}
	if got := a.ask(again.at(again.spawn(echo)), wrapperspb.String("new")).(*wrapperspb.StringValue).Value; got != "new" {
		t.Errorf("got %q", got)
	}
}

// TestNamesake runs two processes of one name at once: the younger one stays,
// the older one is cut off and told.
func TestNamesake(t *testing.T) {
	url := bustest.Serve(t, embedded.Config{}).URL()
	a, older := newNode(t, url, "A"), newNode(t, url, "B")
	meet(t, a, older)
	younger := newNode(t, url, "B")
	if by := next[*remote.Replaced](older); by.By != younger.Address() {
		t.Errorf("replaced by %s, want %s", by.By, younger.Address())
	}
	if got, ok := older.ask(a.at(a.spawn(echo)), wrapperspb.String("x")).(*actor.DeadLetterResponse); !ok {
		t.Errorf("the older one got through: %v", got)
	}
	if got := younger.ask(a.at(a.spawn(echo)), wrapperspb.String("x")).(*wrapperspb.StringValue).Value; got != "x" {
		t.Errorf("the younger one got %q", got)
	}
	if got := younger.Address(); !strings.HasSuffix(got, "-1") {
		t.Errorf("the younger one had to renew: %s", got)
	}
}

func TestConfigRefused(t *testing.T) {
	nc, err := nats.Connect(bustest.Serve(t, embedded.Config{}).URL(), nats.ReconnectBufSize(-1))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	for want, cfg := range map[string]remote.Config{
		"Node":      {},
		"a@b":       {Node: "a@b"},
		"Heartbeat": {Node: "n", Heartbeat: time.Millisecond},
		"DeadAfter": {Node: "n", DeadAfter: time.Millisecond},
		"Queue":     {Node: "n", QueueBytes: -1},
	} {
		if _, err := remote.New(newSystem(), nc, cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error about %s", err, want)
		}
	}
	late, err := nats.Connect(nc.ConnectedUrl())
	if err != nil {
		t.Fatal(err)
	}
	defer late.Close()
	if _, err := remote.New(newSystem(), late, remote.Config{Node: "n"}); err == nil || !strings.Contains(err.Error(), "ReconnectBufSize") {
		t.Errorf("got %v, want an error about ReconnectBufSize", err)
	}
}

func TestMetricsLint(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	remote.NewMetrics(reg)
	problems, err := testutil.GatherAndLint(reg)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}
