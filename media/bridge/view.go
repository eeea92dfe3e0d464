package bridge

import (
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/skybridge-media/skybridge/media/compose"
)

const (
	// refine is for how many pictures after the last change encoding goes on,
	// so that what stands still becomes sharp.
	refine = 15

	// heartbeats is how often per second a picture that stands still is sent
	// again, so that receivers see that nothing was lost.
	heartbeats = 2

	// maxSurfaces bounds how many compositions of one view are under way: one
	// being painted while encoders of different speed work on two others.
	maxSurfaces = 3

	// contentWidth and contentHeight are the largest picture that is made of
	// what somebody presents.
	contentWidth, contentHeight = 1920, 1080
)

// A view is one composition, seen by some. It has at most one picture waiting
// for a worker, which is replaced by a newer one while it waits, and one being
// painted. Not safe for concurrent use, but for what mu guards.
type view struct {
	video         *video
	content       bool // it shows what is presented, and nothing else
	arrangement   *compose.Arrangement
	eyes          []*eye
	groups        []*group
	width, height int // of the canvas
	still         int // pictures since the last change
	surfaces      []*surface

	// mu guards what follows between the video goroutine and the worker, which
	// has them for itself while working.
	mu     sync.Mutex
	stage  stage
	last   *surface       // the latest that was painted
	next   *surface       // the one to paint
	tiles  []compose.Tile // what to paint
	due    []*group       // who is to encode it
	at     time.Time      // of the picture
	queued time.Time
	newest [2]uint64 // serial of the latest source there was: when last was painted, when tiles was made
}

// stage is how far a picture has come.
type stage int

const (
	idle stage = iota
	queued
	working
)

func (v *video) newView(content bool) *view {
	v.bridge.cfg.Metrics.views.Inc()
	return &view{video: v, content: content}
}

// groupGauge counts the encoders of such views.
func (w *view) groupGauge() prometheus.Gauge {
	if w.content {
		return w.video.bridge.cfg.Metrics.contentGroups
	}
	return w.video.bridge.cfg.Metrics.videoGroups
}

// retire ends the view. A worker that is busy with it finishes its picture.
func (w *view) retire() {
	for _, g := range w.groups {
		g.retire()
	}
	w.groups = nil
	w.video.bridge.cfg.Metrics.views.Dec()
}

// regroup divides the view's eyes by how they want it encoded, keeping
// encoders where it can, and decides how large the canvas must be.
func (w *view) regroup() {
	wanted := map[VideoSpec][]*eye{}
	var specs []VideoSpec // in order of first appearance
	for _, e := range w.eyes {
		if wanted[e.spec] == nil {
			specs = append(specs, e.spec)
		}
		wanted[e.spec] = append(wanted[e.spec], e)
	}
	was := w.groups
	w.groups = nil
	take := func(spec VideoSpec, fits func(g *group) bool) *group {
		i := slices.IndexFunc(was, fits)
		if i < 0 {
			return nil
		}
		g := was[i]
		was = slices.Delete(slices.Clone(was), i, i+1)
		g.respec(spec)
		w.groups = append(w.groups, g)
		return g
	}
	var fresh []VideoSpec
	for _, spec := range specs {
		if g := take(spec, func(g *group) bool { return g.spec == spec }); g != nil {
			g.serve(wanted[spec])
		} else {
			fresh = append(fresh, spec)
		}
	}
	for _, spec := range fresh {
		// A group of which everybody moves to another bitrate moves as a whole.
		g := take(spec, func(g *group) bool { return sameButBitrate(g.spec, spec) })
		if g == nil {
			g = w.newGroup(spec)
			w.groups = append(w.groups, g)
		}
		g.serve(wanted[spec])
	}
	for _, g := range was {
		g.retire()
	}
	w.resize(specs)
}

func sameButBitrate(a, b VideoSpec) bool {
	a.Options.Bitrate, b.Options.Bitrate = 0, 0
	return a == b
}

// resize makes the canvas as large as the largest receiver wants it, within
// what the bridge is configured for. What is presented may be larger: it is read.
func (w *view) resize(specs []VideoSpec) {
	maxW, maxH := w.video.bridge.cfg.Width, w.video.bridge.cfg.Height
	if w.content {
		maxW, maxH = contentWidth, contentHeight
	}
	width, height := 0, 0
	for _, s := range specs {
		sw, sh := within(s.Options.Width, s.Options.Height, maxW, maxH)
		if sw*sh > width*height {
			width, height = sw, sh
		}
	}
	if width == w.width && height == w.height {
		return
	}
	w.width, w.height = width, height
	w.surfaces = nil // those under way are somebody's last
}

// within returns the largest canvas for a receiver of w by h pixels: its own
// size if that has nearly the shape of the configured canvas, otherwise that
// shape inside it.
func within(w, h, maxW, maxH int) (int, int) {
	if w > maxW || h > maxH {
		if w*maxH > maxW*h {
			w, h = maxW, h*maxW/w
		} else {
			w, h = w*maxH/h, maxH
		}
	}
	switch {
	case w*maxH*7 > maxW*h*8: // wider by more than an eighth
		w = h * maxW / maxH
	case h*maxW*7 > maxH*w*8:
		h = w * maxH / maxW
	}
	return max(2, w&^1), max(2, h&^1)
}

