// Package vad tells who speaks: one active speaker per conference, with enough
// hysteresis that a cough does not take over the picture.
//
// It works on levels alone, so it costs nothing per participant who is not
// decoded, and it is pure: one call per tick, no clock.
package vad

import "time"

// Config says how much it takes to become the speaker. Times are rounded to
// whole ticks of 20 ms. The zero value stands for the defaults.
type Config struct {
	// Threshold is the level that counts as speech, in -dBov. Default 50.
	Threshold uint8

	// Onset is how long somebody must speak to become the speaker while nobody
	// else speaks. Default 300 ms: longer than a cough or a dropped pen.
	Onset time.Duration

	// Interrupt is how long somebody must be louder than the speaker, who goes
	// on speaking, to take over. Default 1.2 s: longer than "yes, sure".
	Interrupt time.Duration

	// Dwell is how long a speaker stays at least. Default 1.5 s, so that a
	// quick exchange does not make the picture flicker.
	Dwell time.Duration

	// Linger is after how much silence there is no speaker any more. Default 4 s.
	Linger time.Duration
}

const (
	tick = 20 * time.Millisecond

	gap    = 10 // ticks of silence between words that belong to one utterance
	pause  = 20 // ticks after which a speaker counts as having paused
	margin = 3  // dB that an interrupter must be louder by
	smooth = 4  // the smoothed level moves by 1/2^smooth per tick
)

// A Source is one participant. The zero value has been silent forever.
type Source struct {
	Level uint8 // set before each Tick: -dBov, 0 (loudest) to 127 (silent)

	said     int // ticks of speech in this utterance
	silent   int // ticks since the last speech
	loudness int // smoothed level while speaking, dB above -127 dBov, times 2^smooth
	over     int // ticks it has been louder than the speaker
}

// A Detector follows one conference. It is not safe for concurrent use.
type Detector struct {
	threshold                       uint8
	onset, interrupt, dwell, linger int
	speaker                         *Source
	since                           int // ticks since the speaker became it
}

// New returns a Detector of which nobody has spoken yet.
func New(cfg Config) *Detector {
	ticks := func(d, otherwise time.Duration) int {
		if d <= 0 {
			d = otherwise
		}
		return int((d + tick - 1) / tick)
	}
	d := &Detector{
		threshold: cfg.Threshold,
		onset:     ticks(cfg.Onset, 300*time.Millisecond),
		interrupt: ticks(cfg.Interrupt, 1200*time.Millisecond),
		dwell:     ticks(cfg.Dwell, 1500*time.Millisecond),
		linger:    ticks(cfg.Linger, 4*time.Second),
	}
	if d.threshold == 0 {
		d.threshold = 50
	}
	return d
}

// Speaker returns who speaks; nil is nobody.
func (d *Detector) Speaker() *Source { return d.speaker }

// Drop forgets a source that will not be given to Tick any more.
func (d *Detector) Drop(s *Source) {
	if d.speaker == s {
		d.speaker = nil
	}
	*s = Source{Level: 127}
}

// Tick takes in one tick of levels and reports whether the speaker has changed.
func (d *Detector) Tick(sources []*Source) (changed bool) {
	before := d.speaker
	d.since++
	for _, s := range sources {
		s.listen(d.threshold)
	}
	if s := d.speaker; s != nil && s.silent >= d.linger {
		d.speaker = nil
	}
	if s := d.successor(sources); s != nil {
		d.speaker, d.since = s, 0
	}
	return d.speaker != before
}

// successor returns who becomes the speaker now, or nil.
func (d *Detector) successor(sources []*Source) *Source {
	var best *Source
	for _, s := range sources {
		if s == d.speaker || s.said == 0 {
			continue
		}
		if d.deserves(s) && (best == nil || s.loudness > best.loudness) {
			best = s
		}
	}
	return best
}

// deserves reports whether s may be the speaker instead of the present one.
func (d *Detector) deserves(s *Source) bool {
	speaker := d.speaker
	switch {
	case speaker == nil:
		return s.said >= d.onset
	case speaker.silent >= pause:
		s.over = 0
		return s.said >= d.onset && d.since >= d.dwell
	case s.loudness < speaker.loudness+margin<<smooth:
		s.over = 0
		return false
	}
	s.over++
	return s.over >= d.interrupt && s.said >= d.interrupt && d.since >= d.dwell
}

// listen takes in the level of this tick. An utterance ends with a gap.
func (s *Source) listen(threshold uint8) {
	if s.Level > threshold {
		s.silent++
		if s.silent > gap {
			s.said, s.over, s.loudness = 0, 0, 0
		}
		return
	}
	level := 127 - int(s.Level)
	if s.said == 0 {
		s.loudness = level << smooth
	}
	s.loudness += level - s.loudness>>smooth
	s.said++
	s.silent = 0
}
