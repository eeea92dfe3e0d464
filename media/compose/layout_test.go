package compose_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/skybridge-media/skybridge/media/compose"
)

// members returns n of them, "A", "B", ...
func members(n int) []compose.Member {
	m := make([]compose.Member, n)
	for i := range m {
		m[i].ID = string(rune('A' + i))
	}
	return m
}

func parse(t testing.TB, name string) *compose.Layout {
	t.Helper()
	l, err := compose.Parse(name)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// rects is where everybody goes on a 720p canvas.
func rects(l *compose.Layout, n int) []compose.Rect {
	var out []compose.Rect
	a := l.Arrange(members(n), nil, "", nil)
	for i := range a.Seats {
		out = append(out, a.Rect(i, 1280, 720))
	}
	return out
}

// TestRects pins every layout to the pixel.
func TestRects(t *testing.T) {
	// grid is cols columns and rows rows of tiles w by h.
	grid := func(cols, rows, w, h int) []compose.Rect {
		var out []compose.Rect
		for y := range rows {
			for x := range cols {
				out = append(out, compose.Rect{X: x * w, Y: y * h, W: w, H: h})
			}
		}
		return out
	}
	r := func(x, y, w, h int) compose.Rect { return compose.Rect{X: x, Y: y, W: w, H: h} }
	tests := []struct {
		layout string
		n      int
		want   []compose.Rect
	}{
		{"1+0", 5, []compose.Rect{r(0, 0, 1280, 720)}},
		{"1+7", 1, []compose.Rect{r(0, 0, 1280, 720)}},
		{"1+7", 2, []compose.Rect{r(0, 90, 960, 540), r(960, 270, 320, 180)}},
		{"1+7", 4, []compose.Rect{r(0, 90, 960, 540), r(960, 90, 320, 180), r(960, 270, 320, 180), r(960, 450, 320, 180)}},
		{"1+7", 5, []compose.Rect{
			r(0, 0, 960, 540),
			r(960, 0, 320, 180), r(960, 180, 320, 180), r(960, 360, 320, 180), r(0, 540, 320, 180),
		}},
		{"1+7", 9, []compose.Rect{
			r(0, 0, 960, 540),
			r(960, 0, 320, 180), r(960, 180, 320, 180), r(960, 360, 320, 180),
			r(0, 540, 320, 180), r(320, 540, 320, 180), r(640, 540, 320, 180), r(960, 540, 320, 180),
		}},
		{"2x2", 9, grid(2, 2, 640, 360)},
		{"2x2", 2, grid(2, 1, 640, 360)},
		{"3x3", 20, grid(3, 3, 426, 240)},
		{"4x4", 20, grid(4, 4, 320, 180)},
		{"adaptive", 1, []compose.Rect{r(0, 0, 1280, 720)}},
		{"adaptive", 2, []compose.Rect{r(0, 180, 640, 360), r(640, 180, 640, 360)}},
		{"adaptive", 3, []compose.Rect{r(0, 0, 640, 360), r(640, 0, 640, 360), r(320, 360, 640, 360)}},
		{"adaptive", 4, grid(2, 2, 640, 360)},
		{"adaptive", 5, []compose.Rect{
			r(0, 120, 426, 240), r(426, 120, 426, 240), r(852, 120, 426, 240),
			r(212, 360, 426, 240), r(640, 360, 426, 240),
		}},
		{"adaptive", 6, []compose.Rect{
			r(0, 120, 426, 240), r(426, 120, 426, 240), r(852, 120, 426, 240),
			r(0, 360, 426, 240), r(426, 360, 426, 240), r(852, 360, 426, 240),
		}},
		{"adaptive", 9, grid(3, 3, 426, 240)},
		{"adaptive", 12, func() []compose.Rect {
			g := grid(4, 3, 320, 180)
			for i := range g {
				g[i].Y += 90
			}
			return g
		}()},
		{"adaptive", 16, grid(4, 4, 320, 180)},
		{"adaptive", 40, grid(4, 4, 320, 180)},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%s/%d", tt.layout, tt.n), func(t *testing.T) {
			if got := rects(parse(t, tt.layout), tt.n); !slices.Equal(got, tt.want) {
				t.Errorf("got  %v\nwant %v", got, tt.want)
			}
		})
	}
}

// Whatever the layout, the canvas and the number of participants: tiles are
// even, inside, apart, and have the shape of the canvas.
func TestRectsOfAnySize(t *testing.T) {
	for _, size := range [][2]int{{1920, 1080}, {1280, 720}, {768, 448}, {640, 360}, {480, 270}, {320, 180}, {352, 288}} {
		for _, name := range compose.Layouts() {
			l := parse(t, name)
			for n := range 20 {
				a := l.Arrange(members(n), nil, "", nil)
				if want := min(n, l.Seats()); len(a.Seats) != want {
					t.Fatalf("%s shows %d of %d, want %d", name, len(a.Seats), n, want)
				}
				for i := range a.Seats {
					r := a.Rect(i, size[0], size[1])
					check(t, name, r, size)
					for j := range i {
						if o := a.Rect(j, size[0], size[1]); overlap(r, o) {
							t.Fatalf("%s of %d on %v: %v and %v overlap", name, n, size, r, o)
						}
					}
				}
			}
		}
	}
}

func check(t *testing.T, name string, r compose.Rect, size [2]int) {
	t.Helper()
	if r.X%2 != 0 || r.Y%2 != 0 || r.W%2 != 0 || r.H%2 != 0 || r.W <= 0 || r.H <= 0 {
		t.Fatalf("%s: %v is not even", name, r)
	}
	if r.X < 0 || r.Y < 0 || r.X+r.W > size[0] || r.Y+r.H > size[1] {
		t.Fatalf("%s: %v is outside %v", name, r, size)
	}
	shape, want := float64(r.W)/float64(r.H), float64(size[0])/float64(size[1])
	if shape < 0.95*want || shape > 1.05*want {
		t.Fatalf("%s: %v has shape %.2f on a canvas of %.2f", name, r, shape, want)
	}
}

func overlap(a, b compose.Rect) bool {
	return a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H
}

func TestParse(t *testing.T) {
	for _, name := range []string{"1+0", "1+7", "2x2", "3x3", "4x4", "adaptive"} {
		if got := parse(t, name).String(); got != name {
			t.Errorf("%q parsed as %q", name, got)
		}
		if !slices.Contains(compose.Layouts(), name) {
			t.Errorf("%q is not listed", name)
		}
	}
	if got := parse(t, "").String(); got != compose.Default {
		t.Errorf("no name parsed as %q, want %q", got, compose.Default)
	}
	if _, err := compose.Parse("5x5"); err == nil {
		t.Error("an unknown layout was accepted")
	}
}
