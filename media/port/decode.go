package port

import (
	"errors"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/yuv"
	"github.com/skybridge-media/skybridge/media/bridge"
)

const (
	// maxQueue is how many pictures may wait for the decoder: what a repaired
	// loss lets through at once. More means that it is too slow.
	maxQueue = 24

	// maxSpare is how many pictures are kept for reuse. The bridge and the
	// decoder hold two or three at a time.
	maxSpare = 4
)

// A decoder decodes one stream on a thread of its own while somebody wants to
// see it. The codec instance lives as long.
type decoder struct {
	codec   *codecs.Video
	log     *slog.Logger
	metrics *Metrics
	stopped atomic.Bool
	queue   chan *unit
	free    chan *unit
	spare   spare

	// wanted is the size at which the picture is seen, width<<32 | height; zero:
	// nobody has said.
	wanted atomic.Uint64
}

// want says at which size, in pixels, the picture is seen at most.
func (d *decoder) want(width, height int) {
	d.wanted.Store(uint64(max(width, 0))<<32 | uint64(uint32(max(height, 0))))
}

// A unit is an access unit on its way to the decoder.
type unit struct {
	data    []byte
	key     bool
	arrived time.Time
}

func newDecoder(codec *codecs.Video, log *slog.Logger, m *Metrics) *decoder {
	return &decoder{
		codec: codec, log: log, metrics: m,
		queue: make(chan *unit, maxQueue), free: make(chan *unit, maxQueue+1),
	}
}

// push queues data, which is borrowed for the call. It reports false if the
// decoder is too slow. Neither push nor stop may be called after stop, or
// while the other runs.
func (d *decoder) push(data []byte, key bool, arrived time.Time) bool {
	var u *unit
	select {
	case u = <-d.free:
	default:
		u = new(unit)
	}
	u.data, u.key, u.arrived = append(u.data[:0], data...), key, arrived
	select {
	case d.queue <- u:
		return true
	default:
		d.recycle(u)
		return false
	}
}

func (d *decoder) recycle(u *unit) {
	select {
	case d.free <- u:
	default:
	}
}

// stop ends run soon.
func (d *decoder) stop() {
	d.stopped.Store(true)
	close(d.queue)
}

// run decodes until stop. It gives each picture to show, and calls corrupt when
// a key frame is needed. The thread ends with it: its priority is low, so that
// audio comes first.
func (d *decoder) run(show func(*decoder, *bridge.SharedPicture), corrupt func(*decoder)) {
	runtime.LockOSThread()
	lowerPriority()
	var instance codecs.VideoDecoder
	release := func() {
		if instance != nil {
			_ = instance.Close() // frees memory; there is nothing to be done about an error
			instance = nil
		}
	}
	defer release()
	waiting := true // for a key frame
	for u := range d.queue {
		if d.stopped.Load() || waiting && !u.key {
			continue
		}
		if instance == nil {
			var err error
			if instance, err = d.codec.NewDecoder(); err != nil {
				d.log.Error("no video decoder", "codec", d.codec.Name, "err", err)
				return
			}
		}
		pic, err := instance.Decode(u.data)
		waiting = err != nil
		switch {
		case err == nil && pic != nil:
			d.metrics.decoded.Inc()
			wanted := d.wanted.Load()
			show(d, d.spare.keep(pic, int(wanted>>32), int(uint32(wanted)), u.arrived))
		case errors.Is(err, codecs.ErrCorrupt):
			d.metrics.undecodable.Inc()
			corrupt(d)
		case err != nil:
			d.log.Error("video decoder failed", "codec", d.codec.Name, "err", err)
			release()
			corrupt(d)
		}
		d.recycle(u)
	}
}

// spare keeps the memory of pictures that nobody holds any more. Safe for
// concurrent use.
type spare struct {
	mu       sync.Mutex // guards pictures
	pictures []*yuv.Picture
}

// keep returns what the decoder shows, which is borrowed, as a picture of its
// own with one reference. It is scaled down at once if it is seen smaller: the
// bridge would do that anyway, and what is not kept need not be copied.
func (s *spare) keep(pic *yuv.Picture, wantedWidth, wantedHeight int, received time.Time) *bridge.SharedPicture {
	own := s.take(shrunk(pic.Width, pic.Height, wantedWidth, wantedHeight))
	if own.Width == pic.Width {
		yuv.Copy(own, pic)
	} else {
		yuv.Scale(own, pic)
	}
	return bridge.NewSharedPicture(*own, received, func(*bridge.SharedPicture) { s.put(own) })
}

// shrunk returns the size at which to keep a picture that covers wantedWidth by
// wantedHeight pixels when it is seen. Its shape stays. A picture that would
// become only a little smaller stays as it is: it is likely to be scaled once
// more, and each time costs sharpness.
func shrunk(width, height, wantedWidth, wantedHeight int) (int, int) {
	w, h := wantedWidth, wantedHeight
	switch {
	case w <= 0 || h <= 0:
		return width, height
	case w*height > h*width:
		h = (w*height + width - 1) / width
	default:
		w = (h*width + height - 1) / height
	}
	w, h = (w+1)&^1, (h+1)&^1
	if 4*w > 3*width || 4*h > 3*height {
		return width, height
	}
	return w, h
}

// take returns a picture of that size. Those of another size are dropped: the
// sender has changed it.
func (s *spare) take(width, height int) *yuv.Picture {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.pictures) > 0 {
		p := s.pictures[len(s.pictures)-1]
		s.pictures = s.pictures[:len(s.pictures)-1]
		if p.Width == width && p.Height == height {
			return p
		}
	}
	return yuv.New(width, height)
}

func (s *spare) put(p *yuv.Picture) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.pictures) < maxSpare {
		s.pictures = append(s.pictures, p)
	}
}
