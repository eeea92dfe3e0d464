package compose_test

import (
	"fmt"
	"image"
	"image/color"
	"strings"
	"testing"

	"github.com/skybridge-media/skybridge/codecs/yuv"
	"github.com/skybridge-media/skybridge/media/compose"
)

var (
	red   = yuv.ColorOf(color.RGBA{R: 200, A: 255})
	green = yuv.ColorOf(color.RGBA{G: 200, A: 255})
	blue  = yuv.ColorOf(color.RGBA{B: 200, A: 255})
)

// plain returns a source of one colour.
func plain(p *compose.Pool, w, h int, c yuv.Color) *compose.Source {
	pic := yuv.New(w, h)
	pic.Fill(c)
	return p.NewSource(pic, nil)
}

// at is the colour of one pixel.
func at(p *yuv.Picture, x, y int) yuv.Color {
	return yuv.Color{Y: p.Y[y*p.StrideY+x], U: p.U[y/2*p.StrideUV+x/2], V: p.V[y/2*p.StrideUV+x/2]}
}

func near(a, b yuv.Color) bool {
	d := func(x, y byte) bool { return x-y < 3 || y-x < 3 }
	return d(a.Y, b.Y) && d(a.U, b.U) && d(a.V, b.V)
}

// whole reports whether a rectangle but for its lower left corner, where a
// label may be, has one colour: at all of its edges, and in a grid within.
func whole(p *yuv.Picture, r compose.Rect, c yuv.Color) error {
	for y := r.Y; y < r.Y+r.H; y++ {
		for x := r.X; x < r.X+r.W; x++ {
			edge := x < r.X+2 || x >= r.X+r.W-2 || y < r.Y+2 || y >= r.Y+r.H-2
			if y > r.Y+r.H*2/3 && x < r.X+r.W*2/3 || !edge && x%7+y%5 > 0 {
				continue
			}
			if got := at(p, x, y); !near(got, c) {
				return fmt.Errorf("pixel (%d,%d) is %v, want %v", x, y, got, c)
			}
		}
	}
	return nil
}

// Every source fills its rectangle in every layout, to the last pixel and not
// one further.
func TestSourcesAtTheirRects(t *testing.T) {
	colors := []yuv.Color{red, green, blue}
	for _, name := range compose.Layouts() {
		t.Run(name, func(t *testing.T) {
			var pool compose.Pool
			var painter compose.Painter
			c := compose.NewCanvas(1280, 720)
			var tiles []compose.Tile
			for i, r := range rects(parse(t, name), 16) {
				src := plain(&pool, 640, 360, colors[i%3])
				src.Shared = i%2 == 0
				tiles = append(tiles, compose.Tile{Rect: r, Name: "Name", Source: src})
			}
			painter.Paint(c, tiles)
			for i, tile := range tiles {
				if err := whole(c.Picture, tile.Rect, colors[i%3]); err != nil {
					t.Errorf("tile %d: %v", i, err)
				}
			}
		})
	}
}

func TestFit(t *testing.T) {
	tile := compose.Rect{X: 320, Y: 180, W: 320, H: 180}
	tests := []struct {
		name  string
		w, h  int
		shown compose.Rect // where the picture is; around it are bars
	}{
		{"16:9", 1280, 720, tile},
		{"16:10 is cropped", 1280, 800, tile},
		{"a little too wide is cropped", 1280, 640, tile},
		{"CIF between bars", 352, 288, compose.Rect{X: 320 + 50, Y: 180, W: 220, H: 180}},
		{"4:3 between bars", 640, 480, compose.Rect{X: 320 + 40, Y: 180, W: 240, H: 180}},
		{"upright between bars", 360, 640, compose.Rect{X: 320 + 110, Y: 180, W: 100, H: 180}},
		{"very wide between bars", 1280, 320, compose.Rect{X: 320, Y: 180 + 50, W: 320, H: 80}},
		{"tiny", 2, 2, compose.Rect{X: 320 + 70, Y: 180, W: 180, H: 180}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var pool compose.Pool
			var painter compose.Painter
			c := compose.NewCanvas(960, 540)
			c.Picture.Fill(green) // what a layout before has left
			painter.Paint(c, []compose.Tile{{Rect: tile, Source: plain(&pool, tt.w, tt.h, red)}})
			for y := tile.Y; y < tile.Y+tile.H; y++ {
				for x := tile.X; x < tile.X+tile.W; x++ {
					want := yuv.Black
					if x >= tt.shown.X && x < tt.shown.X+tt.shown.W && y >= tt.shown.Y && y < tt.shown.Y+tt.shown.H {
						want = red
					}
					if got := at(c.Picture, x, y); !near(got, want) {
						t.Fatalf("pixel (%d,%d) is %v, want %v", x, y, got, want)
					}
				}
			}
		})
	}
}

