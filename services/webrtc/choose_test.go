package webrtc

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/skybridge-media/skybridge/bus"
	"github.com/skybridge-media/skybridge/codecs"
)

// Codecs of which only the names count: negotiation opens none.
var (
	justOpus = &codecs.Audio{Name: "opus", Clock: 48000, Type: -1}
	justG722 = &codecs.Audio{Name: "G722", Clock: 8000, Type: 9}
	justPCMU = &codecs.Audio{Name: "PCMU", Clock: 8000, Type: 0}
	justPCMA = &codecs.Audio{Name: "PCMA", Clock: 8000, Type: 8}
	justVP8  = &codecs.Video{Name: "VP8"}
	justH264 = &codecs.Video{Name: "H264"}
)

// chooser is an Engine that only chooses.
func chooser(a []*codecs.Audio, v []*codecs.Video) *Engine {
	return &Engine{cfg: Config{Audio: a, Video: v}}
}

func everything() *Engine {
	return chooser([]*codecs.Audio{justPCMA, justPCMU, justG722, justOpus}, []*codecs.Video{justH264, justVP8})
}

func sample(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// decide parses and chooses, and returns the answer over a made-up transport.
func decide(e *Engine, offer string) (*choice, string, error) {
	d, err := parse(offer)
	if err != nil {
		return nil, "", err
	}
	c, err := e.choose(d, nil)
	if err != nil {
		return nil, "", err
	}
	ours := transport{
		ufrag: "ours", pwd: "ourpasswordisthisoneok22", fingerprint: "sha-256 00:11", setup: "active", lite: true,
		candidates: []string{"1 1 udp 2130706431 192.0.2.1 8444 typ host", "2 1 tcp 1671430143 192.0.2.1 8444 typ host tcptype passive"},
	}
	return c, c.answer(ours, identity{session: 1, version: 1, stream: "s", sources: map[kind]uint32{audio: 11, video: 22}}), nil
}

func TestChooseFromRealOffers(t *testing.T) {
	tests := []struct {
		name, offer, audio, video string
		roles                     []role
	}{
		{"browser, default order", "chromium-slides-data.sdp", "111 opus/48000 sendrecv events 110", "96 VP8/90000 sendrecv", []role{taken, taken, parked, refused}},
		{"browser, H.264 first", "chromium-h264.sdp", "111 opus/48000 sendrecv events 110", "108 H264/90000 sendrecv mode 1", []role{taken, taken}},
		{"browser, sends only", "chromium-sendonly.sdp", "111 opus/48000 recvonly events 110", "96 VP8/90000 recvonly", []role{taken, taken}},
		{"browser, simulcast", "chromium-simulcast.sdp", "111 opus/48000 sendrecv events 110", "96 VP8/90000 sendrecv layers q h f", []role{taken, taken, refused}},
		{"browser, no camera", "chromium-audio.sdp", "111 opus/48000 sendrecv events 110", "none", []role{taken}},
		{"aiortc", "aiortc.sdp", "96 opus/48000 sendrecv", "97 VP8/90000 sendrecv", []role{taken, taken, refused}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, answer, err := decide(everything(), sample(t, tt.offer))
			if err != nil {
				t.Fatal(err)
			}
			if got := describe(c.audio); got != tt.audio {
				t.Errorf("audio: got %s, want %s", got, tt.audio)
			}
			if got := describe(c.video); got != tt.video {
				t.Errorf("video: got %s, want %s", got, tt.video)
			}
			for i, want := range tt.roles {
				if c.roles[i] != want {
					t.Errorf("section %d: got role %d, want %d", i, c.roles[i], want)
				}
			}
			// An answer mirrors the m-lines of the offer (RFC 3264 section 6).
			if got, want := mlines(answer), mlines(sample(t, tt.offer)); got != want {
				t.Errorf("answer has m-lines %q, want %q", got, want)
			}
		})
	}
}

// describe says what a stream is in one line.
func describe(s *stream) string {
	if s == nil {
		return "none"
	}
	d := join([]uint8{s.codec.pt}) + " " + s.format.name + "/" + strconv.Itoa(s.format.clock) + " " + s.direction()
	if s.event != 0 {
		d += " events " + join([]uint8{s.event})
	}
	if s.format.name == "H264" {
		d += " mode " + strconv.Itoa(s.mode)
	}
	if layers, _ := s.portLayers(); len(layers) > 0 {
		d += " layers"
		for _, l := range layers {
			d += " " + l.RID
		}
	}
	return d
}

