package compose_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/skybridge-media/skybridge/codecs/yuv"
	"github.com/skybridge-media/skybridge/media/compose"
)

// TestPresentingRects pins to the pixel where things go while somebody presents.
func TestPresentingRects(t *testing.T) {
	r := func(x, y, w, h int) compose.Rect { return compose.Rect{X: x, Y: y, W: w, H: h} }
	large := r(0, 72, 1024, 576)
	for n, want := range [][]compose.Rect{
		1: {r(0, 0, 1280, 720)},
		2: {large, r(1024, 288, 256, 144)},
		3: {large, r(1024, 216, 256, 144), r(1024, 360, 256, 144)},
		4: {large, r(1024, 144, 256, 144), r(1024, 288, 256, 144), r(1024, 432, 256, 144)},
		6: {large, r(1024, 0, 256, 144), r(1024, 144, 256, 144), r(1024, 288, 256, 144), r(1024, 432, 256, 144), r(1024, 576, 256, 144)},
		9: {large, r(1024, 0, 256, 144), r(1024, 144, 256, 144), r(1024, 288, 256, 144), r(1024, 432, 256, 144), r(1024, 576, 256, 144)},
	} {
		if want == nil {
			continue
		}
		if got := rects(parse(t, "3x3").Presenting(), n); !slices.Equal(got, want) {
			t.Errorf("%d: got %v, want %v", n, got, want)
		}
	}
	if got, want := rects(parse(t, "1+0").Presenting(), 5), []compose.Rect{r(0, 0, 1280, 720)}; !slices.Equal(got, want) {
		t.Errorf("one seat: got %v, want %v", got, want)
	}
	if l := parse(t, "4x4").Presenting(); slices.Contains(compose.Layouts(), l.String()) {
		t.Errorf("%q can be chosen", l)
	}
}

// On canvases of any size the seats are even, inside, apart and of their shape.
func TestPresentingRectsOfAnySize(t *testing.T) {
	l := parse(t, "adaptive").Presenting()
	for _, size := range [][2]int{{1920, 1080}, {1280, 720}, {768, 448}, {640, 360}, {480, 270}, {320, 180}, {352, 288}} {
		for n := 1; n < 9; n++ {
			a := l.Arrange(members(n), nil, "", nil)
			for i := range a.Seats {
				r := a.Rect(i, size[0], size[1])
				check(t, l.String(), r, size)
				for j := range i {
					if o := a.Rect(j, size[0], size[1]); overlap(r, o) {
						t.Fatalf("%d on %v: %v and %v overlap", n, size, r, o)
					}
				}
			}
		}
	}
}

// What is presented keeps the large seat, whoever speaks.
func TestPresentationStaysLarge(t *testing.T) {
	l := parse(t, "1+7").Presenting()
	ms := append([]compose.Member{{ID: "P", Spotlight: true}}, members(7)...)
	a := l.Arrange(ms, []string{"B"}, "", nil)
	if got := seats(a); got != "PBACDE" {
		t.Errorf("seats %s", got)
	}
	if a = l.Arrange(ms, []string{"G", "B"}, "", a); seats(a) != "PBACDG" {
		t.Errorf("seats %s after G spoke", seats(a))
	}
	if a = l.Arrange(ms, []string{"G", "B"}, "P", a); a.Shows("P") {
		t.Error("who presents sees it in the composition")
	}
}

// A presentation is never cropped, unlike a face.
func TestWholePicture(t *testing.T) {
	for _, tt := range []struct {
		w, h  int
		shown compose.Rect // on 640x360
	}{
		{1280, 720, compose.Rect{W: 640, H: 360}},
		{1366, 768, compose.Rect{W: 640, H: 360}}, // 640x359.8
		{1024, 768, compose.Rect{X: 80, W: 480, H: 360}},
		{1280, 800, compose.Rect{X: 32, W: 576, H: 360}}, // a face would lose a tenth
		{800, 600, compose.Rect{X: 80, W: 480, H: 360}},
		{720, 1280, compose.Rect{X: 218, W: 202, H: 360}},
		{2560, 1080, compose.Rect{Y: 44, W: 640, H: 270}},
	} {
		t.Run(fmt.Sprintf("%dx%d", tt.w, tt.h), func(t *testing.T) {
			if from, to := compose.FitWhole(tt.w, tt.h, 640, 360); to != tt.shown || from != (compose.Rect{W: tt.w, H: tt.h}) {
				t.Fatalf("shows %v in %v, want all in %v", from, to, tt.shown)
			}
			var pool compose.Pool
			var painter compose.Painter
			c := compose.NewCanvas(640, 360)
			painter.Paint(c, []compose.Tile{{
				Rect: compose.Rect{W: 640, H: 360}, Source: plain(&pool, tt.w, tt.h, red), Whole: true,
			}})
			if err := whole(c.Picture, tt.shown, red); err != nil {
				t.Error(err)
			}
			if tt.shown.X > 0 {
				if err := whole(c.Picture, compose.Rect{W: tt.shown.X, H: 360}, yuv.Black); err != nil {
					t.Errorf("beside: %v", err)
				}
			}
		})
	}
}
