package tone

import (
	"math"

	"github.com/skybridge-media/skybridge/codecs/pcm"
)

// Silence is the level reported for nothing at all, in dBFS.
const Silence = -120.0

// Detect returns the level of each frequency in the samples, in dBFS: a sine
// wave of full scale is 0. It computes one DFT bin per frequency (Goertzel's
// algorithm) under a Hann window: tones that are 4*rate/len(samples) apart, in
// Hz, do not disturb each other.
func Detect(samples pcm.Frame, rate int, frequencies ...float64) []float64 {
	levels := make([]float64, len(frequencies))
	for i, f := range frequencies {
		levels[i] = decibels(bin(samples, f/float64(rate)))
	}
	return levels
}

// Peak searches for the loudest frequency between low and high, in Hz. It is
// exact to a small part of rate/len(samples).
func Peak(samples pcm.Frame, rate int, low, high float64) (frequency, level float64) {
	if len(samples) == 0 {
		return low, Silence
	}
	// All frequencies of all samples would take the square of their number.
	// First a rough look at some pieces, then a close one around the maximum.
	pieces, size := split(samples)
	width := float64(rate) / float64(size)
	frequency = loudest(low, high, width/2, func(f float64) float64 {
		power := 0.0
		for _, p := range pieces {
			a := bin(p, f/float64(rate))
			power += a * a
		}
		return power
	})
	amplitude := func(f float64) float64 { return bin(samples, f/float64(rate)) }
	step := float64(rate) / float64(len(samples)) / 2
	frequency = loudest(max(low, frequency-width), min(high, frequency+width), step, amplitude)
	best := amplitude(frequency)
	for range 16 { // halve the step around the maximum
		step /= 2
		for _, f := range [...]float64{frequency - step, frequency + step} {
			if a := amplitude(f); a > best && f >= low && f <= high {
				frequency, best = f, a
			}
		}
	}
	return frequency, decibels(best)
}

// split returns at most 8 pieces of equal size, spread over the samples.
func split(samples pcm.Frame) (pieces []pcm.Frame, size int) {
	const most, longest = 8, 4096
	size = min(len(samples), longest)
	n := min(len(samples)/size, most)
	for i := range n {
		start := 0
		if n > 1 {
			start = i * (len(samples) - size) / (n - 1)
		}
		pieces = append(pieces, samples[start:start+size])
	}
	return pieces, size
}

// loudest returns where loudness is largest. A step of half a bin cannot miss
// the main lobe of the window, which is four bins wide.
func loudest(low, high, step float64, loudness func(float64) float64) float64 {
	at, best := low, -1.0
	for f := low; f <= high; f += step {
		if a := loudness(f); a > best {
			at, best = f, a
		}
	}
	return at
}

// Level is the loudness of the samples, in dBFS: a sine wave of full scale
// is 0.
func Level(samples pcm.Frame) float64 {
	sum := 0.0
	for _, s := range samples {
		sum += float64(s) * float64(s)
	}
	if sum == 0 {
		return Silence
	}
	return decibels(math.Sqrt(2*sum/float64(len(samples))) / fullScale)
}

// bin is the amplitude of one frequency, given in cycles per sample, where 1
// is full scale.
func bin(samples pcm.Frame, frequency float64) float64 {
	n := len(samples)
	if n == 0 {
		return 0
	}
	coefficient := 2 * math.Cos(2*math.Pi*frequency)
	// The window is a cosine, made by a phasor as in a Generator.
	turnSin, turnCos := math.Sincos(2 * math.Pi / float64(n))
	cos, sin := 1.0, 0.0
	var s1, s2 float64
	for _, v := range samples {
		s0 := float64(v)*(0.5-0.5*cos) + coefficient*s1 - s2
		s1, s2 = s0, s1
		cos, sin = cos*turnCos-sin*turnSin, cos*turnSin+sin*turnCos
	}
	power := s1*s1 + s2*s2 - coefficient*s1*s2
	// Half of a real tone is at the negative frequency, and a Hann window
	// halves it again.
	return math.Sqrt(max(power, 0)) * 4 / float64(n) / fullScale
}

// decibels converts a factor, down to Silence.
func decibels(factor float64) float64 {
	return max(20*math.Log10(max(factor, 1e-9)), Silence)
}
