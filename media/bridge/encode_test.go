package bridge_test

import (
	"math"
	"testing"
	"time"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/opus"
	"github.com/skybridge-media/skybridge/codecs/pcm"
	"github.com/skybridge-media/skybridge/media/bridge"
)

// expects changes how much loss what the caller hears is made for, in percent.
func (c *caller) expects(loss int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.options = codecs.AudioOptions{Loss: loss}
}

// seams returns, relative to the amplitude of a steady tone, the sharpest bend in
// its wave and the quietest 2 ms.
func seams(f pcm.Frame, amplitude float64) (bend, quietest float64) {
	for i := range f[2:] {
		bend = max(bend, math.Abs(float64(f[i+2])-2*float64(f[i+1])+float64(f[i])))
	}
	quietest = math.Inf(1)
	for n := 96; len(f) >= n; f = f[n:] {
		power := 0.0
		for _, v := range f[:n] {
			power += float64(v) * float64(v)
		}
		quietest = min(quietest, math.Sqrt(2*power/float64(n)))
	}
	return bend / amplitude, quietest / amplitude
}

// When a peer begins to lose packets, and when it no longer does, another encoder
// goes on with what it hears: a tone, without a click or a gap.
func TestChangeOfEncoding(t *testing.T) {
	tests := []struct {
		name    string
		heard   float64 // amplitude
		said    voice   // by who changes
		changes []int   // expected loss
		shared  bool    // another encoder serves others, and has been
	}{
		{"of a listener", 2000, voice{}, []int{10}, false},
		{"of a talker", 2000, tone(800, 2000), []int{10, 0, 10, 0}, false},
		{"of a talker who makes the full mix clip", 12_000, tone(800, 30_000), []int{10, 0, 10, 0}, false},
		{"of a listener, to an encoder that others hear", 2000, voice{}, []int{10, 0, 10, 0}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			callers := func(t *testing.T) []*caller {
				var cs []*caller
				for range 4 {
					cs = append(cs, newCaller(t, &opus.Mono))
				}
				cs[0].say(tone(500, tt.heard))
				cs[1].say(tt.said)
				if tt.shared {
					cs[2].expects(10)
				}
				return cs
			}
			inRoom(t, bridge.Config{}, callers, func(t *testing.T, r *room) {
				c := r.callers[1]
				r.run(2 * time.Second)
				for _, loss := range tt.changes {
					c.listen()
					r.run(210 * time.Millisecond)
					c.expects(loss)
					r.run(500 * time.Millisecond)
					bend, quietest := seams(c.heard, tt.heard)
					t.Logf("to %d %%: bend %.4f, quietest %.2f", loss, bend, quietest)
					// The tone itself bends by 0.004. An encoder that has been running
					// refers to what c has not heard: c hears it fade in.
					if bend > 0.03 {
						t.Errorf("to %d %%: a click of %.2f", loss, bend)
					}
					if quietest < 0.5 && !tt.shared {
						t.Errorf("to %d %%: a gap, down to %.2f", loss, quietest)
					}
					if n := len(c.heard); n < 960*34 || n > 960*36 {
						t.Errorf("to %d %%: %d samples in 710 ms", loss, n)
					}
				}
			})
		})
	}
}
