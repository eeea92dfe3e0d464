package transcoder_test

import (
	"errors"
	"log/slog"
	"reflect"
	"slices"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/skybridge-media/skybridge/actors"
	"github.com/skybridge-media/skybridge/actors/actortest"
	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/actors/transcoder"
	"github.com/skybridge-media/skybridge/media/bridge"
)

func TestPlan(t *testing.T) {
	actortest.Run(t, func(b *actortest.Bench) {
		pid, bridges := spawn(b)
		r := roster(b.Self, 1, 1)
		r.Layout, r.SelfView = "2x2", true
		r.Participants = []*conference.Participant{
			{Id: "a", Name: "Anna", State: conference.StateConnected, Audio: true, Video: true, AudioMuted: true, Spotlight: true},
			{Id: "b", Name: "Bo", State: conference.StateConnected, Audio: true, VideoMuted: true, Held: true},
			{Id: "c", Name: "Cy", State: conference.StateConnecting, Audio: true, Video: true},
			{Id: "d", Name: "only the API", State: conference.StateConnected, Api: true},
			{Id: "e", Name: "inside", OverlayText: "outside", State: conference.StateConnected, Audio: true, Video: true, Waiting: conference.WaitLock},
			{Id: "f", Name: "Viewer", State: conference.StateConnected, Audio: true, Video: true, Role: conference.RoleViewer},
		}
		b.Send(pid, r)
		b.Settle()
		want := &bridge.Plan{Layout: "2x2", SelfView: true, Members: []bridge.Member{
			{ID: "a", Name: "Anna", AudioMuted: true, Spotlight: true},
			{ID: "b", Name: "Bo", VideoMuted: true, Held: true},
			{ID: "c", Name: "Cy", NoTile: true},
			{ID: "d", Name: "only the API", NoTile: true},
			{ID: "e", Name: "outside", Held: true},
			{ID: "f", Name: "Viewer", NoTile: true},
		}}
		if got := bridges.Open()[0].Plan(); !reflect.DeepEqual(got, want) {
			b.Errorf("plan\n%+v, want\n%+v", got, want)
		}
	})
}

// TestFencing sends rosters in the wrong order, and from others.
func TestFencing(t *testing.T) {
	actortest.Run(t, func(b *actortest.Bench) {
		pid, bridges := spawn(b)
		stranger := b.System.NewLocalPID("stranger")
		steps := []struct {
			name           string
			from           *actor.PID
			epoch, version uint64
			taken          bool
		}{
			{"first", b.Self, 5, 7, true},
			{"same again", b.Self, 5, 7, false},
			{"older version", b.Self, 5, 6, false},
			{"newer version", b.Self, 5, 9, true},
			{"older epoch", b.Self, 4, 100, false},
			{"newer epoch, version anew", b.Self, 6, 1, true},
			{"another conference", stranger, 7, 1, false},
		}
		want := ""
		for i, s := range steps {
			r := roster(s.from, s.epoch, s.version)
			r.Layout = string(rune('a' + i))
			if s.taken {
				want = r.Layout
			}
			b.Send(pid, r)
			b.Settle()
			if got := bridges.Open()[0].Plan().Layout; got != want {
				b.Errorf("%s: plan %q, want %q", s.name, got, want)
			}
		}
	})
}

func TestAttachAndDetach(t *testing.T) {
	actortest.Run(t, func(b *actortest.Bench) {
		pid, bridges := spawn(b)
		call := b.Spawn(actor.PropsFromFunc(func(actor.Context) {}), "call")
		other := b.Spawn(actor.PropsFromFunc(func(actor.Context) {}), "other")
		for id, who := range map[string]*actor.PID{"a": call, "b": other} {
			mustAsk[*transcoder.Attached](b, pid, &transcoder.Attach{ID: id, Participant: who, Leg: &actortest.Port{}})
		}
		mustAsk[*transcoder.Attached](b, pid, &transcoder.Attach{ID: "a", Participant: call, Leg: &actortest.Port{}})
		want(b, bridges, "a", "b")

		if _, err := actortest.Ask[*transcoder.Attached](b, pid, &transcoder.Attach{ID: "x", Participant: call}); !errors.Is(err, transcoder.ErrNoLeg) {
			b.Errorf("attach nothing = %v, want %v", err, transcoder.ErrNoLeg)
		}
		b.System.Root.Stop(other) // it says nothing
		b.Settle()
		want(b, bridges, "a")

		mustAsk[*transcoder.Detached](b, pid, &transcoder.Detach{ID: "a"})
		mustAsk[*transcoder.Detached](b, pid, &transcoder.Detach{ID: "a"})
		want(b, bridges)
	})
}

