// Package resample converts between the sample rates of telephony: 8, 16 and
// 48 kHz, mono.
//
// A Resampler is a polyphase FIR filter: a Kaiser-windowed sinc, of which only
// the products that reach an output sample are computed. It passes 85 % of the
// narrower band within 0.1 dB and attenuates what would fold into that band by
// more than 70 dB; the package's tests measure both.
package resample

import (
	"fmt"

	"github.com/skybridge-media/skybridge/codecs/pcm"
)

const (
	// taps is the filter's length in samples of the lower rate. Half of it is
	// the delay: 2 ms at 8 kHz, 1 ms at 16 kHz.
	taps = 32

	// beta is the Kaiser window's shape: about 76 dB in the stop band.
	beta = 7.5

	// cutoff is where the response is down by 6 dB, relative to the lower
	// rate's half. The transition reaches about 0.14 to both sides of it.
	cutoff = 0.985

	// block is how much input is filtered at a time: 20 ms at 48 kHz.
	block = 960
)

// A Resampler converts one continuous stream. It keeps the end of what it was
// given, so that successive calls join without a seam. It is not safe for
// concurrent use.
type Resampler struct {
	up, down int // outputs per input, as a fraction: one of them is 1
	width    int // products per output sample; 0 copies
	skip     int // inputs to pass over before the next output, below down

	coef []float32 // width per phase, oldest sample first; shared, not written
	line []float32 // the last width-1 samples, then the block under way
}

// New returns a Resampler from one rate to another, in Hz. Equal rates are
// allowed and copy. It panics on rates other than 8000, 16000 and 48000, which
// is a bug of the caller.
func New(from, to int) *Resampler {
	for _, rate := range []int{from, to} {
		if rate != 8000 && rate != 16000 && rate != 48000 {
			panic(fmt.Sprintf("resample: unsupported rate %d Hz", rate))
		}
	}
	r := &Resampler{up: max(1, to/from), down: max(1, from/to)}
	if from == to {
		return r
	}
	r.width = taps * r.down
	r.coef = filters[[2]int{r.up, r.down}]()
	r.line = make([]float32, r.width-1+block)
	return r
}

// Process appends src, converted, to dst and returns the extended slice, like
// append does. Any length is allowed; over time len(src)*to/from samples come
// out. It does not allocate while dst has capacity. src and dst are borrowed
// and must not overlap.
func (r *Resampler) Process(dst, src pcm.Frame) pcm.Frame {
	if r.width == 0 {
		return append(dst, src...)
	}
	for len(src) > 0 {
		n := min(len(src), block)
		line := r.line[:r.width-1+n]
		for i, s := range src[:n] {
			line[r.width-1+i] = float32(s)
		}
		if r.down == 1 {
			dst = r.raise(dst, line, n)
		} else {
			dst = r.lower(dst, line, n)
		}
		copy(line, line[n:])
		src = src[n:]
	}
	return dst
}

// Reset makes r continue with silence before it, as if it were new.
func (r *Resampler) Reset() {
	r.skip = 0
	clear(r.line)
}

// raise appends up outputs for each of n inputs.
func (r *Resampler) raise(dst pcm.Frame, line []float32, n int) pcm.Frame {
	for at := range n {
		x := line[at:][:r.width]
		for phase := range r.up {
			dst = append(dst, round(dot(r.coef[phase*r.width:][:r.width], x)))
		}
	}
	return dst
}

// lower appends one output for every down inputs.
func (r *Resampler) lower(dst pcm.Frame, line []float32, n int) pcm.Frame {
	at := r.skip
	for ; at < n; at += r.down {
		dst = append(dst, round(dot(r.coef, line[at:][:r.width])))
	}
	r.skip = at - n
	return dst
}
