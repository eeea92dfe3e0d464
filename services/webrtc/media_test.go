package webrtc

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	pion "github.com/pion/webrtc/v4"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/g711"
	"github.com/skybridge-media/skybridge/codecs/pcm"
	"github.com/skybridge-media/skybridge/codecs/vp8"
	"github.com/skybridge-media/skybridge/codecs/yuv"
	"github.com/skybridge-media/skybridge/media/bridge"
	"github.com/skybridge-media/skybridge/media/payload"
	"github.com/skybridge-media/skybridge/media/port"
	"github.com/skybridge-media/skybridge/media/tone"
)

// TestMedia lets a tone and a picture through in both directions: a peer made
// of pion on one side, the port as a bridge sees it on the other.
func TestMedia(t *testing.T) {
	for name, network := range map[string]pion.NetworkType{"udp": pion.NetworkTypeUDP4, "tcp": pion.NetworkTypeTCP4} {
		t.Run(name, func(t *testing.T) {
			e := engine(t, func(c *Config) {
				c.Audio = []*codecs.Audio{&g711.PCMU}
				c.Video = []*codecs.Video{&vp8.VP8}
			})
			var settings pion.SettingEngine
			settings.SetNetworkTypes([]pion.NetworkType{network})
			b := newBrowser(t, &settings)
			sound, picture := b.track(pion.MimeTypePCMU), b.track(pion.MimeTypeVP8)
			heard, seen := b.receive()
			s := call(t, e, b)

			near := exchange(t, s.port,
				func(ctx context.Context) { sendTone(ctx, t, sound, 440) },
				func(ctx context.Context) { sendPicture(ctx, t, picture, 200) },
			)

			eventually(t, "our side to hear 440 Hz", func() bool { return near.hears(440) })
			eventually(t, "our side to see the picture", func() bool { return near.luma() > 185 && near.luma() < 215 })
			eventually(t, "the peer to hear 1000 Hz", func() bool { return heard.frequency(1000) })
			eventually(t, "the peer to see our picture", func() bool { return seen.luma() > 75 && seen.luma() < 105 })

			// Reports find their way through the sieve in both directions.
			eventually(t, "the round trip time", func() bool { return s.port.Stats().VideoOut.RTT > 0 })
		})
	}
}

// Media goes on after an ICE restart, stops on hold and comes back.
func TestMediaSurvivesNegotiation(t *testing.T) {
	e := engine(t, func(c *Config) { c.Audio, c.Video = []*codecs.Audio{&g711.PCMU}, nil })
	b := newBrowser(t, nil)
	sound := b.track(pion.MimeTypePCMU)
	s := call(t, e, b)
	near := exchange(t, s.port, func(ctx context.Context) { sendTone(ctx, t, sound, 440) })
	eventually(t, "the tone", func() bool { return near.hears(440) })

	update := func(offer string) string {
		answer, err := s.Update(t.Context(), offer, true, true)
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	b.accept(update(b.offer(&pion.OfferOptions{ICERestart: true})))
	near.forget()
	eventually(t, "the tone after the restart", func() bool { return near.hears(440) })

	offer := b.offer(nil)
	b.accept(update(strings.ReplaceAll(offer, "a=sendrecv", "a=inactive")))
	eventually(t, "silence on hold", near.silent)
	offer = b.offer(nil)
	b.accept(update(offer))
	near.forget()
	eventually(t, "the tone after the hold", func() bool { return near.hears(440) })
}

// Some WHIP clients do not say which SSRC they send with.
func TestMediaOfUndeclaredSource(t *testing.T) {
	e := engine(t, func(c *Config) { c.Audio, c.Video = []*codecs.Audio{&g711.PCMU}, []*codecs.Video{&vp8.VP8} })
	b := newBrowser(t, nil)
	sound, picture := b.track(pion.MimeTypePCMU), b.track(pion.MimeTypeVP8)
	offer := strings.Join(slices.DeleteFunc(strings.SplitAfter(b.offer(nil), "\r\n"), func(l string) bool {
		return strings.HasPrefix(l, "a=ssrc")
	}), "")
	s := answer(t, e, offer)
	b.accept(s.SDP())
	await(t, "connection", s.connected)
	near := exchange(t, s.port,
		func(ctx context.Context) { sendTone(ctx, t, sound, 440) },
		func(ctx context.Context) { sendPicture(ctx, t, picture, 200) },
	)
	eventually(t, "the tone", func() bool { return near.hears(440) })
	eventually(t, "the picture", func() bool { return near.luma() > 185 && near.luma() < 215 })
}

// track adds a track of the peer's and offers no other codec for it.
func (b *browser) track(mime string) *pion.TrackLocalStaticRTP {
	b.Helper()
	kind := pion.RTPCodecTypeAudio
	if mime == pion.MimeTypeVP8 {
		kind = pion.RTPCodecTypeVideo
	}
	track, err := pion.NewTrackLocalStaticRTP(pion.RTPCodecCapability{MimeType: mime}, kind.String(), "browser")
	if err != nil {
		b.Fatal(err)
	}
	tr, err := b.AddTransceiverFromTrack(track)
	if err != nil {
		b.Fatal(err)
	}
	all := tr.Sender().GetParameters().Codecs
	if err := tr.SetCodecPreferences(slices.DeleteFunc(all, func(c pion.RTPCodecParameters) bool { return c.MimeType != mime })); err != nil {
		b.Fatal(err)
	}
	return track
}

// sendTone sends G.711 in real time.
func sendTone(ctx context.Context, t *testing.T, track *pion.TrackLocalStaticRTP, hertz float64) {
	enc, err := g711.PCMU.NewEncoder(codecs.AudioOptions{})
	if err != nil {
		t.Error(err)
		return
	}
	defer enc.Close()
	gen, frame := tone.New(g711.Rate, -12, hertz), make(pcm.Frame, g711.Rate/50)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for seq := uint16(0); ctx.Err() == nil; seq++ {
		gen.Read(frame)
		b, err := enc.Encode(nil, frame)
		if err != nil {
			t.Error(err)
			return
		}
		_ = track.WriteRTP(&rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: seq, Timestamp: uint32(seq) * 160}, Payload: b})
		<-tick.C
	}
}

