package echo_test

import (
	"image/color"
	"sync"
	"testing"
	"time"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/h264"
	"github.com/skybridge-media/skybridge/codecs/opus"
	"github.com/skybridge-media/skybridge/codecs/pcm"
	"github.com/skybridge-media/skybridge/codecs/vp8"
	"github.com/skybridge-media/skybridge/codecs/yuv"
	"github.com/skybridge-media/skybridge/media/bridge"
	"github.com/skybridge-media/skybridge/media/echo"
	"github.com/skybridge-media/skybridge/media/payload"
	"github.com/skybridge-media/skybridge/media/tone"
)

// A caller is in a bridge with an echo: it says and shows what it is told to, and
// remembers what it hears and sees.
type caller struct {
	t       *testing.T
	decoder codecs.AudioDecoder
	eye     codecs.VideoDecoder
	units   *payload.Assembler

	mu    sync.Mutex // guards what follows
	voice *tone.Generator
	paint *yuv.Picture
	heard pcm.Frame
	seen  *yuv.Picture
}

func (c *caller) NextAudio() bridge.AudioTick {
	c.mu.Lock()
	defer c.mu.Unlock()
	return bridge.AudioTick{Voice: c.voice != nil, Rate: 48000}
}

func (c *caller) ReadAudio(dst pcm.Frame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(dst)
	if c.voice != nil {
		c.voice.Read(dst)
	}
}

func (c *caller) AudioOut() (bridge.AudioSpec, bool) {
	return bridge.AudioSpec{Codec: &opus.Mono, Ticks: 1}, true
}

func (c *caller) WriteAudio(p []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(p) == 0 {
		c.heard = append(c.heard, make(pcm.Frame, 960)...)
		return
	}
	var err error
	if c.heard, err = c.decoder.Decode(c.heard, p); err != nil {
		c.t.Error(err)
	}
}

func (c *caller) WantVideo(int, int)        {}
func (c *caller) TakeKeyFrameRequest() bool { return false }

func (c *caller) Picture() *bridge.SharedPicture {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.paint == nil {
		return nil
	}
	return bridge.NewSharedPicture(*c.paint, time.Now(), nil)
}

func (c *caller) VideoOut() (bridge.VideoSpec, bool) {
	return bridge.VideoSpec{Codec: &vp8.VP8, Payload: 1200, Options: codecs.VideoOptions{
		Width: 640, Height: 360, FrameRate: 30, Bitrate: 1_000_000,
	}}, true
}

func (c *caller) WriteVideo(f *bridge.VideoFrame) {
	for _, p := range f.Payloads {
		if err := c.units.Add(p); err != nil {
			c.t.Error(err)
		}
	}
	pic, err := c.eye.Decode(c.units.Unit())
	if err != nil {
		c.t.Error(err)
		return
	}
	if pic == nil {
		return
	}
	seen := yuv.New(pic.Width, pic.Height)
	yuv.Copy(seen, pic)
	c.mu.Lock()
	c.seen = seen
	c.mu.Unlock()
}

// begin lets a caller and an echo meet.
func begin(t *testing.T) (*caller, *echo.Echo) {
	t.Helper()
	c := &caller{t: t}
	var err error
	if c.decoder, err = opus.Mono.NewDecoder(); err != nil {
		t.Fatal(err)
	}
	if c.eye, err = vp8.VP8.NewDecoder(); err != nil {
		t.Fatal(err)
	}
	if c.units, err = payload.NewAssembler("VP8", nil); err != nil {
		t.Fatal(err)
	}
	workers := bridge.NewWorkers(2)
	b := bridge.New(bridge.Config{Workers: workers})
	e := echo.New(echo.Config{Video: &h264.H264, Workers: workers})
	b.Apply(&bridge.Plan{Layout: "1+0", Members: []bridge.Member{{ID: "caller", Name: "Caller"}, {ID: "echo"}}})
	b.Attach("caller", c, false)
	b.Attach("echo", e, false)
	t.Cleanup(func() {
		b.Detach("caller")
		b.Detach("echo")
		b.Close()
		e.Close()
		e.Close()
		workers.Close()
		_ = c.decoder.Close()
		_ = c.eye.Close()
	})
	return c, e
}

func (c *caller) says(hz float64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.voice = nil
	if hz > 0 {
		c.voice = tone.New(48000, -12, hz)
	}
	c.heard = nil
}

func (c *caller) shows(col color.RGBA) {
	pic := yuv.New(640, 360)
	pic.Fill(yuv.ColorOf(col))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.paint = pic
}

// after is how long it takes until ok.
func after(t *testing.T, what string, ok func() bool) time.Duration {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for began := time.Now(); time.Since(began) < 10*time.Second; <-tick.C {
		if ok() {
			return time.Since(began)
		}
	}
	t.Fatalf("never: %s", what)
	return 0
}

