package bridge

import (
	"errors"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/pcm"
	"github.com/skybridge-media/skybridge/media/mix"
)

const (
	// idleTicks is for how long an audio encoder is kept that nobody uses, so
	// that whoever speaks again finds it as it was: 10 s.
	idleTicks = 500

	// retryTicks is how long a broken encoder rests before it is made anew.
	retryTicks = 250

	// maxPayload is room for 20 ms of any audio codec; the largest is Opus at
	// its highest rate.
	maxPayload = 1500
)

// encoding is what makes two audio streams of the same mix identical.
type encoding struct {
	codec   *codecs.Audio
	options codecs.AudioOptions
}

// An encoder is one audio encode group: everybody who hears one mix in one encoding.
type encoder struct {
	encoding
	band     int
	instance codecs.AudioEncoder // nil while broken
	broken   int                 // the tick in which it broke
	payload  []byte
	made     int // the tick payload is of
	closed   bool
}

// A mixMinus is what one participant hears while it is heard itself.
type mixMinus struct {
	limiter mix.Limiter
	frame   pcm.Frame // at the encoder's rate
	encoder *encoder
	used    int // the last tick
}

// speak gives everybody their 20 ms. Each mix is encoded once per encoding.
func (a *audio) speak() {
	a.encodes = 0
	for _, l := range a.roster.legs {
		a.connect(&l.ear)
	}
	for _, l := range a.roster.legs {
		e := &l.ear
		switch own := e.own; {
		case e.hears == nil:
			continue
		case own != nil && own.used == a.n:
			band := own.encoder.band
			a.bands[band].sum.Without(own.frame, e.said(band, a.n), &own.limiter)
			a.encode(own.encoder, own.frame)
		case e.hears.made != a.n:
			a.encode(e.hears, a.bands[e.hears.band].frame)
		}
		l.WriteAudio(e.hears.payload)
	}
	a.bridge.cfg.Metrics.audioEncodes.Add(float64(a.encodes))
}

// connect finds the encoder that e hears in this tick. If it is another than in
// the one before, what it makes next must not refer to what e has not heard.
func (a *audio) connect(e *ear) {
	before := e.hears
	switch own := e.own; {
	case !e.receives:
		e.hears = nil
	case own != nil && own.used == a.n:
		e.hears = own.encoder
	default:
		key := encoding{e.spec.Codec, e.spec.Options}
		if e.group == nil || e.group.closed || e.group.encoding != key {
			e.group = a.groupOf(key)
		}
		if e.group.made < a.n-1 {
			a.prime(e.group, a.bands[e.group.band].before)
		}
		e.hears = e.group
	}
	if e.hears == before || e.hears == nil {
		return
	}
	if c, ok := e.hears.instance.(codecs.Cutter); ok {
		if err := c.Cut(); err != nil {
			a.fail(e.hears, err)
		}
	}
}

// prime has an encoder begin, or resume, in the middle of a mix: before is the
// tick that its listeners have heard already, from another one. It is encoded for
// nobody, and fills what the codec looks ahead: with Opus there would be a gap of
// 6 ms and a click at its end.
func (a *audio) prime(e *encoder, before pcm.Frame) {
	e.made = a.n - 1
	if e.instance == nil {
		return
	}
	if _, err := e.instance.Encode(e.payload[:0], before); err != nil {
		a.fail(e, err)
	}
}

// groupOf returns the encoder of the full mix for an encoding.
func (a *audio) groupOf(key encoding) *encoder {
	g := a.groups[key]
	if g == nil {
		g = a.newEncoder(key)
		a.groups[key] = g
		a.bridge.cfg.Metrics.fullMixes.Inc()
	}
	return g
}

