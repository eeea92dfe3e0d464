package webrtc

import (
	"context"
	"strings"
	"testing"

	"github.com/pion/rtp"
	pion "github.com/pion/webrtc/v4"

	"github.com/skybridge-media/skybridge/bus"
	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/g711"
	"github.com/skybridge-media/skybridge/codecs/vp8"
	"github.com/skybridge-media/skybridge/media/bridge"
	"github.com/skybridge-media/skybridge/media/port"
)

// TestChooseBeside: in a connection for what is presented every picture is that,
// one is taken, in one direction, and there is no sound.
func TestChooseBeside(t *testing.T) {
	text := sample(t, "chromium-audio.sdp")
	sound := text[strings.Index(text, "m=audio"):]
	if i := strings.Index(sound[1:], "m="); i >= 0 {
		sound = sound[:i+1]
	}
	head := text[:strings.Index(text, "m=audio")]
	picture := func(mid, direction, codec string) string {
		return "m=video 9 UDP/TLS/RTP/SAVPF 97\r\nc=IN IP4 0.0.0.0\r\na=mid:" + mid + "\r\na=rtcp-mux\r\na=setup:actpass\r\na=ice-ufrag:abcd\r\n" +
			"a=ice-pwd:0123456789012345678901\r\na=fingerprint:sha-256 " + strings.Repeat("00:", 31) + "00\r\na=rtpmap:97 " + codec + "/90000\r\na=" + direction + "\r\n"
	}
	group := func(mids string) string {
		var lines []string
		for l := range strings.SplitSeq(head, "\r\n") {
			if strings.HasPrefix(l, "a=group:BUNDLE") {
				l = "a=group:BUNDLE " + mids
			}
			lines = append(lines, l)
		}
		return strings.Join(lines, "\r\n")
	}
	alone := strings.ReplaceAll(group(""), "a=group:BUNDLE \r\n", "")
	for name, tt := range map[string]struct {
		offer     string
		publisher bool
		want      string // what the picture is answered, or what the error says
	}{
		"send":                  {group("v") + picture("v", "sendonly", "VP8"), true, "recvonly"},
		"send, both ways":       {group("v") + picture("v", "sendrecv", "VP8"), true, "recvonly"},
		"send, with sound":      {group("0 v") + sound + picture("v", "sendonly", "VP8"), true, "recvonly"},
		"send without a bundle": {alone + picture("v", "sendonly", "VP8"), true, "recvonly"},
		"receive":               {group("v") + picture("v", "recvonly", "VP8"), false, "sendonly"},
		"receive, both ways":    {group("v") + picture("v", "sendrecv", "VP8"), false, "sendonly"},
		"send nothing":          {group("v") + picture("v", "recvonly", "VP8"), true, "error: offered recvonly"},
		"receive nothing":       {group("v") + picture("v", "sendonly", "VP8"), false, "error: offered sendonly"},
		"two":                   {group("v w") + picture("v", "sendonly", "VP8") + picture("w", "sendonly", "VP8"), true, "error: second"},
		"sound only":            {group("0") + sound, true, "error: no common codec"},
		"another codec":         {group("v") + picture("v", "recvonly", "AV1"), false, "error: no common codec"},
	} {
		d, err := parse(tt.offer)
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, tt.offer)
		}
		d.begin(&Offer{Slides: true, Publisher: tt.publisher, Viewer: !tt.publisher})
		c, err := everything().choose(d, nil)
		if wrong, ok := strings.CutPrefix(tt.want, "error: "); ok {
			if err == nil || !strings.Contains(err.Error(), wrong) {
				t.Errorf("%s: got %v, want something of %s", name, err, wrong)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if c.audio != nil || c.video != nil || c.content == nil || c.content.direction() != tt.want {
			t.Errorf("%s: sound %v, picture %v, presented %+v, want %s", name, c.audio, c.video, c.content, tt.want)
		}
		answer := c.answer(transport{ufrag: "ours", pwd: "ourpasswordisthisoneok22", setup: "active"}, identity{sources: map[kind]uint32{content: 3}})
		if n := strings.Count(c.canonical(), "m="); n != 1 || strings.Contains(answer, "a=content") {
			t.Errorf("%s: pion sees %d media, answer\n%s", name, n, answer)
		}
	}
}

