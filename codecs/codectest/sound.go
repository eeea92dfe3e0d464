package codectest

import (
	"math"

	"github.com/skybridge-media/skybridge/codecs/pcm"
)

// Sweep returns one second of a sine that rises from 100 Hz to 3 kHz.
func Sweep(f pcm.Format) pcm.Frame {
	return generate(f, func(t float64) float64 {
		return 8000 * math.Sin(2*math.Pi*(100*t+1450*t*t))
	})
}

// Speech returns one second that a codec takes for a voice: a buzz of 140 Hz
// with the harmonics of a vowel, in syllables.
func Speech(f pcm.Format) pcm.Frame {
	return generate(f, func(t float64) float64 {
		pitch := 2 * math.Pi * (140*t + 4*math.Sin(2*math.Pi*2*t)/(2*math.Pi))
		v := 0.0
		for k := 1.0; k <= 20; k++ {
			hz := 140 * k
			formants := math.Exp(-sq((hz-500)/200)) + 0.6*math.Exp(-sq((hz-1500)/250)) + 0.02
			v += formants * math.Sin(k*pitch)
		}
		syllable := 0.6 - 0.4*math.Cos(2*math.Pi*4*t)
		return 5000 * v * syllable
	})
}

// tone returns one second of hz.
func tone(f pcm.Format, hz float64) pcm.Frame {
	return generate(f, func(t float64) float64 { return 8000 * math.Sin(2*math.Pi*hz*t) })
}

func generate(f pcm.Format, at func(seconds float64) float64) pcm.Frame {
	out := make(pcm.Frame, 0, f.Rate*f.Channels)
	for i := range f.Rate {
		v := int16(min(max(at(float64(i)/float64(f.Rate)), math.MinInt16), math.MaxInt16))
		for range f.Channels {
			out = append(out, v)
		}
	}
	return out
}

func sq(x float64) float64 { return x * x }

// SNR compares got with want, in decibels, at the best alignment: codecs look
// ahead, so that what they return is late by up to maxLag samples.
func SNR(want, got pcm.Frame, maxLag int) float64 {
	best := math.Inf(-1)
	for lag := range min(maxLag, len(got)) {
		var signal, noise float64
		for i := range min(len(want), len(got)-lag) {
			w, d := float64(want[i]), float64(want[i])-float64(got[i+lag])
			signal, noise = signal+w*w, noise+d*d
		}
		best = max(best, 10*math.Log10(signal/max(noise, 1e-9)))
	}
	return best
}

// loudness returns the root mean square of f in samples.
func loudness(f pcm.Frame) float64 {
	sum := 0.0
	for _, s := range f {
		sum += float64(s) * float64(s)
	}
	return math.Sqrt(sum / float64(max(1, len(f))))
}

// steepest returns the largest step between neighbors, which is what a click is.
func steepest(f pcm.Frame, channels int) int {
	most := 0
	for i := channels; i < len(f); i++ {
		d := int(f[i]) - int(f[i-channels])
		most = max(most, d, -d)
	}
	return most
}
