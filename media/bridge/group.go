package bridge

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/media/payload"
)

const (
	// keyEvery is how much time lies between two key frames of a group at
	// least, however many of its receivers ask.
	keyEvery = 500 * time.Millisecond

	// repair is how long a group whose encoder failed does without.
	repair = 5 * time.Second
)

// A group is one video encode: everybody who sees one view in one encoding. It
// has at most one picture under way: one that still waits for a worker is
// replaced by a newer one, and while one is encoded those that come are
// dropped. So it never falls behind by more than that.
type group struct {
	view  *view
	phase int  // of the group's frame rate against the bridge's
	due   bool // in this step

	// mu guards what follows, against the worker. Only the video goroutine
	// changes spec and eyes, and reads them without it.
	mu      sync.Mutex
	spec    VideoSpec
	eyes    []*eye // replaced, never changed
	stage   stage
	retired bool
	asked   int       // how often a key frame was asked for
	served  int       // which of these the last key frame has answered
	keyAt   time.Time // of that
	work    work      // what waits, or is encoded

	coder coder // of the worker while working
}

// work is one picture to encode.
type work struct {
	surface *surface
	spec    VideoSpec
	eyes    []*eye
	at      time.Time // of the picture
	queued  time.Time
	fresh   bool // it shows something for the first time
	key     bool
	answers int // requests for key frames up to now
}

// coder is an encoder instance.
type coder struct {
	codecs.VideoEncoder // nil before the first picture and after a failure
	bitrate             int
	unit                []byte
	rests               time.Time // until when, after a failure
}

func (w *view) newGroup(spec VideoSpec) *group {
	w.groupGauge().Inc()
	return &group{view: w, spec: spec}
}

// respec changes the bitrate.
func (g *group) respec(spec VideoSpec) {
	g.mu.Lock()
	g.spec = spec
	g.mu.Unlock()
}

// serve says who receives the group. Newcomers get a key frame first.
func (g *group) serve(eyes []*eye) {
	eyes = slices.Clone(eyes)
	g.mu.Lock()
	g.eyes = eyes
	g.mu.Unlock()
	for _, e := range eyes {
		if e.group != g {
			e.group = g
			e.watch(g)
			g.askKey()
		}
	}
}

// retire ends the group. A worker that is busy with it cleans up.
func (g *group) retire() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.retired = true
	if g.stage == idle {
		g.coder.close()
	}
	g.view.groupGauge().Dec()
}

// tick advances the group by one picture of the bridge's rate and reports
// whether it wants this one.
func (g *group) tick(rate int) bool {
	own := g.spec.Options.FrameRate
	if own <= 0 || own > rate {
		own = rate
	}
	g.phase += own
	g.due = g.phase >= rate
	if g.due {
		g.phase -= rate
	}
	return g.due
}

// askKey asks for a key frame as soon as the last one is old enough.
func (g *group) askKey() {
	g.mu.Lock()
	g.asked++
	g.mu.Unlock()
}

// wantsKey reports whether a picture at now is to be a key frame.
func (g *group) wantsKey(now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.keyDue(now)
}

// keyDue is wantsKey with mu held.
func (g *group) keyDue(now time.Time) bool {
	return g.asked > g.served && (g.keyAt.IsZero() || now.Sub(g.keyAt) >= keyEvery)
}

// ready reports whether begin would take a picture.
func (g *group) ready() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.stage != working
}

// begin takes s for encoding, and reports whether the group must be given to a
// worker for it.
func (g *group) begin(s *surface, at time.Time, fresh bool) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	b := g.view.video.bridge
	if g.retired {
		return false
	}
	if g.stage != idle {
		b.cfg.Metrics.droppedEncode.Inc()
	}
	if g.stage == working {
		return false
	}
	s.readers.Add(1)
	was := g.work
	g.work = work{
		surface: s, spec: g.spec, eyes: g.eyes,
		at: at, queued: time.Now(), fresh: fresh,
		key: g.keyDue(at), answers: g.asked,
	}
	if g.stage == queued {
		was.surface.readers.Add(-1)
		g.work.queued = was.queued
		return false
	}
	g.stage = queued
	b.running.Add(1)
	return true
}

// run encodes and sends the picture, on a worker.
func (g *group) Run() {
	b := g.view.video.bridge
	defer b.running.Done()
	g.mu.Lock()
	g.stage = working
	retired := g.retired
	w := g.work
	g.work = work{}
	g.mu.Unlock()

	b.cfg.Metrics.workerWait.Observe(time.Since(w.queued).Seconds())
	var frame *VideoFrame
	var err error
	if !retired {
		frame, err = g.encode(&w)
	}
	if err != nil {
		b.cfg.Metrics.codecErrors.Inc()
		b.cfg.Log.Error("video encoder failed", "codec", w.spec.Codec.Name, "err", err)
		g.coder.close()
		g.coder.rests = w.at.Add(repair)
	}
	if frame != nil && w.fresh {
		for _, received := range w.surface.received {
			b.cfg.Metrics.videoLatency.Observe(time.Since(received).Seconds())
		}
	}
	w.surface.readers.Add(-1) // may be painted again while this is sent
	if frame != nil {
		for _, e := range w.eyes {
			e.show(g, frame)
		}
	}

	g.mu.Lock()
	defer g.mu.Unlock()
	g.stage = idle
	if frame != nil && frame.Key {
		g.served, g.keyAt = w.answers, w.at
	}
	if g.retired {
		g.coder.close()
	}
}

// encode returns the picture in packets, or nil if the rate control has
// dropped it or the encoder rests.
func (g *group) encode(w *work) (*VideoFrame, error) {
	b, c := g.view.video.bridge, &g.coder
	if w.at.Before(c.rests) {
		return nil, nil
	}
	if err := c.open(w.spec); err != nil {
		return nil, err
	}
	unit, key, err := c.Encode(c.unit[:0], w.surface.at(w.spec.Options.Width, w.spec.Options.Height), w.key)
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	c.unit = unit
	if len(unit) == 0 {
		b.cfg.Metrics.droppedByRate.Inc()
		return nil, nil
	}
	b.cfg.Metrics.framesEncoded.Inc()
	if key {
		b.cfg.Metrics.keyFrames.Inc()
	}
	payloads, err := payload.Packetize(w.spec.Codec.Name, unit, w.spec.Mode, w.spec.Payload)
	if err != nil {
		return nil, err
	}
	return &VideoFrame{
		Payloads:  payloads,
		Timestamp: timestamp(w.at),
		Key:       key,
		Captured:  w.at,
	}, nil
}

// open makes an instance if there is none, with the bitrate of spec.
func (c *coder) open(spec VideoSpec) (err error) {
	if c.VideoEncoder == nil {
		if c.VideoEncoder, err = spec.Codec.NewEncoder(spec.Options); err != nil {
			c.VideoEncoder = nil
			return fmt.Errorf("new encoder: %w", err)
		}
		c.bitrate = spec.Options.Bitrate
	}
	if c.bitrate == spec.Options.Bitrate {
		return nil
	}
	c.bitrate = spec.Options.Bitrate
	return c.SetBitrate(c.bitrate)
}

// close releases the instance.
func (c *coder) close() {
	if c.VideoEncoder != nil {
		_ = c.Close() // frees memory; there is nothing to be done about an error
		c.VideoEncoder = nil
	}
}
