package node_test

import (
	"fmt"
	"log/slog"

	"testing"

	"github.com/skybridge-media/skybridge/actors"
	"github.com/skybridge-media/skybridge/actors/actortest"
	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/actors/node"
	"github.com/skybridge-media/skybridge/actors/participant"
	"github.com/skybridge-media/skybridge/actors/transcoder"
	"github.com/skybridge-media/skybridge/bus/claim"
	media "github.com/skybridge-media/skybridge/media/bridge"
)

// BenchmarkCrowd lets 500 calls into one room, as fast as it goes, each of whose
// nodes' clients watches the roster: what a join costs in a crowd.
func BenchmarkCrowd(b *testing.B) {
	for _, n := range []int{50, 500} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				crowd(b, n)
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*n), "µs/join")
		})
	}
}

// crowd runs n calls from admission to their end in one room.
func crowd(b *testing.B, n int) {
	log, am := slog.New(slog.DiscardHandler), actors.NewMetrics(nil)
	sys := actors.NewSystem(log, am)
	top, err := node.Start(sys, node.Config{Name: "n", Roles: []string{node.RoleMedia}, AdHoc: &conference.Config{}}, node.Deps{
		Log: log, Events: discard{}, Directory: claim.NewMemory("n", "n@1"),
		NewBridge: func(string, func(any)) transcoder.Bridge { return media.New(media.Config{}) },
		Metrics: node.Collectors{
			Node: node.NewMetrics(nil), Actors: am, Conference: conference.NewMetrics(nil),
			Transcoder: transcoder.NewMetrics(nil), Participant: participant.NewMetrics(nil),
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	for range n {
		a, err := actors.Ask[*node.Admitted](b.Context(), sys, top, &node.Admit{Call: node.NewCall(), Alias: "room", Audio: true})
		if err != nil {
			b.Fatal(err)
		}
		sys.Root.Send(a.Participant, &participant.Connect{Port: &actortest.Port{}})
	}
	if err := node.Stop(b.Context(), sys, top); err != nil {
		b.Fatal(err)
	}
	sys.Shutdown()
}
