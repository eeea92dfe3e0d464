package membus_test

import (
	"slices"
	"testing"

	"github.com/skybridge-media/skybridge/bus"
	"github.com/skybridge-media/skybridge/bus/bustest"
	"github.com/skybridge-media/skybridge/bus/membus"
)

func TestConformance(t *testing.T) {
	bustest.Run(t, func(*testing.T) bustest.Bus { return new(membus.Bus) })
}

func TestEventsReturnsEachOnce(t *testing.T) {
	var b membus.Bus
	for _, node := range []string{"a", "b"} {
		want := []bus.Event{bus.NodeStarted{Node: node}}
		if err := b.Publish(t.Context(), want[0]); err != nil {
			t.Fatal(err)
		}
		if got := b.Events(); !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	if got := b.Events(); got != nil {
		t.Errorf("got %v again", got)
	}
}
