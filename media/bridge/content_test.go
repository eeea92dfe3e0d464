package bridge_test

import (
	"image/color"
	"testing"
	"time"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/h264"
	"github.com/skybridge-media/skybridge/codecs/vp8"
	"github.com/skybridge-media/skybridge/codecs/yuv"
	"github.com/skybridge-media/skybridge/media/bridge"
	"github.com/skybridge-media/skybridge/media/compose"
)

// presenter is a caller with a second stream.
type presenter struct {
	*caller
	slides film
}

func (p *presenter) Content() bridge.Video { return &p.slides }

// slide is what is presented: three colours side by side, none of them that of a
// caller, in an area that is not 16:9.
type slide struct{ w, h int }

var slideColors = []yuv.Color{
	yuv.ColorOf(color.RGBA{R: 255, G: 140, A: 255}),
	yuv.ColorOf(color.RGBA{R: 20, G: 60, B: 30, A: 255}),
	yuv.ColorOf(color.RGBA{R: 160, G: 160, B: 250, A: 255}),
}

// presents makes f send a slide.
func (f *film) presents(s slide) {
	pic := yuv.New(s.w, s.h)
	for i, c := range slideColors {
		from, to := (s.w*i/3)&^1, (s.w*(i+1)/3)&^1
		third := pic.Window(from, 0, to-from, s.h)
		third.Fill(c)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.show(pic)
}

// ends makes f have no picture.
func (f *film) ends() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.shown != nil {
		f.shown.Release()
		f.shown = nil
	}
}

// isSlide fails unless a rectangle shows the whole slide: in the middle of each
// third, and right at all edges, beside which are bars if it is not on the left.
func isSlide(t *testing.T, p *yuv.Picture, r compose.Rect) {
	t.Helper()
	if r.X > 0 {
		for _, x := range []int{r.X - 5, r.X + r.W + 4} {
			if got := p.Y[(r.Y+r.H/2)*p.StrideY+x]; got > 26 {
				t.Fatalf("luma %d at x %d beside the slide at %v, want a bar", got, x, r)
			}
		}
	}
	for i, want := range slideColors {
		for _, at := range [][2]int{{1, 2}, {5, 2}, {3, 2}} { // sixths of the third, halves of the height
			x := r.X + r.W*(6*i+at[0])/18
			for _, y := range []int{r.Y + 6, r.Y + r.H/2, r.Y + r.H - 7} {
				u := y/2*p.StrideUV + x/2
				got := yuv.Color{Y: p.Y[y*p.StrideY+x], U: p.U[u], V: p.V[u]}
				if far(got.Y, want.Y) || far(got.U, want.U) || far(got.V, want.V) {
					t.Fatalf("pixel (%d,%d) of %dx%d is %v, want %v of third %d", x, y, p.Width, p.Height, got, want, i)
				}
			}
		}
	}
}

func far(a, b byte) bool { return max(a, b)-min(a, b) > 14 }

// presentation is a room of four: three with a stream for presentations, of
// which 0 presents, and one without.
type presentation struct {
	*room
	slides []*film // of the first three
}

func inPresentation(t *testing.T, f func(t *testing.T, p *presentation)) {
	t.Helper()
	inRoom(t, small, filmed(4, &vp8.VP8), func(t *testing.T, r *room) {
		p := &presentation{room: r}
		for i, id := range []string{"0", "1", "2"} {
			with := &presenter{caller: r.callers[i]}
			with.slides.watches(t, []*codecs.Video{&vp8.VP8, &vp8.VP8, &h264.H264}[i], 640, 360, 800_000)
			with.slides.spec.Options.FrameRate = 15
			p.slides = append(p.slides, &with.slides)
			r.Attach(id, with, false)
		}
		r.change(func(p *bridge.Plan) { p.Layout, p.SelfView = "2x2", true })
		f(t, p)
	})
}

