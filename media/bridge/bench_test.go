package bridge_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/g711"
	"github.com/skybridge-media/skybridge/codecs/g722"
	"github.com/skybridge-media/skybridge/codecs/h264"
	"github.com/skybridge-media/skybridge/codecs/opus"
	"github.com/skybridge-media/skybridge/codecs/pcm"
	"github.com/skybridge-media/skybridge/codecs/vp8"
	"github.com/skybridge-media/skybridge/codecs/yuv"
	"github.com/skybridge-media/skybridge/media/bridge"
)

// dummy is a leg that costs nothing itself, so that what is measured is the
// bridge and the encoders.
type dummy struct {
	audio  bridge.AudioSpec
	next   bridge.AudioTick
	said   pcm.Frame
	video  bridge.VideoSpec
	pics   []*bridge.SharedPicture // shown in turn
	at     int
	frames int
	bytes  int
}

func (d *dummy) NextAudio() bridge.AudioTick        { return d.next }
func (d *dummy) ReadAudio(dst pcm.Frame)            { copy(dst, d.said) }
func (d *dummy) AudioOut() (bridge.AudioSpec, bool) { return d.audio, true }
func (d *dummy) WriteAudio(payload []byte)          { d.bytes += len(payload) }
func (d *dummy) WantVideo(int, int)                 {}
func (d *dummy) VideoOut() (bridge.VideoSpec, bool) { return d.video, d.video.Codec != nil }
func (d *dummy) WriteVideo(f *bridge.VideoFrame)    { d.frames++ }
func (d *dummy) TakeKeyFrameRequest() bool          { return false }
func (d *dummy) Picture() *bridge.SharedPicture {
	if len(d.pics) == 0 {
		return nil
	}
	d.at++
	p := d.pics[d.at%len(d.pics)]
	p.Retain()
	return p
}

// speech is a Tick of something between a vowel and a buzz.
func speech(rate int, hz float64) pcm.Frame {
	f := make(pcm.Frame, rate/50)
	for i := range f {
		for h := 1.0; h < 8; h++ {
			f[i] += int16(2000 / h * math.Sin(2*math.Pi*hz*h*float64(i)/float64(rate)))
		}
	}
	return f
}

// ticker returns a room of n in which the first few talk.
func ticker(t testing.TB, n, talk int, levels bool, kinds ...*codecs.Audio) bridge.Ticker {
	t.Helper()
	b := bridge.New(bridge.Config{})
	p := &bridge.Plan{}
	legs := map[string]bridge.Leg{}
	for i := range n {
		id := fmt.Sprint(i)
		p.Members = append(p.Members, bridge.Member{ID: id})
		codec := kinds[i%len(kinds)]
		rate := codec.Format.Rate
		d := &dummy{said: make(pcm.Frame, rate/50), audio: bridge.AudioSpec{Codec: codec, Ticks: 1}}
		d.next = bridge.AudioTick{Voice: true, Rate: rate, Level: 75, HasLevel: levels}
		if i < talk {
			d.next.Level, d.said = 25, speech(rate, 100+20*float64(i))
		}
		legs[id] = d
	}
	b.Apply(p)
	ticks := bridge.NewTicker(b, legs)
	t.Cleanup(func() {
		ticks.Close()
		b.Close()
	})
	return ticks
}

func TestTickDoesNotAllocate(t *testing.T) {
	for _, levels := range []bool{true, false} {
		ticks := ticker(t, 100, 6, levels, &g711.PCMU, &g711.PCMA, &g722.G722, &opus.Mono)
		for range 200 { // encoders are made, the speaker is found
			ticks.Tick()
		}
		if n := testing.AllocsPerRun(200, ticks.Tick); n != 0 {
			t.Errorf("levels %v: %v allocations per tick", levels, n)
		}
	}
}

// pictures returns HD pictures in which everything moves.
func pictures(n int) []*bridge.SharedPicture {
	var out []*bridge.SharedPicture
	for k := range n {
		p := yuv.New(1280, 720)
		for y := range 720 {
			for x := range 1280 {
				p.Y[y*p.StrideY+x] = byte(128 + 50*math.Sin(float64(x+7*k)/40) + 50*math.Sin(float64(y+5*k)/30))
			}
		}
		out = append(out, bridge.NewSharedPicture(*p, time.Now(), nil))
	}
	return out
}

// BenchmarkPicture is one picture of a room of eight in 1+7 at 720p: looked
// at, painted, encoded, on one thread. The cost of encoding alone is that of
// as many groups in package codecs/h264.
func BenchmarkPicture(b *testing.B) {
	for _, c := range []struct {
		name     string
		selfView bool
		moving   bool
		codec    *codecs.Video
	}{
		{"shared, moving, H264", true, true, &h264.H264},
		{"shared, moving, VP8", true, true, &vp8.VP8},
		{"shared, static, H264", true, false, &h264.H264},
		{"personal, moving, H264", false, true, &h264.H264},
	} {
		b.Run(c.name, func(b *testing.B) {
			workers := bridge.NewWorkers(1)
			defer workers.Close()
			br := bridge.New(bridge.Config{Workers: workers})
			defer br.Close()
			pics := pictures(8)
			p := &bridge.Plan{SelfView: c.selfView}
			legs := map[string]bridge.Leg{}
			for i := range 8 {
				id := fmt.Sprint(i)
				p.Members = append(p.Members, bridge.Member{ID: id, Name: "Participant " + id})
				d := &dummy{
					audio: bridge.AudioSpec{Codec: &g711.PCMU}, pics: pics, at: i,
					video: bridge.VideoSpec{
						Codec: c.codec, Payload: 1200, Mode: 1,
						Options: codecs.VideoOptions{Width: 1280, Height: 720, FrameRate: 30, Bitrate: 1_500_000},
					},
				}
				if !c.moving {
					d.pics = pics[:1]
				}
				legs[id] = d
			}
			br.Apply(p)
			stage := bridge.NewStage(br, legs)
			defer stage.Close()
			at := time.Now()
			stage.Shoot(at)
			b.ReportAllocs()
			for b.Loop() {
				at = at.Add(time.Second / 30)
				stage.Shoot(at)
			}
		})
	}
}
