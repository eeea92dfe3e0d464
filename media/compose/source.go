package compose

import (
	"sync"
	"sync/atomic"

	"github.com/skybridge-media/skybridge/codecs/yuv"
)

// maxCrop is the part of a picture's width or height that may be cut off to
// make it fill its tile, as 1/maxCrop.
const maxCrop = 8

// A Source is one picture of one participant, with the sizes it has been
// scaled to. It may be painted on several canvases at the same time; it is safe
// for concurrent use, but for its fields, which are not to be changed.
type Source struct {
	// Picture is immutable while anybody holds a reference.
	Picture *yuv.Picture

	// Serial identifies the content: a canvas that shows this one already is
	// not painted again. Never zero.
	Serial uint64

	// Shared says that several canvases show it. Each size is then scaled once
	// and copied, instead of being scaled onto each canvas.
	Shared bool

	mu     sync.Mutex // guards scaled
	scaled []*yuv.Picture

	refs    atomic.Int32
	pool    *Pool
	release func()
}

// NewSource wraps pic with one reference. release, which may be nil, is called
// when nobody holds it any more.
func (p *Pool) NewSource(pic *yuv.Picture, release func()) *Source {
	s := &Source{Picture: pic, Serial: p.serial.Add(1), pool: p, release: release}
	s.refs.Store(1)
	return s
}

// Retain adds a reference. The caller holds one already.
func (s *Source) Retain() { s.refs.Add(1) }

// Release gives one back.
func (s *Source) Release() {
	if s.refs.Add(-1) > 0 {
		return
	}
	for _, pic := range s.scaled {
		s.pool.put(pic)
	}
	s.scaled = nil
	if s.release != nil {
		s.release()
	}
}

// paint fits the source into a tile, all of it if whole is set.
func (s *Source) paint(tile *yuv.Picture, whole bool) {
	fit := Fit
	if whole {
		fit = FitWhole
	}
	from, to := fit(s.Picture.Width, s.Picture.Height, tile.Width, tile.Height)
	src := s.Picture.Window(from.X, from.Y, from.W, from.H)
	dst := tile.Window(to.X, to.Y, to.W, to.H)
	if s.Shared {
		yuv.Copy(&dst, s.scaledTo(&src, to.W, to.H))
	} else {
		yuv.Scale(&dst, &src)
	}
	for _, bar := range [...]Rect{
		{0, 0, tile.Width, to.Y},
		{0, to.Y + to.H, tile.Width, tile.Height - to.Y - to.H},
		{0, to.Y, to.X, to.H},
		{to.X + to.W, to.Y, tile.Width - to.X - to.W, to.H},
	} {
		if bar.W > 0 && bar.H > 0 {
			black := tile.Window(bar.X, bar.Y, bar.W, bar.H)
			black.Fill(yuv.Black)
		}
	}
}

// scaledTo returns src scaled to a size, doing it once. Whoever comes second
// waits for the first, which is faster than doing it twice. The part of the
// picture that src is follows from the size.
func (s *Source) scaledTo(src *yuv.Picture, w, h int) *yuv.Picture {
	if src.Width == w && src.Height == h {
		return src
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, pic := range s.scaled {
		if pic.Width == w && pic.Height == h {
			return pic
		}
	}
	pic := s.pool.get(w, h)
	yuv.Scale(pic, src)
	s.scaled = append(s.scaled, pic)
	return pic
}

// Fit returns which part of a picture is shown in which part of a tile, without
// changing its aspect. All numbers are even.
func Fit(w, h, tileW, tileH int) (from, to Rect) {
	from, to = Rect{W: w, H: h}, Rect{W: tileW, H: tileH}
	switch excessW, excessH := w*tileH-tileW*h, h*tileW-tileH*w; {
	case excessW*maxCrop > w*tileH: // much too wide
		to.H = max(2, even(h*tileW/w))
		to.Y = even((tileH - to.H) / 2)
	case excessH*maxCrop > h*tileW: // much too tall
		to.W = max(2, even(w*tileH/h))
		to.X = even((tileW - to.W) / 2)
	case excessW > 0:
		from.W = max(2, even(tileW*h/tileH))
		from.X = even((w - from.W) / 2)
	case excessH > 0:
		from.H = max(2, even(tileH*w/tileW))
		from.Y = even((h - from.H) / 2)
	}
	return from, to
}

// FitWhole does the same without cutting anything off. Bars that would be as
// thin as what rounding to even numbers leaves are filled instead.
func FitWhole(w, h, tileW, tileH int) (from, to Rect) {
	from, to = Rect{W: w, H: h}, Rect{W: tileW, H: tileH}
	switch {
	case w*tileH > tileW*h:
		to.H = max(2, even(h*tileW/w))
	case h*tileW > tileH*w:
		to.W = max(2, even(w*tileH/h))
	}
	const thin = 4
	if tileW-to.W < thin {
		to.W = tileW
	}
	if tileH-to.H < thin {
		to.H = tileH
	}
	to.X, to.Y = even((tileW-to.W)/2), even((tileH-to.H)/2)
	return from, to
}

// A Pool keeps pictures for reuse by their size. The zero value is empty and
// ready; safe for concurrent use.
type Pool struct {
	serial atomic.Uint64

	mu   sync.Mutex // guards free
	free map[[2]int][]*yuv.Picture
}

// spares is how many pictures of one size a Pool keeps. A conference has about
// as many of a size under way as it has tiles.
const spares = 16

// get returns a picture of the given size with arbitrary content.
func (p *Pool) get(w, h int) *yuv.Picture {
	size := [2]int{w, h}
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.free[size]); n > 0 {
		pic := p.free[size][n-1]
		p.free[size] = p.free[size][:n-1]
		return pic
	}
	return yuv.New(w, h)
}

// put gives a picture back.
func (p *Pool) put(pic *yuv.Picture) {
	size := [2]int{pic.Width, pic.Height}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.free == nil {
		p.free = map[[2]int][]*yuv.Picture{}
	}
	if len(p.free[size]) < spares {
		p.free[size] = append(p.free[size], pic)
	}
}
