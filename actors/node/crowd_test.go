package node_test

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/skybridge-media/skybridge/actors"
	"github.com/skybridge-media/skybridge/actors/actortest"
	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/actors/node"
	"github.com/skybridge-media/skybridge/actors/participant"
	"github.com/skybridge-media/skybridge/actors/transcoder"
	"github.com/skybridge-media/skybridge/bus/claim"
	media "github.com/skybridge-media/skybridge/media/bridge"
)

// BenchmarkCrowd lets calls into one room as fast as it goes, and ends them all:
// what a call costs in a crowd.
func BenchmarkCrowd(b *testing.B) {
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
	for _, n := range []int{50, 500} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			room := 0
			for b.Loop() {
				room++
				crowd(b, sys, top, fmt.Sprint("room", n, "-", room), n)
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*n), "µs/call")
		})
	}
	if err := node.Stop(b.Context(), sys, top); err != nil {
		b.Fatal(err)
	}
}

// crowd runs n calls from admission to their end in one room.
func crowd(b *testing.B, sys *actor.ActorSystem, top *actor.PID, room string, n int) {
	var ended sync.WaitGroup
	var owner *actor.PID
	for range n {
		a, err := actors.Ask[*node.Admitted](b.Context(), sys, top, &node.Admit{Call: node.NewCall(), Alias: room, Audio: true})
		if err != nil {
			b.Fatal(err)
		}
		owner = a.Conference
		ended.Add(1)
		sys.Root.Send(a.Participant, &participant.Connect{Port: &actortest.Port{OnClose: ended.Done}})
	}
	if _, err := actors.Ask[*conference.Done](b.Context(), sys, owner, &conference.Disconnect{}); err != nil {
		b.Fatal(err)
	}
	ended.Wait()
}

// TestStorm sends callers to a cluster that is too small for them, all at the
// same moment. They are spread evenly, no node promises more than it has, and
// who does not fit is refused at once, with nothing of it left behind.
func TestStorm(t *testing.T) {
	const callers, rooms, each = 200, 60, 12
	run(t, func(s *stage) {
		var nodes []*member
		for i := range 4 {
			cfg := node.Config{Roles: []string{node.RoleMedia}, AdHoc: &conference.Config{}, Capacity: capacity(each)}
			if i == 0 {
				cfg.Roles = nil
			}
			n := s.start(fmt.Sprint("n", i), cfg)
			n.Directory.SetDelay(time.Millisecond)
			nodes = append(nodes, n)
		}
		var mu sync.Mutex // guards what follows
		admitted, refused := 0, 0
		var slowest time.Duration
		var wg sync.WaitGroup
		for i := range callers {
			wg.Go(func() {
				m := node.Admit{
					Call: participant.ID(fmt.Sprint("c", i)), Alias: fmt.Sprint("room", i%rooms), Audio: true, Video: true, API: true,
				}
				at, begin := nodes[i%len(nodes)], time.Now()
				for range len(nodes) {
					answer := s.try(at, m)
					if to, ok := strings.CutPrefix(answer, "redirected to "); ok {
						name, _, _ := strings.Cut(to, ",")
						at = s.nodes[name]
						continue
					}
					mu.Lock()
					defer mu.Unlock()
					switch {
					case strings.HasPrefix(answer, "admitted"):
						admitted++
					case answer == node.ErrCapacity.Text:
						refused++
						slowest = max(slowest, time.Since(begin))
					default:
						t.Errorf("%s: %s", m.Call, answer)
					}
					return
				}
				t.Errorf("%s was sent from node to node", m.Call)
			})
		}
		wg.Wait()
		synctest.Wait()
		if admitted+refused != callers || refused == 0 {
			t.Errorf("%d admitted, %d refused of %d", admitted, refused, callers)
		}
		if slowest > 50*time.Millisecond {
			t.Errorf("a caller was refused after %v, want 50 ms at most", slowest)
		}
		calls := 0
		for _, n := range nodes {
			st, err := actortest.Ask[*node.Status](n.Bench, n.pid, &node.GetStatus{})
			if err != nil {
				t.Fatal(err)
			}
			calls += st.Calls
			if st.Leased > node.Units(st.Capacity.HD)*node.HDUnit {
				t.Errorf("%s has leased %v of %v HD calls", n.Name, st.Leased.HD(), st.Capacity.HD)
			}
			if st.Capacity.HD > 0 && st.Leased.HD() < each-1 {
				t.Errorf("%s has leased only %v of %v HD calls, while callers were refused", n.Name, st.Leased.HD(), st.Capacity.HD)
			}
		}
		if calls != admitted {
			t.Errorf("%d calls are on the nodes, %d were admitted", calls, admitted)
		}
		t.Logf("%d admitted, %d refused, after %v at most", admitted, refused, slowest)
	})
}
