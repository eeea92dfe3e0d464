package bridge

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/skybridge-media/skybridge/codecs/yuv"
	"github.com/skybridge-media/skybridge/media/compose"
)

// A surface is a canvas with those who read it, and the smaller pictures made
// of it. It is painted only while nobody reads.
type surface struct {
	canvas   *compose.Canvas
	readers  atomic.Int32
	received []time.Time // when those pictures arrived that it was the first to show

	mu    sync.Mutex // guards sizes
	sizes []derived
}

// derived is the canvas in another size.
type derived struct {
	picture *yuv.Picture
	current bool
}

func newSurface(width, height int) *surface {
	return &surface{canvas: compose.NewCanvas(width, height)}
}

// is reports whether the surface has a size.
func (s *surface) is(width, height int) bool {
	return s.canvas.Picture.Width == width && s.canvas.Picture.Height == height
}

// repainted notes that the canvas is about to change.
func (s *surface) repainted() {
	for i := range s.sizes {
		s.sizes[i].current = false
	}
}

// at returns the picture in a size, scaling it once. The caller is a reader,
// and may use the result as long as it is one.
func (s *surface) at(width, height int) *yuv.Picture {
	if s.is(width, height) {
		return s.canvas.Picture
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.sizes {
		d := &s.sizes[i]
		if d.picture.Width != width || d.picture.Height != height {
			continue
		}
		if !d.current {
			scaleWhole(d.picture, s.canvas.Picture)
			d.current = true
		}
		return d.picture
	}
	d := derived{yuv.New(width, height), true}
	scaleWhole(d.picture, s.canvas.Picture)
	s.sizes = append(s.sizes, d)
	return d.picture
}

// scaleWhole fits all of src into dst between bars, which dst has already. A
// composition is never cropped: at its edges are names. A difference in shape
// of up to 3 % is stretched instead, which nobody sees.
func scaleWhole(dst, src *yuv.Picture) {
	w, h := dst.Width, dst.Height
	switch {
	case src.Width*h*100 > w*src.Height*103:
		h = max(2, (src.Height*w/src.Width)&^1)
	case w*src.Height*100 > src.Width*h*103:
		w = max(2, (src.Width*h/src.Height)&^1)
	}
	window := dst.Window((dst.Width-w)/2&^1, (dst.Height-h)/2&^1, w, h)
	yuv.Scale(&window, src)
}
