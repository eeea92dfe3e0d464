package node_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/skybridge-media/skybridge/actors"
	"github.com/skybridge-media/skybridge/actors/actortest"
	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/actors/node"
	"github.com/skybridge-media/skybridge/actors/participant"
	"github.com/skybridge-media/skybridge/bus"
)

// times is how often a property is tried.
func times(n int) int {
	if testing.Short() {
		return n / 20
	}
	return n
}

// TestFirstCallers lets callers on three nodes dial a new room at the same
// time, under any of its names, again and again. There is always one
// conference with its media on one node, whoever is elsewhere is sent there,
// and everybody who was admitted is in its roster.
func TestFirstCallers(t *testing.T) {
	run(t, func(s *stage) {
		var nodes []*member
		for i := range 3 {
			n := s.start(fmt.Sprint("n", i), node.Config{Roles: []string{node.RoleMedia}, AdHoc: &conference.Config{}})
			n.Directory.SetDelay(2 * time.Millisecond)
			nodes = append(nodes, n)
		}
		rnd := rand.New(rand.NewPCG(1, 2))
		for round := range times(1000) {
			room := fmt.Sprint("room", round)
			aliases := []string{room, "sip:" + room + "@example.com", "sips:ROOM" + fmt.Sprint(round) + "@[::1];x=y"}
			type outcome struct {
				node   *member
				answer string
			}
			outcomes := make([]outcome, 2+rnd.IntN(4))
			var wg sync.WaitGroup
			for i := range outcomes {
				o := &outcomes[i]
				o.node = nodes[rnd.IntN(len(nodes))]
				m := node.Admit{
					Call: participant.ID(fmt.Sprintf("%s-%d", room, i)), Alias: aliases[rnd.IntN(len(aliases))], API: true,
				}
				delay := time.Duration(rnd.IntN(6)) * time.Millisecond
				wg.Go(func() {
					time.Sleep(delay)
					o.answer = s.try(o.node, m)
				})
			}
			wg.Wait()
			synctest.Wait()

			media := s.roster(nodes[0], room).GetMediaNode()
			admitted := 0
			for _, o := range outcomes {
				want := fmt.Sprintf("redirected to %s, %s:5060", media, media)
				if o.node.Name == media {
					want = "admitted to " + room
					admitted++
				}
				if o.answer != want {
					t.Fatalf("%s at %s: %s, want %s", room, o.node.Name, o.answer, want)
				}
			}
			if got := len(s.roster(nodes[round%3], room).GetParticipants()); got != admitted || got == 0 {
				t.Fatalf("%s: %d in the roster, %d admitted", room, got, admitted)
			}
			started := 0
			for _, n := range nodes {
				for _, e := range n.events.Take() {
					if _, ok := e.(bus.ConferenceStarted); ok {
						started++
					}
				}
			}
			if started != 1 {
				t.Fatalf("%s began %d times", room, started)
			}
			if round%2 == 0 { // the others stay open meanwhile
				s.Must(nodes[round%3], room, &conference.Disconnect{})
			}
		}
	})
}