// hears reports whether a tone is in the last 100 ms.
func (c *caller) hears(hz float64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	const n = 4800
	return len(c.heard) >= n && tone.Detect(c.heard[len(c.heard)-n:], 48000, hz)[0] > -30
}

func (c *caller) sees(col color.RGBA) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen == nil {
		return false
	}
	want, p := yuv.ColorOf(col), c.seen
	at, half := p.Height*7/8*p.StrideY+p.Width*3/4, p.Height*7/16*p.StrideUV+p.Width*3/8
	near := func(a, b byte) bool { return max(a, b)-min(a, b) < 12 }
	return near(p.Y[at], want.Y) && near(p.U[half], want.U) && near(p.V[half], want.V)
}

// ink counts the bright pixels where writing goes.
func (c *caller) ink() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen == nil {
		return 0
	}
	for y := range c.seen.Height / 2 {
		for x := range c.seen.Width / 2 {
			if c.seen.Y[y*c.seen.StrideY+x] > 180 {
				n++
			}
		}
	}
	return n
}

func wantSecond(t *testing.T, what string, d time.Duration) {
	t.Helper()
	if d < 900*time.Millisecond || d > 1800*time.Millisecond {
		t.Errorf("%s after %v, want a second", what, d)
	}
}

func TestSound(t *testing.T) {
	c, e := begin(t)
	c.says(440)
	wantSecond(t, "the tone comes back", after(t, "the tone", func() bool { return c.hears(440) }))

	// What is said comes at once, and the echo steps back for it.
	speech := make(pcm.Frame, echo.Rate)
	tone.New(echo.Rate, -12, 1000).Read(speech)
	if lasts := e.Say(speech); lasts != time.Second {
		t.Errorf("a second of speech lasts %v", lasts)
	}
	if d := after(t, "the speech", func() bool { return c.hears(1000) && !c.hears(440) }); d > 600*time.Millisecond {
		t.Errorf("the speech comes after %v", d)
	}
	after(t, "the echo again", func() bool { return c.hears(440) && !c.hears(1000) })
	c.says(0)
	after(t, "silence", func() bool {
		c.mu.Lock()
		enough := len(c.heard) > 2*echo.Rate // the echo is over
		c.mu.Unlock()
		return enough && !c.hears(440)
	})

	// More than a minute is not taken.
	if lasts := e.Say(make(pcm.Frame, 100*echo.Rate)); lasts > time.Minute {
		t.Errorf("%v wait to be said", lasts)
	}
}

func TestPicture(t *testing.T) {
	c, e := begin(t)
	blue, red := color.RGBA{30, 50, 200, 255}, color.RGBA{200, 30, 30, 255}
	c.shows(blue)
	after(t, "blue", func() bool { return c.sees(blue) })
	c.shows(red)
	wantSecond(t, "red comes back", after(t, "red", func() bool { return c.sees(red) }))

	before := c.ink()
	e.Show([]string{"Test call, 57 s left", "Sound from you: 5.0 % lost"})
	if d := after(t, "writing", func() bool { return c.ink() > before+200 }); d > time.Second {
		t.Errorf("the writing comes after %v", d)
	}
	e.Show(nil)
	after(t, "no writing", func() bool { return c.ink() <= before+20 })
}

// An echo that nobody sends pictures to writes all the same.
func TestWritingAlone(t *testing.T) {
	e := echo.New(echo.Config{Video: &h264.H264})
	defer e.Close()
	e.Show([]string{"Test call"})
	after(t, "a picture with writing", func() bool {
		p := e.Picture()
		if p == nil {
			return false
		}
		defer p.Release()
		for _, y := range p.Y {
			if y > 200 {
				return true
			}
		}
		return false
	})
	if _, ok := e.VideoOut(); !ok {
		t.Error("it takes no pictures")
	}
}

// What comes broken is waited out, and asked for again.
func TestBrokenPictures(t *testing.T) {
	e := echo.New(echo.Config{Video: &h264.H264, Delay: 20 * time.Millisecond})
	defer e.Close()
	for range 200 { // more than can wait
		e.WriteVideo(&bridge.VideoFrame{Payloads: [][]byte{{0x65, 1, 2, 3}, {}}, Captured: time.Now()})
	}
	after(t, "a request for a key frame", e.TakeKeyFrameRequest)
}

// Without video there is none.
func TestSoundOnly(t *testing.T) {
	e := echo.New(echo.Config{})
	defer e.Close()
	e.Show([]string{"nobody sees this"})
	e.WriteVideo(&bridge.VideoFrame{})
	if _, ok := e.VideoOut(); ok || e.Picture() != nil || e.TakeKeyFrameRequest() {
		t.Error("there is a picture")
	}
	e.WriteAudio([]byte{1}) // half a sample
	e.WriteAudio(nil)
	e.NextAudio()
	e.ReadAudio(make(pcm.Frame, 960))
}
