package bridge_test

import (
	"fmt"
	"image/color"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/h264"
	"github.com/skybridge-media/skybridge/codecs/vp8"
	"github.com/skybridge-media/skybridge/codecs/yuv"
	"github.com/skybridge-media/skybridge/media/bridge"
	"github.com/skybridge-media/skybridge/media/payload"
)

// film is a caller's video: it shows one colour and decodes what it sees.
type film struct {
	mu     sync.Mutex
	moves  bool // a new picture each time somebody asks
	shown  *bridge.SharedPicture
	out    atomic.Int64 // pictures that somebody holds
	faults []string

	spec     bridge.VideoSpec
	receives bool
	askKey   bool

	wanted    [2]int
	frames    int
	keys      []time.Time
	lastTime  uint32
	decoder   codecs.VideoDecoder
	assembler *payload.Assembler
	seen      *yuv.Picture
}

// colors are well apart, also after coding.
var colors = []yuv.Color{
	yuv.ColorOf(color.RGBA{R: 220, A: 255}),
	yuv.ColorOf(color.RGBA{G: 220, A: 255}),
	yuv.ColorOf(color.RGBA{B: 220, A: 255}),
	yuv.ColorOf(color.RGBA{R: 220, G: 220, A: 255}),
	yuv.ColorOf(color.RGBA{R: 220, B: 220, A: 255}),
	yuv.ColorOf(color.RGBA{G: 220, B: 220, A: 255}),
	yuv.ColorOf(color.RGBA{R: 220, G: 220, B: 220, A: 255}),
	yuv.ColorOf(color.RGBA{R: 110, G: 110, A: 255}),
	yuv.ColorOf(color.RGBA{R: 110, B: 160, A: 255}),
}

// paints makes the caller send a picture of one colour.
func (f *film) paints(c yuv.Color) {
	pic := yuv.New(320, 180)
	pic.Fill(c)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.show(pic)
}

// show replaces the latest picture. It needs mu.
func (f *film) show(pic *yuv.Picture) {
	if f.shown != nil {
		f.shown.Release()
	}
	f.out.Add(1)
	f.shown = bridge.NewSharedPicture(*pic, time.Now(), func(*bridge.SharedPicture) { f.out.Add(-1) })
}

// watches makes the caller receive video.
func (f *film) watches(t *testing.T, codec *codecs.Video, w, h, bitrate int) {
	t.Helper()
	decoder, err := codec.NewDecoder()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		decoder.Close()
		for _, s := range f.faults {
			t.Error(s)
		}
	})
	assembler, err := payload.NewAssembler(codec.Name, nil)
	if err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.decoder, f.assembler = decoder, assembler
	f.receives = true
	f.spec = bridge.VideoSpec{
		Codec: codec, Payload: 1200, Mode: 1,
		Options: codecs.VideoOptions{Width: w, Height: h, FrameRate: 30, Bitrate: bitrate},
	}
}

var videoCodecs = []*codecs.Video{&vp8.VP8, &h264.H264}

func (f *film) WantVideo(width, height int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wanted = [2]int{width, height}
}

func (f *film) Picture() *bridge.SharedPicture {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.shown == nil || f.wanted == [2]int{} {
		return nil
	}
	if f.moves {
		pic := f.shown.Picture
		f.show(&pic)
	}
	f.shown.Retain()
	return f.shown
}

func (f *film) VideoOut() (bridge.VideoSpec, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.spec, f.receives
}

func (f *film) TakeKeyFrameRequest() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	asked := f.askKey
	f.askKey = false
	return asked
}

func (f *film) WriteVideo(frame *bridge.VideoFrame) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fault := func(format string, args ...any) { f.faults = append(f.faults, fmt.Sprintf(format, args...)) }
	if f.frames > 0 && int32(frame.Timestamp-f.lastTime) <= 0 {
		fault("timestamp %d after %d", frame.Timestamp, f.lastTime)
	}
	f.lastTime = frame.Timestamp
	f.frames++
	if frame.Key {
		f.keys = append(f.keys, time.Now())
	}
	for _, p := range frame.Payloads {
		if len(p) > f.spec.Payload {
			fault("packet of %d bytes, limit %d", len(p), f.spec.Payload)
		}
		if err := f.assembler.Add(p); err != nil {
			fault("assemble: %v", err)
		}
	}
	pic, err := f.decoder.Decode(f.assembler.Unit())
	if err != nil {
		fault("decode picture %d: %v", f.frames, err)
	}
	if pic != nil {
		f.seen = yuv.New(pic.Width, pic.Height)
		yuv.Copy(f.seen, pic)
	}
}

// picture returns the last picture that was seen.
func (f *film) picture(t *testing.T) *yuv.Picture {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.seen == nil {
		t.Fatal("nothing was ever seen")
	}
	return f.seen
}

// pictures returns how many were received, and how many of them as key frames.
func (f *film) pictures() (frames, keys int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.frames, len(f.keys)
}

func (f *film) wants() [2]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.wanted
}

// change lets f change the film while nobody looks.
func (f *film) change(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
}
