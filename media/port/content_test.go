package port_test

import (
	"fmt"
	"image/color"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/vp8"
	"github.com/skybridge-media/skybridge/codecs/yuv"
	"github.com/skybridge-media/skybridge/media/bridge"
	"github.com/skybridge-media/skybridge/media/payload"
	"github.com/skybridge-media/skybridge/media/port"
)

// slides is a content stream in both directions with all feedback.
func slides(out *wire) *port.Video {
	v := screen(out, "VP8")
	v.SSRC, v.CNAME = 0x4444, "us"
	return v
}

// A projector makes encoded pictures of one colour.
type projector struct {
	t       *testing.T
	encoder codecs.VideoEncoder
	pic     *yuv.Picture
	n       uint32
}

func newProjector(t *testing.T, w, h int, c color.RGBA) *projector {
	t.Helper()
	e, err := vp8.VP8.NewEncoder(codecs.VideoOptions{Width: w, Height: h, FrameRate: 15, Bitrate: 800_000, KeepAll: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	pic := yuv.New(w, h)
	pic.Fill(yuv.ColorOf(c))
	return &projector{t: t, encoder: e, pic: pic}
}

func (p *projector) frame(key bool) *bridge.VideoFrame {
	p.t.Helper()
	unit, isKey, err := p.encoder.Encode(nil, p.pic, key)
	if err != nil {
		p.t.Fatal(err)
	}
	payloads, err := payload.Packetize("VP8", unit, 0, 1100)
	if err != nil {
		p.t.Fatal(err)
	}
	p.n++
	return &bridge.VideoFrame{Payloads: payloads, Timestamp: p.n * 6000, Key: isKey, Captured: time.Now()}
}

// route gives each packet to the stream that it is of.
func route(p *port.Port) func(*rtp.Packet, time.Time) {
	return func(pkt *rtp.Packet, at time.Time) {
		if pkt.SSRC == 0x4444 {
			p.ContentRTP(pkt, at)
		} else {
			p.VideoRTP(pkt, at)
		}
	}
}

// shownBy fails unless the latest picture of a stream is p's, in its size.
func (p *projector) shownBy(v bridge.Video, what string) {
	p.t.Helper()
	got := v.Picture()
	if got == nil {
		p.t.Fatalf("no picture of %s", what)
	}
	defer got.Release()
	y, want := got.Y[got.StrideY*got.Height/2+got.Width/2], p.pic.Y[0]
	if got.Width != p.pic.Width || got.Height != p.pic.Height || max(y, want)-min(y, want) > 6 {
		p.t.Errorf("%s shows %dx%d of luma %d, want %dx%d of %d", what, got.Width, got.Height, y, p.pic.Width, p.pic.Height, want)
	}
}

// TestContent sends two pictures over one path, and asks for each apart.
func TestContent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := newPort(t, nil), newPort(t, nil)
		there, back := newWire(t), newWire(t)
		there.delay, back.delay = 20*time.Millisecond, 20*time.Millisecond
		video, content := screen(there, "VP8"), slides(there)
		near.SetVideo(video)
		near.SetContent(content)
		there.rtp, there.rtcp = route(far), far.VideoRTCP
		back.rtcp = near.VideoRTCP
		for _, v := range []*port.Video{video, content} {
			mirror := *v
			mirror.SSRC, mirror.Out = v.SSRC+1, back
			mirror.SendType, mirror.RecvType = v.RecvType, v.SendType
			if v == video {
				far.SetVideo(&mirror)
			} else {
				far.SetContent(&mirror)
			}
		}
		far.WantVideo(640, 360)
		far.Content().WantVideo(1920, 1080)
		face := newProjector(t, 320, 180, color.RGBA{R: 90, G: 90, B: 90, A: 255})
		slide := newProjector(t, 640, 480, color.RGBA{R: 220, G: 220, B: 220, A: 255})
		send := func(n int) {
			for range n {
				near.WriteVideo(face.frame(near.TakeKeyFrameRequest()))
				near.Content().WriteVideo(slide.frame(near.Content().TakeKeyFrameRequest()))
				time.Sleep(66 * time.Millisecond)
				synctest.Wait()
			}
		}
		send(10)
		face.shownBy(far, "the camera")
		slide.shownBy(far.Content(), "the presentation")

		// Nothing but a key frame of the one stream is asked for.
		before := near.Stats()
		far.Content().WantVideo(0, 0)
		if far.Content().Picture() != nil {
			t.Error("a picture that nobody wants is kept")
		}
		send(10)
		far.Content().WantVideo(1920, 1080)
		send(10)
		slide.shownBy(far.Content(), "the presentation")
		after := near.Stats()
		if n := after.ContentOut.KeyRequests - before.ContentOut.KeyRequests; n == 0 {
			t.Error("no key frame of the presentation was asked for")
		}
		if n := after.VideoOut.KeyRequests - before.VideoOut.KeyRequests; n != 0 {
			t.Errorf("%d key frames of the camera were asked for", n)
		}

		// What is lost is sent again by the stream that lost it.
		there.rtp = func(pkt *rtp.Packet, at time.Time) {
			if pkt.SSRC != 0x4444 || pkt.SequenceNumber%2 == 0 {
				route(far)(pkt, at)
			}
		}
		send(4)
		there.rtp = route(far)
		send(10)
		after = near.Stats()
		if after.ContentOut.NACKs == 0 || after.VideoOut.NACKs != 0 {
			t.Errorf("%d packets of the presentation and %d of the camera asked for again", after.ContentOut.NACKs, after.VideoOut.NACKs)
		}
		slide.shownBy(far.Content(), "the presentation")

		// A slide that stands still stays; a face that does goes.
		time.Sleep(20 * time.Second)
		slide.shownBy(far.Content(), "the presentation after a while")
		if p := far.Picture(); p != nil {
			p.Release()
			t.Error("the camera's last picture is still shown")
		}
		far.SetContent(nil)
		if far.Content().Picture() != nil {
			t.Error("there is a picture of a stream that is gone")
		}
		if _, ok := far.Content().VideoOut(); ok {
			t.Error("a stream that is gone receives")
		}
	})
}