// TestClosing ends a conference while a leg is still attached.
func TestClosing(t *testing.T) {
	actortest.Run(t, func(b *actortest.Bench) {
		pid, bridges := spawn(b)
		mustAsk[*transcoder.Attached](b, pid, &transcoder.Attach{ID: "a", Participant: b.Self, Leg: &actortest.Port{}})
		b.Send(pid, roster(b.Self, 5, 1))
		if got := b.Received(); len(got) != 1 || !got[0].(*transcoder.Arranged).Transcoder.Equal(pid) {
			b.Fatalf("received %v, want Arranged", got)
		}
		b.Send(pid, roster(b.Self, 5, 2)) // nothing has changed that it would tell
		b.Send(pid, &conference.CloseMedia{Epoch: 4, Conference: conference.AddressOf(b.Self)})
		if got := b.Received(); len(got) != 0 {
			b.Fatalf("a former owner closed the media: %v", got)
		}
		b.Send(pid, &conference.CloseMedia{Epoch: 6, Conference: &conference.Address{Node: "n2@x", Id: "other"}})
		if got := b.Received(); len(got) != 0 {
			b.Fatalf("another owner closed the media: %v", got)
		}
		b.Send(pid, &conference.CloseMedia{Epoch: 5, Conference: conference.AddressOf(b.Self)})
		if got := b.Received(); len(got) != 1 || got[0].(*transcoder.Closing).Room != "r" {
			b.Fatalf("received %v, want Closing", got)
		}
		mustAsk[*transcoder.Detached](b, pid, &transcoder.Detach{ID: "a"})
		if got := b.Received(); len(got) != 1 || !got[0].(*transcoder.Emptied).Transcoder.Equal(pid) {
			b.Fatalf("received %v, want Emptied", got)
		}
		b.System.Root.Stop(pid)
		b.Settle()
		if n := len(bridges.Open()); n != 0 {
			b.Errorf("%d bridges are still open", n)
		}
	})
}

// slowBridge takes its time to let go of a leg.
type slowBridge struct {
	*actortest.Bridge
	until chan struct{}
}

func (b slowBridge) Detach(id string) {
	<-b.until
	b.Bridge.Detach(id)
}

// TestSpeaker lets the bridge change its mind while the actor is busy: the
// conference hears of the last speaker only.
func TestSpeaker(t *testing.T) {
	actortest.Run(t, func(b *actortest.Bench) {
		slow := slowBridge{until: make(chan struct{})}
		pid := b.Spawn(props(b, func(room string, notify func(any)) transcoder.Bridge {
			slow.Bridge = (&actortest.Bridges{}).New(room, notify)
			return slow
		}), "transcoder")
		mustAsk[*transcoder.Attached](b, pid, &transcoder.Attach{ID: "a", Participant: b.Self, Leg: &actortest.Port{}})

		slow.Notify(bridge.SpeakerChanged{ID: "a"})
		slow.Notify(bridge.TickLate{Ticks: 3})
		if got := spoken(b); !slices.Equal(got, []string{"a"}) {
			b.Errorf("spoke %q, want a", got)
		}
		b.Send(pid, &transcoder.Detach{ID: "a"})
		b.Settle()
		for _, id := range []string{"b", "c", "b", ""} {
			slow.Notify(bridge.SpeakerChanged{ID: id})
		}
		close(slow.until)
		if got := spoken(b); !slices.Equal(got, []string{""}) {
			b.Errorf("spoke %q, want nobody, once", got)
		}
	})
}

