package webrtc

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/pion/rtp"
	pion "github.com/pion/webrtc/v4"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/g711"
	"github.com/skybridge-media/skybridge/codecs/vp8"
	"github.com/skybridge-media/skybridge/media/bridge"
	"github.com/skybridge-media/skybridge/media/port"
)

// slidesOffer is what existing applications offer: a real browser's sections, the
// third of which is for what is presented.
func slidesOffer(t *testing.T, direction string) string {
	t.Helper()
	parts := strings.Split(sample(t, "chromium-slides-data.sdp"), "m=video")
	parts[2] = strings.NewReplacer("a=mid:2\r\n", "a=mid:2\r\na=content:slides\r\n", "a=inactive", "a="+direction).Replace(parts[2])
	return strings.Join(parts, "m=video")
}

// TestChooseSlides: a section for what is presented is a stream of its own, in
// every direction, where there is a place for it.
func TestChooseSlides(t *testing.T) {
	for _, tt := range []struct {
		offered  string
		wanted   bool
		role     role
		answered string
	}{
		{"inactive", true, taken, "inactive"},
		{"sendonly", true, taken, "recvonly"},
		{"recvonly", true, taken, "sendonly"},
		{"sendrecv", true, taken, "sendrecv"},
		{"sendrecv", false, parked, "inactive"},
	} {
		d, err := parse(slidesOffer(t, tt.offered))
		if err != nil {
			t.Fatal(err)
		}
		d.slides = tt.wanted
		c, err := everything().choose(d, nil)
		if err != nil {
			t.Fatal(err)
		}
		if want := []role{taken, taken, tt.role, refused}; !slices.Equal(c.roles, want) {
			t.Errorf("%s: roles %v, want %v", tt.offered, c.roles, want)
		}
		answer := c.answer(transport{ufrag: "ours", pwd: "ourpasswordisthisoneok22", fingerprint: "sha-256 00:11", setup: "active"},
			identity{stream: "s", sources: map[kind]uint32{audio: 11, video: 22, content: 33}})
		section, _, _ := strings.Cut(strings.Split(answer, "m=video")[2], "m=")
		for _, want := range []string{" 9 ", "a=content:slides\r\n", "a=" + tt.answered + "\r\n"} {
			if !strings.Contains(section, want) {
				t.Errorf("%s: no %q in\n%s", tt.offered, want, section)
			}
		}
		if sends := tt.answered == "sendonly" || tt.answered == "sendrecv"; strings.Contains(section, "a=ssrc:33 ") != sends ||
			strings.Contains(section, "a=msid:s-slides slides\r\n") != sends {
			t.Errorf("%s: what we send is named %v, want %v:\n%s", tt.offered, !sends, sends, section)
		}
		if n := strings.Count(c.canonical(), "m=video"); n != map[role]int{taken: 2, parked: 1}[tt.role] {
			t.Errorf("%s: pion sees %d pictures", tt.offered, n)
		}
	}
}

