package node_test

import (
	"log/slog"
	"testing"

	"github.com/skybridge-media/skybridge/actors"
	"github.com/skybridge-media/skybridge/actors/actortest"
	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/actors/node"
	"github.com/skybridge-media/skybridge/actors/participant"
	"github.com/skybridge-media/skybridge/actors/transcoder"
	"github.com/skybridge-media/skybridge/bus/claim"
)

// BenchmarkCall measures a call as far as actors go, one after the other in a
// conference that runs: admission, media, end.
func BenchmarkCall(b *testing.B) {
	log, am := slog.New(slog.DiscardHandler), actors.NewMetrics(nil)
	sys := actors.NewSystem(log, am)
	var bridges actortest.Bridges
	top, err := node.Start(sys, node.Config{Name: "n", Roles: []string{node.RoleMedia}, AdHoc: &conference.Config{}}, node.Deps{
		Log: log, Events: discard{}, Directory: claim.NewMemory("n", "n@1"),
		NewBridge: func(room string, notify func(any)) transcoder.Bridge { return bridges.New(room, notify) },
		Metrics: node.Collectors{
			Node: node.NewMetrics(nil), Actors: am, Conference: conference.NewMetrics(nil),
			Transcoder: transcoder.NewMetrics(nil), Participant: participant.NewMetrics(nil),
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	ask := func(call participant.ID) *node.Admitted {
		a, err := actors.Ask[*node.Admitted](b.Context(), sys, top, &node.Admit{Call: call, Alias: "room", API: true})
		if err != nil {
			b.Fatal(err)
		}
		return a
	}
	ask("always there")
	b.ReportAllocs()
	for b.Loop() {
		a := ask(node.NewCall())
		ended := make(chan struct{})
		sys.Root.Send(a.Participant, &participant.Connect{Port: &actortest.Port{OnClose: func() { close(ended) }}})
		sys.Root.Send(a.Participant, &participant.Ended{})
		<-ended
	}
	if err := node.Stop(b.Context(), sys, top); err != nil {
		b.Fatal(err)
	}
}
