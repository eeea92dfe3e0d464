package mix

import (
	"math"

	"github.com/skybridge-media/skybridge/codecs/pcm"
)

const (
	// ceiling is the loudest sample a Limiter lets out: -0.3 dB, which leaves
	// room for the overshoot of the resampler and of lossy codecs.
	ceiling = 31600

	// attack is over which part of a tick the gain falls to what that needs:
	// 1.3 ms, fast enough not to be heard as a change of volume and slow enough
	// not to be heard as a click.
	attack = 15

	// release is by how much the gain recovers in each tick: 6 dB in 240 ms.
	release = 1.06
)

// A Limiter turns the sum of voices into samples. Where the sum would clip, it
// lowers the volume smoothly, and raises it again over the ticks that follow.
// It knows a whole tick before it lets the first sample out, so that it can act
// before the peak. One stream, one Limiter. The zero value is ready to use; it
// is not safe for concurrent use. Assignment copies its state.
type Limiter struct {
	lowered float32 // 1 - gain after the last tick
}

// limit fills out with sum less own, in which so many voices remain. One voice
// alone needs no room: whoever made its samples has kept them within the range.
func (l *Limiter) limit(out pcm.Frame, sum []int32, own pcm.Frame, voices int) {
	if len(own) == 0 {
		own = silence[:min(len(silence), len(sum))]
	}
	most := float32(ceiling)
	if voices <= 1 {
		most = -math.MinInt16
	}
	peak := float32(l.plain(out, sum, own))
	if peak <= most && l.lowered == 0 {
		return
	}
	l.shape(out, sum, own, peak, most)
}

var silence [960]int16

// plain fills out with sum less own and returns the highest absolute value,
// before saturation. This is all there is to do in nearly every tick.
func (l *Limiter) plain(out pcm.Frame, sum []int32, own pcm.Frame) int32 {
	n := min(len(own), len(out), len(sum))
	var low, high int32
	o, s, w := out[:n], sum[:n], own[:n]
	for i := range o {
		v := s[i] - int32(w[i])
		low, high = min(low, v), max(high, v)
		o[i] = int16(v)
	}
	for i := n; i < len(sum); i++ {
		v := sum[i]
		low, high = min(low, v), max(high, v)
		out[i] = int16(v)
	}
	return max(-low, high)
}

// shape fills out anew, with a gain that brings peak down to most.
func (l *Limiter) shape(out pcm.Frame, sum []int32, own pcm.Frame, peak, most float32) {
	from := 1 - l.lowered
	to := min(1, from*release)
	if peak*to > most {
		to = most / peak
	}
	l.lowered = 1 - to
	ramp := len(out) // recovering takes the whole tick, giving way does not
	if to < from {
		ramp = max(1, len(out)/attack)
	}
	step := (to - from) / float32(ramp)
	gain := from
	for i := range out {
		v := sum[i]
		if i < len(own) {
			v -= int32(own[i])
		}
		if i < ramp {
			gain += step
		}
		out[i] = saturate(float32(v) * gain)
	}
}

// saturate is for the few samples of a peak within the attack.
func saturate(x float32) int16 {
	return int16(min(max(x, math.MinInt16), math.MaxInt16))
}

// Level returns the loudness of a frame in -dBov, 0 (loudest) to 127 (silent),
// measured as RFC 6464 prescribes: root mean square over the frame, relative
// to the overload point (RFC 6465, appendix A).
func Level(f pcm.Frame) uint8 {
	if len(f) == 0 {
		return 127
	}
	var sum int64
	for _, v := range f {
		sum += int64(v) * int64(v)
	}
	if sum == 0 {
		return 127
	}
	db := 10 * math.Log10(float64(sum)/float64(len(f))/(math.MaxInt16*math.MaxInt16))
	return uint8(min(max(math.Round(-db), 0), 127))
}
