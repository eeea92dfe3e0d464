package bridge_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/g711"
	"github.com/skybridge-media/skybridge/codecs/vp8"
	"github.com/skybridge-media/skybridge/codecs/yuv"
	"github.com/skybridge-media/skybridge/media/bridge"
	"github.com/skybridge-media/skybridge/media/compose"
)

// slow returns VP8 whose encoder takes its time for each picture.
func slow(d time.Duration) *codecs.Video {
	v := vp8.VP8
	v.NewEncoder = func(o codecs.VideoOptions) (codecs.VideoEncoder, error) {
		e, err := vp8.VP8.NewEncoder(o)
		return slowEncoder{e, d}, err
	}
	return &v
}

type slowEncoder struct {
	codecs.VideoEncoder
	d time.Duration
}

func (e slowEncoder) Encode(dst []byte, pic *yuv.Picture, key bool) ([]byte, bool, error) {
	time.Sleep(e.d)
	return e.VideoEncoder.Encode(dst, pic, key)
}

// Encoders that cannot keep up cost pictures of their own receivers; neither
// audio nor other groups notice.
func TestSlowEncoderDropsItsOwnPictures(t *testing.T) {
	callers := func(t *testing.T) []*caller {
		cs := filmed(2, &vp8.VP8)(t)
		cs[1].watches(t, slow(150*time.Millisecond), 640, 360, 800_000)
		cs[0].say(tone(500, 3000))
		return cs
	}
	synctest.Test(t, func(t *testing.T) {
		workers := bridge.NewWorkers(2)
		defer workers.Close()
		cfg := small
		cfg.Workers = workers
		enter(t, cfg, callers, func(t *testing.T, r *room) {
			r.change(func(p *bridge.Plan) { p.SelfView = true })
			r.run(time.Second)
			ticks, _, _ := r.callers[0].counts()
			fast, _ := r.callers[0].pictures()
			late, _ := r.callers[1].pictures()
			r.run(3 * time.Second)
			if n, _, _ := r.callers[0].counts(); n-ticks != 150 {
				t.Errorf("%d audio ticks in 3 s, want 150", n-ticks)
			}
			if n, _ := r.callers[0].pictures(); n-fast < 44 {
				t.Errorf("the fast group got %d pictures in 3 s, want 45", n-fast)
			}
			if n, _ := r.callers[1].pictures(); n-late < 14 || n-late > 20 {
				t.Errorf("the slow group got %d pictures in 3 s, want one each 150 ms", n-late)
			}
			if n := value(t, r.reg, "frames_dropped_total", "encode"); n < 20 {
				t.Errorf("%v pictures counted as dropped", n)
			}
			if n := value(t, r.reg, "ticks_late_total"); n != 0 {
				t.Errorf("%v ticks late", n)
			}
		})
	})
}

// A picture that waits for a worker shows what is newest when it is painted,
// not what was when it began to wait.
func TestWaitingPictureIsReplaced(t *testing.T) {
	callers := func(t *testing.T) []*caller {
		cs := filmed(2, &vp8.VP8)(t)
		cs[0].watches(t, slow(time.Second), 640, 360, 800_000)
		return cs
	}
	synctest.Test(t, func(t *testing.T) {
		workers := bridge.NewWorkers(1)
		defer workers.Close()
		cfg := small
		cfg.Workers = workers
		enter(t, cfg, callers, func(t *testing.T, r *room) {
			r.run(600 * time.Millisecond) // the only worker is busy with caller 0
			r.callers[0].paints(colors[5])
			for frames := 0; frames == 0; frames, _ = r.callers[1].pictures() {
				r.run(10 * time.Millisecond)
			}
			if got := nearest(r.callers[1].picture(t), compose.Rect{W: 480, H: 270}); got != 5 {
				t.Errorf("the first picture shows colour %d, want the latest", got)
			}
			if n := value(t, r.reg, "frames_dropped_total", "compose"); n == 0 {
				t.Error("no replaced picture was counted")
			}
		})
	})
}

// broken is VP8 whose first encoder fails after a while.
func broken() *codecs.Video {
	v := vp8.VP8
	made := 0
	v.NewEncoder = func(o codecs.VideoOptions) (codecs.VideoEncoder, error) {
		e, err := vp8.VP8.NewEncoder(o)
		if made++; made == 1 {
			return &brokenEncoder{e, 10}, err
		}
		return e, err
	}
	return &v
}

type brokenEncoder struct {
	codecs.VideoEncoder
	left int
}

func (e *brokenEncoder) Encode(dst []byte, pic *yuv.Picture, key bool) ([]byte, bool, error) {
	if e.left--; e.left < 0 {
		return dst, false, errors.New("out of order")
	}
	return e.VideoEncoder.Encode(dst, pic, key)
}

func TestBrokenVideoEncoderIsReplaced(t *testing.T) {
	inRoom(t, small, filmed(2, broken()), func(t *testing.T, r *room) {
		r.change(func(p *bridge.Plan) { p.SelfView = true })
		r.run(3 * time.Second)
		if n, _ := r.callers[0].pictures(); n != 10 {
			t.Fatalf("%d pictures, want 10 before the failure", n)
		}
		r.run(6 * time.Second)
		frames, keys := r.callers[0].pictures()
		if frames < 30 || keys != 2 {
			t.Errorf("%d pictures and %d key frames after the repair, want more than 30, and 2", frames, keys)
		}
		if n := value(t, r.reg, "codec_errors_total"); n != 1 {
			t.Errorf("%v errors counted, want 1", n)
		}
	})
}

