package bridge_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/g711"
	"github.com/skybridge-media/skybridge/codecs/g722"
	"github.com/skybridge-media/skybridge/codecs/opus"
	"github.com/skybridge-media/skybridge/media/bridge"
)

// room is a bridge in fake time with callers named "0", "1", ...
type room struct {
	*bridge.Bridge
	reg     *prometheus.Registry
	callers []*caller
	plan    bridge.Plan
	events  []any
}

// inRoom runs f in a bubble with the callers attached and listed.
func inRoom(t *testing.T, cfg bridge.Config, callers func(t *testing.T) []*caller, f func(t *testing.T, r *room)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { enter(t, cfg, callers, f) })
}

// enter is inRoom within a bubble.
func enter(t *testing.T, cfg bridge.Config, callers func(t *testing.T) []*caller, f func(t *testing.T, r *room)) {
	t.Helper()
	r := &room{reg: prometheus.NewRegistry(), callers: callers(t)}
	cfg.Metrics = bridge.NewMetrics(r.reg)
	cfg.Notify = func(e any) { r.events = append(r.events, e) }
	r.Bridge = bridge.New(cfg)
	defer r.Close()
	for i := range r.callers {
		r.plan.Members = append(r.plan.Members, bridge.Member{ID: fmt.Sprint(i), Name: fmt.Sprint("Caller ", i)})
	}
	r.change(func(*bridge.Plan) {})
	for i, c := range r.callers {
		r.Attach(fmt.Sprint(i), c, false)
	}
	f(t, r)
}

// change applies a changed copy of the plan.
func (r *room) change(f func(p *bridge.Plan)) {
	p := r.plan
	p.Members = slices.Clone(p.Members)
	f(&p)
	r.plan = p
	r.Apply(&p)
}

