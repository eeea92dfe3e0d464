package mix

import "slices"

// DefaultHeard is how many voices are heard at once when nothing else is
// configured. A meeting in which more than eight people speak at the same time
// is not understood any better with a ninth; up to that, nobody is cut off.
const DefaultHeard = 8

// What decides about being heard. Levels are in dB above -127 dBov, so that
// louder is more; durations are in ticks.
const (
	opens  = 127 - 62 // loud enough to be let in
	closes = 127 - 68 // still loud enough to stay
	holds  = 30       // 600 ms below closes before a voice leaves: a pause for breath
	stays  = 250      // 5 s below opens before it does: that is the noise around who spoke

	margin  = 6 // dB that a challenger must be louder by
	insists = 5 // 100 ms for which it must be, before somebody who speaks gives way
	pauses  = 5 // 100 ms below closes after which somebody gives way at once

	decay = 1 // dB per tick by which the envelope follows a falling level
)

// A Voice is one participant's claim to be heard. The zero value has said
// nothing yet. A Voice belongs to one [Selector].
type Voice struct {
	Level uint8 // set before each Select: -dBov, 0 (loudest) to 127 (silent)

	Heard   bool // set by Select: this voice is part of the mix
	Entered bool // set by Select: it was not, the tick before
	Leaving bool // set by Select: it gives way in this tick, and is heard fading out

	envelope int // level as a listener perceives it, dB above -127 dBov
	quiet    int // ticks since it was last loud enough to stay
	soft     int // ticks since it was last loud enough to be let in
	pressed  int // ticks it has been louder than the weakest that is heard
}

// A Selector chooses the loudest voices, with hysteresis: who is heard stays
// until they fall silent for a while or somebody is clearly louder for a
// while. It is not safe for concurrent use.
type Selector struct {
	most    int
	heard   []*Voice
	leaving *Voice
}

// NewSelector returns a Selector that lets at most n voices be heard; zero or
// less means [DefaultHeard].
func NewSelector(n int) *Selector {
	if n <= 0 {
		n = DefaultHeard
	}
	return &Selector{most: n, heard: make([]*Voice, 0, n)}
}

// Select decides for this tick. voices are all who may be heard; one who is no
// longer among them must have been given to Drop. It costs a few comparisons
// per voice.
func (s *Selector) Select(voices []*Voice) {
	if s.leaving != nil {
		s.leaving.Leaving = false
		s.leaving = nil
	}
	for _, v := range voices {
		v.listen()
	}
	s.heard = slices.DeleteFunc(s.heard, func(v *Voice) bool {
		if v.quiet > holds || v.soft > stays {
			v.Heard = false
		}
		return !v.Heard
	})
	for {
		v := loudestWaiting(voices)
		if v == nil {
			return
		}
		if len(s.heard) == s.most {
			s.challenge(v)
			return
		}
		s.enter(v)
	}
}

// Drop forgets a voice at once. It is a no-op for one that is not heard.
func (s *Selector) Drop(v *Voice) {
	if v.Heard {
		s.heard = slices.DeleteFunc(s.heard, func(h *Voice) bool { return h == v })
	}
	if s.leaving == v {
		s.leaving = nil
	}
	*v = Voice{Level: 127}
}

// enter lets v be heard from this tick on.
func (s *Selector) enter(v *Voice) {
	v.Heard, v.Entered = true, true
	v.pressed, v.quiet, v.soft = 0, 0, 0
	s.heard = append(s.heard, v)
}

// challenge lets v take the place of the weakest that is heard, if it deserves
// it. One place changes hands per tick at most.
func (s *Selector) challenge(v *Voice) {
	weakest := s.heard[0]
	for _, h := range s.heard[1:] {
		if h.envelope < weakest.envelope {
			weakest = h
		}
	}
	if v.envelope < weakest.envelope+margin {
		v.pressed = 0
		return
	}
	v.pressed++
	if v.pressed < insists && weakest.quiet < pauses {
		return
	}
	s.heard = slices.DeleteFunc(s.heard, func(h *Voice) bool { return h == weakest })
	weakest.Heard, weakest.Entered, weakest.Leaving = false, false, true
	s.leaving = weakest
	s.enter(v)
}

// listen takes in the level of this tick.
func (v *Voice) listen() {
	level := 127 - int(v.Level)
	v.envelope = max(level, v.envelope-decay)
	v.Entered = false
	if v.soft++; level >= opens {
		v.soft = 0
	}
	if level >= closes {
		v.quiet = 0
	} else {
		v.quiet++
		v.pressed = 0
	}
}

// loudestWaiting returns who most deserves to be heard next, the first of
// equals, or nil.
func loudestWaiting(voices []*Voice) *Voice {
	var best *Voice
	for _, v := range voices {
		if v.Heard || v.Leaving || v.quiet > 0 || 127-int(v.Level) < opens {
			continue
		}
		if best == nil || v.envelope > best.envelope {
			best = v
		}
	}
	return best
}
