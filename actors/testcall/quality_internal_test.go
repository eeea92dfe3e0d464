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
		loss  float64
		delay time.Duration
		mos   float64
		word  string
	}{
		{"nothing wrong", 0, 0, 4.41, "good"},
		{"across a continent", 0, 100 * time.Millisecond, 4.36, "good"},
		{"by satellite", 0, 350 * time.Millisecond, 3.39, "poor"},
		{"one in a hundred lost", 0.01, 50 * time.Millisecond, 4.30, "good"},
		{"one in twenty", 0.05, 50 * time.Millisecond, 3.87, "fair"},
		{"one in ten", 0.10, 50 * time.Millisecond, 3.35, "poor"},
		{"half of it", 0.5, 50 * time.Millisecond, 1.56, "bad"},
		{"everything", 1, 0, 1.18, "bad"},
		{"ten seconds late", 0, 10 * time.Second, 1, "bad"},
		{"nonsense", -1, -time.Second, 4.41, "good"},
	}
	for _, tt := range tests {
		got := opinion(rating(tt.loss, tt.delay))
		if math.Abs(got-tt.mos) > 0.03 || word(got) != tt.word {
			t.Errorf("%s: MOS %.2f (%s), want %.2f (%s)", tt.name, got, word(got), tt.mos, tt.word)
		}
	}
}

// More loss and more delay are never better.
func TestQualityIsMonotone(t *testing.T) {
	for loss := 0.0; loss < 1; loss += 0.01 {
		for delay := time.Duration(0); delay < time.Second; delay += 20 * time.Millisecond {
			r := rating(loss, delay)
			if rating(loss+0.01, delay) > r || rating(loss, delay+20*time.Millisecond) > r {
				t.Fatalf("more than %.2f lost or %v late is better", loss, delay)
			}
			if mos := opinion(r); mos < 1 || mos > 4.5 {
				t.Fatalf("MOS %v", mos)
			}
		}
	}
}
