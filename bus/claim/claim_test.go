package claim_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"github.com/skybridge-media/skybridge/bus"
	"github.com/skybridge-media/skybridge/bus/bustest"
	"github.com/skybridge-media/skybridge/bus/claim"
	"github.com/skybridge-media/skybridge/bus/claim/claimtest"
	"github.com/skybridge-media/skybridge/bus/embedded"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	t.Run("Directory", func(t *testing.T) {
		claimtest.Run(t, func(t *testing.T) claimtest.Cluster {
			url := bustest.Serve(t, embedded.Config{}).URL()
			return func(t *testing.T, node, address string) claimtest.Directory {
				return join(t, url, node, address).Directory
			}
		})
	})
	t.Run("Memory", func(t *testing.T) {
		claimtest.Run(t, func(*testing.T) claimtest.Cluster {
			var first *claim.Memory
			return func(_ *testing.T, node, address string) claimtest.Directory {
				if first == nil {
					first = claim.NewMemory(node, address)
					return first
				}
				return first.Join(node, address)
			}
		})
	})
}

// node is a node with a directory of its own connection.
type node struct {
	*claim.Directory
	t      *testing.T
	nc     *nats.Conn
	events chan any
}

// join returns when the session is valid.
func join(t *testing.T, url, name, address string) *node {
	t.Helper()
	n := open(t, url, name, address)
	n.wait()
	return n
}

func open(t *testing.T, url, name, address string) *node {
	t.Helper()
	n := &node{t: t, events: make(chan any, 1000)}
	var err error
	n.nc, err = nats.Connect(url, nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond), nats.ReconnectBufSize(-1),
		nats.RetryOnFailedConnect(true), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	if err != nil {
		t.Fatal(err)
	}
	n.Directory, err = claim.New(t.Context(), n.nc, claim.Config{
		Node: name, Address: address, TTL: 2 * time.Second,
		Notify: func(e any) { n.events <- e },
		Log:    slog.New(slog.NewTextHandler(testWriter{t}, nil)).With("node", address),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = n.Close()
		n.nc.Close()
	})
	return n
}

func (n *node) wait() {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), 20*time.Second)
	defer cancel()
	if err := n.Joined(ctx); err != nil {
		n.t.Fatal(err)
	}
}

// testWriter sends log lines to the test's log while the test runs.
type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	if w.t.Context().Err() == nil {
		w.t.Log(strings.TrimSpace(string(p)))
	}
	return len(p), nil
}

// next returns the next event of a type, and drops others before it.
func next[T any](n *node) T {
	n.t.Helper()
	timeout := time.After(20 * time.Second)
	for {
		select {
		case e := <-n.events:
			if e, ok := e.(T); ok {
				return e
			}
		case <-timeout:
			n.t.Fatalf("no %T", *new(T))
		}
	}
}

func take(t *testing.T, d claimtest.Directory, name string) claim.Owner {
	t.Helper()
	o, err := d.Claim(t.Context(), name)
	if err != nil {
		t.Fatalf("claim %q: %v", name, err)
	}
	return o
}

// waitValid waits until nodes are connected and may act as owners.
func waitValid(t *testing.T, nodes ...*node) {
	t.Helper()
	for _, n := range nodes {
		await(t, "the connection", n.nc.IsConnected)
		n.wait()
	}
}