// Codecs that fail silence their own listeners for a while, and nobody else.
func TestBrokenAudioEncoderIsReplaced(t *testing.T) {
	bad := g711.PCMA
	made := 0
	bad.NewEncoder = func(o codecs.AudioOptions) (codecs.AudioEncoder, error) {
		if made++; made == 2 { // the first is the caller's own
			return nil, errors.New("out of order")
		}
		return g711.PCMA.NewEncoder(o)
	}
	callers := func(t *testing.T) []*caller {
		cs := []*caller{newCaller(t, &g711.PCMU), newCaller(t, &bad), newCaller(t, &g711.PCMU)}
		cs[0].say(tone(500, 3000))
		return cs
	}
	inRoom(t, bridge.Config{}, callers, func(t *testing.T, r *room) {
		r.run(4 * time.Second)
		if a := r.callers[1].amplitude(500); a != 0 {
			t.Errorf("a broken codec carries a tone at %.0f", a)
		}
		if a := r.callers[2].amplitude(500); a < 2500 {
			t.Errorf("the other codec carries it at %.0f of 3000", a)
		}
		r.run(2 * time.Second)
		r.callers[1].listen()
		r.run(time.Second)
		if a := r.callers[1].amplitude(500); a < 2500 {
			t.Errorf("after the repair, the codec carries a tone at %.0f of 3000", a)
		}
	})
}

// TickLate says how many ticks were late, five times a second at most.
func TestTickLate(t *testing.T) {
	callers := func(t *testing.T) []*caller { return newCallers(t, 1) }
	inRoom(t, bridge.Config{}, callers, func(t *testing.T, r *room) {
		for range 10 {
			r.callers[0].stalls(60 * time.Millisecond)
			r.run(100 * time.Millisecond)
		}
		r.run(time.Second)
		late := 0
		for _, e := range r.events {
			late += e.(bridge.TickLate).Ticks
		}
		if want := value(t, r.reg, "ticks_late_total"); float64(late) != want || late < 10 {
			t.Errorf("%d ticks reported late, %v counted; want the same, and at least 10", late, want)
		}
		if len(r.events) > 6 {
			t.Errorf("%d reports in a second, want at most five and one more after", len(r.events))
		}
	})
}

// Legs come and go and plans change, all at once. What judges is the race
// detector, the bubble, in which no goroutine may remain, and the legs, which
// must not be touched after Detach.
func TestComingAndGoing(t *testing.T) { synctest.Test(t, comeAndGo) }

func comeAndGo(t *testing.T) {
	reg := prometheus.NewRegistry()
	workers := bridge.NewWorkers(2)
	defer workers.Close()
	b := bridge.New(bridge.Config{Metrics: bridge.NewMetrics(reg), Workers: workers, Width: 320, Height: 180, Notify: func(any) {}})
	var wg sync.WaitGroup
	until := time.Now().Add(3 * time.Second)
	for i := range 6 {
		c := newCaller(t, &g711.PCMU)
		c.paints(colors[i])
		c.moves = true
		c.watches(t, videoCodecs[i%2], 320, 180, 300_000)
		c.say(unmeasured(500, 3000))
		wg.Go(func() {
			for time.Now().Before(until) {
				b.Attach(fmt.Sprint(i), c, false)
				time.Sleep(time.Duration(rand.IntN(150)) * time.Millisecond)
				b.Detach(fmt.Sprint(i))
				ticks, _, sent := c.counts()
				frames, _ := c.pictures()
				time.Sleep(50 * time.Millisecond) // time for anybody who does not know yet
				if n, _, m := c.counts(); n != ticks || m != sent {
					t.Errorf("caller %d is touched by audio after Detach", i)
				}
				if n, _ := c.pictures(); n != frames {
					t.Errorf("caller %d is touched by video after Detach", i)
				}
				c.change(func() { // a new peer, a new decoder
					c.decoder.Close()
					c.decoder, _ = c.spec.Codec.NewDecoder()
					c.frames = 0
				})
			}
		})
	}
	wg.Go(func() {
		for n := 0; time.Now().Before(until); n++ {
			p := &bridge.Plan{Layout: []string{"1+0", "1+7", "adaptive", "5x7"}[n%4], SelfView: n%3 == 0}
			for i := range 6 {
				p.Members = append(p.Members, bridge.Member{
					ID: fmt.Sprint(i), Name: fmt.Sprint(n), AudioMuted: n%5 == i, VideoMuted: n%7 == i, Held: n%11 == i,
				})
			}
			b.Apply(p)
			time.Sleep(10 * time.Millisecond)
		}
	})
	wg.Wait()
	b.Close()
	for _, name := range []string{"active", "legs", "views", "encode_groups"} {
		if n := value(t, reg, name); n != 0 {
			t.Errorf("%s is %v after Close", name, n)
		}
	}
}

func TestAttachAgainReplaces(t *testing.T) {
	inRoom(t, bridge.Config{}, func(t *testing.T) []*caller { return newCallers(t, 2) }, func(t *testing.T, r *room) {
		r.run(100 * time.Millisecond)
		r.Attach("0", r.callers[1], false)
		before, _, _ := r.callers[0].counts()
		r.run(100 * time.Millisecond)
		if after, _, _ := r.callers[0].counts(); after != before {
			t.Error("the leg that was replaced still ticks")
		}
		r.Detach("nobody")
		if n := value(t, r.reg, "legs"); n != 2 {
			t.Errorf("%v legs, want 2", n)
		}
	})
}

func TestMetricsLint(t *testing.T) {
	reg := prometheus.NewRegistry()
	bridge.NewMetrics(reg)
	problems, err := testutil.GatherAndLint(reg)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}