// TestBeside has two connections on one port: neither takes away what is the
// other's.
func TestBeside(t *testing.T) {
	e := engine(t, func(c *Config) { c.Audio, c.Video = []*codecs.Audio{&g711.PCMU}, []*codecs.Video{&vp8.VP8} })
	b := newBrowser(t, nil)
	sound, face := b.track(pion.MimeTypePCMU), b.track(pion.MimeTypeVP8)
	s := call(t, e, b)
	if s.Slides() {
		t.Error("a call without a section for presentations has one")
	}
	beside := func() (*browser, *Call, *pion.TrackLocalStaticRTP) {
		t.Helper()
		b := newBrowser(t, nil)
		slide := b.track(pion.MimeTypeVP8)
		c, err := e.Answer(t.Context(), Offer{ID: "test", SDP: b.offer(nil), Port: s.port, Slides: true, Publisher: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		b.accept(c.SDP())
		await(t, "second connection", b.connected)
		return b, c, slide
	}
	second, c, slide := beside()
	if !c.Slides() {
		t.Error("the second connection has no section for presentations")
	}
	exchange(t, s.port,
		func(ctx context.Context) { sendTone(ctx, t, sound, 440) },
		func(ctx context.Context) { sendPictureOf(ctx, t, face, 160, 90, 60, func(*rtp.Header) {}) },
		func(ctx context.Context) { sendPictureOf(ctx, t, slide, 320, 180, 200, func(*rtp.Header) {}) },
	)
	s.port.WantVideo(1280, 720)
	s.port.Content().WantVideo(1920, 1080)
	shows := func(v bridge.Video, width int) func() bool {
		return func() bool {
			p := v.Picture()
			if p == nil {
				return false
			}
			defer p.Release()
			return p.Width == width
		}
	}
	both := func() {
		t.Helper()
		eventually(t, "the face", shows(s.port, 160))
		eventually(t, "the slide", shows(s.port.Content(), 320))
	}
	both()
	if s.port.ContentApart() {
		t.Error("who can only present sees presentations apart")
	}

	// Each is negotiated again.
	again, err := s.Update(t.Context(), b.offer(nil), true, false)
	if err != nil {
		t.Fatal(err)
	}
	b.accept(again)
	both()
	if again, err = c.Update(t.Context(), second.offer(nil), true, true); err != nil {
		t.Fatal(err)
	}
	second.accept(again)
	both()

	c.Close()
	if s.port.Content().Picture() != nil {
		t.Error("the slide is there after its connection")
	}
	eventually(t, "the face", shows(s.port, 160))
	_, c, _ = beside()
	s.Close()
	if st := s.port.Stats(); st.VideoIn.Codec != "" || st.ContentIn.Codec != "VP8" {
		t.Errorf("without the call there are %q and %q", st.VideoIn.Codec, st.ContentIn.Codec)
	}
	c.Close()
	if st := s.port.Stats(); st.ContentIn.Codec != "" {
		t.Errorf("nothing is left but %q", st.ContentIn.Codec)
	}
}

// FuzzBeside is FuzzAnswer for connections beside a call.
func FuzzBeside(f *testing.F) {
	for _, name := range []string{"aiortc.sdp", "chromium-audio.sdp", "chromium-h264.sdp", "chromium-sendonly.sdp", "chromium-slides-data.sdp"} {
		f.Add(sample(f, name), true)
		f.Add(sample(f, name), false)
	}
	e := engine(f, everyCodec)
	media := port.New(port.Config{})
	f.Cleanup(media.Close)
	f.Fuzz(func(t *testing.T, offer string, sends bool) {
		c, err := e.Answer(t.Context(), Offer{SDP: offer, Port: media, Slides: true, Publisher: sends, Viewer: !sends})
		if err != nil {
			if bus.CodeOf(err) != bus.Invalid {
				t.Errorf("%v is not the peer's mistake", err)
			}
			return
		}
		defer c.Close()
		if audio, video := c.Media(); audio || video || !c.Slides() {
			t.Errorf("sound %v, picture %v, slides %v", audio, video, c.Slides())
		}
	})
}
