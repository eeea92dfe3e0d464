// Package echo is a participant that gives others back what they say and show,
// a second later, that can speak, and that writes on its picture: the far end of
// a test call.
//
// It is a leg like any other. In a bridge with one other participant it hears
// and sees that one, and is what that one hears and sees. Sound comes to it
// uncompressed; pictures come as they do to everybody, in packets, of which a
// second is small, and are decoded when it is over.
package echo

import (
	"log/slog"
	"sync"
	"time"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/pcm"
	"github.com/skybridge-media/skybridge/media/bridge"
)

// DefaultDelay is long enough to tell the echo from one's own voice, and short
// enough to remember what was said.
const DefaultDelay = time.Second

// Rate is that of all sound here, in Hz; it is mono.
const Rate = 48000

const samples = Rate / 50 // of one Tick

// maxSpeech bounds what waits to be said, in samples: a minute.
const maxSpeech = 60 * Rate

// Config of an [Echo].
type Config struct {
	Log     *slog.Logger    // nil: nothing is logged
	Delay   time.Duration   // zero means DefaultDelay; in whole Ticks
	Video   *codecs.Video   // in which pictures come here; nil: there are none
	Deaf    bool            // nothing is given back: it only speaks and writes
	Workers *bridge.Workers // decode and paint; nil: the echo by itself
}

var _ bridge.Leg = (*Echo)(nil)

// An Echo implements [bridge.Leg]. Safe for concurrent use.
type Echo struct {
	cfg   Config
	sight *sight // nil without video

	mu     sync.Mutex // guards what follows: the bridge's tick against who speaks
	heard  []pcm.Frame
	at     int       // of the oldest in heard, which is what is due
	speech pcm.Frame // not said yet
	closed bool
}

// New returns an Echo, which must be closed.
func New(cfg Config) *Echo {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Delay == 0 {
		cfg.Delay = DefaultDelay
	}
	e := &Echo{cfg: cfg, heard: make([]pcm.Frame, max(1, int(cfg.Delay/bridge.Tick)))}
	for i := range e.heard {
		e.heard[i] = make(pcm.Frame, samples)
	}
	if cfg.Video != nil {
		e.sight = newSight(cfg)
	}
	return e
}

// Say says speech, of [Rate], after what is being said, and returns how long it
// is until that is over. What is too long is cut.
func (e *Echo) Say(speech pcm.Frame) time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.speech = append(e.speech, speech[:min(len(speech), maxSpeech-len(e.speech))]...)
	return time.Duration(len(e.speech)) * time.Second / Rate
}

// Hush ends what is being said.
func (e *Echo) Hush() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.speech = nil
}

// Show writes lines on the picture, in place of those before.
func (e *Echo) Show(lines []string) {
	if e.sight != nil {
		e.sight.write(lines)
	}
}

// Close ends everything and waits for it. Later calls do nothing.
func (e *Echo) Close() {
	e.mu.Lock()
	first := !e.closed
	e.closed = true
	e.mu.Unlock()
	if first && e.sight != nil {
		e.sight.close()
	}
}

// NextAudio implements [bridge.Leg].
func (e *Echo) NextAudio() bridge.AudioTick {
	e.mu.Lock()
	defer e.mu.Unlock()
	return bridge.AudioTick{Voice: len(e.speech) > 0 || !silent(e.heard[e.at]), Rate: Rate}
}

func silent(f pcm.Frame) bool {
	for _, s := range f {
		if s != 0 {
			return false
		}
	}
	return true
}

// aside is by how much, as a divisor, the echo is lowered while we speak: 18 dB.
const aside = 8

// ReadAudio implements [bridge.Leg].
func (e *Echo) ReadAudio(dst pcm.Frame) {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := copy(dst, e.heard[e.at])
	clear(dst[n:])
	if len(e.speech) == 0 {
		return
	}
	n = min(len(dst), len(e.speech))
	for i := range dst {
		v := int32(dst[i]) / aside
		if i < n {
			v += int32(e.speech[i])
		}
		dst[i] = int16(min(max(v, -1<<15), 1<<15-1))
	}
	e.speech = e.speech[n:]
	if len(e.speech) == 0 {
		e.speech = nil // gives the memory back
	}
}

// AudioOut implements [bridge.Leg].
func (e *Echo) AudioOut() (bridge.AudioSpec, bool) {
	return bridge.AudioSpec{Codec: &linear, Ticks: 1}, !e.cfg.Deaf
}

// WriteAudio implements [bridge.Leg]. The bridge calls it after it has taken
// what was due, whose place is free now.
func (e *Echo) WriteAudio(payload []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f := e.heard[e.at]
	clear(f)
	decode(f, payload)
	e.at = (e.at + 1) % len(e.heard)
}

// WantVideo implements [bridge.Leg]: there is one size.
func (e *Echo) WantVideo(int, int) {}

// Picture implements [bridge.Leg].
func (e *Echo) Picture() *bridge.SharedPicture {
	if e.sight == nil {
		return nil
	}
	return e.sight.picture()
}

// VideoOut implements [bridge.Leg].
func (e *Echo) VideoOut() (bridge.VideoSpec, bool) {
	if e.sight == nil || e.cfg.Deaf {
		return bridge.VideoSpec{}, false
	}
	return e.sight.spec, true
}

// WriteVideo implements [bridge.Leg].
func (e *Echo) WriteVideo(f *bridge.VideoFrame) {
	if e.sight != nil {
		e.sight.push(f)
	}
}

// TakeKeyFrameRequest implements [bridge.Leg].
func (e *Echo) TakeKeyFrameRequest() bool {
	return e.sight != nil && e.sight.needKey.Swap(false)
}
