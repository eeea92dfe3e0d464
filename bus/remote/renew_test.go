package remote_test

import (
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/skybridge-media/skybridge/bus/bustest"
	"github.com/skybridge-media/skybridge/bus/embedded"
	"github.com/skybridge-media/skybridge/bus/remote"
)

func TestRenew(t *testing.T) {
	a, b := pair(t)
	old := a.Address()
	ofA, ofB := a.spawn(echo), b.at(b.spawn(echo))
	wa, toldA := a.watcher()
	wb, toldB := b.watcher()
	a.watchNow(wa, toldA, ofB)
	b.watchNow(wb, toldB, a.at(ofA))

	if got := a.Renew("A@past-1"); got != old {
		t.Errorf("renewed to %s for the sake of an address that it does not have", got)
	}
	address := a.Renew(old)
	if renewed := next[*remote.Renewed](a); renewed.Old != old || renewed.Address != address || a.Address() != address || address == old {
		t.Errorf("renewed %s to %s: got %+v", old, address, renewed)
	}

	// For B, A's old address is dead and the new one is a node like any other.
	if got := receive(t, toldB); got.Why != actor.TerminatedReason_AddressTerminated || got.Who.Address != old {
		t.Errorf("B is told %v of %v", got.Why, got.Who)
	}
	if up := next[*remote.PeerUp](b); up.Address != address {
		t.Errorf("B heard %s, want %s", up.Address, address)
	}
	if got, ok := b.ask(actor.NewPID(old, ofA.Id), wrapperspb.String("x")).(*actor.DeadLetterResponse); !ok {
		t.Errorf("the old address answers B: %v", got)
	}
	if got := b.ask(a.at(ofA), wrapperspb.String("x")).(*wrapperspb.StringValue).Value; got != "x" {
		t.Errorf("the new address answers B %q", got)
	}

	// For A, nothing has changed: its actors live, at the old address too, and
	// its watches hold.
	for _, addr := range []string{"nonhost", old, address} {
		if got := a.ask(actor.NewPID(addr, ofA.Id), wrapperspb.String(addr)).(*wrapperspb.StringValue).Value; got != addr {
			t.Errorf("%s answers A %q", addr, got)
		}
	}
	if got := a.NewPID(old, "x").Address; got != "nonhost" {
		t.Errorf("NewPID at the old address is at %s", got)
	}
	if got := a.ask(ofB, wrapperspb.String("y")).(*wrapperspb.StringValue).Value; got != "y" {
		t.Errorf("B answers A %q", got)
	}
	a.watchNow(wa, toldA, b.at(b.spawn(echo))) // by now the watches have moved
	b.sys.Root.Stop(actor.NewPID("nonhost", ofB.Id))
	if got := receive(t, toldA); got.Why != actor.TerminatedReason_Stopped || !got.Who.Equal(ofB) {
		t.Errorf("A is told %v of %v, want that it stopped", got.Why, got.Who)
	}

	// And B can watch again.
	b.watchNow(wb, toldB, a.at(ofA))
	a.sys.Root.Stop(ofA)
	if got := receive(t, toldB); got.Why != actor.TerminatedReason_Stopped || got.Who.Address != address {
		t.Errorf("B is told %v of %v", got.Why, got.Who)
	}
}

// TestPartition cuts one node off for longer than others wait, lets it come
// back, and expects it to take a new incarnation by itself, with its actors.
func TestPartition(t *testing.T) {
	srv := bustest.Serve(t, embedded.Config{})
	p := bustest.NewProxy(t, srv.URL())
	a, b := newNode(t, srv.URL(), "A"), newNode(t, p.URL, "B")
	meet(t, a, b)
	old := b.Address()
	ofB := b.spawn(echo)
	w, told := a.watcher()
	a.watchNow(w, told, b.at(ofB))

	stalled := stalls(t)
	p.Freeze()
	began := time.Now()
	if got := receive(t, told); got.Why != actor.TerminatedReason_AddressTerminated {
		t.Errorf("told %v", got.Why)
	}
	if d := time.Since(began) - stalled(); d > noticeWithin {
		t.Errorf("noticed after %v, want less than %v", d, noticeWithin)
	}

	p.Thaw()
	began = time.Now()
	renewed := next[*remote.Renewed](b)
	t.Logf("renewed %v after the end of the partition", time.Since(began).Round(time.Millisecond))
	if renewed.Old != old {
		t.Errorf("got %+v", renewed)
	}
	next[*remote.PeerUp](a) // the first incarnation was consumed by meet
	if got := a.ask(b.at(ofB), wrapperspb.String("still here")).(*wrapperspb.StringValue).Value; got != "still here" {
		t.Errorf("B's actor answers %q", got)
	}
	if got, ok := a.ask(actor.NewPID(old, ofB.Id), wrapperspb.String("x")).(*actor.DeadLetterResponse); !ok {
		t.Errorf("the old address answers %v", got)
	}
}

