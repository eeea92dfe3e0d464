// Package caller makes synthetic participants: real SIP and WebRTC endpoints
// with their own sockets, encoders and decoders, that send speech-like sound
// or a tone and a moving picture, and remember what they last heard and saw.
//
// Demonstrations let them into a room; measurements time what comes back.
package caller

import (
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/pion/rtp"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/pcm"
	"github.com/skybridge-media/skybridge/codecs/yuv"
	"github.com/skybridge-media/skybridge/media/bridge"
	"github.com/skybridge-media/skybridge/media/port"
	"github.com/skybridge-media/skybridge/media/resample"
	media "github.com/skybridge-media/skybridge/media/rtp"
	"github.com/skybridge-media/skybridge/media/sdp"
)

// ErrEnded is what waiting for a call returns when the other side ends it.
var ErrEnded = errors.New("caller: the call has ended")

// Config says who calls and what it sends.
type Config struct {
	Name string // displayed

	// Sound writes the next 20 ms, 960 samples at 48 kHz mono. nil: silence.
	Sound func(dst pcm.Frame)

	// Draw paints the picture of time t since the call began. Clip replaces it
	// with access units that were encoded once, which costs next to nothing. With
	// neither, the caller sends no video.
	Draw func(dst *yuv.Picture, t time.Duration)
	Clip *Clip

	Width, Height, FrameRate int // of what is sent; zero means 640x360 at 15

	// Sent, if set, is told when a picture that was painted for time t has been
	// handed to the network.
	Sent func(t time.Duration, at time.Time)

	// Heard, if set, receives every 20 ms that were played; Seen the pictures
	// that were decoded, with the time of arrival. Both borrowed, each called from one
	// goroutine. Without them nothing is decoded.
	Heard func(pcm.Frame)
	Seen  func(*bridge.SharedPicture)

	// Tap, if set, sees every audio payload as it arrives, borrowed.
	Tap func(payload []byte, at time.Time)

	// Lose, if set, is asked of every packet that is sent whether the network
	// loses it. It is called from several goroutines.
	Lose func(k sdp.Kind) bool

	Audio *codecs.Audio // what to offer; nil: no audio
	Video *codecs.Video // what to offer; nil: no video

	// Slides offers a second picture, by SIP only; nil: none.
	Slides *Slides

	Log *slog.Logger // nil: discard
}

// Slides are what a caller presents, and sees of what others do, in a stream of its
// own with floor control (BFCP).
type Slides struct {
	Draw  func(dst *yuv.Picture, t time.Duration) // what it sends, with the floor or without; nil: nothing
	Seen  func(*bridge.SharedPicture)             // as Config.Seen; nil: nothing is decoded
	Floor func(event any)                         // what [SIP.Floor] says
}

func (c *Config) defaults() {
	if c.Width == 0 {
		c.Width, c.Height = 640, 360
	}
	if c.FrameRate == 0 {
		c.FrameRate = 15
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
}

func (c *Config) sendsVideo() bool { return c.Draw != nil || c.Clip != nil }

// tapped lets tap see the payloads that go to next.
func tapped(tap func([]byte, time.Time), next func(*rtp.Packet, time.Time)) func(*rtp.Packet, time.Time) {
	if tap == nil {
		return next
	}
	return func(p *rtp.Packet, arrived time.Time) {
		tap(p.Payload, arrived)
		next(p, arrived)
	}
}

// lossy is a network that loses packets.
type lossy struct {
	media.Writer
	kind sdp.Kind
	lose func(sdp.Kind) bool
}

// WriteRTP implements [media.Writer].
func (l lossy) WriteRTP(h *rtp.Header, payload []byte) error {
	if l.lose(l.kind) {
		return nil
	}
	return l.Writer.WriteRTP(h, payload)
}

// engine plays and records: it stands where a bridge stands for a server.
type engine struct {
	Config
	port *port.Port

	stop chan struct{}
	wg   sync.WaitGroup
}

// start begins to send and receive through p, which stays the caller's.
func start(cfg Config, p *port.Port) *engine {
	e := &engine{Config: cfg, port: p, stop: make(chan struct{})}
	e.wg.Go(e.runAudio)
	if cfg.Video != nil {
		if cfg.Seen != nil {
			p.WantVideo(1280, 720)
		}
		e.wg.Go(func() { e.runVideo(p, e.stop) })
	}
	if cfg.Slides != nil {
		p.Content().WantVideo(1920, 1080)
		second := cfg
		second.Draw, second.Seen, second.Clip, second.Sent = cfg.Slides.Draw, cfg.Slides.Seen, nil, nil
		e.wg.Go(func() { second.runVideo(p.Content(), e.stop) })
	}
	return e
}

func (e *engine) close() {
	close(e.stop)
	e.wg.Wait()
}

func (e *engine) runAudio() {
	ticker := time.NewTicker(bridge.Tick)
	defer ticker.Stop()
	var (
		out       codecs.AudioEncoder
		spec      bridge.AudioSpec
		down      *resample.Resampler
		packet    []byte
		said      = make(pcm.Frame, 960)
		decoded   = make(pcm.Frame, 960)
		silence   = make(pcm.Frame, 960)
		heard     = make(pcm.Frame, 0, 960)
		up        *resample.Resampler
		upFrom    int // Hz
		converted pcm.Frame
	)
	defer func() {
		if out != nil {
			_ = out.Close()
		}
	}()
	for {
		select {
		case <-e.stop:
			return
		case <-ticker.C:
		}
		tick := e.port.NextAudio()
		if e.Heard != nil {
			heard = append(heard[:0], silence...)
			if tick.Voice {
				if up == nil || upFrom != tick.Rate {
					up, upFrom = resample.New(tick.Rate, 48000), tick.Rate
				}
				e.port.ReadAudio(decoded[:tick.Rate/50])
				heard = up.Process(heard[:0], decoded[:tick.Rate/50])
			}
			e.Heard(heard)
		}
		now, ok := e.port.AudioOut()
		if !ok {
			continue
		}
		if out == nil || now != spec {
			if out != nil {
				_ = out.Close()
			}
			enc, err := now.Codec.NewEncoder(now.Options)
			if err != nil {
				e.Log.Error("no audio encoder", "codec", now.Codec.Name, "err", err)
				return
			}
			out, spec, down = enc, now, resample.New(48000, now.Codec.Format.Rate)
		}
		clear(said)
		if e.Sound != nil {
			e.Sound(said)
		}
		converted = down.Process(converted[:0], said)
		var err error
		if packet, err = out.Encode(packet[:0], converted); err != nil {
			e.Log.Error("audio not encoded", "err", err)
			return
		}
		e.port.WriteAudio(packet)
	}
}
