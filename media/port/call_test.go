package port_test

import (
	"math"
	"testing"
	"testing/synctest"
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
	"github.com/skybridge-media/skybridge/media/payload"
	"github.com/skybridge-media/skybridge/media/tone"
)

// TestAudioCall plays a tone from one port to another over a bad path, with
// every codec, and listens.
func TestAudioCall(t *testing.T) {
	tests := []struct {
		name  string
		codec *codecs.Audio
		ticks int
		loss  float64
	}{
		{"PCMU", &g711.PCMU, 1, 0.05},
		{"PCMA in packets of 40 ms", &g711.PCMA, 2, 0.05},
		{"G722", &g722.G722, 1, 0.05},
		{"G722 in packets of 60 ms", &g722.G722, 3, 0.05},
		{"Opus", &opus.Mono, 1, 0.05},
		{"Opus, clean", &opus.Mono, 1, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				from, to := newPort(t, nil), newPort(t, nil)
				w := newWire(t)
				w.loss, w.delay, w.jitter = tt.loss, 40*time.Millisecond, 30*time.Millisecond
				w.rtp, w.rtcp = to.AudioRTP, to.AudioRTCP
				a := phone(w)
				a.Codec, a.Ticks, a.SendType = tt.codec, tt.ticks, 111
				a.Options, a.FEC = codecs.AudioOptions{Loss: 10}, true
				from.SetAudio(a)
				b := *a
				b.RecvType, b.Out = 111, newWire(t)
				to.SetAudio(&b)
				encoder, err := tt.codec.NewEncoder(a.Options)
				if err != nil {
					t.Fatal(err)
				}
				defer encoder.Close()
				generator := tone.New(tt.codec.Format.Rate, -20, 1000)
				said := make(pcm.Frame, tt.codec.Format.Samples20())
				var heard pcm.Frame
				tick := make(pcm.Frame, tt.codec.Format.Samples20())
				silent := 0
				for range 10 * 50 {
					generator.Read(said)
					encoded, err := encoder.Encode(nil, said)
					if err != nil {
						t.Fatal(err)
					}
					from.WriteAudio(encoded)
					if to.NextAudio().Voice {
						to.ReadAudio(tick)
					} else {
						clear(tick)
						silent++
					}
					heard = append(heard, tick...)
					time.Sleep(bridge.Tick)
				}
				if silent > 10 {
					t.Errorf("%d Ticks of silence in the middle of a tone", silent)
				}
				heard = heard[tt.codec.Format.Rate:]
				level := tone.Level(heard)
				if level < -22 || level > -18 {
					t.Errorf("level %.1f dB, want -20", level)
				}
				// What is not the tone comes from codec, gaps and seams.
				purity := tone.Detect(heard, tt.codec.Format.Rate, 1000)[0] - level
				if purity < -1.5 {
					t.Errorf("the tone is %.1f dB below all that is heard", purity)
				}
				s := to.Stats().AudioIn
				t.Logf("level %.1f, tone %.1f below, %+v", level, purity, s)
				if s.Concealed > 55 {
					t.Errorf("%d of 500 Ticks concealed", s.Concealed)
				}
				if tt.loss == 0 && s.Concealed > 4 {
					t.Errorf("%d Ticks concealed without a loss", s.Concealed)
				}
			})
		})
	}
}

const (
	filmWidth, filmHeight = 320, 192
	cell                  = 32 // pixels of a bit
)

// scene is picture n of the film: its number in black and white cells above
// a colour that changes every second, in which a bar moves.
func scene(p *yuv.Picture, n int) {
	p.Fill(filmColors[n/30%len(filmColors)])
	for bit := range 10 {
		c := yuv.Black
		if n>>bit&1 == 1 {
			c = yuv.Color{Y: 235, U: 128, V: 128}
		}
		w := p.Window(bit*cell, 0, cell, cell)
		w.Fill(c)
	}
	bar := p.Window(n*4%(filmWidth-16)&^1, 64, 16, 64)
	bar.Fill(yuv.Color{Y: 180, U: 60, V: 60})
}

var filmColors = []yuv.Color{{Y: 81, U: 90, V: 240}, {Y: 145, U: 54, V: 34}, {Y: 41, U: 240, V: 110}}

// number reads which picture of the film p is.
func number(p *yuv.Picture) int {
	n := 0
	for bit := range 10 {
		if p.Y[cell/2*p.StrideY+bit*cell+cell/2] > 125 {
			n |= 1 << bit
		}
	}
	return n
}

