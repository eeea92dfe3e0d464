package webrtc

import (
	"strings"
	"testing"
)

// decideOneWay is decide for a publisher's or a viewer's offer.
func decideOneWay(e *Engine, offer string, w way) (*choice, string, error) {
	d, err := parse(offer)
	if err != nil {
		return nil, "", err
	}
	d.way = w
	c, err := e.choose(d, nil)
	if err != nil {
		return nil, "", err
	}
	return c, c.answer(transport{ufrag: "ours", pwd: "ourpasswordisthisoneok22", setup: "active"}, identity{}), nil
}

// RFC 9725 section 4.2: "The WHIP endpoint MUST use the recvonly attribute in
// the SDP answer", also where the offer is sendrecv; and sendonly is what WHEP
// wants.
func TestOneWayAnswer(t *testing.T) {
	for _, offer := range []string{"chromium-h264.sdp", "aiortc.sdp"} {
		text := sample(t, offer)
		if i := strings.Index(text, "m=application"); i >= 0 {
			text = strings.Replace(text[:i], " 2\r\n", "\r\n", 1) // its bundle may name what is not there
		}
		for w, want := range map[way]string{inward: "recvonly", outward: "sendonly"} {
			c, answer, err := decideOneWay(everything(), text, w)
			if err != nil {
				t.Fatalf("%s: %v", offer, err)
			}
			if got := c.audio.direction(); got != want {
				t.Errorf("%s: audio %s, want %s", offer, got, want)
			}
			if n := strings.Count(answer, "a="+want+"\r\n"); n != 2 {
				t.Errorf("%s: %d sections are %s, want 2\n%s", offer, n, want, answer)
			}
			if n := strings.Count(answer, "a=rtcp-mux-only\r\n"); n < 2 {
				t.Errorf("%s: %d sections with rtcp-mux-only", offer, n)
			}
		}
	}
}

func TestOneWayRefused(t *testing.T) {
	offer := func(lines ...string) string {
		text := "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1 2\r\na=ice-ufrag:abcd\r\n" +
			"a=ice-pwd:0123456789012345678901\r\na=fingerprint:sha-256 " + strings.Repeat("00:", 31) + "00\r\n"
		for i, l := range lines {
			text += strings.NewReplacer("MID", string(rune('0'+i)), "|", "\r\n").Replace(l)
		}
		return text
	}
	section := func(media, codec, direction string) string {
		return "m=" + media + " 9 UDP/TLS/RTP/SAVPF 96|c=IN IP4 0.0.0.0|a=mid:MID|a=rtcp-mux|a=setup:actpass|a=rtpmap:96 " + codec + "|a=" + direction + "|"
	}
	sound, picture := section("audio", "opus/48000/2", "sendonly"), strings.ReplaceAll(section("video", "VP8/90000", "sendonly"), "96", "97")
	tests := []struct {
		name, offer string
		way         way
		want        string // empty: taken
	}{
		{"publisher", offer(sound, picture), inward, ""},
		{"publisher that receives", offer(section("audio", "opus/48000/2", "recvonly")), inward, "recvonly"},
		{"publisher of nothing", offer(section("audio", "opus/48000/2", "inactive")), inward, "inactive"},
		{"two pictures", offer(sound, picture, strings.ReplaceAll(picture, "97", "98")), inward, "second"},
		{"half of it", offer(sound, strings.ReplaceAll(picture, "VP8", "AV1")), inward, "codec"},
		{"viewer", offer(section("audio", "opus/48000/2", "recvonly")), outward, ""},
		{"viewer of what it can", offer(section("audio", "opus/48000/2", "recvonly"), strings.ReplaceAll(section("video", "AV1/90000", "recvonly"), "96", "97")), outward, ""},
		{"viewer that sends", offer(sound), outward, "sendonly"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := decideOneWay(everything(), tt.offer, tt.way)
			switch {
			case tt.want == "" && err != nil:
				t.Error(err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got %v, want something of %s", err, tt.want)
			}
		})
	}
}
