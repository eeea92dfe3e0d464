package actors_test

import (
	"log/slog"
	"testing"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/skybridge-media/skybridge/actors"
)

// BenchmarkAsk measures a question and its answer inside a process.
func BenchmarkAsk(b *testing.B) {
	m := actors.NewMetrics(nil)
	sys := actors.NewSystem(slog.New(slog.DiscardHandler), m)
	pid := sys.Root.Spawn(actor.PropsFromFunc(parrot, actors.Mailbox("parrot", 1000, slog.New(slog.DiscardHandler), m)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := actors.Ask[*echo](b.Context(), sys, pid, &echo{}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSend measures a message through a bounded mailbox.
func BenchmarkSend(b *testing.B) {
	m := actors.NewMetrics(nil)
	sys := actors.NewSystem(slog.New(slog.DiscardHandler), m)
	pid := sys.Root.Spawn(actor.PropsFromFunc(parrot, actors.Mailbox("parrot", 1<<30, slog.New(slog.DiscardHandler), m)))
	msg := &mute{}
	b.ReportAllocs()
	for b.Loop() {
		sys.Root.Send(pid, msg)
	}
	if err := actors.Stop(b.Context(), sys, pid); err != nil {
		b.Fatal(err)
	}
}
