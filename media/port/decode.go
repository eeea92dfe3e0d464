package port

import (
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/yuv"
	"github.com/skybridge-media/skybridge/media/bridge"
	"github.com/skybridge-media/skybridge/media/compose"
)

const (
	// maxQueue is how many pictures may wait for the decoder: what a repaired
	// loss lets through at once. More means that it is too slow.
	maxQueue = 24

	// maxSpare is how many pictures are kept for reuse. The bridge and the
	// decoder hold two or three at a time.
	maxSpare = 4
)

// A decoder decodes one stream while somebody wants to see it. It has no thread:
// while access units wait, it is a job of the workers that compose and encode as
// well, one picture at a time. As many pictures as there are processors are worked on
// at once, each to its end, which the caches thank: a thread for each stream, all
// busy in turns, made decoding half as dear again. The codec instance lives as
// long as the decoder.
type decoder struct {
	codec   *codecs.Video
	log     *slog.Logger
	metrics *Metrics
	submit  func(bridge.Job)
	ended   func()         // is told that the codec is freed
	corrupt func(*decoder) // is told that a key frame is needed

	// show takes each picture, and is told in which size it was sent.
	show func(d *decoder, p *bridge.SharedPicture, width, height int)

	spare spare

	// wanted is the size at which the picture is seen, width<<32 | height; zero:
	// nobody has said.
	wanted atomic.Uint64

	mu      sync.Mutex // guards what follows
	queue   []*unit
	free    []*unit
	busy    bool // it is a job, waiting or at work
	stopped bool

	// Of whoever runs the job.
	instance codecs.VideoDecoder
	waiting  bool // for a key frame
	broken   bool // the codec cannot be had
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

// push queues data, which is borrowed for the call. It reports false if the
// decoder is too slow. It may not be called after stop.
func (d *decoder) push(data []byte, key bool, arrived time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.queue) == maxQueue {
		return false
	}
	u := &unit{}
	if n := len(d.free); n > 0 {
		u, d.free = d.free[n-1], d.free[:n-1]
	}
	u.data, u.key, u.arrived = append(u.data[:0], data...), key, arrived
	d.queue = append(d.queue, u)
	d.start()
	return true
}

// stop ends decoding soon. It is called once.
func (d *decoder) stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stopped, d.queue = true, nil
	d.start()
}

// start makes d a job if it is none. mu is held.
func (d *decoder) start() {
	if !d.busy {
		d.busy = true
		d.submit(d)
	}
}

// Run decodes one picture, or frees the codec after stop. If there is more, d
// queues up again behind others.
func (d *decoder) Run() {
	d.mu.Lock()
	if d.stopped {
		d.mu.Unlock()
		d.release()
		d.ended()
		return
	}
	u := d.queue[0]
	copy(d.queue, d.queue[1:])
	d.queue = d.queue[:len(d.queue)-1]
	d.mu.Unlock()

	d.decode(u)

	d.mu.Lock()
	defer d.mu.Unlock()
	d.free = append(d.free, u)
	if d.busy = false; len(d.queue) > 0 || d.stopped {
		d.start()
	}
}

func (d *decoder) decode(u *unit) {
	if d.waiting && !u.key || d.broken {
		return
	}
	if d.instance == nil {
		var err error
		if d.instance, err = d.codec.NewDecoder(); err != nil {
			d.log.Error("no video decoder", "codec", d.codec.Name, "err", err)
			d.broken = true
			return
		}
	}
	pic, err := d.instance.Decode(u.data)
	d.waiting = err != nil
	switch {
	case err == nil && pic != nil:
		d.metrics.decoded.Inc()
		wanted := d.wanted.Load()
		d.show(d, d.spare.keep(pic, int(wanted>>32), int(uint32(wanted)), u.arrived), pic.Width, pic.Height)
	case errors.Is(err, codecs.ErrCorrupt):
		d.metrics.undecodable.Inc()
		d.corrupt(d)
	case err != nil:
		d.log.Error("video decoder failed", "codec", d.codec.Name, "err", err)
		d.release()
		d.corrupt(d)
	}
}

// release frees the codec.
func (d *decoder) release() {
	if d.instance != nil {
		_ = d.instance.Close() // frees memory; there is nothing to be done about an error
		d.instance = nil
	}
}

// spare keeps the memory of pictures that nobody holds any more. Safe for
// concurrent use.
type spare struct {
	whole bool // nothing is cut off

	mu       sync.Mutex // guards pictures
	pictures []*yuv.Picture
}

// keep returns what the decoder shows, which is borrowed, as a picture of its
// own with one reference. If it is seen smaller it is cut and scaled to that at
// once: the bridge would do so anyway, and what is not kept need not be copied.
func (s *spare) keep(pic *yuv.Picture, wantedWidth, wantedHeight int, received time.Time) *bridge.SharedPicture {
	src := *pic
	width, height := pic.Width, pic.Height
	if smaller(pic, wantedWidth, wantedHeight) {
		fit := compose.Fit
		if s.whole {
			fit = compose.FitWhole
		}
		from, to := fit(width, height, wantedWidth&^1, wantedHeight&^1)
		src = pic.Window(from.X, from.Y, from.W, from.H)
		width, height = to.W, to.H
	}
	own := s.take(width, height)
	if width == src.Width && height == src.Height {
		yuv.Copy(own, &src)
	} else {
		yuv.Scale(own, &src)
	}
	return bridge.NewSharedPicture(*own, received, func(*bridge.SharedPicture) { s.put(own) })
}

// smaller reports whether it is worth keeping a picture in the size in which it
// is seen. One that would become only a little smaller stays as it is: where
// several look at it, it is scaled once more, and each time costs sharpness.
func smaller(pic *yuv.Picture, wantedWidth, wantedHeight int) bool {
	return wantedWidth >= 2 && wantedHeight >= 2 && 4*wantedWidth <= 3*pic.Width && 4*wantedHeight <= 3*pic.Height
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
