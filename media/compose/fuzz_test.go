package compose_test

import (
	"strings"
	"testing"

	"github.com/skybridge-media/skybridge/codecs/yuv"
	"github.com/skybridge-media/skybridge/media/compose"
)

// FuzzName holds that whatever people call themselves stays inside its tile,
// however small that is.
func FuzzName(f *testing.F) {
	for _, name := range []string{"", "Ada Lovelace", "Ж", "日本語", "a\u0300\u0301\u0302", "👩‍👩‍👧", "\xff", strings.Repeat("W", 300)} {
		f.Add(name, uint8(160), uint8(90))
	}
	var painter compose.Painter
	f.Fuzz(func(t *testing.T, name string, w, h uint8) {
		r := compose.Rect{X: 20, Y: 20, W: max(2, int(w)&^1), H: max(2, int(h)&^1)}
		var pool compose.Pool
		pic := yuv.New(r.W, r.H)
		for _, src := range []*compose.Source{nil, pool.NewSource(pic, nil)} {
			c := compose.NewCanvas(300, 300)
			empty := at(c.Picture, 0, 0)
			painter.Paint(c, []compose.Tile{{Rect: r, Name: name, Source: src, Speaking: true}})
			for y := range 300 {
				for x := range 300 {
					inside := x >= r.X && x < r.X+r.W && y >= r.Y && y < r.Y+r.H
					if got := at(c.Picture, x, y); !inside && got != empty {
						t.Fatalf("%q in %v: pixel (%d,%d) outside is %v", name, r, x, y, got)
					}
				}
			}
		}
	})
}