// In one bundle a payload type means one thing.
func TestSlidesOfAnotherMeaning(t *testing.T) {
	offer := slidesOffer(t, "sendrecv")
	i := strings.LastIndex(offer, "m=video")
	for name, changed := range map[string]string{
		"audio's": offer[:i] + strings.NewReplacer(" 96 97", " 111 97", ":96 ", ":111 ").Replace(offer[i:]),
		"H264":    offer[:i] + strings.ReplaceAll(offer[i:], "a=rtpmap:96 VP8/90000", "a=rtpmap:96 H264/90000\r\na=fmtp:96 profile-level-id=42e01f;packetization-mode=1"),
	} {
		d, err := parse(changed)
		if err != nil {
			t.Fatal(err)
		}
		d.slides = true
		if _, err := everything().choose(d, nil); err == nil || !strings.Contains(err.Error(), "two meanings") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSlides carries two pictures over one connection, each to its stream of the
// port, takes one away and brings it back, and asks for room each time.
func TestSlides(t *testing.T) {
	e := engine(t, func(c *Config) { c.Audio, c.Video = []*codecs.Audio{&g711.PCMU}, []*codecs.Video{&vp8.VP8} })
	b := newBrowser(t, nil)
	sound, face, slide := b.track(pion.MimeTypePCMU), b.track(pion.MimeTypeVP8), b.track(pion.MimeTypeVP8)
	faces, slides := make(chan uint32, 10), make(chan uint32, 10)
	b.OnTrack(func(tr *pion.TrackRemote, r *pion.RTPReceiver) {
		if tr.Kind() == pion.RTPCodecTypeAudio {
			return
		}
		to := faces
		if tr.StreamID() != "" && strings.HasSuffix(tr.StreamID(), "-slides") {
			to = slides
		}
		if p, _, err := tr.ReadRTP(); err == nil {
			to <- p.SSRC
		}
	})
	offer := func(direction string) string {
		parts := strings.Split(b.offer(nil), "m=video")
		parts[2] = strings.Replace(parts[2], "a=mid:2\r\n", "a=mid:2\r\na=content:slides\r\n", 1)
		parts[2] = strings.ReplaceAll(parts[2], "a=sendrecv", "a="+direction)
		return strings.Join(parts, "m=video")
	}
	var asked []bool
	var full atomic.Bool
	s := &side{port: port.New(port.Config{}), connected: make(chan struct{}), ended: make(chan string, 1)}
	t.Cleanup(s.port.Close)
	var err error
	s.Call, err = e.Answer(t.Context(), Offer{
		ID: "test", SDP: offer("inactive"), Port: s.port, Connected: func() { close(s.connected) },
		Content: func(_ context.Context, on bool) bool {
			asked = append(asked, on)
			return on && !full.Load()
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	b.accept(s.SDP())
	await(t, "connection", s.connected)
	update := func(direction, want string) {
		t.Helper()
		answer, err := s.Update(t.Context(), offer(direction), true, true)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Split(answer, "m=video")[2]; !strings.Contains(got, "a="+want+"\r\n") {
			t.Errorf("offered %s, want %s:\n%s", direction, want, got)
		}
		b.accept(answer)
	}
	exchange(t, s.port,
		func(ctx context.Context) { sendTone(ctx, t, sound, 440) },
		func(ctx context.Context) { sendPictureOf(ctx, t, face, 160, 90, 60, func(*rtp.Header) {}) },
		func(ctx context.Context) { sendPictureOf(ctx, t, slide, 320, 180, 200, func(*rtp.Header) {}) },
	)
	shows := func(v bridge.Video, width int, luma byte) func() bool {
		return func() bool {
			p := v.Picture()
			if p == nil {
				return false
			}
			defer p.Release()
			return p.Width == width && p.Y[0] > luma-10 && p.Y[0] < luma+10
		}
	}
	s.port.WantVideo(1280, 720)
	s.port.Content().WantVideo(1920, 1080)
	eventually(t, "the face", shows(s.port, 160, 60))
	if s.port.Content().Picture() != nil {
		t.Error("a section that is inactive shows something")
	}

	update("sendonly", "recvonly")
	eventually(t, "the slide", shows(s.port.Content(), 320, 200))
	eventually(t, "the face beside it", shows(s.port, 160, 60))
	update("inactive", "inactive")
	if _, ok := s.port.Content().VideoOut(); ok || s.port.Content().Picture() != nil {
		t.Error("what has ended goes on")
	}

	full.Store(true)
	update("sendonly", "inactive")
	if s.port.Content().Picture() != nil {
		t.Error("a slide without room for it")
	}
	full.Store(false)
	update("sendonly", "recvonly")
	eventually(t, "the slide again", shows(s.port.Content(), 320, 200))

	update("recvonly", "sendonly")
	eventually(t, "our slide's turn", func() bool { _, ok := s.port.Content().VideoOut(); return ok })
	if got := fmt.Sprint(asked); got != "[false true false true true true]" {
		t.Errorf("asked for room %s", got)
	}
	// Ours arrives where it belongs.
	eventually(t, "our slide", func() bool {
		s.port.Content().WriteVideo(&bridge.VideoFrame{Payloads: [][]byte{{0x10, 0, 0, 0}}, Key: true})
		select {
		case <-slides:
			return true
		default:
			return false
		}
	})
}