// One presents: two see it in a stream of its own, and the others as before; the
// third in the composed picture, between whoever speaks.
func TestPresentation(t *testing.T) {
	inPresentation(t, func(t *testing.T, p *presentation) {
		p.slides[0].presents(slide{1280, 800})
		p.run(time.Second)
		if n := value(t, p.reg, "encode_groups", "presentation"); n != 0 {
			t.Errorf("%v encodes before anybody presents", n)
		}
		if got := p.slides[0].wants(); got != [2]int{} {
			t.Errorf("what is not presented is wanted at %v", got)
		}
		p.change(func(plan *bridge.Plan) { plan.Presenter = "0" })
		p.run(2 * time.Second)
		for _, i := range []int{1, 2} {
			pic := p.slides[i].picture(t)
			if pic.Width != 640 || pic.Height != 360 {
				t.Errorf("caller %d sees %dx%d", i, pic.Width, pic.Height)
			}
			isSlide(t, pic, compose.Rect{X: 32, W: 576, H: 360})
		}
		if n, _ := p.slides[0].pictures(); n != 0 {
			t.Errorf("who presents is sent %d pictures of it", n)
		}
		for i := range 3 {
			p.sees(t, i, 0, 1, 2, 3)
		}
		mixed := p.callers[3].picture(t)
		isSlide(t, mixed, compose.Rect{X: 26, Y: 36, W: 460, H: 288})
		for i := range 4 {
			if got := nearest(mixed, compose.Rect{X: 512, Y: 36 + 72*i, W: 128, H: 72}); got != i {
				t.Errorf("beside the presentation, in seat %d, is caller %d", i, got)
			}
		}
		if n := value(t, p.reg, "encode_groups", "presentation"); n != 2 {
			t.Errorf("%v encodes of a presentation in two codecs, want 2", n)
		}
		if n := value(t, p.reg, "presentations"); n != 1 {
			t.Errorf("%v presentations, want 1", n)
		}

		p.change(func(plan *bridge.Plan) { plan.Presenter = "" })
		p.run(time.Second)
		before, _ := p.slides[1].pictures()
		p.run(2 * time.Second)
		if n, _ := p.slides[1].pictures(); n != before {
			t.Errorf("%d pictures after the presentation", n-before)
		}
		p.sees(t, 3, 0, 1, 2, 3)
		if n := value(t, p.reg, "encode_groups", "presentation") + value(t, p.reg, "presentations"); n != 0 {
			t.Errorf("%v encodes and presentations remain", n)
		}
		if got := p.slides[0].wants(); got != [2]int{} {
			t.Errorf("what is not presented any more is wanted at %v", got)
		}
		if n := p.slides[0].out.Load(); n != 1 {
			t.Errorf("%d pictures of it are held", n-1)
		}
	})
}

// Before its first picture, and after its last, nothing is shown in its place.
func TestPresentationWithoutPicture(t *testing.T) {
	inPresentation(t, func(t *testing.T, p *presentation) {
		p.change(func(plan *bridge.Plan) { plan.Presenter = "1" })
		p.run(time.Second)
		p.sees(t, 3, 0, 1, 2, 3)
		if n, _ := p.slides[0].pictures(); n != 0 {
			t.Errorf("%d pictures of nothing", n)
		}
		if got, want := p.slides[1].wants(), [2]int{1920, 1080}; got != want {
			t.Errorf("wanted at %v, want %v", got, want)
		}
		p.slides[1].presents(slide{640, 360})
		p.run(2 * time.Second)
		isSlide(t, p.slides[0].picture(t), compose.Rect{W: 640, H: 360})
		isSlide(t, p.callers[3].picture(t), compose.Rect{Y: 36, W: 512, H: 288})
		p.slides[1].ends()
		p.run(time.Second)
		p.sees(t, 3, 0, 1, 2, 3)
		before, _ := p.slides[0].pictures()
		p.run(time.Second)
		if n, _ := p.slides[0].pictures(); n != before {
			t.Errorf("%d pictures after the last", n-before)
		}
	})
}

