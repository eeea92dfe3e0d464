package bridge_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/vp8"
	"github.com/skybridge-media/skybridge/codecs/yuv"
	"github.com/skybridge-media/skybridge/media/bridge"
	"github.com/skybridge-media/skybridge/media/compose"
)

// small is a bridge that real codecs can keep up with in a test.
var small = bridge.Config{Width: 640, Height: 360, FrameRate: 15}

// filmed returns n callers who show a colour each and see with the codecs in turn.
func filmed(n int, kinds ...*codecs.Video) func(t *testing.T) []*caller {
	return func(t *testing.T) []*caller {
		cs := newCallers(t, n)
		for i, c := range cs {
			c.paints(colors[i%len(colors)])
			c.moves = true
			if len(kinds) > 0 {
				c.watches(t, kinds[i%len(kinds)], 640, 360, 800_000)
			}
		}
		return cs
	}
}

// sees fails unless caller i sees the colours of who, seat by seat. -1 is a
// seat that shows none of the colours.
func (r *room) sees(t *testing.T, i int, who ...int) {
	t.Helper()
	l, err := compose.Parse(r.plan.Layout)
	if err != nil {
		t.Fatal(err)
	}
	members := make([]compose.Member, len(who))
	for j := range who {
		members[j].ID = fmt.Sprint(j)
	}
	a := l.Arrange(members, nil, "", nil)
	pic := r.callers[i].picture(t)
	for j, k := range who {
		rect := a.Rect(j, pic.Width, pic.Height)
		if got := nearest(pic, rect); got != k {
			t.Errorf("caller %d sees caller %d in seat %d at %v, want %d", i, got, j, rect, k)
		}
	}
}

// nearest returns whose colour fills a rectangle but for its edges and its
// label, or -1.
func nearest(p *yuv.Picture, r compose.Rect) int {
	is := func(c yuv.Color) bool {
		for y := r.Y + r.H/8; y < r.Y+r.H/2; y += 3 {
			for x := r.X + r.W/8; x < r.X+r.W*7/8; x += 3 {
				u := y/2*p.StrideUV + x/2
				for _, d := range []int{
					int(p.Y[y*p.StrideY+x]) - int(c.Y), int(p.U[u]) - int(c.U), int(p.V[u]) - int(c.V),
				} {
					if d < -12 || d > 12 {
						return false
					}
				}
			}
		}
		return true
	}
	return slices.IndexFunc(colors, is)
}

func TestEverybodySeesEverybody(t *testing.T) {
	inRoom(t, small, filmed(4, videoCodecs...), func(t *testing.T, r *room) {
		r.change(func(p *bridge.Plan) { p.Layout, p.SelfView = "2x2", true })
		r.run(2 * time.Second)
		for i := range r.callers {
			r.sees(t, i, 0, 1, 2, 3)
		}
		if n := value(t, r.reg, "views"); n != 1 {
			t.Errorf("%v views of one picture", n)
		}
		if n := value(t, r.reg, "encode_groups", "video"); n != 2 {
			t.Errorf("%v encodes for two codecs, want 2", n)
		}
		if got, want := r.callers[0].wants(), [2]int{320, 180}; got != want {
			t.Errorf("wanted at %v, want %v", got, want)
		}
	})
}

func TestNobodySeesThemself(t *testing.T) {
	inRoom(t, small, filmed(4, videoCodecs...), func(t *testing.T, r *room) {
		r.change(func(p *bridge.Plan) { p.Layout = "2x2" })
		r.run(2 * time.Second)
		r.sees(t, 0, 1, 2, 3)
		r.sees(t, 1, 0, 2, 3)
		r.sees(t, 2, 0, 1, 3)
		r.sees(t, 3, 0, 1, 2)
		if n := value(t, r.reg, "views"); n != 4 {
			t.Errorf("%v views, want 4", n)
		}
	})
}