// FIR and REMB name streams as well, and reports are made of each.
func TestContentFeedback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t)
		p := newPort(t, nil)
		p.SetVideo(screen(w, "VP8"))
		p.SetContent(slides(w))
		take := func() string {
			return fmt.Sprint(p.TakeKeyFrameRequest(), p.Content().TakeKeyFrameRequest())
		}
		if got := take(); got != "true true" {
			t.Errorf("at first, key frames of %s", got)
		}
		time.Sleep(time.Second)
		fir := func(ssrc uint32, seq uint8) *rtcp.FullIntraRequest {
			return &rtcp.FullIntraRequest{FIR: []rtcp.FIREntry{{SSRC: ssrc, SequenceNumber: seq}}}
		}
		for i, tt := range []struct {
			take   func([]rtcp.Packet, time.Time)
			packet rtcp.Packet
			want   string
		}{
			{p.ContentRTCP, fir(0x3333, 1), "true false"},
			{p.VideoRTCP, fir(0x4444, 1), "false true"},
			{p.VideoRTCP, fir(0, 2), "true false"},
			{p.ContentRTCP, fir(0, 2), "false true"},
			{p.ContentRTCP, &rtcp.PictureLossIndication{MediaSSRC: 0x3333}, "true false"},
			{p.VideoRTCP, &rtcp.PictureLossIndication{MediaSSRC: 0x4444}, "false true"},
			// Who names no stream means that of the line.
			{p.VideoRTCP, &rtcp.PictureLossIndication{}, "true false"},
			{p.ContentRTCP, &rtcp.PictureLossIndication{}, "false true"},
			{p.AudioRTCP, &rtcp.PictureLossIndication{}, "true false"},
		} {
			tt.take([]rtcp.Packet{tt.packet}, time.Now())
			if got := take(); got != tt.want {
				t.Errorf("request %d: %s, want %s", i, got, tt.want)
			}
			time.Sleep(time.Second)
		}
		for range 15 {
			p.WriteVideo(film(uint32(time.Now().UnixMilli()*90), 1, true))
			p.Content().WriteVideo(film(uint32(time.Now().UnixMilli()*90), 1, true))
			time.Sleep(time.Second)
		}
		reported := map[uint32]bool{}
		for _, sr := range feedback[*rtcp.SenderReport](w) {
			reported[sr.SSRC] = true
		}
		if !reported[0x3333] || !reported[0x4444] {
			t.Errorf("reports on %v", reported)
		}
	})
}

// What is presented is sharp before it is fluent, and at most 15 per second.
func TestContentTiers(t *testing.T) {
	for _, tt := range []struct {
		width, height, rate, bitrate int // limits of the peer
		want                         string
	}{
		{want: "1920x1080 15/s 2500000"},
		{rate: 10, want: "1920x1080 10/s 2500000"},
		{width: 1280, height: 720, rate: 30, want: "1280x720 15/s 1200000"},
		{bitrate: 1_000_000, want: "1280x720 15/s 1000000"},
		{bitrate: 400_000, want: "1280x720 5/s 400000"},
		{bitrate: 128_000, want: "640x360 5/s 128000"},
		{width: 1024, height: 768, want: "1024x576 15/s 1200000"},
	} {
		p := newPort(t, nil)
		v := slides(newWire(t))
		v.Width, v.Height, v.FrameRate, v.MaxBitrate = tt.width, tt.height, tt.rate, tt.bitrate
		p.SetContent(v)
		spec, ok := p.Content().VideoOut()
		o := spec.Options
		if got := fmt.Sprintf("%dx%d %d/s %d", o.Width, o.Height, o.FrameRate, o.Bitrate); !ok || got != tt.want {
			t.Errorf("%+v: %v %s, want %s", tt, ok, got, tt.want)
		}
		p.MixContent(true)
		if _, ok := p.Content().VideoOut(); ok {
			t.Errorf("%+v: a presentation is sent to one who wants it composed", tt)
		}
		p.MixContent(false)
		if _, ok := p.Content().VideoOut(); !ok {
			t.Errorf("%+v: the presentation does not come back", tt)
		}
	}
}

