// Package mix mixes the loudest voices of a conference so that nobody hears
// themself.
//
// Nothing here has a clock or a goroutine: the owner calls it once per tick,
// every 20 ms in production and as fast as it likes in a test. A tick is as many
// samples as the sampling rate makes of 20 ms, whatever that rate is. It goes
// through three types: [Selector] chooses whom to hear, [Sum] adds what they
// say, and one [Limiter] per listening group makes samples of it again.
package mix

import "github.com/skybridge-media/skybridge/codecs/pcm"

// A Sum is the sum of all voices of one tick. What everybody hears costs one
// addition per voice and sample; what one voice hears is the same without its
// own, one subtraction. It is not safe for concurrent use.
type Sum struct {
	total  []int32 // wider than a sample: 65536 full-scale voices fit
	voices int     // in total
}

// NewSum returns an empty Sum for ticks of n samples.
func NewSum(n int) *Sum { return &Sum{total: make([]int32, n)} }

// Reset empties the sum.
func (s *Sum) Reset() {
	clear(s.total)
	s.voices = 0
}

// Add adds a voice. Shorter than a tick means silence after.
func (s *Sum) Add(voice pcm.Frame) {
	s.voices++
	total := s.total[:len(voice)]
	for i, v := range voice {
		total[i] += int32(v)
	}
}

// All fills dst with the whole sum, limited by l. A single voice comes out as it
// is, bit for bit, unless l has still to recover from a louder tick.
func (s *Sum) All(dst pcm.Frame, l *Limiter) {
	l.limit(dst[:len(s.total)], s.total, nil, s.voices)
}

// Without fills dst with the sum less own, which was added before and has not
// been changed since, limited by l. An empty own is of somebody who was not.
func (s *Sum) Without(dst, own pcm.Frame, l *Limiter) {
	voices := s.voices
	if len(own) > 0 {
		voices--
	}
	l.limit(dst[:len(s.total)], s.total, own, voices)
}

// FadeIn raises the first 5 ms of a tick of a voice from silence, so that one
// chosen in the middle of a word does not click.
func FadeIn(voice pcm.Frame) {
	n := len(voice) / fade
	for i, v := range voice[:n] {
		voice[i] = int16(int(v) * i / n)
	}
}

// FadeOut lowers the first 5 ms of a tick of a voice to silence and silences the
// rest: the last that is heard of somebody who gives way to a louder voice.
func FadeOut(voice pcm.Frame) {
	n := len(voice) / fade
	for i, v := range voice[:n] {
		voice[i] = int16(int(v) * (n - i) / n)
	}
	clear(voice[n:])
}

const fade = 4 // the part of a tick that a fade takes