// mlines lists the media types of the m-lines.
func mlines(sdp string) string {
	var types []string
	for l := range strings.Lines(sdp) {
		if rest, ok := strings.CutPrefix(l, "m="); ok {
			typ, _, _ := strings.Cut(rest, " ")
			types = append(types, typ)
		}
	}
	return strings.Join(types, " ")
}

func TestChooseCodec(t *testing.T) {
	all := []*codecs.Audio{justOpus, justG722, justPCMU, justPCMA}
	tests := []struct {
		name         string
		engine       *Engine
		audio, video string // lines of the offer
		want         string // "audio | video"
	}{
		{"peer's order decides", everything(), "9 111|a=rtpmap:111 opus/48000/2", "", "9 G722/8000 sendrecv | none"},
		{"static types need no rtpmap", everything(), "8 0|", "", "8 PCMA/8000 sendrecv | none"},
		{"what we lack is passed over", chooser([]*codecs.Audio{justPCMU}, nil), "111 0|a=rtpmap:111 opus/48000/2", "", "0 PCMU/8000 sendrecv | none"},
		{"events share the codec's clock", everything(), "0 110 126|a=rtpmap:110 telephone-event/48000|a=rtpmap:126 telephone-event/8000", "", "0 PCMU/8000 sendrecv events 126 | none"},
		{"events of another clock are better than none", everything(), "111 126|a=rtpmap:111 opus/48000/2|a=rtpmap:126 telephone-event/8000", "", "111 opus/48000 sendrecv events 126 | none"},
		{"H.264 without fmtp is mode 0", everything(), "0|", "99|a=rtpmap:99 H264/90000", "0 PCMU/8000 sendrecv | 99 H264/90000 sendrecv mode 0"},
		{"H.264 mode 1 before mode 0", everything(), "0|", "98 99|a=rtpmap:98 H264/90000|a=fmtp:98 packetization-mode=0;profile-level-id=42e01f|a=rtpmap:99 H264/90000|a=fmtp:99 packetization-mode=1;profile-level-id=42001f", "0 PCMU/8000 sendrecv | 99 H264/90000 sendrecv mode 1"},
		{"VP8 first stays VP8", everything(), "0|", "97 99|a=rtpmap:97 VP8/90000|a=rtpmap:99 H264/90000|a=fmtp:99 packetization-mode=1;profile-level-id=42e01f", "0 PCMU/8000 sendrecv | 97 VP8/90000 sendrecv"},
		{"only unknown video", everything(), "0|", "45|a=rtpmap:45 AV1/90000", "0 PCMU/8000 sendrecv | none"},
		{"mode 2 is not ours", everything(), "0|", "99|a=rtpmap:99 H264/90000|a=fmtp:99 packetization-mode=2;profile-level-id=42e01f", "0 PCMU/8000 sendrecv | none"},
		{"video off", chooser(all, nil), "0|", "97|a=rtpmap:97 VP8/90000", "0 PCMU/8000 sendrecv | none"},
		{"on hold", everything(), "0|a=sendonly", "97|a=rtpmap:97 VP8/90000|a=inactive", "0 PCMU/8000 recvonly | 97 VP8/90000 inactive"},
		{"names in any case", everything(), "111|a=rtpmap:111 OPUS/48000/2", "97|a=rtpmap:97 vp8/90000", "111 opus/48000 sendrecv | 97 VP8/90000 sendrecv"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, _, err := decide(tt.engine, craft(tt.audio, tt.video))
			if err != nil {
				t.Fatal(err)
			}
			if got := describe(c.audio) + " | " + describe(c.video); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// craft makes an offer of "payload types|lines" for audio and video.
func craft(a, v string) string {
	var b strings.Builder
	b.WriteString("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n")
	for i, m := range []string{a, v} {
		if m == "" {
			continue
		}
		f := strings.Split(m, "|")
		b.WriteString("m=" + []string{"audio", "video"}[i] + " 9 UDP/TLS/RTP/SAVPF " + f[0] + "\r\nc=IN IP4 0.0.0.0\r\n")
		b.WriteString("a=mid:" + strconv.Itoa(i) + "\r\na=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\n" +
			"a=fingerprint:sha-256 AA:BB\r\na=setup:actpass\r\na=rtcp-mux\r\n")
		for _, l := range f[1:] {
			if l != "" {
				b.WriteString(l + "\r\n")
			}
		}
	}
	return b.String()
}

func TestRefusedOffers(t *testing.T) {
	good := craft("0|", "97|a=rtpmap:97 VP8/90000")
	tests := []struct {
		name, offer, want string
	}{
		{"nothing", "", "webrtc: sdp"},
		{"not SDP", "hello", "webrtc: sdp"},
		{"no media", "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n", "no media"},
		{"no mid", strings.Replace(good, "a=mid:0\r\n", "", 1), "media 0 has no mid"},
		{"mid twice", strings.Replace(good, "a=mid:1", "a=mid:0", 1), `mid "0" is not unique`},
		{"short ufrag", strings.ReplaceAll(good, "abcd", "abc"), "ice-ufrag"},
		{"broken password", strings.ReplaceAll(good, "0123456789012345678901", "0123456789 12345678901"), "ice-pwd"},
		{"no fingerprint", strings.ReplaceAll(good, "a=fingerprint:sha-256 AA:BB\r\n", ""), "fingerprint"},
		{"odd setup", strings.ReplaceAll(good, "actpass", "holdconn"), `setup "holdconn"`},
		{"one type, two meanings", craft("96|a=rtpmap:96 opus/48000/2", "96|a=rtpmap:96 VP8/90000"), "two meanings"},
		{"too long", good + strings.Repeat("a=x\r\n", maxSDP/5), "longer than"},
		{"too many media", good + strings.Repeat("m=audio 9 RTP/AVP 0\r\n", maxSections), "more than"},
		{"no common codec", craft("45|a=rtpmap:45 AMR/8000", ""), "no common codec"},
		{"no rtcp-mux", strings.ReplaceAll(good, "a=rtcp-mux\r\n", ""), "no common codec"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := decide(everything(), tt.offer)
			if bus.CodeOf(err) != bus.Invalid || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v, want an invalid one about %q", err, tt.want)
			}
		})
	}
	if _, _, err := decide(everything(), craft("45|a=rtpmap:45 AMR/8000", "")); !errors.Is(err, ErrNoCodec) {
		t.Errorf("got %v, want ErrNoCodec", err)
	}
}

func TestAnswerText(t *testing.T) {
	_, answer, err := decide(everything(), sample(t, "chromium-slides-data.sdp"))
	if err != nil {
		t.Fatal(err)
	}
	wantLines(t, answer,
		"a=group:BUNDLE 0 1 2", // the data channel is refused, and so not in the bundle
		"a=ice-lite",
		"m=audio 9 UDP/TLS/RTP/SAVPF 111 110",
		"a=fmtp:111 minptime=10;useinbandfec=1",
		"a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level",
		"a=msid:s audio",
		"a=ssrc:11 cname:s",
		"m=video 9 UDP/TLS/RTP/SAVPF 96",
		"a=rtcp-fb:96 nack pli",
		"a=rtcp-fb:96 goog-remb",
		"m=application 0 UDP/DTLS/SCTP webrtc-datachannel",
	)
	for _, no := range []string{"transport-cc", "rtx", "red/48000", "a=setup:actpass"} {
		if strings.Contains(answer, no) {
			t.Errorf("answer contains %q", no)
		}
	}
	if n := strings.Count(answer, "a=candidate:"); n != 2 {
		t.Errorf("%d candidates, want those of the transport, once", n)
	}
	// It is an SDP that we would understand ourselves.
	if _, err := parse(answer); err != nil {
		t.Error(err)
	}

	t.Run("content", func(t *testing.T) {
		offer := strings.NewReplacer(
			"a=mid:1\r\n", "a=mid:1\r\na=content:main\r\n", "a=mid:2\r\n", "a=mid:2\r\na=content:slides\r\n",
		).Replace(sample(t, "chromium-slides-data.sdp"))
		_, answer, err := decide(everything(), offer)
		if err != nil {
			t.Fatal(err)
		}
		sections := strings.Split(answer, "m=video")
		if strings.Count(answer, "a=content:") != 2 || !strings.Contains(sections[1], "a=content:main\r\n") || !strings.Contains(sections[2], "a=content:slides\r\n") {
			t.Errorf("the pictures are not told apart:\n%s", answer)
		}
	})

	t.Run("receive only", func(t *testing.T) {
		_, answer, err := decide(everything(), sample(t, "chromium-sendonly.sdp"))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(answer, "a=ssrc:") || strings.Count(answer, "a=recvonly") != 2 {
			t.Errorf("we receive only, and answered\n%s", answer)
		}
	})

	t.Run("a source that was sent before", func(t *testing.T) {
		d, err := parse(sample(t, "chromium-sendonly.sdp"))
		if err != nil {
			t.Fatal(err)
		}
		c, err := everything().choose(d, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer := c.answer(transport{}, identity{stream: "s", sources: map[kind]uint32{audio: 11, video: 22}, named: map[string]uint32{"1": 22}})
		if strings.Count(answer, "a=ssrc:22 cname:s") != 1 || strings.Contains(answer, "a=ssrc:11") || strings.Contains(answer, "a=msid:") {
			t.Errorf("the picture's source is not named any more:\n%s", answer)
		}
	})
}

func TestH264Answer(t *testing.T) {
	tests := []struct{ offered, want string }{
		{"level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e034", "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"},
		{"level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001e", "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f"},
		{"packetization-mode=0;profile-level-id=42e00d", "packetization-mode=0;profile-level-id=42e00d"},
		{"profile-level-id=640c1f", "packetization-mode=0;profile-level-id=640c1f"},
		{"", "packetization-mode=0;profile-level-id=42000a"},
	}
	for _, tt := range tests {
		_, answer, err := decide(everything(), craft("0|", "99|a=rtpmap:99 H264/90000|a=fmtp:99 "+tt.offered))
		if err != nil {
			t.Fatal(err)
		}
		wantLines(t, answer, "a=fmtp:99 "+tt.want)
	}
}

func TestLimits(t *testing.T) {
	tests := []struct {
		video string
		want  limits
	}{
		{"97|a=rtpmap:97 VP8/90000", limits{}},
		{"97|a=rtpmap:97 VP8/90000|a=fmtp:97 max-fs=3600;max-fr=30", limits{1280, 720, 30, 0}},
		{"97|b=AS:700|a=rtpmap:97 VP8/90000", limits{bps: 700_000}},
		{"97|b=TIAS:650000|a=rtpmap:97 VP8/90000", limits{bps: 650_000}},
		{"99|a=rtpmap:99 H264/90000|a=fmtp:99 packetization-mode=1;profile-level-id=42e01f", limits{1280, 720, 30, 14_000_000}},
		{"99|a=rtpmap:99 H264/90000|a=fmtp:99 packetization-mode=1;profile-level-id=42e00d", limits{320, 180, 49, 768_000}},
		{"99|a=rtpmap:99 H264/90000|a=fmtp:99 packetization-mode=1;profile-level-id=42e00d;max-fs=3600;max-mbps=108000", limits{1280, 720, 30, 768_000}},
		{"99|a=rtpmap:99 H264/90000|a=fmtp:99 packetization-mode=1;profile-level-id=42e034", limits{}},
	}
	for _, tt := range tests {
		c, _, err := decide(everything(), craft("0|", tt.video))
		if err != nil {
			t.Fatal(err)
		}
		if c.video.limits != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.video, c.video.limits, tt.want)
		}
	}
}

