package vad_test

import (
	"testing"
	"time"

	"github.com/skybridge-media/skybridge/media/vad"
)

// step is a stretch of time during which levels stay the same: dBov for each
// source, 0 meaning silence.
type step struct {
	d       time.Duration
	levels  []int
	speaker string // at its end: "", "A", "B", ...
}

const ms = time.Millisecond

func TestSpeaker(t *testing.T) {
	a, b, both := []int{-25}, []int{0, -25}, []int{-25, -25}
	quiet := []int{0, 0}
	tests := []struct {
		name  string
		steps []step
	}{
		{"nobody at first", []step{{time.Second, quiet, ""}}},
		{"a cough is nobody", []step{{280 * ms, a, ""}, {time.Second, quiet, ""}}},
		{"300 ms of speech are somebody", []step{{280 * ms, a, ""}, {20 * ms, a, "A"}}},
		{"gaps between words do not start again", []step{
			{200 * ms, a, ""}, {180 * ms, quiet, ""}, {100 * ms, a, "A"},
		}},
		{"noise is not speech", []step{{10 * time.Second, []int{-60, -55}, ""}}},
		{"the speaker stays through a pause", []step{
			{time.Second, a, "A"}, {3900 * ms, quiet, "A"}, {100 * ms, quiet, ""},
		}},
		{"who answers takes over after speaking for 300 ms", []step{
			{3 * time.Second, a, "A"}, {400 * ms, quiet, "A"}, {280 * ms, b, "A"}, {20 * ms, b, "B"},
		}},
		{"a short yes does not", []step{
			{3 * time.Second, a, "A"}, {200 * ms, b, "A"}, {3 * time.Second, a, "A"},
		}},
		{"two at once, equally loud: the first stays", []step{
			{3 * time.Second, a, "A"}, {10 * time.Second, both, "A"},
		}},
		{"a louder voice takes over after 1.2 s", []step{
			{3 * time.Second, a, "A"}, {1180 * ms, []int{-30, -20}, "A"}, {100 * ms, []int{-30, -20}, "B"},
		}},
		{"a quick exchange is shown at leisure", []step{
			{400 * ms, a, "A"}, {900 * ms, b, "A"}, {600 * ms, b, "B"},
		}},
		{"of two who begin together the louder", []step{
			{400 * ms, []int{-35, -20}, "B"},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := vad.New(vad.Config{})
			sources := []*vad.Source{{}, {}}
			changes, want := 0, 0
			last := ""
			for i, s := range tt.steps {
				for range s.d / (20 * ms) {
					if feed(d, sources, s.levels) {
						changes++
					}
				}
				if got := name(d, sources); got != s.speaker {
					t.Fatalf("step %d: speaker %q, want %q", i, got, s.speaker)
				}
				if s.speaker != last {
					want++
				}
				last = s.speaker
			}
			if changes != want {
				t.Errorf("%d changes reported, want %d", changes, want)
			}
		})
	}
}

func TestDrop(t *testing.T) {
	d := vad.New(vad.Config{})
	sources := []*vad.Source{{}, {}}
	for range 50 {
		feed(d, sources, []int{-20, 0})
	}
	d.Drop(sources[0])
	if d.Speaker() != nil {
		t.Error("one who left is still the speaker")
	}
	for range 15 {
		feed(d, sources[1:], []int{-20})
	}
	if d.Speaker() != sources[1] {
		t.Error("the next speaker had to wait for one who left")
	}
}

func TestConfig(t *testing.T) {
	d := vad.New(vad.Config{Threshold: 30, Onset: 100 * ms})
	sources := []*vad.Source{{}}
	for range 100 {
		feed(d, sources, []int{-35})
	}
	if d.Speaker() != nil {
		t.Error("-35 dBov counts as speech above a threshold of -30")
	}
	for range 5 {
		feed(d, sources, []int{-25})
	}
	if d.Speaker() != sources[0] {
		t.Error("100 ms are not enough for an onset of 100 ms")
	}
}

func TestNoAllocation(t *testing.T) {
	d := vad.New(vad.Config{})
	sources := []*vad.Source{{}, {}, {}}
	if n := testing.AllocsPerRun(100, func() { feed(d, sources, []int{-20, -30, -40}) }); n != 0 {
		t.Errorf("%v allocations per tick", n)
	}
}

// feed gives one tick of levels and reports whether the speaker changed.
func feed(d *vad.Detector, sources []*vad.Source, levels []int) bool {
	for i, s := range sources {
		s.Level = 127
		if i < len(levels) && levels[i] < 0 {
			s.Level = uint8(-levels[i])
		}
	}
	return d.Tick(sources)
}

// name is the speaker as a letter.
func name(d *vad.Detector, sources []*vad.Source) string {
	for i, s := range sources {
		if s == d.Speaker() {
			return string(rune('A' + i))
		}
	}
	return ""
}