// Who has no tile sees the same as all others without one.
func TestGuestsShareAView(t *testing.T) {
	inRoom(t, small, filmed(6, &vp8.VP8), func(t *testing.T, r *room) {
		r.change(func(p *bridge.Plan) {
			p.Layout = "2x2"
			p.Members[5].NoTile = true
		})
		r.run(2 * time.Second)
		r.sees(t, 0, 1, 2, 3, 4) // the next in line moves up
		r.sees(t, 4, 0, 1, 2, 3)
		r.sees(t, 5, 0, 1, 2, 3)
		if n := value(t, r.reg, "views"); n != 5 {
			t.Errorf("%v views, want one for each of four and one for the rest", n)
		}
		if n := value(t, r.reg, "encode_groups", "video"); n != 5 {
			t.Errorf("%v encodes, want 5", n)
		}
		if got := r.callers[5].wants(); got != [2]int{} {
			t.Errorf("the picture of one without a tile is wanted at %v", got)
		}
	})
}

func TestLayoutSwitch(t *testing.T) {
	inRoom(t, small, filmed(3, videoCodecs...), func(t *testing.T, r *room) {
		for _, layout := range []string{"1+7", "adaptive", "3x3", "4x4", "1+7"} {
			r.change(func(p *bridge.Plan) { p.Layout, p.SelfView = layout, true })
			r.run(time.Second)
			for i := range r.callers {
				r.sees(t, i, 0, 1, 2)
			}
		}
		if got, want := r.callers[0].wants(), [2]int{480, 270}; got != want {
			t.Errorf("the large one is wanted at %v, want %v", got, want)
		}
		if got, want := r.callers[1].wants(), [2]int{160, 90}; got != want {
			t.Errorf("a small one is wanted at %v, want %v", got, want)
		}
		for i, c := range r.callers {
			if _, keys := c.pictures(); keys > 2 { // its own, and the other of its group
				t.Errorf("caller %d got %d key frames, a layout takes none", i, keys)
			}
		}
	})
}

func TestSpeakerIsLarge(t *testing.T) {
	inRoom(t, small, filmed(3, videoCodecs...), func(t *testing.T, r *room) {
		r.change(func(p *bridge.Plan) { p.SelfView = true })
		r.callers[2].say(tone(500, 3000))
		r.run(2 * time.Second)
		r.sees(t, 0, 2, 1, 0)
		r.change(func(p *bridge.Plan) { p.Members[1].Spotlight = true })
		r.run(2 * time.Second)
		r.sees(t, 0, 1, 2, 0)
	})
}

func TestVideoMutedShowsTheName(t *testing.T) {
	inRoom(t, small, filmed(3, videoCodecs...), func(t *testing.T, r *room) {
		r.change(func(p *bridge.Plan) {
			p.Layout, p.SelfView = "2x2", true
			p.Members[1].VideoMuted = true
		})
		r.run(2 * time.Second)
		r.sees(t, 0, 0, -1, 2)
		if got := r.callers[1].wants(); got != [2]int{} {
			t.Errorf("a muted picture is wanted at %v", got)
		}
		r.change(func(p *bridge.Plan) { p.Members[1].VideoMuted = false })
		r.run(2 * time.Second)
		r.sees(t, 0, 0, 1, 2)
	})
}

func TestLeavingAndHold(t *testing.T) {
	inRoom(t, small, filmed(3, &vp8.VP8), func(t *testing.T, r *room) {
		r.change(func(p *bridge.Plan) { p.Layout, p.SelfView = "2x2", true })
		r.run(2 * time.Second)
		r.change(func(p *bridge.Plan) { p.Members[0].Held = true })
		r.run(time.Second)
		r.sees(t, 1, 2, 1) // the last takes the place
		held, _ := r.callers[0].pictures()
		r.run(time.Second)
		if n, _ := r.callers[0].pictures(); n != held {
			t.Errorf("%d pictures were sent to one on hold", n-held)
		}
		r.Detach("1")
		r.change(func(p *bridge.Plan) { p.Members = slices.Delete(p.Members, 1, 2) })
		r.change(func(p *bridge.Plan) { p.Members[0].Held = false })
		r.run(2 * time.Second)
		r.sees(t, 0, 2, 0)
		if n := r.callers[1].out.Load(); n != 1 {
			t.Errorf("%d pictures of one who left are held, want its own only", n-1)
		}
	})
}