// wantLines fails for every line that text lacks.
func wantLines(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, l := range lines {
		if !strings.Contains("\n"+text, "\n"+l+"\r\n") {
			t.Errorf("no line %q in\n%s", l, text)
		}
	}
}

// What an offer costs grows with its size and no faster.
func TestLongOffers(t *testing.T) {
	long := func(line string) string { return strings.Repeat(line+"|", (maxSDP-2000)/(len(line)+2)) }
	for name, audio := range map[string]string{
		"types":       strings.Repeat("96 ", (maxSDP-2000)/3) + "|" + strings.Repeat("a=rtcp-fb:* nack|", 50),
		"feedback":    "0|" + long("a=rtcp-fb:* nack"),
		"groups":      "0|" + strings.Repeat("a=ssrc-group:FID 1 2|", 5000) + strings.Repeat("a=ssrc:2 cname:x|", 5000),
		"sources":     "0|" + long("a=ssrc:1 cname:x"),
		"candidates":  "0|" + long("a=candidate:1 1 udp 1 192.0.2.1 9 typ host"),
		"fmtp":        "0|" + long("a=fmtp:0 a=b;c=d"),
		"many fields": "0|a=fmtp:0 " + strings.Repeat("x;", 100_000),
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			c, answer, err := decide(everything(), craft(audio, ""))
			if took := time.Since(began); took > time.Second {
				t.Errorf("took %v", took)
			}
			if err == nil && (len(answer) > 10_000 || len(c.canonical()) > 10_000) {
				t.Errorf("%d bytes became %d and %d", len(audio), len(answer), len(c.canonical()))
			}
		})
	}
}