// What is the same is not painted; what has changed is, alone.
func TestPaintsOnlyChanges(t *testing.T) {
	var pool compose.Pool
	var painter compose.Painter
	c := compose.NewCanvas(1280, 720)
	l := parse(t, "2x2")
	var tiles []compose.Tile
	for i, r := range rects(l, 4) {
		tiles = append(tiles, compose.Tile{Rect: r, Name: fmt.Sprint("Name ", i), Source: plain(&pool, 640, 360, red)})
	}
	paint := func(what string, want int) {
		t.Helper()
		if got := c.Shows(tiles); got != (want == 0) {
			t.Errorf("%s: shows them already: %v", what, got)
		}
		if got := painter.Paint(c, tiles); got != want {
			t.Errorf("%s: painted %d tiles, want %d", what, got, want)
		}
		if !c.Shows(tiles) {
			t.Errorf("%s: does not show what was painted", what)
		}
	}
	paint("first", 4)
	paint("nothing new", 0)
	tiles[1].Source = plain(&pool, 640, 360, blue)
	paint("one picture", 1)
	if err := whole(c.Picture, tiles[1].Rect, blue); err != nil {
		t.Error(err)
	}
	tiles[2].Speaking = true
	paint("a border", 1)
	tiles[2].Speaking, tiles[3].Name = false, "New"
	paint("a border off, a name", 2)
	if err := whole(c.Picture, tiles[2].Rect, red); err != nil {
		t.Errorf("the border stays: %v", err)
	}
	tiles[0].Source = nil
	paint("camera off", 1)
	paint("camera still off", 0)
	tiles = tiles[:3]
	paint("another arrangement", 3)
	if got := at(c.Picture, 1000, 500); got == red {
		t.Error("the tile of who left is still there")
	}
}

func TestBorder(t *testing.T) {
	var pool compose.Pool
	var painter compose.Painter
	c := compose.NewCanvas(640, 360)
	r := compose.Rect{X: 100, Y: 100, W: 320, H: 180}
	painter.Paint(c, []compose.Tile{{Rect: r, Source: plain(&pool, 320, 180, red), Speaking: true}})
	for _, p := range [][2]int{{100, 100}, {419, 100}, {100, 279}, {419, 279}, {260, 100}, {100, 190}} {
		if got := at(c.Picture, p[0], p[1]); near(got, red) {
			t.Errorf("no border at %v", p)
		}
	}
	for _, p := range [][2]int{{104, 104}, {415, 275}, {260, 190}} {
		if got := at(c.Picture, p[0], p[1]); !near(got, red) {
			t.Errorf("no picture at %v but %v", p, got)
		}
	}
}

func TestAvatar(t *testing.T) {
	var painter compose.Painter
	paint := func(name string) *yuv.Picture {
		c := compose.NewCanvas(320, 180)
		painter.Paint(c, []compose.Tile{{Rect: compose.Rect{W: 320, H: 180}, Name: name}})
		return c.Picture
	}
	ada, again, bob := paint("Ada Lovelace"), paint("Ada Lovelace"), paint("Bob")
	if p := yuv.PSNR(ada, again); p < 100 {
		t.Errorf("the same name looks different: %.1f dB", p)
	}
	if at(ada, 2, 2) == at(bob, 2, 2) {
		t.Error("two names have the same colour")
	}
	if n := bright(ada, compose.Rect{X: 100, Y: 50, W: 120, H: 80}); n < 300 {
		t.Errorf("%d bright pixels in the middle, want two initials", n)
	}
	for _, name := range []string{"", "!?", "   ", "\u202e", strings.Repeat("Ä", 10000), "\xff\xfe"} {
		paint(name) // must not panic
	}
}

// bright counts pixels of letters.
func bright(p *yuv.Picture, r compose.Rect) (n int) {
	for y := r.Y; y < r.Y+r.H; y++ {
		for x := r.X; x < r.X+r.W; x++ {
			if p.Y[y*p.StrideY+x] > 180 {
				n++
			}
		}
	}
	return n
}

// label returns the label that a name gets on a black tile.
func label(t *testing.T, name string) *yuv.Picture {
	t.Helper()
	var pool compose.Pool
	var painter compose.Painter
	c := compose.NewCanvas(640, 360)
	painter.Paint(c, []compose.Tile{{Rect: compose.Rect{W: 640, H: 360}, Name: name, Source: plain(&pool, 640, 360, yuv.Black)}})
	return c.Picture
}