// A hundred who see the same cost one encode per picture.
func TestViewersShareOneEncode(t *testing.T) {
	callers := func(t *testing.T) []*caller {
		cs := filmed(2)(t)
		for range 100 {
			c := newCallers(t, 1)[0]
			c.watches(t, &vp8.VP8, 320, 180, 200_000)
			cs = append(cs, c)
		}
		return cs
	}
	inRoom(t, bridge.Config{Width: 320, Height: 180, FrameRate: 15}, callers, func(t *testing.T, r *room) {
		r.change(func(p *bridge.Plan) {
			for i := range p.Members[2:] {
				p.Members[2+i].NoTile = true
			}
		})
		r.run(time.Second)
		encoded := value(t, r.reg, "frames_encoded_total")
		before, _ := r.callers[50].pictures()
		r.run(time.Second)
		encoded = value(t, r.reg, "frames_encoded_total") - encoded
		after, _ := r.callers[50].pictures()
		if got := after - before; got < 14 || float64(got) != encoded {
			t.Errorf("%d pictures received and %v encoded in one second at 15 per second", got, encoded)
		}
	})
}

// However many ask, a group makes one key frame per 500 ms at most.
func TestKeyFramesAreCoalesced(t *testing.T) {
	inRoom(t, small, filmed(3, &vp8.VP8), func(t *testing.T, r *room) {
		r.change(func(p *bridge.Plan) { p.SelfView = true })
		r.run(time.Second)
		_, before := r.callers[0].pictures()
		for range 100 {
			for _, c := range r.callers {
				c.change(func() { c.askKey = true })
			}
			r.run(20 * time.Millisecond)
		}
		_, after := r.callers[0].pictures()
		if n := after - before; n < 3 || n > 4 {
			t.Errorf("%d key frames in two seconds of requests, want one per 500 ms", n)
		}
		r.run(time.Second)
		keys := r.callers[0].keys
		for i := 1; i < len(keys); i++ {
			if d := keys[i].Sub(keys[i-1]); d < 500*time.Millisecond {
				t.Errorf("key frame %d follows after %v", i, d)
			}
		}
		if _, last := r.callers[0].pictures(); last > after+1 {
			t.Errorf("%d key frames after the last request, want at most one", last-after)
		}
	})
}

func TestBitrateTiers(t *testing.T) {
	inRoom(t, small, filmed(2, videoCodecs[1]), func(t *testing.T, r *room) {
		r.change(func(p *bridge.Plan) { p.SelfView = true })
		r.run(time.Second)
		tier := func(i, bitrate int) {
			r.callers[i].change(func() { r.callers[i].spec.Options.Bitrate = bitrate })
		}
		_, keys := r.callers[0].pictures()
		tier(0, 400_000) // one of two: another encode
		r.run(time.Second)
		if n := value(t, r.reg, "encode_groups", "video"); n != 2 {
			t.Errorf("%v encodes for two tiers, want 2", n)
		}
		if _, n := r.callers[0].pictures(); n != keys+1 {
			t.Errorf("%d key frames for another encode, want 1", n-keys)
		}
		tier(0, 300_000) // all of one: the same encode, slower
		r.run(time.Second)
		if n := value(t, r.reg, "encode_groups", "video"); n != 2 {
			t.Errorf("%v encodes for two tiers, want 2", n)
		}
		if _, n := r.callers[0].pictures(); n != keys+1 {
			t.Error("a change of bitrate took a key frame")
		}
		tier(0, 800_000) // back together
		r.run(time.Second)
		if n := value(t, r.reg, "encode_groups", "video"); n != 1 {
			t.Errorf("%v encodes for one tier, want 1", n)
		}
	})
}

