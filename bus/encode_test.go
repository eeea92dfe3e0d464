package bus_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/skybridge-media/skybridge/bus"
)

func TestEncode(t *testing.T) {
	stamp := bus.Stamp{ID: "id-1", Time: time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC)}
	e := bus.ConferenceEnded{Room: "r", Node: "n", Reason: "empty", Duration: bus.Seconds(90500 * time.Millisecond), Participants: 2}
	data, err := bus.Encode(e, stamp)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"id":"id-1","time":"2026-01-02T03:04:05.006Z","room":"r","node":"n","reason":"empty","duration_seconds":90.5,"participants":2}`
	if string(data) != want {
		t.Errorf("got  %s\nwant %s", data, want)
	}
	r, err := bus.Decode(e.Subject(), data)
	if err != nil || r.Event != e || r.Stamp != stamp || r.Kind != "conference.ended" {
		t.Errorf("decoded %+v, %v", r, err)
	}
}

// TestDecodeNewer expects a consumer to cope with fields and kinds of a later
// version.
func TestDecodeNewer(t *testing.T) {
	r, err := bus.Decode("sky.evt.node.started.n", []byte(`{"id":"1","node":"n","altitude":3}`))
	if err != nil || r.Event != (bus.NodeStarted{Node: "n"}) {
		t.Errorf("unknown field: got %+v, %v", r.Event, err)
	}
	r, err = bus.Decode("sky.evt.recording.started.r.x", []byte(`{"id":"1","room":"r"}`))
	if err != nil || r.Event != nil || r.Kind != "recording.started" || r.ID != "1" {
		t.Errorf("unknown kind: got %+v, %v", r, err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, e := range bus.Events() {
		data, err := bus.Encode(e, bus.NewStamp())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(e.Subject(), data)
	}
	f.Add("sky.evt..", []byte(`{}`))
	f.Add("sky.evt.node.started.n", []byte(`{"node":7}`))
	f.Add("sky.evt.conference.ended.r.n", []byte(`{"duration_seconds":1e300}`))
	f.Fuzz(func(t *testing.T, subject string, data []byte) {
		r, err := bus.Decode(subject, data)
		if err != nil || r.Event == nil {
			return
		}
		if bus.KindOf(r.Event) != r.Kind {
			t.Errorf("%s was decoded as %T", r.Kind, r.Event)
		}
	})
}

func TestStampsAreUnique(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		s := bus.NewStamp()
		if seen[s.ID] {
			t.Fatalf("id %s twice", s.ID)
		}
		seen[s.ID] = true
		if s.Time.Location() != time.UTC {
			t.Fatalf("time %v is not UTC", s.Time)
		}
	}
}

// TestErrorIs expects a sentinel to equal its own copy from another node.
func TestErrorIs(t *testing.T) {
	sentinel := &bus.Error{Code: bus.Forbidden, Text: "conference: locked"}
	data, err := json.Marshal(sentinel)
	if err != nil {
		t.Fatal(err)
	}
	var received bus.Error
	if err := json.Unmarshal(data, &received); err != nil {
		t.Fatal(err)
	}
	if wrapped := fmt.Errorf("join: %w", &received); !errors.Is(wrapped, sentinel) || bus.CodeOf(wrapped) != bus.Forbidden {
		t.Errorf("%v is not %v", wrapped, sentinel)
	}
	if errors.Is(&bus.Error{Code: bus.Forbidden, Text: "another"}, sentinel) {
		t.Error("errors with different texts are equal")
	}
}

func TestCodeOf(t *testing.T) {
	tests := []struct {
		err  error
		want bus.Code
	}{
		{nil, ""},
		{errors.New("x"), bus.Internal},
		{&bus.Error{Code: bus.Full}, bus.Full},
		{errors.Join(errors.New("x"), &bus.Error{Code: bus.NotFound}), bus.NotFound},
	}
	for _, tt := range tests {
		if got := bus.CodeOf(tt.err); got != tt.want {
			t.Errorf("CodeOf(%v) = %q, want %q", tt.err, got, tt.want)
		}
	}
}