func TestLabels(t *testing.T) {
	corner := compose.Rect{X: 0, Y: 300, W: 320, H: 60}
	box := bright(label(t, "日"), corner) // the sign for a missing letter
	if box == 0 {
		t.Fatal("a letter that the font lacks shows as nothing")
	}
	for _, name := range []string{"Zoë Müller", "Łukasz Żak", "Αθηνά Παππά", "Дмитрий Щукин", "Nguyễn"} {
		t.Run(name, func(t *testing.T) {
			pic := label(t, name)
			if n := bright(pic, corner); n < 100 {
				t.Errorf("%d bright pixels, want a name", n)
			}
			if n := bright(pic, compose.Rect{X: 320, W: 320, H: 360}) + bright(pic, compose.Rect{W: 640, H: 300}); n > 0 {
				t.Errorf("%d bright pixels outside the corner", n)
			}
		})
	}
	t.Run("decomposed letters look like composed ones", func(t *testing.T) {
		if p := yuv.PSNR(label(t, "Zoe\u0308"), label(t, "Zoë")); p < 100 {
			t.Errorf("%.1f dB", p)
		}
	})
	t.Run("controls are left out", func(t *testing.T) {
		if p := yuv.PSNR(label(t, "A\u202e\u200b\n\tB\x00"), label(t, "A B")); p < 100 {
			t.Errorf("%.1f dB", p)
		}
	})
	t.Run("long names are cut", func(t *testing.T) {
		pic := label(t, strings.Repeat("Wolfeschlegelsteinhausen ", 4))
		if n := bright(pic, compose.Rect{X: 628, Y: 0, W: 12, H: 360}); n > 0 {
			t.Error("the label reaches the edge")
		}
	})
	t.Run("no name, no label", func(t *testing.T) {
		if err := whole(label(t, ""), compose.Rect{W: 640, H: 360}, yuv.Black); err != nil {
			t.Error(err)
		}
	})
}

// A shared source looks exactly like one that is not.
func TestSharedSource(t *testing.T) {
	img := image.NewRGBA(image.Rect(0, 0, 640, 400))
	for y := range 400 {
		for x := range 640 {
			img.SetRGBA(x, y, color.RGBA{R: byte(x), G: byte(y), B: byte(x * y / 100), A: 255})
		}
	}
	pic := yuv.New(640, 400)
	pic.SetImage(img)
	var pool compose.Pool
	var painter compose.Painter
	released := 0
	paint := func(shared bool) *yuv.Picture {
		src := pool.NewSource(pic, func() { released++ })
		defer src.Release()
		src.Shared = shared
		c := compose.NewCanvas(640, 360)
		painter.Paint(c, []compose.Tile{
			{Rect: compose.Rect{W: 320, H: 180}, Source: src},
			{Rect: compose.Rect{X: 320, W: 320, H: 180}, Source: src},
			{Rect: compose.Rect{Y: 180, W: 160, H: 90}, Source: src},
		})
		return c.Picture
	}
	if p := yuv.PSNR(paint(true), paint(false)); p < 100 {
		t.Errorf("%.1f dB between shared and not, want none", p)
	}
	if released != 2 {
		t.Errorf("released %d times, want 2", released)
	}
}

func TestReleasedWithTheLastReference(t *testing.T) {
	var pool compose.Pool
	released := 0
	s := pool.NewSource(yuv.New(2, 2), func() { released++ })
	s.Retain()
	s.Release()
	if released != 0 {
		t.Fatal("released while somebody holds it")
	}
	s.Release()
	if released != 1 {
		t.Fatalf("released %d times, want once", released)
	}
}

// BenchmarkPaint composes 1+7 at 720p from eight HD sources.
func BenchmarkPaint(b *testing.B) {
	for _, moving := range []int{0, 1, 8} {
		for _, shared := range []bool{false, true} {
			b.Run(fmt.Sprintf("moving=%d/shared=%v", moving, shared), func(b *testing.B) {
				var pool compose.Pool
				var painter compose.Painter
				c := compose.NewCanvas(1280, 720)
				var tiles []compose.Tile
				for i, r := range rects(parse(b, "1+7"), 8) {
					src := plain(&pool, 1280, 720, red)
					src.Shared = shared
					tiles = append(tiles, compose.Tile{Rect: r, Name: fmt.Sprint("Participant ", i), Source: src})
				}
				painter.Paint(c, tiles)
				b.ReportAllocs()
				for b.Loop() {
					for i := range moving {
						tiles[i].Source.Serial += 1000
					}
					painter.Paint(c, tiles)
				}
			})
		}
	}
}
