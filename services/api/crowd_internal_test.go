package api

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/skybridge-media/skybridge/actors/conference"
)

// BenchmarkCrowd is one change of the roster in a room of n, all of whom watch
// it in browsers: what everybody who joins makes the node do.
func BenchmarkCrowd(b *testing.B) {
	for _, n := range []int{50, 500} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			m := newRoom("crowd")
			r := &conference.Roster{Room: "crowd", Layout: "1+7", Version: 1}
			for i := range n {
				r.Participants = append(r.Participants, member(i))
			}
			m.take(r)
			control, metrics := http.NewResponseController(httptest.NewRecorder()), NewMetrics(nil)
			streams := make([]*stream, n)
			for i := range streams {
				streams[i] = &stream{w: io.Discard, control: control, metrics: metrics, self: fmt.Sprint(i)}
				streams[i].show(m.view.Load())
			}
			b.ReportAllocs()
			for i := n; b.Loop(); i++ { // the oldest leaves, another one comes
				next := &conference.Roster{Room: r.Room, Layout: r.Layout, Version: r.Version + 1}
				next.Participants = append(append(next.Participants, r.Participants[1:]...), member(i))
				r = next
				m.take(r)
				for _, s := range streams {
					s.show(m.view.Load())
				}
			}
		})
	}
}

func member(i int) *conference.Participant {
	return &conference.Participant{
		Id: fmt.Sprintf("5f0c1c5e-5a55-4f0b-9f0b-%012d", i), Name: fmt.Sprint("Participant ", i), Protocol: "webrtc", Api: true,
		State: conference.StateConnected, Role: conference.RoleHost, Audio: true, Video: true, JoinedUnixMs: int64(i),
	}
}

// TestSaying wants streams to tell what changes, whoever asked for the encoding
// before, and equal parts to be the same bytes.
func TestSaying(t *testing.T) {
	m := newRoom("r")
	roster := func(members ...*conference.Participant) *view {
		m.take(&conference.Roster{Room: "r", Layout: "1+7", Participants: members})
		return m.view.Load()
	}
	control, metrics := http.NewResponseController(httptest.NewRecorder()), NewMetrics(nil)
	tell := func(o *stream, v *view) string {
		var out bytes.Buffer
		o.w = &out
		o.show(v)
		var names []string
		for line := range strings.Lines(out.String()) {
			if name, ok := strings.CutPrefix(line, "event: "); ok {
				names = append(names, strings.TrimSpace(name))
			}
		}
		return strings.Join(names, " ")
	}
	a, b, c := member(1), member(2), member(3)
	muted := member(2)
	muted.AudioMuted = true
	quick, slow := &stream{control: control, metrics: metrics, self: a.Id}, &stream{control: control, metrics: metrics, self: b.Id}

	first := roster(a, b)
	const all = "participant_sync_begin participant_create participant_create participant_sync_end conference_update layout stage"
	for _, s := range []*stream{quick, slow} {
		if got := tell(s, first); got != all {
			t.Errorf("at first: %s", got)
		}
	}
	second := roster(a, muted)
	if got := tell(quick, second); got != "participant_update" {
		t.Errorf("muted: %s", got)
	}
	if &first.says().participants[0].data[0] != &second.says().participants[0].data[0] {
		t.Error("what is the same was encoded again")
	}
	if got := tell(quick, roster(muted, c)); got != "participant_create participant_delete layout stage" {
		t.Errorf("one left, one came: %s", got)
	}
	if got := tell(slow, m.view.Load()); got != "participant_update participant_create participant_delete layout stage" {
		t.Errorf("at once, for who was slow: %s", got)
	}
	if got := tell(slow, m.view.Load()); got != "" {
		t.Errorf("nothing has changed: %s", got)
	}
}

func TestPace(t *testing.T) {
	for n, want := range map[int]time.Duration{0: 0, 50: 0, 51: 102 * time.Millisecond, 250: 500 * time.Millisecond, 500: time.Second, 5000: time.Second} {
		if got := pace(n); got != want {
			t.Errorf("a room of %d is told every %v, want %v", n, got, want)
		}
	}
}