// flat is a picture of one brightness.
func flat(luma byte) *yuv.Picture { return flatOf(320, 180, luma) }

func flatOf(width, height int, luma byte) *yuv.Picture {
	p := yuv.New(width, height)
	for i := range p.Y {
		p.Y[i] = luma
	}
	for i := range p.U {
		p.U[i], p.V[i] = 128, 128
	}
	return p
}

// middle is the brightness in the middle of a picture.
func middle(p *yuv.Picture) byte { return p.Y[p.Height/2*p.StrideY+p.Width/2] }

// sendPicture sends VP8, a key frame every second.
func sendPicture(ctx context.Context, t *testing.T, track *pion.TrackLocalStaticRTP, luma byte) {
	sendPictureOf(ctx, t, track, 320, 180, luma, func(*rtp.Header) {})
}

// sendPictureOf does so in that size. mark changes the headers.
func sendPictureOf(ctx context.Context, t *testing.T, track *pion.TrackLocalStaticRTP, width, height int, luma byte, mark func(*rtp.Header)) {
	enc, err := vp8.VP8.NewEncoder(codecs.VideoOptions{Width: width, Height: height, FrameRate: 20, Bitrate: 300_000})
	if err != nil {
		t.Error(err)
		return
	}
	defer enc.Close()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	seq := uint16(0)
	for n := uint32(0); ctx.Err() == nil; n++ {
		unit, _, err := enc.Encode(nil, flatOf(width, height, luma), n%20 == 0)
		if err != nil {
			t.Error(err)
			return
		}
		payloads, err := payload.Packetize("VP8", unit, 0, 1100)
		if err != nil {
			t.Error(err)
			return
		}
		for i, b := range payloads {
			h := rtp.Header{Version: 2, SequenceNumber: seq, Timestamp: n * 4500, Marker: i == len(payloads)-1}
			mark(&h)
			_ = track.WriteRTP(&rtp.Packet{Header: h, Payload: b})
			seq++
		}
		<-tick.C
	}
}

// A listener uses a port as a bridge does: hears and sees it, and sends.
type listener struct {
	*testing.T
	port *port.Port

	mu     sync.Mutex // guards what follows
	rate   int        // Hz
	last   pcm.Frame  // half a second
	bright byte
}

// exchange has each of peers send until the test ends, and p send 1000 Hz and a
// picture. It returns who listens at p.
func exchange(t *testing.T, p *port.Port, peers ...func(context.Context)) *listener {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	t.Cleanup(func() { stop(); running.Wait() })
	for _, send := range peers {
		running.Go(func() { send(ctx) })
	}
	near := &listener{T: t, port: p}
	running.Go(func() { near.run(ctx, 1000, 90) })
	return near
}

// run sends a tone and a picture in whatever codecs were negotiated.
func (l *listener) run(ctx context.Context, hertz float64, luma byte) {
	var (
		in    = make(pcm.Frame, 960)
		rate  = 48000
		audio codecs.AudioEncoder
		video codecs.VideoEncoder
		out   pcm.Frame
		gen   *tone.Generator
	)
	defer func() {
		if audio != nil {
			_ = audio.Close()
		}
		if video != nil {
			_ = video.Close()
		}
	}()
	l.port.WantVideo(320, 180)
	tick := time.NewTicker(bridge.Tick)
	defer tick.Stop()
	for n := uint32(0); ctx.Err() == nil; n++ {
		if now := l.port.NextAudio(); now.Voice {
			rate = now.Rate
		}
		l.port.ReadAudio(in[:rate/50])
		l.keep(in[:rate/50], rate)
		var err error
		if spec, ok := l.port.AudioOut(); ok {
			if audio == nil {
				format := spec.Codec.Format
				gen, out = tone.New(format.Rate, -12, hertz), make(pcm.Frame, format.Samples20())
				audio, err = spec.Codec.NewEncoder(spec.Options)
			}
			if err == nil {
				gen.Read(out)
				var b []byte
				b, err = audio.Encode(nil, out)
				l.port.WriteAudio(b)
			}
		}
		if spec, ok := l.port.VideoOut(); ok && err == nil && n%2 == 0 {
			if video == nil {
				spec.Options.Width, spec.Options.Height = 320, 180
				video, err = spec.Codec.NewEncoder(spec.Options)
			}
			if err == nil {
				err = l.sendPicture(video, spec, n, luma)
			}
		}
		if err != nil {
			l.Error(err)
			return
		}
		<-tick.C
	}
}

