package conceal_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/skybridge-media/skybridge/codecs/conceal"
	"github.com/skybridge-media/skybridge/codecs/pcm"
)

// buzz returns n samples of a voice-like periodic signal of hz.
func buzz(rate int, hz float64, n int) pcm.Frame {
	f := make(pcm.Frame, n)
	for i := range f {
		phase := 2 * math.Pi * hz * float64(i) / float64(rate)
		f[i] = int16(4000*math.Sin(phase) + 2000*math.Sin(2*phase+1) + 1000*math.Sin(5*phase+2))
	}
	return f
}

// TestContinues verifies that the first 10 ms of a loss carry a periodic signal
// on as if nothing had happened, at pitches of low and high voices.
func TestContinues(t *testing.T) {
	for _, rate := range []int{8000, 16000} {
		for _, hz := range []float64{75, 100, 140, 190, 250, 310} {
			f := buzz(rate, hz, rate/5)
			c := conceal.New(rate)
			at := len(f) - rate/50
			c.Received(f[:at])
			got, want := c.Lost(nil), f[at:]
			var signal, noise float64
			for i := range rate / 100 {
				d := float64(want[i]) - float64(got[i])
				signal, noise = signal+float64(want[i])*float64(want[i]), noise+d*d
			}
			if snr := 10 * math.Log10(signal/noise); snr < 9 {
				t.Errorf("%d Hz sampling, pitch %.0f Hz: SNR = %.1f dB, want at least 9", rate, hz, snr)
			}
		}
	}
}

func TestFades(t *testing.T) {
	c := conceal.New(8000)
	c.Received(buzz(8000, 140, 800))
	var last float64
	for i := range 4 {
		sum := 0.0
		for _, s := range c.Lost(nil) {
			sum += float64(s) * float64(s)
		}
		if i > 0 && sum >= last {
			t.Errorf("frame %d of a loss is not softer than the one before", i)
		}
		last = sum
		if i == 3 && sum != 0 {
			t.Errorf("frame %d of a loss is not silent", i)
		}
		if sum == 0 {
			last = 1
		}
	}
}

func TestSilenceStaysSilent(t *testing.T) {
	c := conceal.New(8000)
	heard := func(f pcm.Frame) bool { return slices.ContainsFunc(f, func(s int16) bool { return s != 0 }) }
	if heard(c.Lost(nil)) {
		t.Error("concealment of what never began is audible")
	}
	c.Received(make(pcm.Frame, 160))
	if heard(c.Lost(nil)) {
		t.Error("concealment of silence is audible")
	}
}

// TestOddLengths goes through frames shorter than every window and longer than
// the history, of full-scale noise, with losses in between.
func TestOddLengths(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	c := conceal.New(8000)
	for range 500 {
		f := make(pcm.Frame, rng.IntN(800))
		for i := range f {
			f[i] = int16(rng.Uint32())
		}
		c.Received(f)
		for range rng.IntN(5) {
			if got := c.Lost(nil); len(got) != 160 {
				t.Fatalf("%d samples for 20 ms", len(got))
			}
		}
	}
}

// TestReceivedKeeps verifies that nothing is altered but the first 5 ms after a
// loss.
func TestReceivedKeeps(t *testing.T) {
	c := conceal.New(8000)
	f := buzz(8000, 140, 160)
	for _, lost := range []bool{false, true} {
		if lost {
			c.Lost(nil)
		}
		got := slices.Clone(f)
		c.Received(got)
		from := 0
		if lost {
			from = 40
		}
		if !slices.Equal(got[from:], f[from:]) {
			t.Errorf("after a loss: %v; samples were altered", lost)
		}
	}
}