// Receivers of different sizes get what they asked for from one composition.
func TestSizes(t *testing.T) {
	inRoom(t, small, filmed(4, videoCodecs...), func(t *testing.T, r *room) {
		sizes := [][2]int{{640, 360}, {320, 180}, {352, 288}, {180, 320}}
		for i, s := range sizes {
			r.callers[i].change(func() { r.callers[i].spec.Options.Width, r.callers[i].spec.Options.Height = s[0], s[1] })
		}
		r.change(func(p *bridge.Plan) { p.Layout, p.SelfView = "2x2", true })
		r.run(2 * time.Second)
		for i, s := range sizes {
			if p := r.callers[i].picture(t); p.Width != s[0] || p.Height != s[1] {
				t.Errorf("caller %d sees %dx%d, want %v", i, p.Width, p.Height, s)
			}
		}
		r.sees(t, 0, 0, 1, 2, 3)
		r.sees(t, 1, 0, 1, 2, 3)
		// CIF: 352x198 between bars.
		cif := r.callers[2].picture(t)
		if got := nearest(cif, compose.Rect{X: 0, Y: 46, W: 176, H: 98}); got != 0 {
			t.Errorf("the first tile of CIF shows %d", got)
		}
		if got := cif.Y[10*cif.StrideY+176]; got > 24 {
			t.Errorf("luma %d above the composition, want a bar", got)
		}
	})
}

// When nothing moves, nothing is painted, and little is sent.
func TestStaticPicture(t *testing.T) {
	callers := func(t *testing.T) []*caller {
		cs := filmed(2, &vp8.VP8)(t)
		for _, c := range cs {
			c.moves = false
		}
		return cs
	}
	inRoom(t, small, callers, func(t *testing.T, r *room) {
		r.change(func(p *bridge.Plan) { p.SelfView = true })
		r.run(5 * time.Second)
		composed, encoded := value(t, r.reg, "frames_composed_total"), value(t, r.reg, "frames_encoded_total")
		r.run(10 * time.Second)
		if n := value(t, r.reg, "frames_composed_total") - composed; n != 0 {
			t.Errorf("%v compositions of a picture that stands still", n)
		}
		if n := value(t, r.reg, "frames_encoded_total") - encoded; n < 15 || n > 25 {
			t.Errorf("%v encodes in ten seconds of a picture that stands still, want two per second", n)
		}
		r.callers[1].change(func() { r.callers[1].askKey = true })
		_, keys := r.callers[1].pictures()
		r.run(200 * time.Millisecond)
		if _, n := r.callers[1].pictures(); n != keys+1 {
			t.Errorf("%d key frames soon after a request, want 1", n-keys)
		}
	})
}

// In a layout with one tile, nobody but the new speaker needs another stream.
func TestSpeakerChangeKeepsStreams(t *testing.T) {
	inRoom(t, small, filmed(4, &vp8.VP8), func(t *testing.T, r *room) {
		r.change(func(p *bridge.Plan) { p.Layout = "1+0" })
		r.callers[0].say(tone(500, 3000))
		r.run(2 * time.Second)
		var before []int
		for _, c := range r.callers {
			_, keys := c.pictures()
			before = append(before, keys)
		}
		r.callers[0].say(voice{})
		r.callers[1].say(tone(500, 3000))
		r.run(3 * time.Second)
		r.sees(t, 0, 1)
		r.sees(t, 1, 0)
		r.sees(t, 2, 1)
		r.sees(t, 3, 1)
		for _, i := range []int{2, 3} {
			// One for whoever joins their group.
			if _, keys := r.callers[i].pictures(); keys > before[i]+1 {
				t.Errorf("caller %d got %d key frames when others spoke", i, keys-before[i])
			}
		}
	})
}