// The floor goes from one to another, and streams go on without a second encoder.
func TestPresenterChanges(t *testing.T) {
	inPresentation(t, func(t *testing.T, p *presentation) {
		p.slides[0].presents(slide{640, 360})
		p.slides[1].presents(slide{768, 768})
		p.change(func(plan *bridge.Plan) { plan.Presenter = "0" })
		p.run(2 * time.Second)
		isSlide(t, p.slides[2].picture(t), compose.Rect{W: 640, H: 360})
		_, keys := p.slides[2].pictures()
		p.change(func(plan *bridge.Plan) { plan.Presenter = "1" })
		p.run(2 * time.Second)
		isSlide(t, p.slides[2].picture(t), compose.Rect{X: 140, W: 360, H: 360})
		isSlide(t, p.slides[0].picture(t), compose.Rect{X: 140, W: 360, H: 360})
		if _, n := p.slides[2].pictures(); n > keys+1 {
			t.Errorf("%d key frames for another presenter", n-keys)
		}
		before, _ := p.slides[1].pictures()
		p.run(time.Second)
		if n, _ := p.slides[1].pictures(); n != before {
			t.Error("who presents is sent it")
		}
	})
}

// Who presents leaves, or is put on hold.
func TestPresenterLeaves(t *testing.T) {
	for name, leave := range map[string]func(p *presentation){
		"held":     func(p *presentation) { p.change(func(plan *bridge.Plan) { plan.Members[0].Held = true }) },
		"detached": func(p *presentation) { p.Detach("0") },
		"closed":   func(p *presentation) { p.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			inPresentation(t, func(t *testing.T, p *presentation) {
				p.slides[0].presents(slide{640, 360})
				p.change(func(plan *bridge.Plan) { plan.Presenter = "0" })
				p.run(2 * time.Second)
				if n, _ := p.slides[1].pictures(); n == 0 {
					t.Fatal("nothing was presented")
				}
				leave(p)
				p.run(time.Second)
				if n := value(t, p.reg, "encode_groups", "presentation") + value(t, p.reg, "presentations"); n != 0 {
					t.Errorf("%v encodes and presentations remain", n)
				}
				if n := p.slides[0].out.Load(); n != 1 {
					t.Errorf("%d pictures of it are held", n-1)
				}
			})
		})
	}
}

// Who stops to receive the presentation apart sees it in the composed picture.
func TestPresentationMovesIntoThePicture(t *testing.T) {
	inPresentation(t, func(t *testing.T, p *presentation) {
		p.slides[0].presents(slide{640, 360})
		p.change(func(plan *bridge.Plan) { plan.Presenter = "0" })
		p.run(2 * time.Second)
		p.sees(t, 1, 0, 1, 2, 3)
		p.slides[1].change(func() { p.slides[1].receives = false })
		p.run(2 * time.Second)
		isSlide(t, p.callers[1].picture(t), compose.Rect{Y: 36, W: 512, H: 288})
		before, _ := p.slides[1].pictures()
		p.slides[1].change(func() { p.slides[1].receives = true })
		p.run(2 * time.Second)
		p.sees(t, 1, 0, 1, 2, 3)
		if n, _ := p.slides[1].pictures(); n == before {
			t.Error("the stream of its own did not come back")
		}
	})
}

// However many ask, a presentation has one key frame per 500 ms at most, and it
// has no more pictures per second than its receivers take.
func TestPresentationKeyFramesAndRate(t *testing.T) {
	inPresentation(t, func(t *testing.T, p *presentation) {
		p.slides[0].presents(slide{640, 360})
		p.slides[0].change(func() { p.slides[0].moves = true })
		p.change(func(plan *bridge.Plan) { plan.Presenter = "0" })
		p.slides[1].change(func() { p.slides[1].spec.Options.FrameRate = 5 })
		p.run(2 * time.Second)
		frames, _ := p.slides[1].pictures()
		p.run(2 * time.Second)
		if n, _ := p.slides[1].pictures(); n-frames < 9 || n-frames > 11 {
			t.Errorf("%d pictures in two seconds, want 5 per second", n-frames)
		}
		_, keys := p.slides[1].pictures()
		for range 100 {
			p.slides[1].change(func() { p.slides[1].askKey = true })
			p.run(20 * time.Millisecond)
		}
		if _, n := p.slides[1].pictures(); n-keys < 3 || n-keys > 4 {
			t.Errorf("%d key frames in two seconds of requests, want one per 500 ms", n-keys)
		}
	})
}