// TestLeasesAddUp lets calls come, get a picture, give it back and leave, in any
// order, on a node that is too small for them. Nothing is granted that there is
// no room for, nothing that is given back is refused, and at the end nothing is
// leased.
func TestLeasesAddUp(t *testing.T) {
	run(t, func(s *stage) {
		n := s.start("n1", node.Config{Roles: []string{node.RoleMedia}, AdHoc: &conference.Config{}, Capacity: capacity(4)})
		status := func() *node.Status {
			st, err := actortest.Ask[*node.Status](n.Bench, n.pid, &node.GetStatus{})
			if err != nil {
				t.Fatal(err)
			}
			return st
		}
		rnd := rand.New(rand.NewPCG(3, 4))
		has := map[string]medium{} // of the calls that are there
		granted, refused := 0, 0
		for i := range times(5000) {
			id := fmt.Sprint("c", rnd.IntN(40))
			had, there := has[id]
			want := sound + medium(rnd.IntN(2))
			before := status().Leased
			ok := true
			switch m := (node.Admit{Call: participant.ID(id), Alias: "room" + id[len(id)-1:], API: true}); {
			case !there:
				m.Audio, m.Video = true, want == pictures
				if ok = strings.HasPrefix(s.admit(n, m), "admitted"); ok {
					has[id] = want
				}
			case rnd.IntN(5) == 0:
				n.Send(s.calls[id].pid, &participant.Ended{})
				synctest.Wait()
				delete(has, id)
				delete(s.calls, id)
			case want <= had && rnd.IntN(2) == 0: // who gives back need not wait
				n.Send(n.pid, &node.Reserve{Call: participant.ID(id), Audio: true, Video: want == pictures})
				synctest.Wait()
				has[id] = want
			default:
				_, err := actortest.Ask[*node.Reserved](n.Bench, n.pid, &node.Reserve{Call: participant.ID(id), Audio: true, Video: want == pictures})
				if ok = err == nil; ok {
					has[id] = want
				} else if want <= had || !errors.Is(err, node.ErrCapacity) {
					t.Fatalf("step %d: %s has %v and is refused %v: %v", i, id, had, want, err)
				}
			}
			st := status()
			switch {
			case ok && st.Leased > max(before, 4*node.HDUnit):
				t.Fatalf("step %d: %v of 4 HD calls are leased, %v were before", i, st.Leased.HD(), before.HD())
			case !ok && st.Leased != before:
				t.Fatalf("step %d: what was refused made %v HD calls of %v", i, st.Leased.HD(), before.HD())
			case ok:
				granted++
			default:
				refused++
			}
			if i%100 == 0 {
				s.flush()
			}
		}
		for id := range has {
			n.Send(s.calls[id].pid, &participant.Ended{})
		}
		time.Sleep(time.Minute) // conferences end, and their media
		if st := status(); st.Leased != 0 || st.Calls != 0 {
			t.Errorf("%v HD calls are leased at the end, by %d calls", st.Leased.HD(), st.Calls)
		}
		t.Logf("%d granted, %d refused", granted, refused)
	})
}

// medium is what a call of [TestLeasesAddUp] has.
type medium int

const (
	sound    medium = iota + 1
	pictures        // besides sound
)

// try is admit for several goroutines at once.
func (s *stage) try(n *member, m node.Admit) string {
	reply, err := actortest.Ask[any](n.Bench, n.pid, &m)
	switch r := reply.(type) {
	case *node.Redirect:
		return fmt.Sprintf("redirected to %s, %s", r.Node, r.Contacts.SIP)
	case *node.Admitted:
		return "admitted to " + r.Room
	}
	return fmt.Sprint(err)
}

// Must gives a conference an order.
func (s *stage) Must(n *member, room string, msg any) {
	s.Helper()
	if _, err := actortest.Ask[*conference.Done](n.Bench, s.conference(n, room), msg); err != nil {
		s.Fatalf("%s: %v", room, err)
	}
}

// TestPanics lets 10,000 calls end in a panic, in each way in which what they
// call can panic. Nobody else notices, and nothing remains.
func TestPanics(t *testing.T) {
	panics := times(10_000)
	run(t, func(s *stage) {
		n := s.start("n1", node.Config{Roles: []string{node.RoleMedia}, AdHoc: &conference.Config{}})
		for i := range 50 {
			id := fmt.Sprint("bystander", i)
			s.admit(n, node.Admit{Call: participant.ID(id), Alias: fmt.Sprint("room", i%5), Protocol: "sip"})
			s.calls[id].connect()
		}
		// A system's registry of processes grows to its full size first, which is
		// not what is measured.
		for i := range 300_000 {
			pid, _ := n.System.ProcessRegistry.Add(nil, fmt.Sprint("filler", i))
			n.System.ProcessRegistry.Remove(pid)
		}
		s.panicCalls(n, 0, panics/2)
		goroutines, heap := runtime.NumGoroutine(), heapBytes()
		s.panicCalls(n, panics/2, panics)
		if got := runtime.NumGoroutine(); got > goroutines+5 {
			t.Errorf("%d goroutines after %d panics, %d before", got, panics/2, goroutines)
		}
		if got := heapBytes(); got > heap+heap/20 {
			t.Errorf("%d bytes in use after %d panics, %d before", got, panics/2, heap)
		}

		for id, c := range s.calls {
			if !c.port.Attached() || c.port.Closed() != 0 || len(c.ended) != 0 {
				t.Errorf("%s: attached %v, closed %d, hung up on %q", id, c.port.Attached(), c.port.Closed(), c.ended)
			}
		}
		for room := range 5 {
			if got := len(s.roster(n, fmt.Sprint("room", room)).GetParticipants()); got != 10 {
				t.Errorf("room%d has %d participants, want 10", room, got)
			}
		}
		want := strings.NewReader(fmt.Sprintf(counted, panics))
		if err := testutil.GatherAndCompare(n.registry, want, "skybridge_actors_panics_total"); err != nil {
			t.Error(err)
		}
	})
}

