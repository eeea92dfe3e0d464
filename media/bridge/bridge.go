package bridge

import (
	"cmp"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/skybridge-media/skybridge/media/compose"
)

// Config says how a bridge works. The zero value works, with a pool of encode
// threads of its own and unregistered metrics.
type Config struct {
	Log     *slog.Logger // nil logs nothing
	Metrics *Metrics     // nil counts unseen

	// Notify receives [SpeakerChanged] and [TickLate], from goroutines of the
	// bridge, never more than five of a kind per second. It must not block and
	// must not call the bridge.
	Notify func(event any)

	// Workers compose and encode video. They are shared by all bridges of a
	// process and outlive them.
	Workers *Workers

	// Heard is how many participants are mixed at once; zero means
	// [mix.DefaultHeard].
	Heard int

	// Width and Height of the canvas, and how many pictures per second are
	// composed at most. Zero means 1280, 720 and 30.
	Width, Height, FrameRate int
}

// A Bridge mixes and composes one conference on one node. It has a goroutine
// for audio while legs are attached and one for video while somebody receives
// any, so an empty bridge costs no CPU. All methods are safe for concurrent use.
type Bridge struct {
	cfg        Config
	ownWorkers bool

	// mu guards what follows and orders the publication of roster.
	mu      sync.Mutex
	plan    *Plan
	layout  *compose.Layout
	legs    []*leg // in order of attachment
	closed  bool
	ticking bool // the audio goroutine runs

	filming  atomic.Bool // the video goroutine runs; changed under mu
	roster   atomic.Pointer[roster]
	speakers atomic.Pointer[speakers]

	tick sync.Mutex // held during an audio tick
	shot sync.Mutex // held while the video clock looks at legs

	stop    chan struct{} // closed by Close
	running sync.WaitGroup
}

// New returns a bridge without legs and with an empty plan.
func New(cfg Config) *Bridge {
	b := &Bridge{cfg: cfg, plan: &Plan{}, stop: make(chan struct{})}
	b.layout, _ = compose.Parse(compose.Default)
	if b.cfg.Log == nil {
		b.cfg.Log = slog.New(slog.DiscardHandler)
	}
	if b.cfg.Metrics == nil {
		b.cfg.Metrics = NewMetrics(nil)
	}
	if b.cfg.Notify == nil {
		b.cfg.Notify = func(any) {}
	}
	b.cfg.Width = cmp.Or(cfg.Width, 1280)
	b.cfg.Height = cmp.Or(cfg.Height, 720)
	b.cfg.FrameRate = cmp.Or(cfg.FrameRate, 30)
	if b.cfg.Workers == nil {
		b.cfg.Workers = NewWorkers(0)
		b.ownWorkers = true
	}
	b.publish()
	b.speakers.Store(&speakers{})
	b.cfg.Metrics.bridges.Inc()
	return b
}

// Apply replaces the plan. It takes effect with the next tick and the next
// picture. An unknown layout is logged and the default taken instead.
func (b *Bridge) Apply(p *Plan) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	if l, err := compose.Parse(p.Layout); err == nil {
		b.layout = l
	} else {
		b.cfg.Log.Warn("plan names an unknown layout", "err", err)
		b.layout, _ = compose.Parse(compose.Default)
	}
	b.plan = p
	b.publish()
}

// Attach adds a participant's media. id is that of a [Member]; a leg attached
// before under the same id is detached. The bridge does not own the leg. held is
// what holds for it as long as no plan has listed it.
func (b *Bridge) Attach(id string, l Leg, held bool) {
	b.Detach(id)
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.find(id) >= 0 { // somebody else was faster
		b.mu.Unlock()
		b.Detach(id)
		b.mu.Lock()
	}
	if b.closed {
		return
	}
	b.legs = append(slices.Clip(b.legs), newLeg(id, l, held))
	b.cfg.Metrics.legs.Inc()
	b.publish()
	if !b.ticking {
		b.ticking = true
		b.running.Go(b.runAudio)
	}
}

// Detach removes a leg and returns when the bridge no longer touches it: after
// a few milliseconds, if a tick is under way. Unknown ids are ignored.
func (b *Bridge) Detach(id string) {
	b.mu.Lock()
	i := b.find(id)
	if i < 0 {
		b.mu.Unlock()
		return
	}
	gone := b.legs[i]
	b.legs = slices.Concat(b.legs[:i], b.legs[i+1:])
	b.cfg.Metrics.legs.Dec()
	b.publish()
	b.mu.Unlock()

	// Whoever loads the roster from here on does not find the leg. Those who
	// did before are waited for.
	b.tick.Lock()
	b.tick.Unlock() //nolint:staticcheck // an empty section: to have been in it is the point
	b.shot.Lock()
	b.shot.Unlock() //nolint:staticcheck // likewise
	gone.leave()
}

// find returns the index of the leg attached as id, or -1. It needs mu.
func (b *Bridge) find(id string) int {
	return slices.IndexFunc(b.legs, func(l *leg) bool { return l.id == id })
}

// Close detaches all legs, ends the bridge's goroutines and waits for them.
// Later calls of any method do nothing.
func (b *Bridge) Close() {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return
	}
	b.closed = true
	legs := b.legs
	b.legs = nil
	b.cfg.Metrics.legs.Sub(float64(len(legs)))
	b.publish()
	close(b.stop)
	b.mu.Unlock()

	b.running.Wait()
	if b.ownWorkers {
		b.cfg.Workers.Close()
	}
	b.cfg.Metrics.bridges.Dec()
}