// Two in a room with one tile see each other, whoever speaks.
func TestDialogueTakesNoKeyFrames(t *testing.T) {
	inRoom(t, small, filmed(2, &vp8.VP8), func(t *testing.T, r *room) {
		r.change(func(p *bridge.Plan) { p.Layout = "1+0" })
		for n := range 4 {
			r.callers[n%2].say(tone(500, 3000))
			r.callers[1-n%2].say(voice{})
			r.run(3 * time.Second)
			r.sees(t, 0, 1)
			r.sees(t, 1, 0)
		}
		for i, c := range r.callers {
			if _, keys := c.pictures(); keys > 1 {
				t.Errorf("caller %d got %d key frames, want the first only", i, keys)
			}
		}
	})
}

// Without receivers there is no video goroutine, and no picture is decoded.
func TestVideoRests(t *testing.T) {
	inRoom(t, small, filmed(2), func(t *testing.T, r *room) {
		r.run(time.Second)
		if n := value(t, r.reg, "frames_composed_total"); n != 0 {
			t.Errorf("%v compositions for nobody", n)
		}
		r.callers[0].watches(t, &vp8.VP8, 640, 360, 500_000)
		r.run(time.Second)
		r.sees(t, 0, 1)
		if got := r.callers[1].wants(); got == [2]int{} {
			t.Error("who is seen is not wanted")
		}
		r.callers[0].change(func() { r.callers[0].receives = false })
		r.run(3 * time.Second)
		if got := r.callers[1].wants(); got != [2]int{} {
			t.Errorf("who is seen by nobody any more is wanted at %v", got)
		}
		if n := value(t, r.reg, "views") + value(t, r.reg, "encode_groups", "video"); n != 0 {
			t.Errorf("%v views and groups remain", n)
		}
		r.callers[0].change(func() { r.callers[0].receives = true })
		r.run(time.Second)
		if n := value(t, r.reg, "views"); n != 1 {
			t.Errorf("%v views after receiving again, want 1", n)
		}
	})
}

func TestCloseReleasesEverything(t *testing.T) {
	var callers []*caller
	make := func(t *testing.T) []*caller {
		callers = filmed(4, videoCodecs...)(t)
		return callers
	}
	inRoom(t, small, make, func(t *testing.T, r *room) {
		r.callers[0].say(tone(500, 3000))
		r.run(time.Second)
		r.Close()
		r.Close() // again does nothing
		r.Attach("9", r.callers[0], false)
		r.Apply(&bridge.Plan{})
		r.Detach("9")
		for _, name := range []string{"active", "legs", "views", "encode_groups"} {
			if n := value(t, r.reg, name); n != 0 {
				t.Errorf("%s is %v after Close", name, n)
			}
		}
		for i, c := range callers {
			if n := c.out.Load(); n != 1 {
				t.Errorf("%d pictures of caller %d are held after Close", n-1, i)
			}
		}
		ticks, _, _ := r.callers[0].counts()
		synctest.Wait()
		r.run(time.Second)
		if n, _, _ := r.callers[0].counts(); n != ticks {
			t.Error("a leg is touched after Close")
		}
	})
}

// A participant whose bridge was lost goes on in another one, and its receiver
// must not see time run backwards.
func TestTimestampsGoOnInAnotherBridge(t *testing.T) {
	inRoom(t, small, filmed(2, &vp8.VP8), func(t *testing.T, r *room) {
		latest := func() uint32 {
			c := r.callers[0]
			c.film.mu.Lock()
			defer c.film.mu.Unlock()
			return c.lastTime
		}
		r.run(10 * time.Second)
		before, at := latest(), time.Now()
		r.Detach("0")
		other := bridge.New(small)
		defer other.Close()
		other.Apply(&r.plan)
		other.Attach("0", r.callers[0], false)
		r.run(time.Second)
		elapsed := uint32(time.Since(at) * 9 / 100_000)
		if went := latest() - before; went == 0 || went > elapsed+90_000/15 {
			t.Errorf("timestamps went on by %d in %d", int32(went), elapsed)
		}
	})
}