// TestSimulcastOffers answers what was offered, and shows it to pion for as long
// as the call.
func TestSimulcastOffers(t *testing.T) {
	const answered = "a=rid:q recv\r\na=rid:h recv\r\na=rid:f recv\r\na=simulcast:recv q;h;f\r\na=extmap:10 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\n"
	const shown = "a=rid:q send\r\na=rid:h send\r\na=rid:f send\r\na=simulcast:send q;h;f\r\na=extmap:10 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\na=msid:"
	const mid = "a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n"
	offer := sample(t, "chromium-simulcast.sdp")
	e := everything()
	first, answer, err := decide(e, offer)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(answer, answered) || strings.Count(answer, mid) != 2 || strings.Contains(answer, "rid:q send") {
		t.Errorf("answer\n%s", answer)
	}
	if c := first.canonical(); !strings.Contains(c, shown) || strings.Count(c, mid) != 2 {
		t.Errorf("shown to pion\n%s", c)
	}
	for _, tt := range []struct {
		name     string
		old, new string // of the offer
		shown    bool
	}{
		{"on hold", "a=simulcast:send q;h;f", "a=recvonly", true},
		{"one stream from now on", "a=simulcast:send q;h;f", "a=framerate:30", false},
		{"nothing names the section", "sdes:mid", "sdes:dim", false},
		{"nothing names the layers", "sdes:rtp-stream-id", "sdes:stream", false},
	} {
		d, err := parse(strings.ReplaceAll(strings.Replace(offer, "a=sendrecv\r\na=msid:5866cbe8-1480-4506-b18d-00e8581b3058 3655", "a=msid:x 3655", 1), tt.old, tt.new))
		if err != nil {
			t.Fatal(err)
		}
		c, err := e.choose(d, map[kind]*stream{video: first.video})
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(c.canonical(), "a=simulcast:send q;h;f"); got != tt.shown || c.video.layered {
			t.Errorf("%s: shown to pion: %v, offered: %v", tt.name, got, c.video.layered)
		}
		if answer := c.answer(transport{}, identity{}); strings.Contains(answer, "simulcast") || strings.Contains(answer, "sdes:rtp-stream-id") != tt.shown {
			t.Errorf("%s: answer\n%s", tt.name, answer)
		}
	}
}

