package mix_test

import (
	"math"
	"slices"
	"testing"

	"github.com/skybridge-media/skybridge/codecs/pcm"
	"github.com/skybridge-media/skybridge/media/mix"
)

func TestSum(t *testing.T) {
	tests := []struct {
		name    string
		said    []pcm.Frame
		without []pcm.Frame
		all     pcm.Frame
	}{
		{"nobody", nil, nil, pcm.Frame{0, 0}},
		{"alone hears silence", []pcm.Frame{{7, 7}}, []pcm.Frame{{0, 0}}, pcm.Frame{7, 7}},
		{"two hear each other", []pcm.Frame{{1, 2}, {3, 4}}, []pcm.Frame{{3, 4}, {1, 2}}, pcm.Frame{4, 6}},
		{"three hear the other two", []pcm.Frame{{1, 1}, {2, 2}, {4, 4}}, []pcm.Frame{{6, 6}, {5, 5}, {3, 3}}, pcm.Frame{7, 7}},
		{"short input is padded", []pcm.Frame{{5}, {1, 1}}, []pcm.Frame{{1, 1}, {5, 0}}, pcm.Frame{6, 1}},
		{"opposites cancel", []pcm.Frame{{30000, -30000}, {-30000, 30000}}, []pcm.Frame{{-30000, 30000}, {30000, -30000}}, pcm.Frame{0, 0}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := mix.NewSum(2)
			s.Add(pcm.Frame{9, 9})
			s.Reset()
			for _, said := range tt.said {
				s.Add(said)
			}
			got := make(pcm.Frame, 2)
			if s.All(got, new(mix.Limiter)); !slices.Equal(got, tt.all) {
				t.Errorf("everybody hears %v, want %v", got, tt.all)
			}
			for i, want := range tt.without {
				if s.Without(got, tt.said[i], new(mix.Limiter)); !slices.Equal(got, want) {
					t.Errorf("voice %d hears %v, want %v", i, got, want)
				}
			}
		})
	}
}

// sine returns tick number n of a tone at 48 kHz.
func sine(n int, hz, amplitude float64) pcm.Frame {
	f := make(pcm.Frame, 960)
	for i := range f {
		f[i] = int16(amplitude * math.Sin(2*math.Pi*hz*float64(n*960+i)/48000))
	}
	return f
}

// harmonics is the power that is not at hz, relative to what is, in dB.
func harmonics(f pcm.Frame, hz float64) float64 {
	var s, c, power float64
	for i, v := range f {
		sin, cos := math.Sincos(2 * math.Pi * hz * float64(i) / 48000)
		s, c, power = s+float64(v)*sin, c+float64(v)*cos, power+float64(v)*float64(v)
	}
	signal := 2 * (s*s + c*c) / float64(len(f))
	return 10 * math.Log10((power-signal)/signal)
}

// Three voices that together exceed the range by 9 dB are lowered, not cut off:
// hard clipping would put a third of the power into harmonics.
func TestLimiterKeepsWaveform(t *testing.T) {
	s, l := mix.NewSum(960), new(mix.Limiter)
	var out pcm.Frame
	for n := range 50 {
		s.Reset()
		for range 3 {
			s.Add(sine(n, 300, 30000))
		}
		heard := make(pcm.Frame, 960)
		s.All(heard, l)
		out = append(out, heard...)
	}
	if d := harmonics(out[960:], 300); d > -60 {
		t.Errorf("distortion %.1f dB, want below -60", d)
	}
	if peak := slices.Max(out[960:]); peak < 31000 || peak > 31700 {
		t.Errorf("peak %d, want just below the ceiling", peak)
	}
}

// One voice alone, however loud, is let through as it is, and so is what two
// hear of each other.
func TestAloneIsUntouched(t *testing.T) {
	s, l, out := mix.NewSum(160), new(mix.Limiter), make(pcm.Frame, 160)
	loud := slices.Repeat(pcm.Frame{math.MaxInt16, math.MinInt16, 1, -32124}, 40)
	for range 3 {
		s.Reset()
		s.Add(loud)
		if s.All(out, l); !slices.Equal(out, loud) {
			t.Fatalf("heard %v, want %v", out[:4], loud[:4])
		}
	}
	other := slices.Repeat(pcm.Frame{20000}, 160)
	s.Reset()
	s.Add(loud)
	s.Add(other)
	if s.Without(out, other, new(mix.Limiter)); !slices.Equal(out, loud) {
		t.Errorf("one of two hears %v, want %v", out[:4], loud[:4])
	}
	if s.Without(out, nil, l); slices.Max(out[16:]) > 31700 {
		t.Errorf("two together reach %d after the attack", slices.Max(out[16:]))
	}
	for range 30 {
		s.Reset()
		s.Add(loud)
		s.All(out, l)
	}
	if !slices.Equal(out, loud) {
		t.Errorf("600 ms after two, one is heard as %v, want %v", out[:4], loud[:4])
	}
}

// After a peak the gain comes back within half a second, without a step.
func TestLimiterRecovers(t *testing.T) {
	s, l := mix.NewSum(960), new(mix.Limiter)
	tick := func(n int, amplitude float64) pcm.Frame {
		s.Reset()
		s.Add(sine(n, 300, amplitude))
		s.Add(sine(n, 300, amplitude))
		out := make(pcm.Frame, 960)
		s.All(out, l)
		return out
	}
	tick(0, 32000)
	var peaks []int16
	for n := 1; n <= 25; n++ {
		peaks = append(peaks, slices.Max(tick(n, 5000)))
	}
	if first := peaks[0]; first > 6000 {
		t.Errorf("first tick after the peak reaches %d, want about half of 10000", first)
	}
	if !slices.IsSorted(peaks) {
		t.Errorf("peaks %v, want them to rise", peaks)
	}
	if last := peaks[24]; last < 9990 {
		t.Errorf("half a second later the peak is %d, want 10000", last)
	}
	if got, want := tick(26, 5000), sine(26, 300, 5000); got[100] != 2*want[100] {
		t.Errorf("recovered limiter gives %d, want %d untouched", got[100], 2*want[100])
	}
}