// shoot has the next picture of the view painted and encoded, as far as that
// is due, needed, and possible.
func (w *view) shoot(now time.Time) {
	due := 0
	for _, g := range w.groups {
		if g.tick(w.video.bridge.cfg.FrameRate) {
			due++
		}
	}
	if due == 0 {
		return
	}
	cfg := &w.video.bridge.cfg
	w.mu.Lock()
	defer w.mu.Unlock()
	switch w.stage {
	case working: // the workers are behind
		cfg.Metrics.droppedCompose.Inc()
		return
	case queued: // even more so: what waits is replaced
		cfg.Metrics.droppedCompose.Inc()
		w.drop()
		w.cut(w.build(), now)
		w.prepare(now)
		return
	}
	w.due = w.due[:0]
	changed := w.build()
	w.cut(changed, now)
	cfg.Metrics.framesUnchanged.Add(float64(due - len(w.due)))
	switch {
	case len(w.due) == 0:
	case changed && !slices.ContainsFunc(w.due, (*group).ready):
		// It would be painted for nobody, and on a surface of its own.
		cfg.Metrics.droppedEncode.Add(float64(len(w.due)))
	case changed:
		if w.prepare(now) {
			w.stage, w.queued = queued, time.Now()
			w.video.bridge.running.Add(1)
			cfg.Workers.Submit(w)
		}
	default:
		for _, g := range w.due {
			if g.begin(w.last, now, false) {
				cfg.Workers.Submit(g)
			}
		}
	}
}

// build fills tiles with what is to be seen now, and reports whether that
// differs from what was painted last. It needs mu.
func (w *view) build() (changed bool) {
	w.tiles = w.tiles[:0]
	for i, id := range w.arrangement.Seats {
		t := compose.Tile{Rect: w.arrangement.Rect(i, w.width, w.height)}
		a := w.video.cast[id]
		t.Name = a.member.Name
		t.Whole = id == presentation
		t.Speaking = id == w.video.speakers.current && len(w.arrangement.Seats) > 1
		if a.eye != nil && !a.member.VideoMuted {
			t.Source = a.eye.source
		}
		w.tiles = append(w.tiles, t)
	}
	return w.last == nil || !w.last.is(w.width, w.height) || !w.last.canvas.Shows(w.tiles)
}

// cut adds to due the groups that encode this picture: after a change all whose
// rate allows, without one whoever needs a sharper picture, a key frame or a
// sign of life. It needs mu.
func (w *view) cut(changed bool, now time.Time) {
	w.still++
	if changed {
		w.still = 0
	}
	heartbeat := max(1, w.video.bridge.cfg.FrameRate/heartbeats)
	for _, g := range w.groups {
		if !g.due || slices.Contains(w.due, g) {
			continue
		}
		if changed || w.still <= refine || w.still%heartbeat == 0 || g.wantsKey(now) {
			w.due = append(w.due, g)
		}
	}
}

// prepare makes tiles ready to be painted by a worker, and reports false if
// there is nothing to paint on because all encoders are behind. It needs mu.
func (w *view) prepare(now time.Time) bool {
	if w.next = w.free(); w.next == nil {
		w.video.bridge.cfg.Metrics.droppedCompose.Inc()
		return false
	}
	w.at = now
	w.next.received = w.next.received[:0]
	for i, t := range w.tiles {
		if t.Source == nil {
			continue
		}
		t.Source.Retain()
		if t.Source.Serial > w.newest[0] {
			shown := w.video.cast[w.arrangement.Seats[i]].eye
			w.next.received = append(w.next.received, shown.picture.Received)
		}
	}
	w.newest[1] = w.video.newest
	return true
}

// drop gives back what prepare has retained. It needs mu, or the stage working.
func (w *view) drop() {
	for i := range w.tiles {
		if s := w.tiles[i].Source; s != nil {
			s.Release()
			w.tiles[i].Source = nil
		}
	}
}

// free returns a surface that nobody reads: preferably the latest, on which
// least has to be painted.
func (w *view) free() *surface {
	if w.last != nil && w.last.is(w.width, w.height) && w.last.readers.Load() == 0 {
		return w.last
	}
	for _, s := range w.surfaces {
		if s.readers.Load() == 0 {
			return s
		}
	}
	if len(w.surfaces) == maxSurfaces {
		return nil
	}
	s := newSurface(w.width, w.height)
	w.surfaces = append(w.surfaces, s)
	return s
}

// Run paints, on a worker, and hands the picture to the encoders. The first of
// them runs on the same worker, whose cache holds the picture.
func (w *view) Run() {
	b := w.video.bridge
	defer b.running.Done()
	w.mu.Lock()
	w.stage = working
	w.newest[0] = w.newest[1]
	w.mu.Unlock()

	b.cfg.Metrics.workerWait.Observe(time.Since(w.queued).Seconds())
	w.next.repainted()
	w.video.painter.Paint(w.next.canvas, w.tiles)
	w.drop()
	b.cfg.Metrics.framesComposed.Inc()
	var first *group
	for _, g := range w.due {
		switch {
		case !g.begin(w.next, w.at, true):
		case first == nil:
			first = g
		default:
			b.cfg.Workers.Submit(g)
		}
	}

	w.mu.Lock()
	w.last, w.stage = w.next, idle
	w.mu.Unlock()
	if first != nil {
		first.Run()
	}
}
