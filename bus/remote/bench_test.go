package remote_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/skybridge-media/skybridge/bus/embedded"
	"github.com/skybridge-media/skybridge/bus/remote"
)

// benchPair returns the systems of two nodes on one server, and the address of
// the second.
func benchPair(b *testing.B) (from, to *actor.ActorSystem, address string) {
	b.Helper()
	srv, err := embedded.Start(embedded.Config{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	join := func(name string) (*actor.ActorSystem, *remote.Remote) {
		nc, err := nats.Connect(srv.URL(), nats.ReconnectBufSize(-1))
		if err != nil {
			b.Fatal(err)
		}
		sys := newSystem()
		r, err := remote.New(sys, nc, remote.Config{
			Node: name, Registry: registry(), Allow: func(string) bool { return true }, Log: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = r.Close(); nc.Close() })
		return sys, r
	}
	b.Cleanup(func() { _ = srv.Close() })
	from, _ = join("A")
	to, r := join("B")
	return from, to, r.Address()
}

// BenchmarkRequest measures a question to an actor of another node and its
// answer, one at a time.
func BenchmarkRequest(b *testing.B) {
	from, to, address := benchPair(b)
	if _, err := to.Root.SpawnNamed(actor.PropsFromFunc(echo), "open"); err != nil {
		b.Fatal(err)
	}
	answered := make(chan struct{}, 1)
	asker := from.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		if _, ok := c.Message().(*wrapperspb.StringValue); ok {
			answered <- struct{}{}
		}
	}))
	pid, question := actor.NewPID(address, "open"), wrapperspb.String("ping")
	b.ReportAllocs()
	for b.Loop() {
		from.Root.RequestWithCustomSender(pid, question, asker)
		select {
		case <-answered:
		case <-time.After(patience):
			b.Fatal("no answer")
		}
	}
}

// BenchmarkSend measures messages to an actor of another node, a thousand at a
// time.
func BenchmarkSend(b *testing.B) {
	const batch = 1000
	from, to, address := benchPair(b)
	got := make(chan struct{}, 1)
	n := 0
	if _, err := to.Root.SpawnNamed(actor.PropsFromFunc(func(c actor.Context) {
		if _, ok := c.Message().(*wrapperspb.Int64Value); ok {
			if n++; n%batch == 0 {
				got <- struct{}{}
			}
		}
	}), "open"); err != nil {
		b.Fatal(err)
	}
	pid, message := actor.NewPID(address, "open"), wrapperspb.Int64(1)
	b.ReportAllocs()
	for b.Loop() {
		for range batch {
			from.Root.Send(pid, message)
		}
		select {
		case <-got:
		case <-time.After(patience):
			b.Fatal("messages are missing")
		}
	}
	b.ReportMetric(float64(b.N)*batch/b.Elapsed().Seconds(), "msg/s")
}
