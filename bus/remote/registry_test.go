package remote_test

import (
	"testing"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/skybridge-media/skybridge/bus/remote"
)

// TestNumbers keeps anybody from giving a number another meaning: nodes of
// different versions talk to each other.
func TestNumbers(t *testing.T) {
	r := remote.NewRegistry()
	r.Add(100, &wrapperspb.StringValue{})
	const want = `1 actor.Watch
2 actor.Unwatch
3 actor.Terminated
4 actor.Stop
5 actor.PoisonPill
6 actor.DeadLetterResponse
7 actor.Touch
8 actor.Touched
100 google.protobuf.StringValue
`
	if got := r.Table(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestRegistryRefuses(t *testing.T) {
	tests := map[string]func(*remote.Registry){
		"a reserved number": func(r *remote.Registry) { r.Add(99, &wrapperspb.BoolValue{}) },
		"a number twice":    func(r *remote.Registry) { r.Add(100, &wrapperspb.BoolValue{}) },
		"a type twice":      func(r *remote.Registry) { r.Add(101, &wrapperspb.StringValue{}) },
		"an address without that field": func(r *remote.Registry) {
			r.AddAddress(&wrapperspb.StringValue{}, "node")
		},
		"an address that is no text": func(r *remote.Registry) { r.AddAddress(&wrapperspb.BoolValue{}, "value") },
	}
	for name, f := range tests {
		t.Run(name, func(t *testing.T) {
			r := remote.NewRegistry()
			r.Add(100, &wrapperspb.StringValue{})
			defer func() {
				if recover() == nil {
					t.Error("accepted")
				}
			}()
			f(r)
		})
	}
}

func TestNodeOf(t *testing.T) {
	for address, want := range map[string]string{"n1@x-1": "n1", "n1": "n1", "": ""} {
		if got := remote.NodeOf(address); got != want {
			t.Errorf("NodeOf(%q) = %q, want %q", address, got, want)
		}
	}
}
