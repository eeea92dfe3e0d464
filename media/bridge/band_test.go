package bridge_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/g722"
	"github.com/skybridge-media/skybridge/codecs/opus"
	"github.com/skybridge-media/skybridge/codecs/pcm"
	"github.com/skybridge-media/skybridge/media/bridge"
)

// linear is a codec that loses nothing: samples of two bytes.
type linear struct{}

func (linear) Encode(dst []byte, src pcm.Frame) ([]byte, error) {
	for _, v := range src {
		dst = binary.BigEndian.AppendUint16(dst, uint16(v))
	}
	return dst, nil
}

func (linear) Decode(dst pcm.Frame, packet []byte) (pcm.Frame, error) {
	for ; len(packet) >= 2; packet = packet[2:] {
		dst = append(dst, int16(binary.BigEndian.Uint16(packet)))
	}
	return dst, nil
}

func (linear) Close() error { return nil }

// linears are such codecs at all rates.
var linears = func() (all []*codecs.Audio) {
	for _, rate := range []int{8000, 16000, 48000} {
		all = append(all, &codecs.Audio{
			Name: fmt.Sprint("L16/", rate), Format: pcm.Format{Rate: rate, Channels: 1}, Clock: rate,
			NewEncoder: func(codecs.AudioOptions) (codecs.AudioEncoder, error) { return linear{}, nil },
			NewDecoder: func() (codecs.AudioDecoder, error) { return linear{}, nil },
		})
	}
	return all
}()

// G.711 reaches others who use it as it was said, bit for bit and as loud as it
// can be, whoever else is in the room.
func TestUntouched(t *testing.T) {
	for _, others := range [][]*codecs.Audio{nil, {&opus.Mono}, {&g722.G722, &opus.Mono}} {
		t.Run(fmt.Sprint(len(others), " other codecs"), func(t *testing.T) {
			callers := func(t *testing.T) []*caller {
				cs := newCallers(t, 3)
				cs[0].say(tone(530, 32000))
				for _, codec := range others {
					cs = append(cs, newCaller(t, codec))
				}
				return cs
			}
			inRoom(t, bridge.Config{}, callers, func(t *testing.T, r *room) {
				r.run(time.Second)
				for _, c := range r.callers {
					c.listen()
				}
				r.run(2 * time.Second)
				said := r.callers[0].said
				if peak := slices.Max(said); peak < 32000 {
					t.Fatalf("the tone reaches %d", peak)
				}
				for i, c := range r.callers[1:3] {
					if !slices.Equal(c.heard, said) {
						t.Errorf("caller %d hears something else than what was said", i+1)
					}
				}
			})
		})
	}
}

// Whoever joins and leaves with whatever codec, those who are there hear the
// same as before, and who joins hears no click.
func TestAnotherRateJoins(t *testing.T) {
	for _, joins := range linears {
		for _, talks := range linears {
			t.Run(fmt.Sprint(talks.Name, " talks, ", joins.Name, " joins"), func(t *testing.T) {
				callers := func(t *testing.T) []*caller {
					cs := []*caller{newCaller(t, talks), newCaller(t, joins)}
					for _, codec := range linears {
						if codec != joins || codec == talks {
							cs = append(cs, newCaller(t, codec))
						}
					}
					cs[0].say(tone(530, 9000))
					return cs
				}
				inRoom(t, bridge.Config{}, callers, func(t *testing.T, r *room) {
					r.Detach("1")
					r.run(time.Second)
					for _, c := range r.callers {
						c.listen()
					}
					for range 5 {
						r.run(130 * time.Millisecond)
						r.Attach("1", r.callers[1], false)
						r.run(130 * time.Millisecond)
						r.Detach("1")
					}
					for i, c := range r.callers[1:] {
						if i == 0 {
							smoothly(t, c, 130*time.Millisecond, 9000, 530)
						} else {
							smoothly(t, c, 0, 9000, 530)
						}
					}
				})
			})
		}
	}
}

// smoothly fails if c hears a step that is larger than a tone makes itself, or
// anything but the tone. Each of the pieces that it heard, as far as they are
// known, begins with the filter's delay.
func smoothly(t *testing.T, c *caller, piece time.Duration, amplitude, hz float64) {
	t.Helper()
	rate := c.codec.Format.Rate
	steepest := 1.05 * 2 * math.Pi * hz / float64(rate) * amplitude // the filter rings a little
	n := len(c.heard)
	if piece > 0 {
		n = len(c.heard) / 5
	}
	if n < rate/10 {
		t.Fatalf("%s: heard %d samples", c.codec.Name, n)
	}
	for at := 0; at < len(c.heard); at += n {
		heard := c.heard[at:min(at+n, len(c.heard))]
		for i := 1; i < len(heard); i++ {
			if d := math.Abs(float64(heard[i]) - float64(heard[i-1])); d > steepest {
				t.Fatalf("%s: sample %d jumps by %.0f, the tone by %.0f", c.codec.Name, at+i, d, steepest)
			}
		}
		if peak := float64(slices.Max(heard)); peak < 0.98*amplitude || peak > 1.02*amplitude {
			t.Errorf("%s: peak %.0f, want %.0f", c.codec.Name, peak, amplitude)
		}
	}
}

// Who is heard at another rate falls silent, and speaks again: nothing is left
// of before, and everybody hears everybody, and nobody themself.
func TestRatesAmongTalkers(t *testing.T) {
	callers := func(t *testing.T) []*caller {
		var cs []*caller
		for i, codec := range linears {
			c := newCaller(t, codec)
			c.say(tone(500+150*float64(i), 2000))
			cs = append(cs, c)
		}
		return cs
	}
	inRoom(t, bridge.Config{}, callers, func(t *testing.T, r *room) {
		for range 3 {
			r.run(time.Second)
			for _, c := range r.callers {
				c.listen()
			}
			r.run(time.Second)
			r.expect(t, 0, 1, 2)
			r.expect(t, 1, 0, 2)
			r.expect(t, 2, 0, 1)
			was := r.callers[0].voice
			r.callers[0].say(voice{hz: was.hz})
			r.run(100 * time.Millisecond)
			r.callers[2].listen()
			r.run(time.Second)
			r.expect(t, 2, 1)
			r.callers[0].say(was)
		}
	})
}
