package sdp_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	pion "github.com/pion/sdp/v3"

	"github.com/skybridge-media/skybridge/media/sdp"
)

const minimal = "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n"

func TestParse(t *testing.T) {
	const media = "m=audio 5000 RTP/AVP 0\r\n"
	tests := []struct {
		name, text string
		want       string // of the error; empty: none
	}{
		{"minimal", minimal, ""},
		{"line feeds only", strings.ReplaceAll(minimal+media, "\r", ""), ""},
		{"carriage returns only", strings.ReplaceAll(minimal+media, "\n", ""), ""},
		{"no line end at the end", minimal + "m=audio 5000 RTP/AVP 0", ""},
		{"empty lines at the end", minimal + media + "\r\n\r\n", ""},
		{"without s= and t=", "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\n" + media, ""},
		{"attributes before t=", "v=0\r\no=- 1 1 IN IP4 h\r\na=x\r\ns=-\r\nt=0 0\r\n" + media, ""},
		{"empty user name", "v=0\r\no= 1 1 IN IP4 192.0.2.9\r\n" + media, ""},
		{"unknown line type", minimal + "y=0100000002\r\n" + media, ""},
		{"unknown media and transport", minimal + "m=hologram 5000 QUIC/X a b c\r\n", ""},
		{"unknown bandwidth", minimal + "b=X-FOO:1:2\r\nb=AS:no\r\nb=\r\n" + media, ""},
		{"UTF-8 in the name", strings.Replace(minimal, "s=-", "s=Zoë 会议", 1), ""},

		{"empty", "", "no v= line"},
		{"not SDP", "hello", "line 1: \"hello\" is not type=value"},
		{"o= before v=", "o=- 1 1 IN IP4 h\r\nv=0\r\n", "line 1: before v="},
		{"version 1", "v=1\r\n", "line 1: version \"1\", want 0"},
		{"no o=", "v=0\r\ns=-\r\n", "no o= line"},
		{"short o=", "v=0\r\no=- 1 IN IP4\r\n", "line 2: o= has 4 fields, want 6"},
		{"c= of another network", minimal + "c=ATM NSAP 47\r\n", "line 6: c=\"ATM NSAP 47\", want IN, IP4 or IP6, and an address"},
		{"m= without formats", minimal + "m=audio 5000 RTP/AVP\r\n", "line 6: m= has 3 fields, want at least 4"},
		{"port too large", minimal + "m=audio 65536 RTP/AVP 0\r\n", "line 6: m= has port \"65536\""},
		{"port negative", minimal + "m=audio -1 RTP/AVP 0\r\n", "line 6: m= has port \"-1\""},
		{"NUL", minimal + "a=x\x00y\r\n", "line 6: control character 0x0"},
		{"too many m-lines", minimal + strings.Repeat(media, 33), "line 38: more than 32 m-lines"},
		{"too many lines", minimal + strings.Repeat("a=x\r\n", 2000), "more than 2000 lines"},
		{"too large", minimal + "a=" + strings.Repeat("x", 1<<16) + "\r\n", "65603 bytes, limit 65536"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, err := sdp.Parse([]byte(tt.text))
			switch {
			case tt.want == "" && err != nil:
				t.Error(err)
			case tt.want == "" && strings.Contains(tt.text, "m=") != (len(d.Media) == 1):
				t.Errorf("%d m-lines", len(d.Media))
			case tt.want != "" && !errors.Is(err, sdp.ErrMalformed):
				t.Errorf("got %v, want ErrMalformed", err)
			case tt.want != "" && err.Error() != "sdp: malformed: "+tt.want:
				t.Errorf("got %q, want %q", err, tt.want)
			}
		})
	}
}

// What pion/sdp refuses, and a room sends: the reason for a parser of our own.
func TestParseReadsWhatOthersRefuse(t *testing.T) {
	for _, line := range []string{
		"m=image 5000 udptl t38",
		"m=application 5000 RTP/AVP 100\r\nb=X:Y:1",
		"m=audio 5000 RTP/AVP 0\r\nb=FOO:1",
	} {
		if err := new(pion.SessionDescription).UnmarshalString(minimal + line + "\r\n"); err == nil {
			t.Errorf("pion/sdp reads %q by now", line)
		}
		if _, err := sdp.Parse([]byte(minimal + line + "\r\n")); err != nil {
			t.Errorf("%q: %v", line, err)
		}
	}
}

// seeds adds every description of testdata/negotiate.
func seeds(f *testing.F) {
	f.Helper()
	files, err := filepath.Glob("testdata/negotiate/*")
	if err != nil || len(files) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for part := range strings.SplitSeq(string(b), "\n\n") {
			if i := strings.Index(part, "v=0\n"); i >= 0 {
				text, _, _ := strings.Cut(part[i:], "----")
				f.Add([]byte(text))
			}
		}
	}
}