func FuzzOffer(f *testing.F) {
	for _, name := range []string{"aiortc.sdp", "chromium-audio.sdp", "chromium-h264.sdp", "chromium-sendonly.sdp", "chromium-simulcast.sdp", "chromium-slides-data.sdp"} {
		f.Add(sample(f, name))
	}
	f.Add(craft("0 110|a=rtpmap:110 telephone-event/8000|a=ssrc:1 cname:x|a=ssrc-group:FID 1 2", "99|a=rtpmap:99 H264/90000|a=fmtp:99 profile-level-id=;=;max-fs=9999999999"))
	f.Add("v=0\r\no=- 1 1 IN IP4 1.1.1.1\r\ns=-\r\nt=0 0\r\nm=audio 9 X\r\n")
	e := everything()
	f.Fuzz(func(t *testing.T, offer string) {
		c, answer, err := decide(e, offer)
		if err != nil {
			if bus.CodeOf(err) != bus.Invalid {
				t.Fatalf("error %v has code %q", err, bus.CodeOf(err))
			}
			return
		}
		// Whatever was offered: what pion sees and what we answer can be read.
		if _, err := parse(c.canonical()); err != nil {
			t.Errorf("canonical offer: %v\n%s", err, c.canonical())
		}
		d, err := parse(answer)
		if err != nil {
			t.Fatalf("answer: %v\n%s", err, answer)
		}
		if len(d.sections) != len(c.offer.sections) {
			t.Errorf("%d sections offered, %d answered", len(c.offer.sections), len(d.sections))
		}
	})
}

func FuzzFragment(f *testing.F) {
	f.Add("a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na=candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host\r\na=end-of-candidates\r\n")
	f.Add("a=\n\n\r")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := parseFragment(text)
		if err != nil && bus.CodeOf(err) != bus.Invalid {
			t.Fatalf("error %v has code %q", err, bus.CodeOf(err))
		}
		for _, c := range got.candidates {
			if strings.ContainsAny(c, "\r\n") {
				t.Fatalf("candidate %q spans lines", c)
			}
		}
	})
}
