package testcall

import (
	"math"
	"testing"
	"time"
)

// The scores were reckoned by hand from the formulas. A connection without loss
// and delay has the 4.41 that G.107 annex B gives for its default R of 93.2.
func TestQuality(t *testing.T) {
	tests := []struct {
		name  string
		codec string
		loss  float64
		delay time.Duration
		mos   float64
		word  string
	}{
		{"nothing wrong", "PCMU", 0, 0, 4.41, "good"},
		{"across a continent", "PCMU", 0, 100 * time.Millisecond, 4.36, "good"},
		{"by satellite", "PCMU", 0, 350 * time.Millisecond, 3.39, "poor"},
		{"one in a hundred lost", "opus", 0.01, 50 * time.Millisecond, 4.30, "good"},
		{"one in twenty", "opus", 0.05, 50 * time.Millisecond, 3.87, "fair"},
		{"one in ten", "opus", 0.10, 50 * time.Millisecond, 3.35, "poor"},
		{"half of it", "opus", 0.5, 50 * time.Millisecond, 1.56, "bad"},
		{"everything", "opus", 1, 0, 1.18, "bad"},
		{"ten seconds late", "opus", 0, 10 * time.Second, 1, "bad"},
		{"nonsense", "", -1, -time.Second, 4.41, "good"},
	}
	for _, tt := range tests {
		got := opinion(rating(tt.codec, tt.loss, tt.delay))
		if math.Abs(got-tt.mos) > 0.03 || word(got) != tt.word {
			t.Errorf("%s: MOS %.2f (%s), want %.2f (%s)", tt.name, got, word(got), tt.mos, tt.word)
		}
	}
}

// More loss and more delay are never better.
func TestQualityIsMonotone(t *testing.T) {
	for _, codec := range []string{"PCMU", "G722", "opus"} {
		for loss := 0.0; loss < 1; loss += 0.01 {
			for delay := time.Duration(0); delay < time.Second; delay += 20 * time.Millisecond {
				r := rating(codec, loss, delay)
				if rating(codec, loss+0.01, delay) > r || rating(codec, loss, delay+20*time.Millisecond) > r {
					t.Fatalf("%s: more than %.2f lost or %v late is better", codec, loss, delay)
				}
				if mos := opinion(r); mos < 1 || mos > 4.5 {
					t.Fatalf("%s: MOS %v", codec, mos)
				}
			}
		}
	}
}
