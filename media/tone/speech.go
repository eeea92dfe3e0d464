package tone

import (
	"math"
	"math/rand/v2"

	"github.com/skybridge-media/skybridge/codecs/pcm"
)

// Speech is a voice that says nothing: syllables of vowels in words and
// sentences, with pauses, so that speaker detection, mixing and echo behave as
// with a person. The same seed makes the same sound, and another one has
// another pitch and timbre. Not safe for concurrent use.
type Speech struct {
	rate   float64
	random *rand.Rand
	pitch  float64 // Hz, of this voice
	timbre float64 // scale of the formants: the length of the vocal tract

	// The current syllable or pause.
	left, length int // samples
	voiced       bool
	loud         float64
	from, to     float64 // pitch at its ends, Hz
	syllables    int     // left in the word
	words        int     // left in the sentence

	phase    float64 // of the glottis, 0 to 1
	formants [3]resonator
}

// loudness is the amplitude of the first formant of a loud syllable.
const loudness = 5000.0

// vowels are the first three formants of a voice, in Hz.
var vowels = [...][3]float64{
	{730, 1090, 2440}, // father
	{530, 1840, 2480}, // bet
	{270, 2290, 3010}, // beet
	{570, 840, 2410},  // bought
	{300, 870, 2240},  // boot
	{660, 1720, 2410}, // bat
	{490, 1350, 1690}, // bird
}

// NewSpeech returns the voice of a seed at a sampling rate in Hz, which is 8000
// or more.
func NewSpeech(rate int, seed uint64) *Speech {
	s := &Speech{rate: float64(rate), random: rand.New(rand.NewPCG(seed, 0x5eed))}
	s.pitch = 85 * math.Pow(2, 1.4*s.random.Float64()) // a low to a high voice: 85 to 224 Hz
	s.timbre = 0.9 + 0.3*(s.pitch-85)/140
	s.newSentence()
	return s
}

// Pitch is the fundamental frequency of the voice, in Hz, around which it moves
// by a fifth of it.
func (s *Speech) Pitch() float64 { return s.pitch }

// Read fills dst with the samples that come next.
func (s *Speech) Read(dst pcm.Frame) {
	for i := range dst {
		if s.left == 0 {
			s.nextSegment()
		}
		dst[i] = clip(s.sample())
		s.left--
	}
}

// sample is the excitation of the glottis through the formants.
func (s *Speech) sample() float64 {
	excitation := 0.0
	if s.voiced {
		position := 1 - float64(s.left)/float64(s.length)
		step := (s.from + (s.to-s.from)*position) / s.rate
		s.phase += step
		if s.phase >= 1 {
			s.phase--
		}
		excitation = sawtooth(s.phase, step) * s.loud * envelope(position)
	}
	out := 0.0
	for i := range s.formants {
		out += s.formants[i].filter(excitation)
	}
	return out
}

// sawtooth is a wave with all harmonics, as a glottis makes. Its edge is
// rounded over two samples, lest the harmonics above half the sampling rate
// come back as noise.
func sawtooth(phase, step float64) float64 {
	v := 2*phase - 1
	switch {
	case phase < step:
		t := phase / step
		v -= 2*t - t*t - 1
	case phase > 1-step:
		t := (phase - 1) / step
		v -= 2*t + t*t + 1
	}
	return v
}

// envelope fades a syllable in and out.
func envelope(position float64) float64 {
	const attack, release = 0.15, 0.35
	switch {
	case position < attack:
		return 0.5 - 0.5*math.Cos(math.Pi*position/attack)
	case position > 1-release:
		return 0.5 - 0.5*math.Cos(math.Pi*(1-position)/release)
	}
	return 1
}

// nextSegment begins a syllable or a pause.
func (s *Speech) nextSegment() {
	switch {
	case s.syllables > 0:
		s.syllables--
		s.syllable()
	case s.words > 0:
		s.words--
		s.syllables = 1 + s.random.IntN(3)
		s.pause(0.04, 0.12)
	default:
		s.newSentence()
		s.pause(0.6, 1.4)
	}
}

func (s *Speech) newSentence() {
	s.words = 3 + s.random.IntN(6)
}

func (s *Speech) pause(shortest, longest float64) {
	s.voiced = false
	s.last(shortest, longest)
}

func (s *Speech) syllable() {
	s.voiced = true
	s.last(0.12, 0.28)
	s.from = s.pitch * (0.9 + 0.3*s.random.Float64())
	s.to = s.from * (0.85 + 0.2*s.random.Float64())
	vowel := vowels[s.random.IntN(len(vowels))]
	for i, f := range vowel {
		s.formants[i].tune(f*s.timbre/s.rate, (60+40*float64(i))/s.rate)
	}
	// Harmonics fall with their number: make the first formant, which is most
	// of the loudness, equal in all vowels and voices.
	s.loud = (0.6 + 0.4*s.random.Float64()) * loudness * vowel[0] * s.timbre / s.from
}

// last sets the length of a segment to something between two times in seconds.
func (s *Speech) last(shortest, longest float64) {
	s.length = int((shortest + (longest-shortest)*s.random.Float64()) * s.rate)
	s.left = s.length
}

// A resonator is a two-pole filter with a gain of one at its frequency.
type resonator struct {
	a, b, c float64
	y1, y2  float64
}

// tune takes the frequency and the bandwidth in cycles per sample.
func (r *resonator) tune(frequency, bandwidth float64) {
	radius := math.Exp(-math.Pi * bandwidth)
	angle := 2 * math.Pi * frequency
	r.b = 2 * radius * math.Cos(angle)
	r.c = -radius * radius
	r.a = (1 - radius) * math.Sqrt(1-2*radius*math.Cos(2*angle)+radius*radius)
}

func (r *resonator) filter(x float64) float64 {
	y := r.a*x + r.b*r.y1 + r.c*r.y2
	r.y1, r.y2 = y, r.y1
	return y
}