// run lets time pass.
func (r *room) run(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// expect fails unless caller i hears exactly the tones of those listed.
func (r *room) expect(t *testing.T, i int, hears ...int) {
	t.Helper()
	for j, c := range r.callers {
		got, want := r.callers[i].amplitude(c.voice.hz), 0.0
		if slices.Contains(hears, j) {
			want = c.voice.amplitude
		}
		if got < 0.8*want || got > want+0.02*2000 {
			t.Errorf("caller %d hears caller %d at %.0f, want %.0f", i, j, got, want)
		}
	}
}

func TestEverybodyHearsTheOthers(t *testing.T) {
	kinds := []*codecs.Audio{&g711.PCMU, &g711.PCMA, &g722.G722, &opus.Mono, &opus.Mono}
	// With multiples of 50 Hz all ticks are alike, and so is what Opus gets wrong in
	// each of them: it would add up to tones where somebody else's might be.
	pitches := []float64{523, 659, 784, 988, 1175}
	callers := func(t *testing.T) []*caller {
		var cs []*caller
		for i, k := range kinds {
			c := newCaller(t, k)
			c.say(tone(pitches[i], 2000))
			cs = append(cs, c)
		}
		return cs
	}
	inRoom(t, bridge.Config{}, callers, func(t *testing.T, r *room) {
		everybody := []int{0, 1, 2, 3, 4}
		hearing := func(silent ...int) {
			t.Helper()
			r.run(time.Second) // codecs and filters settle
			for _, c := range r.callers {
				c.listen()
			}
			r.run(time.Second)
			for i := range everybody {
				r.expect(t, i, slices.DeleteFunc(slices.Clone(everybody), func(j int) bool {
					return j == i || slices.Contains(silent, j)
				})...)
			}
		}
		hearing()
		r.change(func(p *bridge.Plan) { p.Members[2].AudioMuted = true })
		hearing(2)
		r.callers[4].say(voice{hz: pitches[4], amplitude: 2000})
		hearing(2, 4)
		r.change(func(p *bridge.Plan) { p.Members[2].AudioMuted = false })
		r.callers[4].say(tone(pitches[4], 2000))
		hearing()
	})
}

func TestHeld(t *testing.T) {
	callers := func(t *testing.T) []*caller {
		cs := newCallers(t, 3)
		for i, c := range cs {
			c.say(tone(500+150*float64(i), 2000))
		}
		return cs
	}
	inRoom(t, bridge.Config{}, callers, func(t *testing.T, r *room) {
		r.change(func(p *bridge.Plan) { p.Members[0].Held = true })
		r.run(time.Second)
		for _, c := range r.callers {
			c.listen()
		}
		r.run(time.Second)
		r.expect(t, 1, 2)
		r.expect(t, 2, 1)
		ticks, decodes, sent := r.callers[0].counts()
		if decodes != 0 || sent != 0 {
			t.Errorf("decoded %d and sent %d ticks of one on hold, want none", decodes, sent)
		}
		if ticks < 99 {
			t.Errorf("playout of one on hold advanced by %d ticks, want it to go on", ticks)
		}
	})
}

// Who is attached but not in the plan hears, and is not heard.
func TestUnlisted(t *testing.T) {
	callers := func(t *testing.T) []*caller {
		cs := newCallers(t, 2)
		cs[0].say(tone(500, 2000))
		cs[1].say(tone(650, 2000))
		return cs
	}
	inRoom(t, bridge.Config{}, callers, func(t *testing.T, r *room) {
		r.change(func(p *bridge.Plan) { p.Members = p.Members[:1] })
		r.run(time.Second)
		r.callers[0].listen()
		r.callers[1].listen()
		r.run(time.Second)
		r.expect(t, 0)
		r.expect(t, 1, 0)
	})
}

// Who must not hear anything does not before the first plan that lists it, nor
// when one has forgotten it. Others are not kept waiting.
func TestHeldWhileUnlisted(t *testing.T) {
	speaker := func(t *testing.T) []*caller {
		cs := newCallers(t, 1)
		cs[0].say(tone(500, 2000))
		return cs
	}
	inRoom(t, bridge.Config{}, speaker, func(t *testing.T, r *room) {
		r.run(time.Second)
		waiting, admitted := newCaller(t, &g711.PCMU), newCaller(t, &g711.PCMU)
		list := func(members ...bridge.Member) {
			r.change(func(p *bridge.Plan) { p.Members = append(p.Members[:1], members...) })
			r.run(200 * time.Millisecond)
		}
		sent := func(c *caller, want bool, when string) {
			t.Helper()
			if _, _, n := c.counts(); want != (n > 0) {
				t.Errorf("%s: sent %d ticks", when, n)
			}
			if got := c.amplitude(500); want != (got > 1500) {
				t.Errorf("%s: hears the room at %.0f", when, got)
			}
			c.listen()
		}
		r.Attach("waiting", waiting, true)
		r.Attach("admitted", admitted, false)
		r.run(2 * bridge.Tick)
		sent(admitted, true, "admitted, not listed yet")
		r.run(time.Second)
		sent(waiting, false, "not listed yet")
		list(bridge.Member{ID: "waiting", Held: true}, bridge.Member{ID: "admitted"})
		sent(waiting, false, "listed as waiting")
		admitted.listen()
		list()
		sent(waiting, false, "not listed any more")
		sent(admitted, true, "admitted, not listed any more")
		list(bridge.Member{ID: "waiting"}, bridge.Member{ID: "admitted", Held: true})
		sent(waiting, true, "let in")
		admitted.listen()
		list()
		sent(waiting, true, "let in, not listed any more")
		sent(admitted, false, "on hold, not listed any more")

		// A plan that lists it knows better than who attaches it.
		list(bridge.Member{ID: "waiting"}, bridge.Member{ID: "admitted", Held: true})
		waiting.listen()
		r.Attach("waiting", waiting, true)
		r.run(2 * bridge.Tick)
		sent(waiting, true, "attached again, listed")
	})
}

// A hundred listeners of one codec cost one encode per tick, and so do a
// hundred with one who speaks, apart from the speaker's own.
func TestListenersShareOneEncode(t *testing.T) {
	callers := func(t *testing.T) []*caller { return newCallers(t, 100) }
	inRoom(t, bridge.Config{}, callers, func(t *testing.T, r *room) {
		perTick := func() float64 {
			ticks, encodes := value(t, r.reg, "ticks_total"), value(t, r.reg, "audio_encodes_total")
			r.run(time.Second)
			return (value(t, r.reg, "audio_encodes_total") - encodes) / (value(t, r.reg, "ticks_total") - ticks)
		}
		r.run(50 * time.Millisecond)
		if got := perTick(); got != 1 {
			t.Errorf("%v encodes per tick for 100 who listen to silence, want 1", got)
		}
		r.callers[7].say(tone(500, 2000))
		r.run(50 * time.Millisecond)
		if got := perTick(); got != 2 {
			t.Errorf("%v encodes per tick for 100 who listen to one of them, want 2", got)
		}
		if n := value(t, r.reg, "encode_groups", "full_mix"); n != 1 {
			t.Errorf("%v groups of the full mix, want 1", n)
		}
		if n := value(t, r.reg, "encode_groups", "mix_minus"); n != 1 {
			t.Errorf("%v mix-minus groups, want 1", n)
		}
		r.callers[7].say(voice{})
		r.run(time.Minute)
		if n := value(t, r.reg, "encode_groups", "mix_minus"); n != 0 {
			t.Errorf("%v mix-minus groups a minute after the last word, want 0", n)
		}
		for i, c := range r.callers {
			if ticks, _, sent := c.counts(); sent != ticks {
				t.Fatalf("caller %d got %d packets in %d ticks", i, sent, ticks)
			}
		}
	})
}

func TestSilentLegsAreNotDecoded(t *testing.T) {
	callers := func(t *testing.T) []*caller {
		cs := newCallers(t, 50)
		for i, c := range cs {
			switch i % 3 {
			case 0: // nothing arrives
			case 1: // muted microphone, with level
				c.say(voice{speaks: true, hasLevel: true, level: 127})
			case 2: // quiet room, with level
				c.say(voice{hz: 300, amplitude: 10, speaks: true, hasLevel: true, level: 72})
			}
		}
		return cs
	}
	inRoom(t, bridge.Config{}, callers, func(t *testing.T, r *room) {
		r.run(2 * time.Second)
		if n := value(t, r.reg, "audio_decodes_total"); n != 0 {
			t.Errorf("%v decodes of silence, want 0", n)
		}
	})
}

// Of fifty who do not tell how loud they are, few are decoded per tick, fewer if
// they tell when they pause, and whoever begins to speak is heard soon.
func TestUnknownLevels(t *testing.T) {
	tests := []struct {
		name   string
		hush   voice // of those who listen: noise at -73 dBov
		most   float64
		within time.Duration
	}{
		{"who tell when they pause", voice{hz: 300, amplitude: 10, speaks: true, pauses: true}, 1.1, 40 * time.Millisecond},
		{"who tell nothing", unmeasured(300, 10), 6.5, 180 * time.Millisecond},
	}
	for _, tt := range tests {
		callers := func(t *testing.T) []*caller {
			cs := newCallers(t, 50)
			for _, c := range cs {
				c.say(tt.hush)
			}
			return cs
		}
		t.Run(tt.name, func(t *testing.T) {
			inRoom(t, bridge.Config{}, callers, func(t *testing.T, r *room) {
				r.run(time.Second)
				ticks, decodes := value(t, r.reg, "ticks_total"), value(t, r.reg, "audio_decodes_total")
				r.run(2 * time.Second)
				ticks, decodes = value(t, r.reg, "ticks_total")-ticks, value(t, r.reg, "audio_decodes_total")-decodes
				if decodes > tt.most*ticks {
					t.Errorf("%v decodes in %v ticks, want at most %v per tick", decodes, ticks, tt.most)
				}
				for i, c := range r.callers {
					if _, n, _ := c.counts(); n == 0 {
						t.Errorf("caller %d was never looked at", i)
					}
				}
				for _, i := range []int{31, 7, 48, 1} {
					r.callers[i].say(unmeasured(500, 3000))
					r.run(tt.within)
					r.callers[0].listen()
					r.run(200 * time.Millisecond)
					if a := r.callers[0].amplitude(500); a < 2500 {
						t.Errorf("%v after caller %d began to speak, they are heard at %.0f of 3000", tt.within, i, a)
					}
					r.callers[i].say(tt.hush)
					r.run(2 * time.Second)
				}
			})
		})
	}
}

// Sound that the encoder does not take for speech, such as music, is heard too,
// a little later.
func TestUnknownMusic(t *testing.T) {
	callers := func(t *testing.T) []*caller {
		cs := newCallers(t, 50)
		for _, c := range cs {
			c.say(voice{hz: 300, amplitude: 10, speaks: true, pauses: true})
		}
		return cs
	}
	inRoom(t, bridge.Config{}, callers, func(t *testing.T, r *room) {
		r.run(2 * time.Second)
		r.callers[31].say(voice{hz: 500, amplitude: 3000, speaks: true, pauses: true})
		r.run(1200 * time.Millisecond)
		r.callers[0].listen()
		r.run(time.Second)
		if a := r.callers[0].amplitude(500); a < 2500 {
			t.Errorf("1.2 s after the music began, it is heard at %.0f of 3000", a)
		}
	})
}

// Of more people than can be heard, who do not tell how loud they are, those who
// wait are compared by how loud they are now.
func TestUnknownLevelsOfThoseWhoWait(t *testing.T) {
	callers := func(t *testing.T) []*caller {
		cs := newCallers(t, 10)
		for i, c := range cs {
			c.say(unmeasured(500+150*float64(i), 300))
		}
		cs[0].say(unmeasured(500, 3000))
		return cs
	}
	inRoom(t, bridge.Config{Heard: 2}, callers, func(t *testing.T, r *room) {
		r.run(time.Second)
		r.callers[7].say(unmeasured(500+150*7, 2000))
		r.run(400 * time.Millisecond)
		r.callers[9].listen()
		r.run(time.Second)
		r.expect(t, 9, 0, 7)
	})
}

func TestLoudestAreHeard(t *testing.T) {
	callers := func(t *testing.T) []*caller {
		cs := newCallers(t, 5)
		for i, c := range cs {
			c.say(tone(500+150*float64(i), []float64{4000, 300, 4000, 4000, 250}[i]))
		}
		return cs
	}
	inRoom(t, bridge.Config{Heard: 3}, callers, func(t *testing.T, r *room) {
		check := func(heard ...int) {
			t.Helper()
			r.run(time.Second)
			for _, c := range r.callers {
				c.listen()
			}
			r.run(time.Second)
			for i := range r.callers {
				r.expect(t, i, slices.DeleteFunc(slices.Clone(heard), func(j int) bool { return j == i })...)
			}
		}
		check(0, 2, 3)
		r.callers[1].say(tone(650, 5000)) // 2 dB louder do not displace anybody
		check(0, 2, 3)
		r.callers[1].say(tone(650, 9000)) // 7 dB do; the first of equals gives way
		check(1, 2, 3)
	})
}

func TestSpeakerChanged(t *testing.T) {
	callers := func(t *testing.T) []*caller { return newCallers(t, 3) }
	inRoom(t, bridge.Config{}, callers, func(t *testing.T, r *room) {
		r.callers[1].say(tone(500, 3000))
		r.run(2 * time.Second)
		r.callers[1].say(voice{})
		r.callers[2].say(tone(500, 3000))
		r.run(2 * time.Second)
		r.change(func(p *bridge.Plan) { p.Members[2].AudioMuted = true })
		r.run(time.Second)
		want := []any{bridge.SpeakerChanged{ID: "1"}, bridge.SpeakerChanged{ID: "2"}, bridge.SpeakerChanged{}}
		if !slices.Equal(r.events, want) {
			t.Errorf("events %v, want %v", r.events, want)
		}
	})
}
