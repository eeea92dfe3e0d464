package mix_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/skybridge-media/skybridge/media/mix"
)

// room runs a Selector and shows who is heard as letters, A for the first.
type room struct {
	sel    *mix.Selector
	voices []*mix.Voice
}

func newRoom(most, voices int) *room {
	r := &room{sel: mix.NewSelector(most)}
	for range voices {
		r.voices = append(r.voices, new(mix.Voice))
	}
	return r
}

// tick feeds one tick of levels in dBov, 0 meaning silence.
func (r *room) tick(levels ...int) {
	for i, v := range r.voices {
		v.Level = 127
		if i < len(levels) && levels[i] < 0 {
			v.Level = uint8(-levels[i])
		}
	}
	r.sel.Select(r.voices)
}

// ticks feeds the same levels n times.
func (r *room) ticks(n int, levels ...int) string {
	for range n {
		r.tick(levels...)
	}
	return r.heard()
}

func (r *room) heard() string {
	var b strings.Builder
	for i, v := range r.voices {
		if v.Heard {
			fmt.Fprintf(&b, "%c", 'A'+i)
		}
	}
	return b.String()
}

func TestSelect(t *testing.T) {
	type step struct {
		ticks  int
		levels []int
		heard  string
	}
	tests := []struct {
		name  string
		steps []step
	}{
		{"the first word is heard from its first tick", []step{
			{1, []int{-30}, "A"},
		}},
		{"noise is not heard", []step{
			{50, []int{-70, -80, -65}, ""},
		}},
		{"a pause for breath keeps the place", []step{
			{10, []int{-30}, "A"},
			{30, []int{0}, "A"},
			{1, []int{-30}, "A"},
			{31, []int{0}, ""},
		}},
		{"soft sounds between loud ones do not cut off", []step{
			{10, []int{-30}, "A"},
			{100, []int{-66}, "A"},
		}},
		{"the noise left by who spoke does", []step{
			{10, []int{-30}, "A"},
			{250, []int{-64}, "A"},
			{1, []int{-64}, ""},
			{50, []int{-64}, ""},
			{1, []int{-60}, "A"},
		}},
		{"the loudest two of three who begin together", []step{
			{1, []int{-40, -20, -30}, "BC"},
		}},
		{"arrival decides between equals, and stays decided", []step{
			{1, []int{-30, -30, -30, -30}, "AB"},
			{200, []int{-30, -30, -30, -30}, "AB"},
		}},
		{"somebody a little louder does not interrupt", []step{
			{5, []int{-30, -30}, "AB"},
			{200, []int{-30, -30, -26}, "AB"},
		}},
		{"somebody clearly louder does, after 100 ms", []step{
			{5, []int{-30, -35}, "AB"},
			{4, []int{-30, -35, -20}, "AB"},
			{1, []int{-30, -35, -20}, "AC"},
			{100, []int{-30, -35, -20}, "AC"},
		}},
		{"a louder click does not", []step{
			{5, []int{-30, -35}, "AB"},
			{2, []int{-30, -35, -10}, "AB"},
			{50, []int{-30, -35}, "AB"},
		}},
		{"somebody pausing gives way at once", []step{
			{5, []int{-30, -35}, "AB"},
			{10, []int{-30}, "AB"},
			{1, []int{-30, 0, -20}, "AC"},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRoom(2, 4)
			for i, s := range tt.steps {
				if got := r.ticks(s.ticks, s.levels...); got != s.heard {
					t.Fatalf("step %d: heard %q, want %q", i, got, s.heard)
				}
			}
		})
	}
}

func TestEnteringAndLeaving(t *testing.T) {
	r := newRoom(1, 2)
	if r.tick(-40); !r.voices[0].Entered {
		t.Error("A did not enter")
	}
	if r.tick(-40); r.voices[0].Entered {
		t.Error("A entered twice")
	}
	for range 4 {
		r.tick(-40, -20)
	}
	if r.voices[0].Leaving {
		t.Error("A gives way too early")
	}
	if r.tick(-40, -20); !r.voices[0].Leaving || r.voices[0].Heard || !r.voices[1].Entered {
		t.Errorf("A %+v, B %+v; want A leaving and B entering", *r.voices[0], *r.voices[1])
	}
	if r.tick(-40, -20); r.voices[0].Leaving {
		t.Error("A leaves twice")
	}
}

func TestDrop(t *testing.T) {
	r := newRoom(1, 2)
	r.tick(-20, -30)
	r.sel.Drop(r.voices[0])
	r.voices = r.voices[1:]
	if r.tick(-30); !r.voices[0].Heard {
		t.Error("the place of who left was not given on")
	}
	r.sel.Drop(new(mix.Voice)) // one who was never heard
}