// TestFollow loses the owner: the next one is brought the last roster, and its
// versions count from anew.
func TestFollow(t *testing.T) {
	actortest.Run(t, func(b *actortest.Bench) {
		pid, bridges := spawn(b)
		var rejoined *conference.Rejoin
		next := b.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			if m, ok := c.Message().(*conference.Rejoin); ok {
				rejoined = m
				c.Respond(&conference.Joined{Epoch: 9})
			}
		}), "next")
		silent := b.Spawn(actor.PropsFromFunc(func(actor.Context) {}), "silent")

		// There is nothing to bring before the first roster.
		mustAsk[*transcoder.Following](b, pid, &transcoder.Follow{Conference: b.Self})

		last := roster(b.Self, 8, 44)
		last.Layout = "old"
		b.Send(pid, last)
		if _, err := actortest.Ask[*transcoder.Following](b, pid, &transcoder.Follow{Conference: silent}); !errors.Is(err, actors.ErrTimeout) {
			b.Errorf("follow the silent = %v, want %v", err, actors.ErrTimeout)
		}
		f := mustAsk[*transcoder.Following](b, pid, &transcoder.Follow{Conference: next})
		if f.Epoch != 9 || rejoined.GetLast() != last || !rejoined.GetTranscoder().PID().Equal(pid) {
			b.Errorf("epoch %d, rejoined %v", f.Epoch, rejoined)
		}
		r := roster(next, 9, 1)
		r.Layout = "new"
		b.Send(pid, r)
		b.Settle()
		if got := bridges.Open()[0].Plan().Layout; got != "new" {
			b.Errorf("plan %q, want the new owner's", got)
		}
		if n := len(bridges.Open()); n != 1 {
			b.Errorf("%d bridges, want the same one", n)
		}
	})
}

func TestRefresh(t *testing.T) {
	actortest.Run(t, func(b *actortest.Bench) {
		pid, bridges := spawn(b)
		b.Send(pid, &transcoder.Refresh{})
		got := b.Received()
		if len(got) != 1 {
			b.Fatalf("received %v, want a question", got)
		}
		if _, ok := got[0].(*conference.GetRoster); !ok {
			b.Fatalf("received %T", got[0])
		}
		r := roster(b.Self, 1, 2)
		r.Layout = "answer"
		b.Send(pid, r)
		b.Settle()
		if got := bridges.Open()[0].Plan().Layout; got != "answer" {
			b.Errorf("plan %q", got)
		}
	})
}

func TestMetricsLint(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	transcoder.NewMetrics(reg)
	problems, err := testutil.GatherAndLint(reg)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// spawn starts a transcoder whose conference is the bench.
func spawn(b *actortest.Bench) (*actor.PID, *actortest.Bridges) {
	b.Helper()
	bridges := &actortest.Bridges{}
	return b.Spawn(props(b, func(room string, notify func(any)) transcoder.Bridge {
		return bridges.New(room, notify)
	}), "transcoder"), bridges
}

func props(b *actortest.Bench, newBridge func(string, func(any)) transcoder.Bridge) *actor.Props {
	return transcoder.Props(transcoder.Config{Room: "r", Conference: b.Self}, transcoder.Deps{
		Log: slog.New(slog.DiscardHandler), Metrics: transcoder.NewMetrics(nil), Actors: actors.NewMetrics(nil),
		NewBridge: newBridge,
	})
}

func roster(from *actor.PID, epoch, version uint64) *conference.Roster {
	return &conference.Roster{Room: "r", Epoch: epoch, Version: version, Conference: conference.AddressOf(from)}
}

func mustAsk[R any](b *actortest.Bench, to *actor.PID, msg any) R {
	b.Helper()
	r, err := actortest.Ask[R](b, to, msg)
	if err != nil {
		b.Fatal(err)
	}
	return r
}

func want(b *actortest.Bench, bridges *actortest.Bridges, legs ...string) {
	b.Helper()
	if got := bridges.Open()[0].Legs(); !slices.Equal(got, legs) {
		b.Errorf("attached %q, want %q", got, legs)
	}
}

func spoken(b *actortest.Bench) (ids []string) {
	b.Helper()
	for _, m := range b.Received() {
		if m, ok := m.(*conference.Spoke); ok {
			ids = append(ids, m.Id)
		}
	}
	return ids
}