// TestServerRestart takes NATS away for longer than it takes to declare a node
// dead: nobody judges while deaf, nor right after, because the others may need
// longer to come back. Everything is as before afterwards.
func TestServerRestart(t *testing.T) {
	cfg := embedded.Config{Dir: t.TempDir()}
	srv := bustest.Serve(t, cfg)
	linkA, linkB := bustest.NewProxy(t, srv.URL()), bustest.NewProxy(t, srv.URL())
	a, b := newNode(t, linkA.URL, "A"), newNode(t, linkB.URL, "B")
	meet(t, a, b)
	addressA, addressB := a.Address(), b.Address()
	ofB := b.at(b.spawn(echo))
	w, told := a.watcher()
	a.watchNow(w, told, ofB)

	linkA.Refuse()
	linkB.Refuse()
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}
	for a.nc.IsConnected() || b.nc.IsConnected() {
		<-time.After(time.Millisecond)
	}
	if got, ok := a.ask(ofB, wrapperspb.String("x")).(*actor.DeadLetterResponse); !ok {
		t.Errorf("without NATS: %v", got)
	}
	<-time.After(2 * time.Second) // longer than DeadAfter
	url := bustest.Serve(t, cfg).URL()
	linkA.Forward(url)
	<-time.After(1500 * time.Millisecond) // longer than DeadAfter, with A back and B not
	linkB.Forward(url)

	await(t, "B to answer", func() bool {
		got, ok := a.ask(ofB, wrapperspb.String("back")).(*wrapperspb.StringValue)
		return ok && got.Value == "back"
	})
	b.sys.Root.Stop(actor.NewPID("nonhost", ofB.Id))
	if got := receive(t, told); got.Why != actor.TerminatedReason_Stopped {
		t.Errorf("the watch did not survive: %v", got.Why)
	}
	if a.Address() != addressA || b.Address() != addressB {
		t.Error("a node renewed although nobody was dead")
	}
	for _, n := range []*node{a, b} {
		for len(n.events) > 0 {
			if e, ok := (<-n.events).(*remote.PeerDown); ok {
				t.Errorf("%s: %+v", n.Address(), e)
			}
		}
	}
}

// await polls, because what it waits for passes through clocks and networks.
func await(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !cond(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// TestServerFrozen freezes NATS without closing a connection, for longer than it
// takes to declare a node dead. Everybody is silent then, and nobody dead.
func TestServerFrozen(t *testing.T) {
	p := bustest.NewProxy(t, bustest.Serve(t, embedded.Config{}).URL())
	a, b := newNode(t, p.URL, "A"), newNode(t, p.URL, "B")
	meet(t, a, b)
	ofB := b.at(b.spawn(echo))
	w, told := a.watcher()
	a.watchNow(w, told, ofB)

	p.Freeze()
	<-time.After(2 * time.Second) // longer than DeadAfter, shorter than it takes to give up a connection
	p.Thaw()
	if got := a.ask(ofB, wrapperspb.String("back")).(*wrapperspb.StringValue).Value; got != "back" {
		t.Errorf("B answers %q", got)
	}
	b.sys.Root.Stop(actor.NewPID("nonhost", ofB.Id))
	if got := receive(t, told); got.Why != actor.TerminatedReason_Stopped {
		t.Errorf("the watch did not survive: %v", got.Why)
	}
	for _, n := range []*node{a, b} {
		for len(n.events) > 0 {
			switch e := (<-n.events).(type) {
			case *remote.PeerDown, *remote.Renewed:
				t.Errorf("%s: %T %+v", n.Address(), e, e)
			}
		}
	}
}
