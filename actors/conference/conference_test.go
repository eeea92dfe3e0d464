package conference_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/protobuf/proto"

	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/bus"
)

func TestRefuse(t *testing.T) {
	tests := []struct {
		name string
		err  error
		code bus.Code
		is   error
	}{
		{"sentinel", conference.ErrLocked, bus.Forbidden, conference.ErrLocked},
		{"wrapped sentinel", fmt.Errorf("join: %w", conference.ErrFull), bus.Full, conference.ErrFull},
		{"refusal passed on", conference.Refuse(conference.ErrEnded), bus.Unavailable, conference.ErrEnded},
		{"what broke inside stays inside", errors.New("secret"), bus.Internal, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wire, err := proto.Marshal(conference.Refuse(tt.err))
			if err != nil {
				t.Fatal(err)
			}
			var got conference.Refused
			if err := proto.Unmarshal(wire, &got); err != nil {
				t.Fatal(err)
			}
			if code := bus.CodeOf(&got); code != tt.code {
				t.Errorf("code %q, want %q", code, tt.code)
			}
			if tt.is != nil && !errors.Is(&got, tt.is) {
				t.Errorf("%v is not %v", &got, tt.is)
			}
			if tt.is == nil && got.Text != "internal error" {
				t.Errorf("it says %q", got.Text)
			}
		})
	}
}

// TestWire keeps numbers and messages together for ever.
func TestWire(t *testing.T) {
	wire := conference.Wire()
	names := map[string]bool{}
	for number, m := range wire {
		if number < 200 || number > 299 {
			t.Errorf("%T has number %d, which is not ours", m, number)
		}
		names[string(m.ProtoReflect().Descriptor().Name())] = true
	}
	messages := conference.File_conference_conference_proto.Messages()
	for i := range messages.Len() {
		name := string(messages.Get(i).Name())
		switch name {
		case "Address", "Participant", "Movement": // parts of others
		default:
			if !names[name] {
				t.Errorf("%s has no number", name)
			}
		}
	}
	for number, want := range map[uint32]proto.Message{200: &conference.Join{}, 218: &conference.Roster{}, 225: &conference.Spoke{}, 227: &conference.ReleaseFloor{}, 230: &conference.MoveCamera{}} {
		if got := wire[number]; got.ProtoReflect().Descriptor() != want.ProtoReflect().Descriptor() {
			t.Errorf("number %d is %T, want %T", number, got, want)
		}
	}
}

func TestMetricsLint(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	conference.NewMetrics(reg)
	problems, err := testutil.GatherAndLint(reg)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}
