// Package bustest is the conformance suite for implementations of the bus.
package bustest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/skybridge-media/skybridge/bus"
)

// A Bus carries events and can be listened to.
type Bus interface {
	bus.Publisher

	// Subscribe calls f for every event whose subject matches filter and that
	// was published at since or later, one at a time and in order, until ctx
	// is done. The zero time asks for everything that is kept.
	Subscribe(ctx context.Context, filter string, since time.Time, f func(bus.Received)) error
}

// patience is how long an event may take to arrive.
const patience = 10 * time.Second

// Run runs the suite. open returns a bus that nobody else is using.
func Run(t *testing.T, open func(t *testing.T) Bus) {
	tests := map[string]func(*testing.T, Bus){
		"Order":        testOrder,
		"Filter":       testFilter,
		"Replay":       testReplay,
		"Since":        testSince,
		"Live":         testLive,
		"Roundtrip":    testRoundtrip,
		"NotAnEvent":   testNotAnEvent,
		"Concurrent":   testConcurrent,
		"Unsubscribes": testUnsubscribes,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func testOrder(t *testing.T, b Bus) {
	var want []string
	for i := range 100 {
		want = append(want, fmt.Sprintf("p%03d", i))
		publish(t, b, bus.ParticipantPressed{Room: "r", Participant: want[i], Node: "n", Digit: "1"})
	}
	var got []string
	for _, r := range collect(t, b, bus.RoomEvents("r"), time.Time{}, len(want)) {
		got = append(got, r.Event.(bus.ParticipantPressed).Participant)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
}

func testFilter(t *testing.T, b Bus) {
	publish(t, b,
		bus.ConferenceStarted{Room: "one", Node: "n"},
		bus.ParticipantJoined{Room: "two", Participant: "p", Node: "n"},
		bus.ParticipantJoined{Room: "one", Participant: "p", Node: "n"},
		bus.NodeStarted{Node: "one"},
		bus.ConferenceEnded{Room: "one", Node: "n"},
	)
	tests := []struct {
		filter string
		want   []string
	}{
		{bus.RoomEvents("one"), []string{"conference.started", "participant.joined", "conference.ended"}},
		{bus.RoomEvents("two"), []string{"participant.joined"}},
		{bus.KindEvents("participant.joined"), []string{"participant.joined", "participant.joined"}},
		{bus.KindEvents("node.started"), []string{"node.started"}},
	}
	for _, tt := range tests {
		var got []string
		for _, r := range collect(t, b, tt.filter, time.Time{}, len(tt.want)) {
			got = append(got, r.Kind)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.filter, got, tt.want)
		}
	}
}

func testReplay(t *testing.T, b Bus) {
	publish(t, b, bus.NodeStarted{Node: "n"})
	first := collect(t, b, bus.AllEvents, time.Time{}, 1)[0]
	second := collect(t, b, bus.AllEvents, time.Time{}, 1)[0]
	if first.ID == "" || first.ID != second.ID || !first.Time.Equal(second.Time) {
		t.Errorf("the same event came as %v and as %v", first.Stamp, second.Stamp)
	}
}

func testSince(t *testing.T, b Bus) {
	publish(t, b, bus.NodeStarted{Node: "early"})
	early := collect(t, b, bus.AllEvents, time.Time{}, 1)[0]
	since := early.Time.Add(50 * time.Millisecond)
	<-time.After(time.Until(since.Add(50 * time.Millisecond)))
	publish(t, b, bus.NodeStarted{Node: "late"})
	if got := collect(t, b, bus.AllEvents, since, 1)[0].Event; got != (bus.NodeStarted{Node: "late"}) {
		t.Errorf("got %v, want the late one only", got)
	}
}

func testLive(t *testing.T, b Bus) {
	events := subscribe(t, b, bus.AllEvents, time.Time{})
	for i := range 10 {
		want := bus.NodeStopped{Node: fmt.Sprint("n", i), Reason: "signal"}
		publish(t, b, want)
		if got := next(t, events).Event; got != want {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
}

// testRoundtrip sends every kind there is through the bus.
func testRoundtrip(t *testing.T, b Bus) {
	before := time.Now().UTC().Truncate(time.Millisecond)
	publish(t, b, bus.Events()...)
	ids := map[string]bool{}
	for i, r := range collect(t, b, bus.AllEvents, time.Time{}, len(bus.Events())) {
		want := bus.Events()[i]
		switch {
		case r.Event != want:
			t.Errorf("got %#v, want %#v", r.Event, want)
		case r.Kind != bus.KindOf(want), r.Subject != want.Subject():
			t.Errorf("%T came as %s at %s", want, r.Kind, r.Subject)
		case r.ID == "" || ids[r.ID]:
			t.Errorf("%T: id %q is not unique", want, r.ID)
		case r.Time.Before(before) || r.Time.After(time.Now()) || r.Time.Location() != time.UTC:
			t.Errorf("%T: time %v", want, r.Time)
		}
		ids[r.ID] = true
	}
}

type notAnEvent struct{ C chan int }

func (notAnEvent) Subject() string { return "sky.evt.not.event.x" }

func testNotAnEvent(t *testing.T, b Bus) {
	if err := b.Publish(t.Context(), notAnEvent{}); err == nil {
		t.Error("published what has no JSON")
	}
}

func testConcurrent(t *testing.T, b Bus) {
	const publishers, each = 8, 25
	var wg sync.WaitGroup
	for p := range publishers {
		wg.Go(func() {
			for i := range each {
				e := bus.ParticipantPressed{Room: fmt.Sprint("r", p), Participant: fmt.Sprint(i)}
				if err := b.Publish(t.Context(), e); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	next := map[string]int{}
	for _, r := range collect(t, b, bus.AllEvents, time.Time{}, publishers*each) {
		e := r.Event.(bus.ParticipantPressed)
		if want := fmt.Sprint(next[e.Room]); e.Participant != want {
			t.Fatalf("%s: got %s, want %s: one publisher's events swapped places", e.Room, e.Participant, want)
		}
		next[e.Room]++
	}
}

func testUnsubscribes(t *testing.T, b Bus) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	var mu sync.Mutex
	var after bool
	go func() {
		done <- b.Subscribe(ctx, bus.AllEvents, time.Time{}, func(bus.Received) {
			mu.Lock()
			defer mu.Unlock()
			if after {
				t.Error("called after Subscribe returned")
			}
			cancel()
		})
	}()
	publish(t, b, bus.NodeStarted{Node: "n"})
	select {
	case err := <-done:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Subscribe = %v, want %v", err, context.Canceled)
		}
	case <-time.After(patience):
		t.Fatal("Subscribe does not return")
	}
	mu.Lock()
	after = true
	mu.Unlock()
	publish(t, b, bus.NodeStopped{Node: "n"})
}

func publish(t *testing.T, b Bus, events ...bus.Event) {
	t.Helper()
	for _, e := range events {
		if err := b.Publish(t.Context(), e); err != nil {
			t.Fatalf("publish %T: %v", e, err)
		}
	}
}

// subscribe returns what arrives. It ends with the test.
func subscribe(t *testing.T, b Bus, filter string, since time.Time) <-chan bus.Received {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	events := make(chan bus.Received, 1000)
	done := make(chan error, 1)
	go func() { done <- b.Subscribe(ctx, filter, since, func(r bus.Received) { events <- r }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("subscribe %s: %v", filter, err)
		}
	})
	return events
}

func next(t *testing.T, events <-chan bus.Received) bus.Received {
	t.Helper()
	select {
	case r := <-events:
		return r
	case <-time.After(patience):
		t.Fatal("no event")
		panic("unreachable")
	}
}

// collect returns the first n events, and fails when there are more.
func collect(t *testing.T, b Bus, filter string, since time.Time, n int) []bus.Received {
	t.Helper()
	events := subscribe(t, b, filter, since)
	var got []bus.Received
	for range n {
		got = append(got, next(t, events))
	}
	select {
	case r := <-events:
		t.Errorf("%s: unexpected %s", filter, r.Subject)
	default:
	}
	return got
}
