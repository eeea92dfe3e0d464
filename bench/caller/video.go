package caller

import (
	"fmt"
	"time"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/yuv"
	"github.com/skybridge-media/skybridge/media/bridge"
	"github.com/skybridge-media/skybridge/media/payload"
)

// A Clip is video that was encoded once and is sent again and again. Its first
// unit is a key frame. Immutable, shared by any number of callers.
type Clip struct {
	Codec *codecs.Video
	Units [][]byte
}

// NewClip paints and encodes n pictures.
func NewClip(codec *codecs.Video, opts codecs.VideoOptions, n int, draw func(*yuv.Picture, time.Duration)) (*Clip, error) {
	enc, err := codec.NewEncoder(opts)
	if err != nil {
		return nil, fmt.Errorf("clip: %w", err)
	}
	defer enc.Close()
	clip, pic := &Clip{Codec: codec}, yuv.New(opts.Width, opts.Height)
	for i := range n {
		draw(pic, time.Duration(i)*time.Second/time.Duration(opts.FrameRate))
		unit, _, err := enc.Encode(nil, pic, i == 0)
		if err != nil {
			return nil, fmt.Errorf("clip: %w", err)
		}
		clip.Units = append(clip.Units, unit) // an empty one is a picture that the rate control dropped
	}
	return clip, nil
}

// A producer makes the access unit of time t. key asks for one that can be
// decoded alone.
type producer interface {
	next(spec bridge.VideoSpec, t time.Duration, key bool) (unit []byte, isKey bool, err error)
	close()
}

// runVideo sends and receives pictures of v at the frame rate, as e says.
func (c *Config) runVideo(v bridge.Video, stop <-chan struct{}) {
	ticker := time.NewTicker(time.Second / time.Duration(c.FrameRate))
	defer ticker.Stop()
	var source producer
	switch {
	case c.Clip != nil:
		source = &replay{clip: c.Clip}
	case c.Draw != nil:
		source = &painter{cfg: c}
	}
	if source != nil {
		defer source.close()
	}
	var seen *bridge.SharedPicture
	defer func() {
		if seen != nil {
			seen.Release()
		}
	}()
	begin, key := time.Now(), false
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
		}
		if c.Seen != nil {
			seen = c.look(v, seen)
		}
		spec, ok := v.VideoOut()
		if !ok || source == nil {
			continue
		}
		key = v.TakeKeyFrameRequest() || key
		t := time.Since(begin)
		unit, isKey, err := source.next(spec, t, key)
		if err != nil {
			c.Log.Error("video not encoded", "caller", c.Name, "err", err)
			return
		}
		if len(unit) == 0 {
			continue
		}
		key = key && !isKey
		payloads, err := payload.Packetize(spec.Codec.Name, unit, spec.Mode, spec.Payload)
		if err != nil {
			c.Log.Error("video not packetized", "caller", c.Name, "err", err)
			return
		}
		at := time.Now()
		v.WriteVideo(&bridge.VideoFrame{
			Payloads: payloads, Timestamp: uint32(t * 90 / time.Millisecond), Key: isKey, Captured: at,
		})
		if c.Sent != nil {
			c.Sent(t, at)
		}
	}
}

// look shows a picture that is newer than seen, and returns the newest.
func (c *Config) look(v bridge.Video, seen *bridge.SharedPicture) *bridge.SharedPicture {
	p := v.Picture()
	if p == nil {
		return seen
	}
	if p != seen {
		c.Seen(p)
	}
	if seen != nil {
		seen.Release()
	}
	return p
}

// painter encodes what Config.Draw paints, as the peer wants it.
type painter struct {
	cfg  *Config
	enc  codecs.VideoEncoder
	spec bridge.VideoSpec
	pic  *yuv.Picture
	unit []byte
}

func (p *painter) next(spec bridge.VideoSpec, t time.Duration, key bool) ([]byte, bool, error) {
	if p.enc == nil || p.spec != spec {
		p.close()
		opts := spec.Options
		opts.Width, opts.Height, opts.FrameRate = p.cfg.Width, p.cfg.Height, p.cfg.FrameRate
		enc, err := spec.Codec.NewEncoder(opts)
		if err != nil {
			return nil, false, err
		}
		p.enc, p.spec, p.pic = enc, spec, yuv.New(opts.Width, opts.Height)
	}
	p.cfg.Draw(p.pic, t)
	var (
		isKey bool
		err   error
	)
	p.unit, isKey, err = p.enc.Encode(p.unit[:0], p.pic, key)
	return p.unit, isKey, err
}

func (p *painter) close() {
	if p.enc != nil {
		_ = p.enc.Close() // frees memory and nothing else
		p.enc = nil
	}
}

// replay sends a clip in a loop; a wanted key frame starts it again.
type replay struct {
	clip *Clip
	at   int
}

func (r *replay) next(_ bridge.VideoSpec, _ time.Duration, key bool) ([]byte, bool, error) {
	if key || r.at == len(r.clip.Units) {
		r.at = 0
	}
	unit := r.clip.Units[r.at]
	r.at++
	return unit, r.at == 1, nil
}

func (r *replay) close() {}
