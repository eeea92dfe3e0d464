package resample_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/skybridge-media/skybridge/codecs/pcm"
	"github.com/skybridge-media/skybridge/media/resample"
)

var rates = []int{8000, 16000, 48000}

// pairs calls f for every pair of rates.
func pairs(t *testing.T, f func(t *testing.T, from, to int)) {
	t.Helper()
	for _, from := range rates {
		for _, to := range rates {
			t.Run(fmt.Sprintf("%dto%d", from, to), func(t *testing.T) { f(t, from, to) })
		}
	}
}

// tone returns d seconds of a sine of the given frequency and amplitude.
func tone(rate int, hz, amplitude, d float64) pcm.Frame {
	f := make(pcm.Frame, int(d*float64(rate)))
	for i := range f {
		f[i] = int16(math.RoundToEven(amplitude * math.Sin(2*math.Pi*hz*float64(i)/float64(rate))))
	}
	return f
}

// split separates what of f is a sine of the given frequency, as amplitude,
// from the rest, as the amplitude of a sine of equal power.
func split(f pcm.Frame, rate int, hz float64) (signal, rest float64) {
	var s, c, power float64
	for i, v := range f {
		sin, cos := math.Sincos(2 * math.Pi * hz * float64(i) / float64(rate))
		s += float64(v) * sin
		c += float64(v) * cos
		power += float64(v) * float64(v)
	}
	n := float64(len(f))
	signal = 2 / n * math.Hypot(s, c)
	return signal, math.Sqrt(max(0, 2*power/n-signal*signal))
}

func db(ratio float64) float64 { return 20 * math.Log10(ratio) }

// inTicks converts in pieces of 20 ms and drops what the filter needs to settle.
func inTicks(from, to int, in pcm.Frame) pcm.Frame {
	r := resample.New(from, to)
	var out pcm.Frame
	for piece := range slices.Chunk(in, from/50) {
		out = r.Process(out, piece)
	}
	return out[to/50:]
}

func TestPassBand(t *testing.T) {
	pairs(t, func(t *testing.T, from, to int) {
		half := float64(min(from, to)) / 2
		for part := 0.02; part < 0.86; part += 0.06 {
			hz := math.Round(part*half/25) * 25 // whole periods in every tick
			out := inTicks(from, to, tone(from, hz, 16000, 0.22))
			signal, rest := split(out, to, hz)
			if gain := db(signal / 16000); math.Abs(gain) > 0.1 {
				t.Errorf("%v Hz: gain %.2f dB, want 0 within 0.1", hz, gain)
			}
			// Everything else is rounding and images.
			if snr := db(signal / rest); snr < 72 {
				t.Errorf("%v Hz: signal to noise %.1f dB, want at least 72", hz, snr)
			}
		}
	})
}

func TestAliasAttenuation(t *testing.T) {
	for _, c := range []struct{ from, to int }{{48000, 8000}, {48000, 16000}, {16000, 8000}} {
		t.Run(fmt.Sprintf("%dto%d", c.from, c.to), func(t *testing.T) {
			half := float64(c.to) / 2
			// From 1.15 on, a frequency would fold into the pass band.
			for hz := math.Round(1.15*half/25) * 25; hz < float64(c.from)/2; hz += 925 {
				out := inTicks(c.from, c.to, tone(c.from, hz, 16000, 0.22))
				_, rest := split(out, c.to, 0)
				if a := db(16000 / rest); a < 70 {
					t.Errorf("%v Hz: attenuated by %.1f dB, want at least 70", hz, a)
				}
			}
		})
	}
}

func TestLengthAndSeams(t *testing.T) {
	pairs(t, func(t *testing.T, from, to int) {
		in := tone(from, 440, 12000, 0.5)
		whole := resample.New(from, to).Process(nil, in)
		if got, want := len(whole), len(in)*to/from; got != want {
			t.Fatalf("%d samples became %d, want %d", len(in), got, want)
		}
		r := resample.New(from, to)
		var pieces pcm.Frame
		for i, n := 0, 1; i < len(in); i, n = i+n, n%97+1 {
			pieces = r.Process(pieces, in[i:min(i+n, len(in))])
		}
		if !slices.Equal(pieces, whole) {
			t.Error("the result depends on how the input is cut")
		}
	})
}

func TestReset(t *testing.T) {
	pairs(t, func(t *testing.T, from, to int) {
		in := tone(from, 700, 12000, 0.021)
		used := resample.New(from, to)
		used.Process(nil, in[3:])
		used.Reset()
		if !slices.Equal(used.Process(nil, in), resample.New(from, to).Process(nil, in)) {
			t.Error("what was before can be heard")
		}
	})
}

func TestSaturates(t *testing.T) {
	square := make(pcm.Frame, 800)
	for i := range square {
		square[i] = math.MaxInt16
		if i/10%2 == 1 {
			square[i] = math.MinInt16
		}
	}
	out := resample.New(8000, 48000).Process(nil, square)
	for i := 1; i < len(out); i++ {
		// A wrapped overshoot would jump over nearly the whole range at once.
		if d := int(out[i]) - int(out[i-1]); d > 30000 || d < -30000 {
			t.Fatalf("sample %d jumps from %d to %d", i, out[i-1], out[i])
		}
	}
}

func TestOffsetStaysConstant(t *testing.T) {
	in := make(pcm.Frame, 1600)
	for i := range in {
		in[i] = 1000
	}
	pairs(t, func(t *testing.T, from, to int) {
		for _, v := range inTicks(from, to, in) {
			if v != 1000 {
				t.Fatalf("1000 became %d", v)
			}
		}
	})
}

func TestUnsupportedRate(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("44100 Hz was accepted")
		}
	}()
	resample.New(44100, 48000)
}

func TestNoAllocation(t *testing.T) {
	pairs(t, func(t *testing.T, from, to int) {
		r := resample.New(from, to)
		in, out := tone(from, 440, 8000, 0.02), make(pcm.Frame, 0, 960)
		if n := testing.AllocsPerRun(20, func() { r.Process(out, in) }); n != 0 {
			t.Errorf("%v allocations per tick", n)
		}
	})
}

func BenchmarkProcess(b *testing.B) {
	for _, c := range [][2]int{{8000, 48000}, {16000, 48000}, {48000, 8000}, {48000, 16000}} {
		b.Run(fmt.Sprintf("%dto%d", c[0], c[1]), func(b *testing.B) {
			r := resample.New(c[0], c[1])
			in, out := tone(c[0], 440, 8000, 0.02), make(pcm.Frame, 0, 960)
			b.ReportAllocs()
			for b.Loop() {
				r.Process(out, in)
			}
		})
	}
}