// TestVideoCall shows a film over a path that loses and reorders packets. Every
// picture that is shown must be a whole one, and the film must go on.
func TestVideoCall(t *testing.T) {
	tests := []struct {
		name   string
		codec  *codecs.Video
		mode   int
		nack   bool
		loss   float64
		jitter time.Duration
		shown  float64 // least share of pictures
	}{
		{"VP8, clean", &vp8.VP8, 0, true, 0, 0, 0.98},
		{"VP8, repaired", &vp8.VP8, 0, true, 0.05, 15 * time.Millisecond, 0.97},
		{"VP8, key frames only", &vp8.VP8, 0, false, 0.02, 15 * time.Millisecond, 0.75},
		{"H.264 mode 1, repaired", &h264.H264, 1, true, 0.05, 15 * time.Millisecond, 0.97},
		{"H.264 mode 0, repaired", &h264.H264, 0, true, 0.05, 15 * time.Millisecond, 0.97},
		{"H.264 mode 1, key frames only", &h264.H264, 1, false, 0.02, 15 * time.Millisecond, 0.75},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				from, to := newPort(t, nil), newPort(t, nil)
				there, back := newWire(t), newWire(t)
				there.loss, there.delay, there.jitter = tt.loss, 30*time.Millisecond, tt.jitter
				back.loss, back.delay = tt.loss, 30*time.Millisecond
				there.rtp, there.rtcp = to.VideoRTP, to.VideoRTCP
				back.rtp, back.rtcp = from.VideoRTP, from.VideoRTCP
				v := screen(there, "")
				v.Codec, v.Mode, v.NACK, v.MaxPayload = tt.codec, tt.mode, tt.nack, 600
				from.SetVideo(v)
				u := *v
				u.RecvType, u.SSRC, u.Out = v.SendType, 0x4444, back
				to.SetVideo(&u)
				to.WantVideo(filmWidth, filmHeight)

				spec, ok := from.VideoOut()
				if !ok {
					t.Fatal("no video to be sent")
				}
				o := spec.Options
				o.Width, o.Height, o.Bitrate, o.FrameRate = filmWidth, filmHeight, 500_000, 30
				encoder, err := tt.codec.NewEncoder(o)
				if err != nil {
					t.Fatal(err)
				}
				defer encoder.Close()
				pic, want := yuv.New(filmWidth, filmHeight), yuv.New(filmWidth, filmHeight)
				const length = 300 // pictures: 10 s
				seen, last, gap, worst := 0, -1, 0, math.Inf(1)
				for n := range length {
					scene(pic, n)
					unit, key, err := encoder.Encode(nil, pic, from.TakeKeyFrameRequest())
					if err != nil {
						t.Fatal(err)
					}
					payloads, err := payload.Packetize(tt.codec.Name, unit, tt.mode, spec.Payload)
					if err != nil {
						t.Fatal(err)
					}
					if len(payloads) > 0 {
						from.WriteVideo(&bridge.VideoFrame{Payloads: payloads, Timestamp: uint32(3000 * n), Key: key, Captured: time.Now()})
					}
					for range 3 { // three looks at what is shown, in 33 ms
						time.Sleep(11 * time.Millisecond)
						synctest.Wait()
						to.NextAudio()
						got := to.Picture()
						if got == nil {
							continue
						}
						shown := number(&got.Picture)
						if shown < last || shown > n {
							t.Fatalf("picture %d is shown after %d, while %d is sent", shown, last, n)
						}
						if shown > last {
							gap = max(gap, shown-last)
							seen, last = seen+1, shown
							scene(want, shown)
							worst = min(worst, yuv.PSNR(want, &got.Picture))
						}
						got.Release()
					}
				}
				s := to.Stats().VideoIn
				t.Logf("%d of %d shown, worst %.1f dB, longest stop %d pictures; %d lost on the way; %+v", seen, length, worst, gap, there.lost, s)
				if worst < 24 {
					t.Errorf("a picture is shown that differs by %.1f dB from what was sent", worst)
				}
				// After a repair several are shown in the same instant.
				if float64(s.Pictures) < tt.shown*length || seen < int(s.Pictures)*4/5 || last < length-30 {
					t.Errorf("%d of %d pictures were decoded, %d seen, the last is %d", s.Pictures, length, seen, last)
				}
				if s.Width != filmWidth || s.Height != filmHeight {
					t.Errorf("size %dx%d", s.Width, s.Height)
				}
				if tt.loss == 0 && (s.NACKs > 0 || s.KeyRequests > 1) {
					t.Errorf("%d NACKs, %d key frames asked for without a loss", s.NACKs, s.KeyRequests)
				}
				if tt.loss > 0 && tt.nack && s.NACKs == 0 {
					t.Error("nothing was asked for again")
				}
				if tt.loss > 0 && !tt.nack && s.KeyRequests < 2 {
					t.Error("no key frame was asked for")
				}
			})
		})
	}
}