// Where the gain changes, no sample may jump by more than the tone itself does,
// at any rate, and the gain changes over the same time.
func TestLimiterHasNoClicks(t *testing.T) {
	for _, rate := range []int{8000, 16000, 48000} {
		s, l := mix.NewSum(rate/50), new(mix.Limiter)
		var out pcm.Frame
		said := func(i int, amplitude float64) float64 {
			return amplitude * math.Sin(2*math.Pi*200*float64(i)/float64(rate))
		}
		for n := range 30 {
			amplitude := 8000.0
			if n/5%2 == 1 {
				amplitude = 32000
			}
			s.Reset()
			for range 2 {
				voice := make(pcm.Frame, rate/50)
				for i := range voice {
					voice[i] = int16(said(n*len(voice)+i, amplitude))
				}
				s.Add(voice)
			}
			heard := make(pcm.Frame, rate/50)
			s.All(heard, l)
			out = append(out, heard...)
		}
		steepest := 64000 * 2 * math.Pi * 200 / float64(rate) // of the sum, unlimited
		for i := 1; i < len(out); i++ {
			if d := math.Abs(float64(out[i]) - float64(out[i-1])); d > steepest+1 {
				t.Fatalf("%d Hz: sample %d jumps by %.0f, the tone by %.0f at most", rate, i, d, steepest)
			}
		}
		// 1.5 ms into the first loud tick, the gain is what the tick needs.
		at := 5*rate/50 + rate*15/10000
		if gain := float64(out[at]) / said(at, 64000); math.Abs(gain-31600./64000) > 0.01 {
			t.Errorf("%d Hz: the gain is %.3f after the attack, want %.3f", rate, gain, 31600./64000)
		}
	}
}

func TestFades(t *testing.T) {
	for _, ms := range []int{8, 16, 48} {
		f := slices.Repeat(pcm.Frame{1000}, 20*ms)
		mix.FadeIn(f)
		if f[0] != 0 || f[ms*5/2] != 500 || f[5*ms] != 1000 || f[20*ms-1] != 1000 {
			t.Errorf("%d kHz: fade in: %d, %d, %d, %d; want 0, 500, 1000, 1000", ms, f[0], f[ms*5/2], f[5*ms], f[20*ms-1])
		}
		f = slices.Repeat(pcm.Frame{1000}, 20*ms)
		mix.FadeOut(f)
		if f[0] != 1000 || f[ms*5/2] != 500 || f[5*ms] != 0 || f[20*ms-1] != 0 {
			t.Errorf("%d kHz: fade out: %d, %d, %d, %d; want 1000, 500, 0, 0", ms, f[0], f[ms*5/2], f[5*ms], f[20*ms-1])
		}
	}
}

func TestLevel(t *testing.T) {
	square := slices.Repeat(pcm.Frame{math.MaxInt16, -math.MaxInt16}, 480)
	tests := []struct {
		name string
		in   pcm.Frame
		want uint8
	}{
		{"nothing", nil, 127},
		{"digital silence", make(pcm.Frame, 960), 127},
		{"full-scale square wave", square, 0}, // RFC 6465, appendix A
		{"full-scale sine", sine(0, 1000, math.MaxInt16), 3},
		{"a tenth of it", sine(0, 1000, math.MaxInt16/10), 23},
		{"one bit of noise", slices.Repeat(pcm.Frame{1, -1}, 480), 90},
		{"half of full scale at 8 kHz", slices.Repeat(pcm.Frame{16384, -16384}, 80), 6},
		{"one bit in a tick", append(pcm.Frame{1}, make(pcm.Frame, 959)...), 120},
	}
	for _, tt := range tests {
		if got := mix.Level(tt.in); got != tt.want {
			t.Errorf("%s: level %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestNoAllocation(t *testing.T) {
	s, l, out := mix.NewSum(960), new(mix.Limiter), make(pcm.Frame, 960)
	sel := mix.NewSelector(4)
	voices := make([]*mix.Voice, 100)
	for i := range voices {
		voices[i] = new(mix.Voice)
	}
	n := 0
	said := sine(0, 300, 12000)
	allocs := testing.AllocsPerRun(200, func() {
		n++
		for i, v := range voices {
			v.Level = uint8(20 + (i*7+n)%100)
		}
		sel.Select(voices)
		s.Reset()
		for range 4 {
			s.Add(said)
		}
		s.All(out, l)
		s.Without(out, said, l)
	})
	if allocs != 0 {
		t.Errorf("%v allocations per tick", allocs)
	}
}

// BenchmarkTick is what mixing alone costs in a room of 100 where four are
// heard: choose, add four, one mix for everybody and one for each of the four.
func BenchmarkTick(b *testing.B) {
	s, out := mix.NewSum(960), make(pcm.Frame, 960)
	limiters := make([]mix.Limiter, 5)
	sel := mix.NewSelector(0)
	voices := make([]*mix.Voice, 100)
	for i := range voices {
		voices[i] = &mix.Voice{Level: 90}
	}
	for i := range 4 {
		voices[i*20].Level = 20
	}
	said := sine(0, 300, 5000)
	b.ReportAllocs()
	for b.Loop() {
		sel.Select(voices)
		s.Reset()
		for range 4 {
			s.Add(said)
		}
		s.All(out, &limiters[0])
		for i := range 4 {
			s.Without(out, said, &limiters[i+1])
		}
	}
}