// FuzzParse: no body panics, and what is read can be written and read again
// without a change.
func FuzzParse(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := sdp.Parse(b)
		if err != nil {
			if !errors.Is(err, sdp.ErrMalformed) {
				t.Errorf("error %v", err)
			}
			return
		}
		once := d.Marshal()
		again, err := sdp.Parse(once)
		if err != nil {
			t.Fatalf("cannot read what was written: %v\n%s", err, once)
		}
		if twice := again.Marshal(); !bytes.Equal(once, twice) {
			t.Errorf("changed from\n%s\nto\n%s", once, twice)
		}
	})
}

// FuzzAnswer: whatever is offered, the answer is a description with as many
// m-lines of the same types, its streams can be used, and offering back works.
func FuzzAnswer(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		offer, err := sdp.Parse(b)
		if err != nil {
			return
		}
		caps := capabilities()
		caps.Camera = len(b)%3 > 0
		caps.Slides, caps.Floor = len(b)%2 == 0, sdp.FloorRole(len(b)%4)
		a, err := sdp.Answer(caps, offer, nil)
		if err != nil {
			if _, ok := errors.AsType[*sdp.Refusal](err); !ok {
				t.Errorf("error %v is no Refusal", err)
			}
			return
		}
		answer, err := sdp.Parse(a.Describe(local))
		if err != nil {
			t.Fatalf("our answer: %v\n%s", err, a.Describe(local))
		}
		if len(answer.Media) != len(offer.Media) {
			t.Fatalf("%d m-lines for %d", len(answer.Media), len(offer.Media))
		}
		for i, m := range answer.Media {
			if m.Type != offer.Media[i].Type || m.Proto != offer.Media[i].Proto {
				t.Errorf("m-line %d: %s %s for %s %s", i, m.Type, m.Proto, offer.Media[i].Type, offer.Media[i].Proto)
			}
		}
		for _, s := range a.Streams {
			usable(t, &s)
		}
		usableFloor(t, a, caps.Floor)
		next := sdp.NewOffer(caps, a)
		if _, err := sdp.Parse(next.Describe(local)); err != nil {
			t.Errorf("our offer: %v", err)
		}
		if agreed, err := next.Accept(offer); err == nil {
			for _, s := range agreed.Streams {
				usable(t, &s)
			}
			usableFloor(t, agreed, caps.Floor)
		}
	})
}

// usableFloor: no floor without slides, in a role that we take, and who is to
// connect knows where.
func usableFloor(t *testing.T, a *sdp.Agreement, roles sdp.FloorRole) {
	t.Helper()
	f := a.Floor
	switch {
	case f == nil:
	case a.Stream(sdp.Slides) == nil:
		t.Error("floor without slides")
	case f.Role == 0 || f.Role&^roles != 0:
		t.Errorf("role %v of %v", f.Role, roles)
	case f.Active && (!f.TCP() || !f.Address.IsValid()):
		t.Errorf("connects to %v over %s", f.Address, f.Proto)
	}
}

// usable checks what the media plane relies on.
func usable(t *testing.T, s *sdp.Stream) {
	t.Helper()
	switch {
	case s.SendType > 127 || s.RecvType > 127:
		t.Errorf("payload types %d, %d", s.SendType, s.RecvType)
	case s.Bitrate < 0:
		t.Errorf("bitrate %d", s.Bitrate)
	case s.Kind == sdp.Audio && (s.Audio == nil || s.Audio.Codec == nil || s.Audio.Ptime < 20e6 || s.Audio.Ptime > 60e6):
		t.Errorf("audio %+v", s.Audio)
	case s.Kind != sdp.Audio:
		v, widest := s.Video, 1280
		if s.Kind == sdp.Slides {
			widest = 1920
		}
		if v == nil || v.Codec == nil || v.Width <= 0 || v.Width > widest || v.Height <= 0 || v.Width%2+v.Height%2 != 0 ||
			v.FrameRate < 1 || v.FrameRate > 30 || v.Mode < 0 || v.Mode > 1 {
			t.Errorf("video %+v", v)
		}
		if n := len(v.Layers); n == 1 || n > 4 || (n == 0) != (v.LayerExt == 0) || v.LayerExt > 14 || n > 0 && !s.Recv {
			t.Errorf("layers %+v named by %d", v.Layers, v.LayerExt)
		}
	}
	if c := s.Crypto; c != nil {
		if n := c.Suite.KeyLen(); n == 0 || len(c.Send.Master) != n || len(c.Recv) == 0 || len(c.Recv[0].Master) != n {
			t.Errorf("keys of %s", c.Suite)
		}
	}
}

// The largest body that is read must not keep a core busy.
func BenchmarkAnswerHostile(b *testing.B) {
	var text strings.Builder
	text.WriteString(minimal + "m=video 5000 RTP/AVP" + strings.Repeat(" 96", 10000) + "\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 ")
	text.WriteString(strings.Repeat("a=1;", 5000) + "\r\n")
	text.WriteString("a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\na=simulcast:send " + strings.Repeat("a,", 5000) + "b\r\n")
	for text.Len() < 64<<10-20 {
		text.WriteString("a=rid:c send\r\n")
	}
	body := []byte(text.String())
	for b.Loop() {
		offer, err := sdp.Parse(body)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := sdp.Answer(capabilities(), offer, nil); err != nil {
			b.Fatal(err)
		}
	}
}