// beginOwn makes sure that l, who is heard, has a mix without itself. Up to
// this tick it heard the full mix, which it was no part of: its own continues
// from there, so it must be called before the full mix moves on.
func (a *audio) beginOwn(l *leg) {
	e := &l.ear
	key := encoding{e.spec.Codec, e.spec.Options}
	if e.own == nil || e.own.encoder.encoding != key {
		a.openOwn(l, key)
	}
	own := e.own
	if own.used != a.n-1 {
		b := a.bands[own.encoder.band]
		own.limiter = b.limiter
		copy(own.frame, b.frame)
	}
	if own.encoder.made != a.n-1 {
		a.prime(own.encoder, own.frame)
	}
	own.used = a.n
}

// openOwn gives l a mix of its own in an encoding. If up to this tick it had one
// in another, the new one continues that, so that somebody who begins to lose
// packets in the middle of a word gets redundancy without a click.
func (a *audio) openOwn(l *leg, key encoding) {
	own, band := &mixMinus{}, bandOf(key.codec.Format.Rate)
	if was := l.ear.own; was != nil && was.used == a.n-1 && was.encoder.band == band {
		own.limiter, own.frame, own.used = was.limiter, was.frame, was.used
	} else {
		own.frame = make(pcm.Frame, rates[band]/50)
	}
	a.closeOwn(l)
	own.encoder = a.newEncoder(key)
	l.ear.own = own
	a.bridge.cfg.Metrics.mixMinuses.Inc()
}

// closeOwn releases what l heard while it was heard itself.
func (a *audio) closeOwn(l *leg) {
	if own := l.ear.own; own != nil {
		own.encoder.close()
		l.ear.own = nil
		a.bridge.cfg.Metrics.mixMinuses.Dec()
	}
}

// encode fills e.payload with this tick.
func (a *audio) encode(e *encoder, frame pcm.Frame) {
	e.made = a.n
	e.payload = e.payload[:0]
	if e.instance == nil && a.n-e.broken >= retryTicks {
		a.open(e)
	}
	if e.instance == nil {
		return
	}
	payload, err := e.instance.Encode(e.payload, frame)
	a.encodes++
	if err != nil {
		a.fail(e, err)
		return
	}
	e.payload = payload
}

func (a *audio) newEncoder(key encoding) *encoder {
	e := &encoder{encoding: key, band: bandOf(key.codec.Format.Rate), payload: make([]byte, 0, maxPayload)}
	e.made = -1
	a.open(e)
	return e
}

var errChannels = errors.New("bridge: audio is mixed in mono")

// open makes a new codec instance.
func (a *audio) open(e *encoder) {
	if e.codec.Format.Channels != 1 {
		a.fail(e, errChannels)
		return
	}
	instance, err := e.codec.NewEncoder(e.options)
	if err != nil {
		a.fail(e, err)
		return
	}
	e.instance = instance
}

// fail gives an encoder up for a while: its listeners hear nothing, all others
// are not concerned.
func (a *audio) fail(e *encoder, err error) {
	a.bridge.cfg.Metrics.codecErrors.Inc()
	a.bridge.cfg.Log.Error("audio encoder failed", "codec", e.codec.Name, "err", err)
	if e.instance != nil {
		_ = e.instance.Close() // it is broken anyway
		e.instance = nil
	}
	e.broken = a.n
	e.payload = e.payload[:0]
}

func (e *encoder) close() {
	if e.instance != nil {
		_ = e.instance.Close() // frees memory; there is nothing to be done about an error
		e.instance = nil
	}
	e.closed = true
}

// retire closes encoders that nobody has used for a while.
func (a *audio) retire() {
	if a.n%64 != 0 {
		return
	}
	for key, g := range a.groups {
		if a.n-g.made > idleTicks {
			g.close()
			delete(a.groups, key)
			a.bridge.cfg.Metrics.fullMixes.Dec()
		}
	}
	for _, l := range a.roster.legs {
		if own := l.ear.own; own != nil && a.n-own.used > idleTicks {
			a.closeOwn(l.leg)
		}
	}
}

// close releases everything.
func (a *audio) close() {
	for _, g := range a.groups {
		g.close()
		a.bridge.cfg.Metrics.fullMixes.Dec()
	}
	for _, l := range a.roster.legs {
		a.closeOwn(l.leg)
	}
}
