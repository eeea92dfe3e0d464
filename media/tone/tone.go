// Package tone makes sounds that can be recognized, and recognizes them: sine
// waves and DTMF pairs, their levels in what somebody received, and a voice
// for callers that are not there.
//
// Everything here works on mono frames and owns no clock.
package tone

import (
	"fmt"
	"math"
	"strings"

	"github.com/skybridge-media/skybridge/codecs/pcm"
)

// fullScale is the amplitude of the loudest sine wave, 0 dBFS.
const fullScale = math.MaxInt16

// A Generator is a sum of sine waves that goes on without a click from frame
// to frame. Not safe for concurrent use.
type Generator struct {
	waves []wave
}

// A wave is a rotating phasor: two multiplications and no sine per sample.
type wave struct {
	re, im       float64 // the current sample is im
	cos, sin     float64 // by how much it turns per sample
	amplitude    float64
	untilCorrect int
}

// New returns a generator for a sampling rate in Hz. Each frequency, in Hz, has
// this level in dBFS; 0 is the loudest sine wave.
func New(rate int, level float64, frequencies ...float64) *Generator {
	g := &Generator{}
	for _, f := range frequencies {
		sin, cos := math.Sincos(2 * math.Pi * f / float64(rate))
		g.waves = append(g.waves, wave{re: 1, cos: cos, sin: sin, amplitude: fullScale * gain(level)})
	}
	return g
}

// dtmf are the frequencies of ITU-T Q.23, in Hz.
var dtmf = struct {
	keys    string
	row     [4]float64
	columns [4]float64
}{"123A456B789C*0#D", [4]float64{697, 770, 852, 941}, [4]float64{1209, 1336, 1477, 1633}}

// NewDTMF returns a generator for the two tones of a key, each of this level.
func NewDTMF(rate int, level float64, digit byte) (*Generator, error) {
	i := strings.IndexByte(dtmf.keys, digit)
	if i < 0 {
		return nil, fmt.Errorf("tone: %q is not a DTMF key", digit)
	}
	return New(rate, level, dtmf.row[i/4], dtmf.columns[i%4]), nil
}

// Read fills dst with the samples that come next.
func (g *Generator) Read(dst pcm.Frame) {
	for i := range dst {
		sum := 0.0
		for j := range g.waves {
			sum += g.waves[j].next()
		}
		dst[i] = clip(sum)
	}
}

// next returns a sample and turns the phasor.
func (w *wave) next() float64 {
	v := w.im * w.amplitude
	w.re, w.im = w.re*w.cos-w.im*w.sin, w.re*w.sin+w.im*w.cos
	if w.untilCorrect--; w.untilCorrect < 0 {
		// Rounding makes the phasor grow or shrink, very slowly.
		w.untilCorrect = 1 << 12
		n := math.Hypot(w.re, w.im)
		w.re, w.im = w.re/n, w.im/n
	}
	return v
}

// gain converts decibels to a factor.
func gain(decibels float64) float64 { return math.Pow(10, decibels/20) }

// clip rounds to a sample.
func clip(v float64) int16 {
	return int16(math.Round(min(max(v, math.MinInt16), math.MaxInt16)))
}