func (l *listener) sendPicture(enc codecs.VideoEncoder, spec bridge.VideoSpec, n uint32, luma byte) error {
	unit, key, err := enc.Encode(nil, flat(luma), l.port.TakeKeyFrameRequest() || n == 0)
	if err != nil || len(unit) == 0 {
		return err
	}
	payloads, err := payload.Packetize(spec.Codec.Name, unit, spec.Mode, spec.Payload)
	if err != nil {
		return err
	}
	l.port.WriteVideo(&bridge.VideoFrame{Payloads: payloads, Timestamp: n * 1800, Key: key, Captured: time.Now()})
	return nil
}

func (l *listener) keep(in pcm.Frame, rate int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.rate != rate {
		l.rate, l.last = rate, nil
	}
	l.last = append(l.last, in...)
	if over := len(l.last) - rate/2; over > 0 {
		l.last = slices.Delete(l.last, 0, over)
	}
	if p := l.port.Picture(); p != nil {
		l.bright = middle(&p.Picture)
		p.Release()
	}
}

func (l *listener) hears(hertz float64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rate > 0 && len(l.last) == l.rate/2 && tone.Detect(l.last, l.rate, hertz)[0] > -20
}

func (l *listener) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = nil
}

// silent reports whether there was nothing in the last tenth of a second; what
// was heard before is forgotten when there was.
func (l *listener) silent() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.last) < l.rate/10 || l.rate == 0 {
		return false
	}
	quiet := tone.Level(l.last) < -60
	l.last = nil
	return quiet
}

func (l *listener) luma() byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bright
}

// What the peer receives.
type (
	ear struct {
		mu   sync.Mutex // guards last
		last pcm.Frame  // half a second at 8 kHz
	}
	eye struct {
		mu     sync.Mutex // guards bright
		bright byte
	}
)

func (e *ear) frequency(hertz float64) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.last) == 4000 && tone.Detect(e.last, g711.Rate, hertz)[0] > -20
}

func (e *eye) luma() byte {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.bright
}

// receive decodes what comes, until the connection ends.
func (b *browser) receive() (*ear, *eye) {
	heard, seen := &ear{}, &eye{}
	b.OnTrack(func(t *pion.TrackRemote, r *pion.RTPReceiver) {
		go func() { // ends with the connection; its reports need our sender reports
			for {
				if _, _, err := r.ReadRTCP(); err != nil {
					return
				}
			}
		}()
		if t.Kind() == pion.RTPCodecTypeAudio {
			heard.run(b, t)
		} else {
			seen.run(b, t)
		}
	})
	return heard, seen
}

func (e *ear) run(b *browser, t *pion.TrackRemote) {
	dec, err := g711.PCMU.NewDecoder()
	if err != nil {
		b.Error(err)
		return
	}
	defer dec.Close()
	for {
		p, _, err := t.ReadRTP()
		if err != nil {
			return
		}
		e.mu.Lock()
		if e.last, err = dec.Decode(e.last, p.Payload); err != nil {
			b.Error(err)
		}
		if over := len(e.last) - 4000; over > 0 {
			e.last = slices.Delete(e.last, 0, over)
		}
		e.mu.Unlock()
	}
}

func (e *eye) run(b *browser, t *pion.TrackRemote) {
	dec, err := vp8.VP8.NewDecoder()
	if err != nil {
		b.Error(err)
		return
	}
	defer dec.Close()
	parts, err := payload.NewAssembler("VP8", nil)
	if err != nil {
		b.Error(err)
		return
	}
	for {
		p, _, err := t.ReadRTP()
		if err != nil {
			return
		}
		if err := parts.Add(p.Payload); err != nil {
			parts.Reset()
		}
		if !p.Marker {
			continue
		}
		pic, err := dec.Decode(parts.Unit())
		if err != nil || pic == nil {
			_ = b.WriteRTCP([]rtcp.Packet{&rtcp.PictureLossIndication{MediaSSRC: uint32(t.SSRC())}})
			continue
		}
		e.mu.Lock()
		e.bright = middle(pic)
		e.mu.Unlock()
	}
}
