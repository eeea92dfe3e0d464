package compose

import (
	"hash/fnv"
	"image/color"

	"github.com/skybridge-media/skybridge/codecs/yuv"
)

var (
	background = yuv.ColorOf(color.RGBA{R: 18, G: 20, B: 24, A: 255})
	labelPaper = yuv.ColorOf(color.RGBA{R: 24, G: 26, B: 30, A: 255})
	labelInk   = yuv.ColorOf(color.RGBA{R: 240, G: 242, B: 245, A: 255})
	accent     = yuv.ColorOf(color.RGBA{R: 52, G: 211, B: 153, A: 255}) // around who speaks
)

// hues are the colours of participants without a picture: dark enough for
// white letters, and different enough from each other.
var hues = []yuv.Color{
	yuv.ColorOf(color.RGBA{R: 153, G: 62, B: 62, A: 255}),
	yuv.ColorOf(color.RGBA{R: 158, G: 92, B: 38, A: 255}),
	yuv.ColorOf(color.RGBA{R: 125, G: 110, B: 30, A: 255}),
	yuv.ColorOf(color.RGBA{R: 79, G: 122, B: 47, A: 255}),
	yuv.ColorOf(color.RGBA{R: 36, G: 122, B: 92, A: 255}),
	yuv.ColorOf(color.RGBA{R: 31, G: 116, B: 131, A: 255}),
	yuv.ColorOf(color.RGBA{R: 46, G: 95, B: 158, A: 255}),
	yuv.ColorOf(color.RGBA{R: 83, G: 77, B: 166, A: 255}),
	yuv.ColorOf(color.RGBA{R: 128, G: 65, B: 150, A: 255}),
	yuv.ColorOf(color.RGBA{R: 155, G: 57, B: 108, A: 255}),
}

// A Tile is one seat with what is to be seen in it.
type Tile struct {
	Rect     Rect
	Source   *Source // nil shows initials instead
	Name     string  // UTF-8, as it came from outside; "" has no label
	Speaking bool    // has a border
	Whole    bool    // nothing of the picture is cut off
}

// look is what makes two paintings of a tile the same.
type look struct {
	rect     Rect
	serial   uint64 // 0: no picture
	name     string
	speaking bool
	whole    bool
}

func (t *Tile) look() look {
	l := look{rect: t.Rect, name: t.Name, speaking: t.Speaking, whole: t.Whole}
	if t.Source != nil {
		l.serial = t.Source.Serial
	}
	return l
}

// A Canvas is a composed picture that knows what is on it. It is not safe for
// concurrent use.
type Canvas struct {
	Picture *yuv.Picture
	painted []look // tile by tile; one without a place has not been painted yet
}

// NewCanvas returns an empty canvas. Both sizes are even.
func NewCanvas(width, height int) *Canvas {
	c := &Canvas{Picture: yuv.New(width, height)}
	c.Picture.Fill(background)
	return c
}

// Shows reports whether tiles are what the canvas shows already.
func (c *Canvas) Shows(tiles []Tile) bool {
	if !c.arrangedAs(tiles) {
		return false
	}
	for i := range tiles {
		if c.painted[i] != tiles[i].look() {
			return false
		}
	}
	return true
}

// arrangedAs reports whether the canvas has tiles at the same places.
func (c *Canvas) arrangedAs(tiles []Tile) bool {
	if len(c.painted) != len(tiles) {
		return false
	}
	for i := range tiles {
		if c.painted[i].rect != tiles[i].Rect {
			return false
		}
	}
	return true
}

// A Painter paints canvases. It keeps the names it has rendered. The zero
// value is ready; safe for concurrent use with different canvases.
type Painter struct {
	lettering lettering
}

// Paint makes c show tiles, and touches only those that have changed. It
// returns how many that were.
func (p *Painter) Paint(c *Canvas, tiles []Tile) (changed int) {
	anew := !c.arrangedAs(tiles)
	if anew {
		c.Picture.Fill(background)
		c.painted = make([]look, len(tiles))
	}
	for i := range tiles {
		if now := tiles[i].look(); anew || c.painted[i] != now {
			p.tile(c.Picture, &tiles[i])
			c.painted[i] = now
			changed++
		}
	}
	return changed
}

// tile paints one tile.
func (p *Painter) tile(canvas *yuv.Picture, t *Tile) {
	window := canvas.Window(t.Rect.X, t.Rect.Y, t.Rect.W, t.Rect.H)
	name := clean(t.Name)
	if t.Source != nil {
		t.Source.paint(&window, t.Whole)
	} else {
		p.avatar(&window, name)
	}
	p.label(&window, name)
	if t.Speaking {
		border(&window)
	}
}

// avatar fills a tile with a name's colour and initials.
func (p *Painter) avatar(tile *yuv.Picture, name string) {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name)) // a hash takes everything
	bg := hues[h.Sum32()%uint32(len(hues))]
	tile.Fill(bg)
	letters := initials(name)
	if letters == "" {
		return
	}
	pic := p.lettering.render(text{words: letters, size: max(8, tile.Height*2/5), room: tile.Width, ink: labelInk, bg: bg})
	if pic.Width > tile.Width || pic.Height > tile.Height {
		return
	}
	at := tile.Window(even((tile.Width-pic.Width)/2), even((tile.Height-pic.Height)/2), pic.Width, pic.Height)
	yuv.Copy(&at, pic)
}

// label puts a name into the lower left corner. Its background is opaque: a
// label that does not change costs the encoder nothing, whatever moves behind.
func (p *Painter) label(tile *yuv.Picture, name string) {
	size := min(max(tile.Height/14, 11), 26)
	margin := even(size / 2)
	room := tile.Width - 2*margin
	if name == "" || room < 4*size || tile.Height < 4*size {
		return
	}
	pic := p.lettering.render(text{words: name, size: size, room: room, ink: labelInk, bg: labelPaper})
	at := tile.Window(margin, even(tile.Height-pic.Height-margin), pic.Width, pic.Height)
	yuv.Copy(&at, pic)
}

// border marks a tile's edge.
func border(tile *yuv.Picture) {
	d := max(2, even(tile.Height/80))
	if 2*d >= tile.Width || 2*d >= tile.Height {
		return
	}
	for _, r := range []Rect{
		{0, 0, tile.Width, d},
		{0, tile.Height - d, tile.Width, d},
		{0, d, d, tile.Height - 2*d},
		{tile.Width - d, d, d, tile.Height - 2*d},
	} {
		edge := tile.Window(r.X, r.Y, r.W, r.H)
		edge.Fill(accent)
	}
}

// Write puts lines of text into the upper left part of a picture, each on paper
// of its own, large enough to be read where the picture is shown in half the size.
// What does not fit is cut.
func (p *Painter) Write(pic *yuv.Picture, lines []string) {
	size := max(pic.Height/18, 11)
	margin := even(size)
	y := margin
	for _, line := range lines {
		line = tidy(line, maxLine)
		if line == "" || pic.Width < 2*margin+4*size {
			continue
		}
		t := p.lettering.render(text{words: line, size: size, room: pic.Width - 2*margin, ink: labelInk, bg: labelPaper})
		if y+t.Height > pic.Height {
			return
		}
		at := pic.Window(margin, y, t.Width, t.Height)
		yuv.Copy(&at, t)
		y += t.Height
	}
}