// panicCalls begins calls, and ends them in a panic.
func (s *stage) panicCalls(n *member, from, to int) {
	s.Helper()
	for i := from; i < to; i++ {
		id := fmt.Sprint("victim", i)
		s.admit(n, node.Admit{Call: participant.ID(id), Alias: fmt.Sprint("room", i%5), Protocol: "sip"})
		c := s.calls[id]
		if i%3 > 0 {
			c.connect()
		}
		switch i % 4 {
		case 0:
			n.panicNext("hangup")
			n.Send(c.pid, &participant.End{Reason: participant.Reason{Code: "disconnected"}})
		case 1:
			n.panicNext("participant.pressed")
			n.Send(c.pid, &participant.Pressed{Digit: '1'})
		case 2:
			n.panicNext("participant.held")
			n.Send(c.pid, &participant.Hold{On: true})
		case 3:
			n.panicNext("hangup")
			n.Send(c.pid, &conference.Dismiss{Code: "disconnected", Epoch: 1 << 60, Conference: conference.AddressOf(c.conf)})
		}
		synctest.Wait()
		if p := n.fault.Load(); p != nil {
			s.Fatalf("%s: nothing panicked, want %s", id, *p)
		}
		if i%100 == 0 {
			s.flush()
		}
		delete(s.calls, id)
		if c.port != nil && (c.port.Closed() != 1 || c.port.ClosedEarly()) {
			s.Fatalf("%s: port closed %d times, early: %v", id, c.port.Closed(), c.port.ClosedEarly())
		}
		if len(c.ended) != 1 {
			s.Fatalf("%s was hung up on %d times", id, len(c.ended))
		}
	}
	time.Sleep(2 * time.Minute) // the timers of calls are gone then
	s.flush()
}

// counted is what the metrics say of that many panics.
const counted = `
# HELP skybridge_actors_panics_total Panics inside actors, each of which ended that actor, except for the node's.
# TYPE skybridge_actors_panics_total counter
skybridge_actors_panics_total{kind="conference"} 0
skybridge_actors_panics_total{kind="node"} 0
skybridge_actors_panics_total{kind="participant"} %d
skybridge_actors_panics_total{kind="transcoder"} 0
`

// heapBytes returns what is in use.
func heapBytes() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestIdleRooms holds what a configured room costs while nobody is in it.
func TestIdleRooms(t *testing.T) {
	const count, limit = 20_000, 1024
	before := heapBytes()
	rooms := make([]conference.Config, count)
	for i := range rooms {
		rooms[i] = conference.Config{Name: fmt.Sprint("Room ", i), Aliases: []string{fmt.Sprint(10_000 + i)}}
	}
	props, err := node.Props(node.Config{Rooms: rooms}, node.Deps{Metrics: node.Collectors{Actors: actors.NewMetrics(nil)}})
	if err != nil {
		t.Fatal(err)
	}
	if per := (heapBytes() - before) / count; per > limit {
		t.Errorf("%d bytes per room, limit %d", per, limit)
	}
	runtime.KeepAlive(props)
}

func TestContradictingRooms(t *testing.T) {
	tests := []struct {
		name  string
		rooms []conference.Config
		ok    bool
	}{
		{"distinct", []conference.Config{{Name: "a", Aliases: []string{"b"}}, {Name: "c"}}, true},
		{"an alias that is the name", []conference.Config{{Name: "a", Aliases: []string{"A"}}}, true},
		{"one alias for two", []conference.Config{{Name: "a", Aliases: []string{"x"}}, {Name: "b", Aliases: []string{"sip:X@y"}}}, false},
		{"no name", []conference.Config{{Aliases: []string{"x"}}}, false},
		{"an alias that is none", []conference.Config{{Name: "a", Aliases: []string{"\x00"}}}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := node.Props(node.Config{Rooms: tt.rooms}, node.Deps{Metrics: node.Collectors{Actors: actors.NewMetrics(nil)}})
			if (err == nil) != tt.ok {
				t.Errorf("Props: %v", err)
			}
		})
	}
}

func TestMetricsLint(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	node.NewMetrics(reg)
	problems, err := testutil.GatherAndLint(reg)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}
