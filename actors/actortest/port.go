package actortest

import (
	"sync/atomic"

	"github.com/skybridge-media/skybridge/codecs/pcm"
	"github.com/skybridge-media/skybridge/media/bridge"
)

// A Port is a participant.Port without media. Safe for concurrent use.
type Port struct {
	// OnClose, if set, is called by the first Close.
	OnClose func()

	attached atomic.Bool
	closed   atomic.Int32
	early    atomic.Bool
}

// Close implements participant.Port.
func (p *Port) Close() {
	if p.attached.Load() {
		p.early.Store(true)
	}
	if p.closed.Add(1) == 1 && p.OnClose != nil {
		p.OnClose()
	}
}

// Closed returns how often the port was closed.
func (p *Port) Closed() int { return int(p.closed.Load()) }

// ClosedEarly reports whether the port was closed while a bridge had it.
func (p *Port) ClosedEarly() bool { return p.early.Load() }

// Attached reports whether a bridge has the port.
func (p *Port) Attached() bool { return p.attached.Load() }

// NextAudio implements bridge.Leg.
func (p *Port) NextAudio() bridge.AudioTick { return bridge.AudioTick{} }

// ReadAudio implements bridge.Leg.
func (p *Port) ReadAudio(pcm.Frame) {}

// AudioOut implements bridge.Leg.
func (p *Port) AudioOut() (bridge.AudioSpec, bool) { return bridge.AudioSpec{}, false }

// WriteAudio implements bridge.Leg.
func (p *Port) WriteAudio([]byte) {}

// WantVideo implements bridge.Leg.
func (p *Port) WantVideo(int, int) {}

// Picture implements bridge.Leg.
func (p *Port) Picture() *bridge.SharedPicture { return nil }

// VideoOut implements bridge.Leg.
func (p *Port) VideoOut() (bridge.VideoSpec, bool) { return bridge.VideoSpec{}, false }

// WriteVideo implements bridge.Leg.
func (p *Port) WriteVideo(*bridge.VideoFrame) {}

// TakeKeyFrameRequest implements bridge.Leg.
func (p *Port) TakeKeyFrameRequest() bool { return false }
