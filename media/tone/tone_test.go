package tone_test

import (
	"math"
	"slices"
	"testing"

	"github.com/skybridge-media/skybridge/codecs/pcm"
	"github.com/skybridge-media/skybridge/media/tone"
)

func near(got, want, tolerance float64) bool { return math.Abs(got-want) <= tolerance }

func TestGeneratorAndDetect(t *testing.T) {
	for _, rate := range []int{8000, 16000, 48000} {
		samples := make(pcm.Frame, rate/2)
		g := tone.New(rate, -12, 440, 1000)
		for i := 0; i < len(samples); i += 160 { // in frames, as a call does
			g.Read(samples[i:min(i+160, len(samples))])
		}
		levels := tone.Detect(samples, rate, 440, 1000, 700, 2000)
		for i, want := range []float64{-12, -12} {
			if !near(levels[i], want, 0.1) {
				t.Errorf("rate %d: level %.2f, want %.0f", rate, levels[i], want)
			}
		}
		for _, l := range levels[2:] {
			if l > -70 {
				t.Errorf("rate %d: %.1f dBFS where there is nothing", rate, l)
			}
		}
	}
}

func TestGeneratorDoesNotDrift(t *testing.T) {
	const rate = 48000
	g := tone.New(rate, -6, 997)
	samples := make(pcm.Frame, rate)
	for range 60 {
		g.Read(samples)
	}
	if f, level := tone.Peak(samples, rate, 900, 1100); !near(f, 997, 0.01) || !near(level, -6, 0.05) {
		t.Errorf("after a minute: %.3f Hz at %.2f dBFS", f, level)
	}
}

func TestDTMF(t *testing.T) {
	rows, columns := []float64{697, 770, 852, 941}, []float64{1209, 1336, 1477, 1633}
	const keys = "123A456B789C*0#D"
	for i := range keys {
		g, err := tone.NewDTMF(8000, -10, keys[i])
		if err != nil {
			t.Fatal(err)
		}
		samples := make(pcm.Frame, 800)
		g.Read(samples)
		for want, levels := range map[int][]float64{i / 4: tone.Detect(samples, 8000, rows...), i % 4: tone.Detect(samples, 8000, columns...)} {
			if got := slices.Index(levels, slices.Max(levels)); got != want || !near(levels[got], -10, 0.5) {
				t.Errorf("key %c: levels %.1f", keys[i], levels)
			}
		}
	}
	if _, err := tone.NewDTMF(8000, -10, 'x'); err == nil {
		t.Error("no error for a key that does not exist")
	}
}

func TestPeak(t *testing.T) {
	const rate = 16000
	for _, f := range []float64{123.4, 440, 1000.5, 3999, 7000} {
		samples := make(pcm.Frame, rate/5)
		tone.New(rate, -20, f).Read(samples)
		if got, level := tone.Peak(samples, rate, 50, 7900); !near(got, f, 0.5) || !near(level, -20, 0.2) {
			t.Errorf("%v Hz: found %.2f Hz at %.2f dBFS", f, got, level)
		}
	}
	if _, level := tone.Peak(nil, rate, 50, 4000); level != tone.Silence {
		t.Errorf("nothing has a level of %v", level)
	}
	if _, level := tone.Peak(make(pcm.Frame, 1000), rate, 50, 4000); level != tone.Silence {
		t.Errorf("silence has a level of %v", level)
	}
}

func TestLevel(t *testing.T) {
	samples := make(pcm.Frame, 4800)
	if got := tone.Level(samples); got != tone.Silence {
		t.Errorf("silence: %v", got)
	}
	tone.New(48000, -3, 1000).Read(samples)
	if got := tone.Level(samples); !near(got, -3, 0.05) {
		t.Errorf("sine at -3: %v", got)
	}
}

func TestGeneratorClips(t *testing.T) {
	samples := make(pcm.Frame, 4800)
	tone.New(48000, 0, 500, 600).Read(samples) // twice full scale at its peaks
	if slices.Max(samples) != math.MaxInt16 || slices.Min(samples) != math.MinInt16 {
		t.Errorf("range %d to %d, want all", slices.Min(samples), slices.Max(samples))
	}
}

func TestSpeech(t *testing.T) {
	const rate, tick = 16000, 16000 / 50
	for seed := range uint64(6) {
		s := tone.NewSpeech(rate, seed)
		samples := make(pcm.Frame, 20*rate)
		s.Read(samples)
		var speaking []float64
		silent := 0
		for i := 0; i+tick <= len(samples); i += tick {
			if l := tone.Level(samples[i : i+tick]); l > -45 {
				speaking = append(speaking, l)
			} else {
				silent++
			}
		}
		slices.Sort(speaking)
		frames := len(samples) / tick
		if n := len(speaking); n < frames*4/10 || n > frames*85/100 {
			t.Errorf("seed %d: speaks in %d of %d frames", seed, n, frames)
			continue
		}
		if median := speaking[len(speaking)/2]; median < -30 || median > -10 {
			t.Errorf("seed %d: speaks at %.1f dBFS", seed, median)
		}
		if peak := max(-int(slices.Min(samples)), int(slices.Max(samples))); peak >= math.MaxInt16 {
			t.Errorf("seed %d: clips", seed)
		}
		// Formants put a voice into the band of a telephone.
		if f, _ := tone.Peak(samples[2000:4048], rate, 50, 8000); f < 80 || f > 3500 {
			t.Errorf("seed %d: loudest at %.0f Hz", seed, f)
		}
	}
}

func TestSpeechIsDeterministic(t *testing.T) {
	a, b, c := make(pcm.Frame, 48000), make(pcm.Frame, 48000), make(pcm.Frame, 48000)
	tone.NewSpeech(48000, 7).Read(a)
	s := tone.NewSpeech(48000, 7)
	for i := 0; i < len(b); i += 960 {
		s.Read(b[i : i+960])
	}
	tone.NewSpeech(48000, 8).Read(c)
	if !slices.Equal(a, b) {
		t.Error("the same seed sounds different in frames")
	}
	if slices.Equal(a, c) || tone.NewSpeech(48000, 7).Pitch() == tone.NewSpeech(48000, 8).Pitch() {
		t.Error("two seeds sound the same")
	}
}

func TestAllocates(t *testing.T) {
	frame := make(pcm.Frame, 960)
	g, s := tone.New(48000, -10, 440), tone.NewSpeech(48000, 1)
	if n := testing.AllocsPerRun(200, func() { g.Read(frame); s.Read(frame) }); n != 0 {
		t.Errorf("%v allocations per frame, want 0", n)
	}
}

func BenchmarkSpeech(b *testing.B) {
	frame := make(pcm.Frame, 960)
	s := tone.NewSpeech(48000, 1)
	b.ReportAllocs()
	for b.Loop() {
		s.Read(frame)
	}
}
