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

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/pcm"
	"github.com/skybridge-media/skybridge/codecs/yuv"
	"github.com/skybridge-media/skybridge/media/bridge"
	"github.com/skybridge-media/skybridge/media/payload"
	"github.com/skybridge-media/skybridge/media/port"
	"github.com/skybridge-media/skybridge/media/resample"
)

// ErrEnded is what waiting for a call returns when the other side ends it.
var ErrEnded = errors.New("caller: the call has ended")

// Config says who calls and what it sends.
type Config struct {
	Name string // displayed

	// Sound writes the next 20 ms, 960 samples at 48 kHz mono. nil: silence.
	Sound func(dst pcm.Frame)

	// Draw paints the picture of time t since the call began. nil: no video.
	Draw func(dst *yuv.Picture, t time.Duration)

	Width, Height, FrameRate int // of what Draw paints; zero means 640x360 at 15

	// Heard, if set, receives every 20 ms that were played, borrowed; Seen the
	// pictures that were decoded, borrowed. Both are called from one goroutine.
	Heard func(pcm.Frame)
	Seen  func(*yuv.Picture)

	Audio *codecs.Audio // what to offer; nil: no audio
	Video *codecs.Video // what to offer; nil: no video

	Log *slog.Logger // nil: discard
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
		p.WantVideo(1280, 720)
		e.wg.Go(e.runVideo)
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
		heard     = make(pcm.Frame, 960)
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
		clear(heard)
		if tick := e.port.NextAudio(); tick.Voice {
			e.port.ReadAudio(heard)
		}
		if e.Heard != nil {
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

func (e *engine) runVideo() {
	ticker := time.NewTicker(time.Second / time.Duration(e.FrameRate))
	defer ticker.Stop()
	var (
		out    codecs.VideoEncoder
		spec   bridge.VideoSpec
		pic    *yuv.Picture
		unit   []byte
		seen   *bridge.SharedPicture
		begin  = time.Now()
		keySet bool
	)
	defer func() {
		if out != nil {
			_ = out.Close()
		}
		if seen != nil {
			seen.Release()
		}
	}()
	for {
		select {
		case <-e.stop:
			return
		case <-ticker.C:
		}
		if p := e.port.Picture(); p != nil {
			if p != seen && e.Seen != nil {
				e.Seen(&p.Picture)
			}
			if seen != nil {
				seen.Release()
			}
			seen = p
		}
		now, ok := e.port.VideoOut()
		if !ok || e.Draw == nil {
			continue
		}
		if out == nil || now != spec {
			if out != nil {
				_ = out.Close()
			}
			opts := now.Options
			opts.Width, opts.Height, opts.FrameRate = e.Width, e.Height, e.FrameRate
			enc, err := now.Codec.NewEncoder(opts)
			if err != nil {
				e.Log.Error("no video encoder", "codec", now.Codec.Name, "err", err)
				return
			}
			out, spec, pic, keySet = enc, now, yuv.New(e.Width, e.Height), true
		}
		t := time.Since(begin)
		e.Draw(pic, t)
		keySet = e.port.TakeKeyFrameRequest() || keySet
		var (
			key bool
			err error
		)
		if unit, key, err = out.Encode(unit[:0], pic, keySet); err != nil {
			e.Log.Error("video not encoded", "err", err)
			return
		}
		if len(unit) == 0 {
			continue
		}
		keySet = false
		payloads, err := payload.Packetize(now.Codec.Name, unit, now.Mode, now.Payload)
		if err != nil {
			e.Log.Error("video not packetized", "err", err)
			return
		}
		e.port.WriteVideo(&bridge.VideoFrame{
			Payloads: payloads, Timestamp: uint32(t * 90 / time.Millisecond), Key: key, Captured: time.Now(),
		})
	}
}