// Operators see presentations apart.
func TestContentMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	p := port.New(port.Config{Metrics: port.NewMetrics(reg)})
	p.SetContent(slides(newWire(t)))
	p.Content().WriteVideo(film(1, 3, true))
	p.Close()
	n, err := testutil.GatherAndCount(reg, "skybridge_port_packets_total")
	if err != nil || n != 6 {
		t.Fatalf("%d series, %v", n, err)
	}
	families, _ := reg.Gather()
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "skybridge_port_packets_total" && m.GetLabel()[1].GetValue() == "presentation" && m.GetLabel()[0].GetValue() == "sent" {
				if m.GetCounter().GetValue() != 3 {
					t.Errorf("%v packets, want 3", m.GetCounter().GetValue())
				}
				return
			}
		}
	}
	found := ""
	for _, f := range families {
		if f.GetName() == "skybridge_port_packets_total" {
			found = fmt.Sprint(f.GetMetric())
		}
	}
	t.Errorf("nothing of presentations in %s", found)
}

// Of cameras no more than HD is decoded; screens come as they are.
func TestSizesThatAreDecoded(t *testing.T) {
	for _, tt := range []struct {
		width, height int
		camera        int // pictures decoded of one
	}{
		{1920, 1088, 1}, {1080, 1920, 1}, {2560, 1440, 0}, {3840, 2160, 0}, {0, 0, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			g := &glass{}
			codec := g.codec()
			codec.Size = func([]byte) (int, int) { return tt.width, tt.height }
			v := screen(newWire(t), "VP8")
			v.Codec = codec
			p := newPort(t, nil)
			p.SetVideo(v)
			p.SetContent(v)
			send := func(to func(*rtp.Packet, time.Time)) int {
				before := g.counts()[0]
				to(&rtp.Packet{
					Header:  rtp.Header{PayloadType: 97, SSRC: 9, SequenceNumber: 1, Timestamp: 3000, Marker: true},
					Payload: []byte{0x10, 0, 100, 0, 0, 0, 0, 0, 0, 0, 0},
				}, time.Now())
				time.Sleep(100 * time.Millisecond)
				synctest.Wait()
				return g.counts()[0] - before
			}
			p.WantVideo(640, 360)
			if n := send(p.VideoRTP); n != tt.camera {
				t.Errorf("%dx%d of a camera: %d decoded, want %d", tt.width, tt.height, n, tt.camera)
			}
			p.Content().WantVideo(1920, 1080)
			if n := send(p.ContentRTP); n != 1 {
				t.Errorf("%dx%d of a screen: %d decoded", tt.width, tt.height, n)
			}
			p.Close()
		})
	}
}

// TestContentAlone: a path of its own has estimates of its own.
func TestContentAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			alone, content bool // the estimate comes with the content stream
			video, slides  bool // it counts for
			apart          bool // also when nothing is sent
		}{
			{video: true, slides: true, apart: true},
			{content: true, video: true, slides: true, apart: true},
			{alone: true, video: true},
			{alone: true, content: true, slides: true},
		} {
			w := newWire(t)
			p := newPort(t, nil)
			p.SetVideo(screen(w, "VP8"))
			s := slides(w)
			s.Alone = tt.alone
			p.SetContent(s)
			rate := func(v bridge.Video) int {
				spec, _ := v.VideoOut()
				return spec.Options.Bitrate
			}
			video, content := rate(p), rate(p.Content())
			for i := range 90 {
				f := film(uint32(3000*i), 0, i == 0)
				for range 7 {
					f.Payloads = append(f.Payloads, make([]byte, 1000))
				}
				p.WriteVideo(f)
				p.Content().WriteVideo(f)
				time.Sleep(33 * time.Millisecond)
			}
			take := p.VideoRTCP
			if tt.content {
				take = p.ContentRTCP
			}
			for _, bitrate := range []float32{5_000_000, 250_000} {
				take([]rtcp.Packet{&rtcp.ReceiverEstimatedMaximumBitrate{Bitrate: bitrate}}, time.Now())
			}
			time.Sleep(300 * time.Millisecond)
			if rate(p) < video != tt.video || rate(p.Content()) < content != tt.slides {
				t.Errorf("%+v: video %d of %d, content %d of %d", tt, rate(p), video, rate(p.Content()), content)
			}
			if !p.ContentApart() {
				t.Errorf("%+v: not apart", tt)
			}
			s.Send = false
			p.SetContent(s)
			if got := p.ContentApart(); got != tt.apart {
				t.Errorf("%+v: apart %v without sending", tt, got)
			}
		}
	})
}
