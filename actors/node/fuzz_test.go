package node_test

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	"github.com/skybridge-media/skybridge/actors"
	"github.com/skybridge-media/skybridge/actors/actortest"
	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/actors/node"
	"github.com/skybridge-media/skybridge/actors/participant"
	"github.com/skybridge-media/skybridge/actors/transcoder"
	"github.com/skybridge-media/skybridge/bus"
	"github.com/skybridge-media/skybridge/bus/claim"
)

// FuzzWire lets a hostile node send anything that decodes to any of our actors:
// to the node, a conference, its transcoder and a call. Nothing panics, and the
// node goes on. The input is a list of messages: target, type, length, payload.
func FuzzWire(f *testing.F) {
	wire := conference.Wire()
	maps.Copy(wire, node.Wire())
	numbers := slices.Sorted(maps.Keys(wire))

	address := &conference.Address{Node: "nonhost", Id: "node/participant/x"}
	p := &conference.Participant{Id: "x", Name: "X", State: "connected", Address: address, Audio: true}
	roster := &conference.Roster{Room: "0", Epoch: 9, Version: 9, Participants: []*conference.Participant{p, {}}, Conference: address}
	for target := range byte(4) {
		var all []byte
		for i, number := range numbers {
			m := wire[number].ProtoReflect().New().Interface()
			switch m := m.(type) {
			case *conference.Join:
				m.Participant = p
			case *conference.Update:
				m.Participant = p
			case *conference.Roster:
				proto.Merge(m, roster)
			case *conference.Rejoin:
				m.Transcoder, m.Last = address, roster
			case *conference.Subscribe:
				m.Subscriber = address
			case *conference.OpenMedia:
				m.Room, m.Conference, m.Epoch = "0", address, 1
			case *node.Locate:
				m.Room = "0"
			case *node.PlaceCall:
				m.Alias, m.Uri = "0", "sip:x@y"
			}
			payload, err := proto.Marshal(m)
			if err != nil {
				f.Fatal(err)
			}
			one := append([]byte{target, byte(i), byte(len(payload))}, payload...)
			f.Add(one)
			all = append(all, one...)
		}
		f.Add(all)
	}

	registry := prometheus.NewRegistry()
	metrics := actors.NewMetrics(registry)
	sys := actors.NewSystem(slog.New(slog.DiscardHandler), metrics)
	var bridges actortest.Bridges
	top, err := node.Start(sys, node.Config{Name: "n", Roles: []string{node.RoleMedia}, AdHoc: &conference.Config{}}, node.Deps{
		Log: slog.New(slog.DiscardHandler), Events: discard{}, Directory: claim.NewMemory("n", "n@1"),
		NewBridge: func(room string, notify func(any)) transcoder.Bridge { return bridges.New(room, notify) },
		Metrics: node.Collectors{
			Node: node.NewMetrics(nil), Actors: metrics, Conference: conference.NewMetrics(nil),
			Transcoder: transcoder.NewMetrics(nil), Participant: participant.NewMetrics(nil),
		},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := node.Stop(ctx, sys, top); err != nil {
			f.Error(err)
		}
	})
	sink := sys.NewLocalPID("nobody")
	var rounds atomic.Int64

	f.Fuzz(func(t *testing.T, data []byte) {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		// The last round may have left the node draining.
		if _, err := actors.Ask[*node.Status](ctx, sys, top, &node.Drain{}); err != nil {
			t.Fatalf("the node: %v", err)
		}
		room := strconv.FormatInt(rounds.Add(1), 10)
		call := node.NewCall()
		a, err := actors.Ask[*node.Admitted](ctx, sys, top, &node.Admit{Call: call, Alias: room, API: true})
		if err != nil {
			t.Fatalf("admit: %v", err)
		}
		joined, err := actors.Ask[*conference.Joined](ctx, sys, a.Conference, &conference.Join{Participant: &conference.Participant{
			Id: string(call), Address: conference.AddressOf(a.Participant),
		}})
		if err != nil {
			t.Fatalf("join: %v", err)
		}
		targets := []*actor.PID{top, a.Conference, joined.Transcoder.PID(), a.Participant}
		for len(data) >= 3 {
			target, number, n := targets[int(data[0])%len(targets)], numbers[int(data[1])%len(numbers)], int(data[2])
			payload := data[3:min(3+n, len(data))]
			data = data[min(3+n, len(data)):]
			m := wire[number].ProtoReflect().New().Interface()
			if proto.Unmarshal(payload, m) != nil {
				continue
			}
			sys.Root.RequestWithCustomSender(target, m, sink)
		}
		sys.Root.Send(a.Participant, &participant.Ended{})
		if _, err := actors.Ask[*node.Status](ctx, sys, top, &node.GetStatus{}); err != nil {
			t.Fatalf("the node: %v", err)
		}
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, family := range families {
			for _, m := range family.Metric {
				if *family.Name == "skybridge_actors_panics_total" && m.Counter.GetValue() > 0 {
					t.Fatalf("a panic in %v", m.Label)
				}
			}
		}
	})
}

// discard is a bus.Publisher that forgets.
type discard struct{}

func (discard) Publish(context.Context, bus.Event) error { return nil }
