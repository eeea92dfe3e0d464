package port

import (
	"testing"
	"time"
)

func TestLadderPick(t *testing.T) {
	const q, h, f = 0, 1, 2
	hd := [][2]int{{320, 180}, {640, 360}, {1280, 720}}
	tests := []struct {
		name    string
		sizes   [][2]int
		silent  []int
		w, h    int
		current int
		want    int
	}{
		{"the largest", hd, nil, 1280, 720, q, f},
		{"the middle", hd, nil, 600, 338, q, h},
		{"the smallest", hd, nil, 160, 90, none, q},
		{"exactly", hd, nil, 640, 360, q, h},
		{"a tenth more is not seen", hd, nil, 352, 198, none, q},
		{"a fifth more is", hd, nil, 384, 216, q, h},
		{"larger than all", hd, nil, 1920, 1080, q, f},
		{"the largest has stopped", hd, []int{f}, 1280, 720, f, h},
		{"the one that suffices has stopped", hd, []int{h}, 640, 360, h, f},
		{"only the smallest is left", hd, []int{h, f}, 1280, 720, h, q},
		{"all have stopped", hd, []int{q, h, f}, 1280, 720, h, h},
		{"upright in a wide tile", [][2]int{{180, 320}, {360, 640}, {720, 1280}}, nil, 640, 360, q, h},
		{"an unknown size is the last resort", [][2]int{{320, 180}, {}, {}}, nil, 1280, 720, none, q},
		{"nothing is known", make([][2]int, 3), nil, 1280, 720, h, h},
		{"nothing at all is known", make([][2]int, 3), nil, 1280, 720, none, q},
		{"equal ones", [][2]int{{640, 360}, {640, 360}, {640, 360}}, nil, 640, 360, h, h},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			now := time.Unix(1000, 0)
			l := ladder{width: tt.w, height: tt.h}
			for _, s := range tt.sizes {
				l.rungs = append(l.rungs, rung{width: s[0], height: s[1], last: now})
			}
			for _, i := range tt.silent {
				l.rungs[i].last = now.Add(-layerSilence)
			}
			if got := l.pick(tt.current, now); got != tt.want {
				t.Errorf("layer %d, want %d", got, tt.want)
			}
		})
	}
}

// TestLadderSteps goes up at once and down with patience.
func TestLadderSteps(t *testing.T) {
	now := time.Unix(1000, 0)
	l := ladder{rungs: []rung{{width: 320, height: 180}, {width: 1280, height: 720}}}
	current := 0
	step := func(seconds float64, w, h, want int) {
		t.Helper()
		now = now.Add(time.Duration(seconds * float64(time.Second)))
		l.rungs[0].last, l.rungs[1].last = now, now
		l.width, l.height = w, h
		if current = l.pick(current, now); current != want {
			t.Errorf("%dx%d: layer %d, want %d", w, h, current, want)
		}
	}
	step(0, 1280, 720, 1)
	step(1, 320, 180, 1)
	step(1.9, 320, 180, 1)
	step(0, 960, 540, 1) // wanted again: the patience begins anew
	step(1, 320, 180, 1)
	step(1.9, 320, 180, 1)
	step(0.2, 320, 180, 0)
	step(0, 960, 540, 1)
}

// TestLadderConfigure keeps what it knows of layers that stay.
func TestLadderConfigure(t *testing.T) {
	var l ladder
	l.configure([]Layer{{RID: "q"}, {RID: "f", Width: 640, Height: 360}})
	l.rungs[1].width, l.rungs[1].height = 1280, 720
	l.configure([]Layer{{RID: "f", Width: 640, Height: 360}, {RID: "h"}})
	if len(l.rungs) != 2 || l.rungs[0].width != 1280 || l.rungs[1].width != 0 {
		t.Errorf("rungs %+v", l.rungs)
	}
	if l.same(nil) || l.same([]Layer{{RID: "f"}}) || !l.same([]Layer{{RID: "f"}, {RID: "h"}}) {
		t.Error("layers are not told apart")
	}
	l.configure(nil)
	if len(l.rungs) != 1 || !l.same(nil) {
		t.Errorf("rungs %+v of a single stream", l.rungs)
	}
	l.configure(make([]Layer, 9))
	if len(l.rungs) != maxLayers {
		t.Errorf("%d rungs", len(l.rungs))
	}
}