// await polls, because what it waits for passes through clocks and networks.
func await(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !cond(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
		<-time.After(5 * time.Millisecond)
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// keys counts the records.
func keys(t *testing.T, nc *nats.Conn) int {
	t.Helper()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	kv, err := js.KeyValue(t.Context(), "sky-records")
	if err != nil {
		t.Fatal(err)
	}
	all, err := kv.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// TestDeadNode cuts a node off. Nobody may own its names before it has stopped
// to believe that it does; then somebody must.
func TestDeadNode(t *testing.T) {
	url := bustest.Serve(t, embedded.Config{}).URL()
	link := bustest.NewProxy(t, url)
	a, b := join(t, link.URL, "a", "a@1"), join(t, url, "b", "b@1")
	first := take(t, a, "conference.r")
	link.Refuse()
	began := time.Now()
	for {
		o := take(t, b, "conference.r")
		valid := a.Valid()
		if o.Mine && valid {
			t.Fatal("two owners")
		}
		if o.Mine {
			if o.Epoch <= first.Epoch {
				t.Errorf("epoch %d after %d", o.Epoch, first.Epoch)
			}
			break
		}
		if time.Since(began) > 10*time.Second {
			t.Fatal("nobody takes over")
		}
		<-time.After(10 * time.Millisecond)
	}
	t.Logf("taken over after %v", time.Since(began).Round(time.Millisecond))
	next[*claim.Expired](a)
}

// TestFencedNode lets a node come back after another has proven it dead and
// taken over.
func TestFencedNode(t *testing.T) {
	srv := bustest.Serve(t, embedded.Config{})
	link := bustest.NewProxy(t, srv.URL())
	a, b := join(t, link.URL, "a", "a@1"), join(t, srv.URL(), "b", "b@1")
	take(t, a, "conference.r")
	kept := take(t, a, "conference.kept")
	link.Refuse()
	for !take(t, b, "conference.r").Mine {
		<-time.After(10 * time.Millisecond)
	}
	link.Forward(srv.URL())
	fenced := next[*claim.Fenced](a)
	if fenced.Address != "a@1" || a.Valid() {
		t.Errorf("got %+v, valid %v", fenced, a.Valid())
	}
	a.Readdress("a@2")
	lost := next[*claim.Lost](a)
	if fmt.Sprint(lost.Names) != "[conference.kept conference.r]" {
		t.Errorf("lost %v", lost.Names)
	}
	a.wait()
	if o := take(t, a, "conference.r"); o.Address != "b@1" {
		t.Errorf("a sees %+v", o)
	}
	if o := take(t, a, "conference.kept"); !o.Mine || o.Epoch <= kept.Epoch {
		t.Errorf("a gets %+v after %+v", o, kept)
	}
}

// TestLateNode lets a node come back so late that the marker which proved it
// dead has expired as well. What others took meanwhile stays theirs; the rest
// is its own again, at the same address.
func TestLateNode(t *testing.T) {
	srv := bustest.Serve(t, embedded.Config{})
	link := bustest.NewProxy(t, srv.URL())
	a, b := join(t, link.URL, "a", "a@1"), join(t, srv.URL(), "b", "b@1")
	take(t, a, "conference.r")
	kept := take(t, a, "conference.kept")
	link.Refuse()
	await(t, "b to take over", func() bool { return take(t, b, "conference.r").Mine })
	<-time.After(3 * time.Second) // longer than a lifetime
	link.Forward(srv.URL())
	if lost := next[*claim.Lost](a); fmt.Sprint(lost.Names) != "[conference.r]" {
		t.Errorf("lost %v", lost.Names)
	}
	next[*claim.Restored](a)
	if o := take(t, a, "conference.r"); o.Address != "b@1" {
		t.Errorf("a sees %+v", o)
	}
	if o := take(t, a, "conference.kept"); !o.Mine || o.Address != "a@1" || o.Epoch <= kept.Epoch {
		t.Errorf("a gets %+v after %+v", o, kept)
	}
}

// TestServerRestart takes NATS away for longer than sessions live. Sessions are
// lost with it, records are not, and nobody has taken anything: all is as
// before, with higher epochs.
func TestServerRestart(t *testing.T) {
	for _, outage := range []time.Duration{0, 3 * time.Second} {
		t.Run(outage.String(), func(t *testing.T) {
			cfg := embedded.Config{Dir: t.TempDir(), Port: freePort(t)}
			srv := bustest.Serve(t, cfg)
			a, b := join(t, srv.URL(), "a", "a@1"), join(t, srv.URL(), "b", "b@1")
			epochs := map[string]uint64{}
			for i := range 40 {
				name := fmt.Sprint("conference.", i)
				epochs[name] = take(t, a, name).Epoch
			}
			if err := srv.Close(); err != nil {
				t.Fatal(err)
			}
			for a.nc.IsConnected() || b.nc.IsConnected() {
				<-time.After(time.Millisecond)
			}
			began := time.Now()
			if _, err := a.Claim(t.Context(), "conference.new"); bus.CodeOf(err) != bus.Unavailable {
				t.Errorf("without NATS: %v, want %s", err, bus.Unavailable)
			}
			if _, err := b.Lookup(t.Context(), "conference.0"); !errors.Is(err, claim.ErrUnavailable) {
				t.Errorf("without NATS: %v, want %v", err, claim.ErrUnavailable)
			}
			if err := a.Release(t.Context(), "conference.39", epochs["conference.39"]); !errors.Is(err, claim.ErrUnavailable) {
				t.Errorf("without NATS: %v, want %v", err, claim.ErrUnavailable)
			}
			if d := time.Since(began); d > 100*time.Millisecond {
				t.Errorf("took %v to fail", d)
			}
			<-time.After(outage)
			if outage > 2*time.Second {
				next[*claim.Expired](a)
				if a.Valid() || b.Valid() {
					t.Error("valid for longer than the lifetime")
				}
			}
			bustest.Serve(t, cfg)
			began = time.Now()
			waitValid(t, a, b)
			t.Logf("valid again %v after the server returned", time.Since(began).Round(time.Millisecond))
			for name, before := range epochs {
				if name == "conference.39" {
					continue
				}
				o := take(t, b, name)
				if o.Address != "a@1" {
					t.Fatalf("%s belongs to %s now", name, o.Address)
				}
				if o.Epoch < before {
					t.Errorf("%s: epoch fell from %d to %d", name, before, o.Epoch)
				}
			}
			await(t, "the late release", func() bool {
				_, err := b.Lookup(t.Context(), "conference.39")
				return errors.Is(err, claim.ErrNoOwner)
			})
			await(t, "both to see both", func() bool { return len(a.Nodes()) == 2 && len(b.Nodes()) == 2 })
		})
	}
}

// TestStoreLost brings the server back without its disk: epochs must not fall.
func TestStoreLost(t *testing.T) {
	cfg := embedded.Config{Dir: t.TempDir(), Port: freePort(t)}
	srv := bustest.Serve(t, cfg)
	a := join(t, srv.URL(), "a", "a@1")
	before := take(t, a, "conference.r")
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}
	for a.nc.IsConnected() {
		<-time.After(time.Millisecond)
	}
	<-time.After(time.Second) // the first epoch of a bucket is the second of its making
	cfg.Dir = t.TempDir()
	srv = bustest.Serve(t, cfg)
	b := join(t, srv.URL(), "b", "b@1")
	var after claim.Owner
	await(t, "the record to return", func() bool {
		var err error
		after, err = b.Lookup(t.Context(), "conference.r")
		return err == nil
	})
	if after.Address != "a@1" || after.Epoch <= before.Epoch {
		t.Errorf("b sees %+v after %+v", after, before)
	}
	waitValid(t, a)
	if o := take(t, a, "conference.r"); !o.Mine || o.Epoch != after.Epoch {
		t.Errorf("a sees %+v, want %+v", o, after)
	}
}

// TestServerAwayAtStart expects a directory without a server to say so, and to
// work once there is one.
func TestServerAwayAtStart(t *testing.T) {
	cfg := embedded.Config{Dir: t.TempDir(), Port: freePort(t)}
	a := open(t, fmt.Sprint("nats://127.0.0.1:", cfg.Port), "a", "a@1")
	if _, err := a.Claim(t.Context(), "burst"); bus.CodeOf(err) != bus.Unavailable {
		t.Errorf("got %v, want %s", err, bus.Unavailable)
	}
	if nodes := a.Nodes(); len(nodes) != 1 || nodes[0].Name != "a" {
		t.Errorf("sees %v", nodes)
	}
	bustest.Serve(t, cfg)
	a.wait()
	if o := take(t, a, "burst"); !o.Mine {
		t.Errorf("got %+v", o)
	}
}

// TestReplaced starts a second process of the same name.
func TestReplaced(t *testing.T) {
	url := bustest.Serve(t, embedded.Config{}).URL()
	older := join(t, url, "a", "a@1")
	younger := join(t, url, "a", "a@2")
	if e := next[*claim.Replaced](older); e.By != "a@2" {
		t.Errorf("got %+v", e)
	}
	if older.Valid() || !younger.Valid() {
		t.Errorf("older valid %v, younger valid %v", older.Valid(), younger.Valid())
	}
}

func TestTidy(t *testing.T) {
	url := bustest.Serve(t, embedded.Config{}).URL()
	a, b := join(t, url, "a", "a@1"), join(t, url, "b", "b@1")
	for i := range 5 {
		take(t, a, fmt.Sprint("conference.a", i))
		take(t, b, fmt.Sprint("conference.b", i))
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if n := keys(t, b.nc); n != 10 {
		t.Errorf("%d records before, want 10", n)
	}
	if err := b.Tidy(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := keys(t, b.nc); n != 5 {
		t.Errorf("%d records after, want 5", n)
	}
	if o, err := b.Lookup(t.Context(), "conference.b0"); err != nil || !o.Mine {
		t.Errorf("got %+v, %v", o, err)
	}
}

// TestUnreadable puts records and sessions into the directory that no node has
// written. Nobody may take the names over, because somebody may own them.
func TestUnreadable(t *testing.T) {
	url := bustest.Serve(t, embedded.Config{}).URL()
	a, b := join(t, url, "a", "a@1"), join(t, url, "b", "b@1")
	js, err := jetstream.New(b.nc)
	if err != nil {
		t.Fatal(err)
	}
	put := func(bucket, key, value string) {
		t.Helper()
		kv, err := js.KeyValue(t.Context(), bucket)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := kv.PutString(t.Context(), key, value); err != nil {
			t.Fatal(err)
		}
	}
	refused := func(what, name string) {
		t.Helper()
		for method, f := range map[string]func(context.Context, string) (claim.Owner, error){"Claim": b.Claim, "Lookup": b.Lookup} {
			if o, err := f(t.Context(), name); bus.CodeOf(err) != bus.Unavailable || !errors.Is(err, claim.ErrUnreadable) {
				t.Errorf("%s: %s returns %+v, %v", what, method, o, err)
			}
		}
	}
	for i, value := range []string{
		"", "{", `"a@1"`, "null", "[]", `{"address":5}`, "{}", `{"address":""}`, `{"address":"a"}`, `{"address":"@1"}`, `{"address":"a@"}`,
		`{"id":"1","time":"2026-01-01T00:00:00Z","room":"standup"}`, // an event
	} {
		name := fmt.Sprint("conference.r", i)
		put("sky-records", name, value)
		refused(value, name)
	}
	// An owner whose record is spoilt does not go on as if nothing had happened.
	take(t, a, "conference.mine")
	put("sky-records", "conference.mine", "{")
	refused("spoilt", "conference.mine")
	if err := b.Tidy(t.Context()); err != nil {
		t.Error(err)
	}
	if n := keys(t, b.nc); n != 13 {
		t.Errorf("%d records after tidying, want all 13", n)
	}

	take(t, a, "conference.a")
	if err := a.Close(); err != nil { // or it would write its session again
		t.Fatal(err)
	}
	put("sky-sessions", "node.a", "{")
	refused("session", "conference.a")
	// It expires, as any.
	await(t, "the name is free", func() bool {
		o, err := b.Claim(t.Context(), "conference.a")
		return err == nil && o.Mine
	})
}

// TestSpoiltWhileAway spoils the record of an owner that is cut off. When it is
// back, what it owned is lost.
func TestSpoiltWhileAway(t *testing.T) {
	srv := bustest.Serve(t, embedded.Config{})
	link := bustest.NewProxy(t, srv.URL())
	a, b := join(t, link.URL, "a", "a@1"), join(t, srv.URL(), "b", "b@1")
	take(t, a, "conference.x")
	link.Refuse()
	await(t, "the end of its session", func() bool {
		_, err := b.Lookup(t.Context(), "conference.x")
		return errors.Is(err, claim.ErrNoOwner)
	})
	js, err := jetstream.New(b.nc)
	if err != nil {
		t.Fatal(err)
	}
	kv, err := js.KeyValue(t.Context(), "sky-records")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.PutString(t.Context(), "conference.x", "{"); err != nil {
		t.Fatal(err)
	}
	link.Forward(srv.URL())
	if e := next[*claim.Lost](a); len(e.Names) != 1 || e.Names[0] != "conference.x" {
		t.Errorf("lost %v", e.Names)
	}
	waitValid(t, a)
}

// TestClaimDuringRelease claims and releases one name from many goroutines of
// its owner: a claim that succeeded must not be undone by an earlier release.
func TestClaimDuringRelease(t *testing.T) {
	url := bustest.Serve(t, embedded.Config{}).URL()
	a, b := join(t, url, "a", "a@1"), join(t, url, "b", "b@1")
	for range 30 {
		o := take(t, a, "burst")
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := a.Release(t.Context(), "burst", o.Epoch); err != nil {
				t.Error(err)
			}
		})
		var again claim.Owner
		wg.Go(func() { again = take(t, a, "burst") })
		wg.Wait()
		seen, err := b.Lookup(t.Context(), "burst")
		if again.Epoch > o.Epoch && (err != nil || seen.Epoch != again.Epoch) {
			t.Fatalf("claimed %+v after %+v, but b sees %+v, %v", again, o, seen, err)
		}
		if err := a.Release(t.Context(), "burst", again.Epoch); err != nil {
			t.Fatal(err)
		}
	}
}

func TestConfigRefused(t *testing.T) {
	nc, err := nats.Connect(bustest.Serve(t, embedded.Config{}).URL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	for want, cfg := range map[string]claim.Config{
		"Node":    {Address: "a@1"},
		"Address": {Node: "a", Address: "b@1"},
		"\"a\"":   {Node: "a", Address: "a"},
		"TTL":     {Node: "a", Address: "a@1", TTL: time.Millisecond},
	} {
		if _, err := claim.New(t.Context(), nc, cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error about %s", err, want)
		}
	}
}

func TestMetricsLint(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	claim.NewMetrics(reg)
	problems, err := testutil.GatherAndLint(reg)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}
