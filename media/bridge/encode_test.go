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
		shared  bool    // who changes goes to an encoder that others have been hearing
		least   float64 // of the quietest
	}{
		{"of a listener", 2000, voice{}, []int{10}, false, 0.8},
		{"of a talker", 2000, tone(800, 2000), []int{10, 0, 10, 0}, false, 0.55},
		{"of a talker who makes the full mix clip", 12_000, tone(800, 30_000), []int{10, 0, 10, 0}, false, 0.7},
		{"of a listener, to an encoder that others hear", 2000, voice{}, []int{10, 0, 10, 0}, true, 0.35},
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
					// The tone itself bends by 0.004. Between the codecs within Opus
					// decoders fade; they look ahead differently.
					if bend > 0.03 {
						t.Errorf("to %d %%: a click of %.2f", loss, bend)
					}
					if quietest < tt.least {
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

// Who begins to speak moves to an encoder of their own, later to the same one again,
// and in between to that of all others: neither is heard.
func TestSpeakerHearsNoSeams(t *testing.T) {
	for _, loss := range []int{0, 10} {
		callers := func(t *testing.T) []*caller {
			var cs []*caller
			for range 3 {
				cs = append(cs, newCaller(t, &opus.Mono))
				cs[len(cs)-1].expects(loss)
			}
			cs[0].say(tone(500, 2000))
			return cs
		}
		inRoom(t, bridge.Config{}, callers, func(t *testing.T, r *room) {
			c := r.callers[1]
			r.run(2 * time.Second)
			c.listen()
			for range 3 {
				c.say(tone(800, 2000))
				r.run(700 * time.Millisecond)
				c.say(voice{})
				r.run(3*time.Second + 10*time.Millisecond)
			}
			bend, quietest := seams(c.heard, 2000)
			t.Logf("%d %%: bend %.4f, quietest %.2f", loss, bend, quietest)
			if bend > 0.03 || quietest < 0.8 {
				t.Errorf("%d %%: a click of %.3f, a gap down to %.2f", loss, bend, quietest)
			}
		})
	}
}
