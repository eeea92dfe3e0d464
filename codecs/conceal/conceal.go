// Package conceal hides lost frames for codecs that cannot do it themselves:
// it repeats the last pitch period, fades it out, and blends into what comes
// next, in the manner of ITU-T G.711 Appendix I but without its delay.
package conceal

import (
	"math"

	"github.com/skybridge-media/skybridge/codecs/pcm"
)

// All times in milliseconds.
const (
	shortestPitch = 5  // 200 Hz, the highest voice that is followed period by period
	longestPitch  = 15 // 66 Hz
	matchWindow   = 20 // how much of the past must look alike
	holdTime      = 10 // how long the repetition keeps its loudness
	fadeTime      = 60 // when it has faded to nothing, counted from the loss
	blendTime     = 5  // overlap between the repetition and what comes next
)

// A Concealer remembers one mono stream. It is not safe for concurrent use.
type Concealer struct {
	rate    int     // samples per second
	history []int16 // the newest samples that really arrived, oldest first
	cycle   []int16 // the period being repeated while a loss lasts
	step    float64 // jump between history and cycle, spread over the first samples
	lost    int     // samples concealed since the last real one
}

// New returns a Concealer for mono audio at rate samples per second. Nothing
// has been heard yet, so that a loss is silence.
func New(rate int) *Concealer {
	return &Concealer{
		rate:    rate,
		history: make([]int16, rate*(longestPitch+matchWindow)/1000),
		cycle:   make([]int16, 0, rate*longestPitch/1000),
	}
}

// Received takes what the decoder made of a packet that arrived. After a loss
// it blends the beginning of frame with the end of the concealment, in place.
func (c *Concealer) Received(frame pcm.Frame) {
	if c.lost > 0 {
		n := min(c.ms(blendTime), len(frame))
		for i := range n {
			old, w := c.next(), float64(i+1)/float64(n+1)
			frame[i] = int16(old*(1-w) + float64(frame[i])*w)
		}
		c.lost = 0
	}
	if n := len(c.history) - len(frame); n > 0 {
		copy(c.history, c.history[len(frame):])
		copy(c.history[n:], frame)
	} else {
		copy(c.history, frame[-n:])
	}
}

// Lost appends 20 ms of concealment to dst.
func (c *Concealer) Lost(dst pcm.Frame) pcm.Frame {
	if c.lost == 0 {
		c.begin()
	}
	for range c.ms(20) {
		dst = append(dst, int16(c.next()))
	}
	return dst
}

func (c *Concealer) ms(n int) int { return c.rate * n / 1000 }

// begin cuts the cycle out of history: one pitch period whose end leads
// smoothly to its own start.
func (c *Concealer) begin() {
	end := len(c.history)
	period := c.pitch()
	c.cycle = append(c.cycle[:0], c.history[end-period:]...)
	n := period / 4
	for i := range n {
		w := float64(i+1) / float64(n+1)
		earlier := float64(c.history[end-period-n+i])
		at := period - n + i
		c.cycle[at] = int16(float64(c.cycle[at])*(1-w) + earlier*w)
	}
	c.step = float64(c.history[end-1]) - float64(c.history[end-period-1])
}

// next returns the next concealed sample, within the range of int16.
func (c *Concealer) next() float64 {
	i := c.lost
	c.lost++
	hold, fade := c.ms(holdTime), c.ms(fadeTime)
	if i >= fade {
		return 0
	}
	v := float64(c.cycle[i%len(c.cycle)])
	if n := len(c.cycle) / 4; i < n {
		v += c.step * float64(n-i) / float64(n)
	}
	if i > hold {
		v *= float64(fade-i) / float64(fade-hold)
	}
	return min(max(v, math.MinInt16), math.MaxInt16)
}

// pitch returns the lag at which the recent past resembles itself most, by
// normalized cross-correlation.
func (c *Concealer) pitch() int {
	window := c.history[len(c.history)-c.ms(matchWindow):]
	start := len(c.history) - len(window)
	best, bestScore := c.ms(longestPitch), 0.0
	for lag := c.ms(shortestPitch); lag <= c.ms(longestPitch); lag++ {
		var cross, energy int64
		for i, s := range window {
			e := int64(c.history[start-lag+i])
			cross += int64(s) * e
			energy += e * e
		}
		if cross <= 0 || energy == 0 {
			continue
		}
		if score := float64(cross) * float64(cross) / float64(energy); score > bestScore {
			best, bestScore = lag, score
		}
	}
	return best
}
