package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/skybridge-media/skybridge/media/compose"
)

// An endpoint is one participant of TestRoomOfFour.
type endpoint struct {
	name  string
	hz    float64
	color color.RGBA

	heard func(*testing.T, []float64) ([]float64, error)
	seen  func(*testing.T) (image.Image, error)
}

// TestRoomOfFour lets four real endpoints into one room: phones with H.264 mode
// 0 and G.722 over TLS with SDES, and with VP8 and Opus over UDP; browsers with
// VP8 and with H.264. Each must hear the tones of the others and not its own,
// and see the others' colours in the layout's tiles; before and after each of
// hold, mute, another layout, and leaving.
func TestRoomOfFour(t *testing.T) {
	needPeer(t, "baresip", "chromium", "Xvfb", "ffmpeg", "sox")
	p := startProgram(t, "serve", "--adhoc", "--adhoc-layout", "2x2", "--rtp-ports", "42000-42999")
	const room = "four"

	red, green := color.RGBA{200, 30, 30, 255}, color.RGBA{30, 170, 40, 255}
	blue, yellow := color.RGBA{30, 50, 200, 255}, color.RGBA{210, 200, 40, 255}

	b1 := startBaresip(t, baresipConfig{
		name: "tls", port: 5211, rate: 16000, toneHz: 500, color: hex(red), display: 91,
		account: "audio_codecs=g722/16000/1;video_codecs=h264;mediaenc=srtp-mand",
	}, fmt.Sprintf("sip:%s@%s;transport=tls", room, p.SIPS))
	b2 := startBaresip(t, baresipConfig{
		name: "udp", port: 5221, rate: 48000, stereo: true, toneHz: 800, color: hex(green), display: 92,
		account: "audio_codecs=opus/48000/2;video_codecs=vp8",
	}, fmt.Sprintf("sip:%s@%s", room, p.SIP))
	c1 := startChromium(t, p.Web+"/?codec=VP8", hex(blue), "640x360", 1100)
	c2 := startChromium(t, p.Web+"/?codec=H264", hex(yellow), "640x360", 1400)
	c1.join(t, "vp8", room)
	c2.join(t, "h264", room)

	e1 := endpoint{"tls", 500, red, b1.heard, b1.seen}
	e2 := endpoint{"udp", 800, green, b2.heard, b2.seen}
	e3 := endpoint{"vp8", 1100, blue, c1.heard, c1.seen}
	e4 := endpoint{"h264", 1400, yellow, c2.heard, c2.seen}
	all := []endpoint{e1, e2, e3, e4}
	tiles := func(layout string) []compose.Rect { return tilesOf(t, layout) }

	expect(t, "joined", all, all, all, tiles("2x2"))
	c1.screenshot(t, "joined")
	for name, c := range map[string]*chromium{"VP8": c1, "H264": c2} {
		want := "inbound video/" + name + ", outbound video/" + name
		if got, err := c.codecs(); err != nil || got != want {
			t.Errorf("%s: the browser uses %q (%v), want %q", name, got, err, want)
		}
	}

	api := newSeat(t, p, room)
	ids := api.participants(t, 5)

	api.post(t, "participants/"+ids["udp"]+"/mute", nil)
	expect(t, "one muted", all, without(all, e2), all, tiles("2x2"))
	api.post(t, "participants/"+ids["udp"]+"/unmute", nil)
	expect(t, "unmuted", all, all, all, tiles("2x2"))

	c2.do(t, chromedp.Click("#camera"))
	expect(t, "camera off", all, all, without(all, e4), tiles("2x2"))
	c2.do(t, chromedp.Click("#camera"))
	expect(t, "camera on", all, all, all, tiles("2x2"))

	b1.command(t, "hold", "")
	expect(t, "one holds", without(all, e1), without(all, e1), without(all, e1), tiles("2x2"))
	b1.command(t, "resume", "")
	expect(t, "resumed", all, all, all, tiles("2x2"))

	api.post(t, "transform_layout", map[string]any{"transforms": map[string]any{"layout": "9:0"}})
	expect(t, "3x3", all, all, all, tiles("3x3"))
	api.post(t, "transform_layout", map[string]any{"transforms": map[string]any{"layout": "4:0"}})

	c1.do(t, chromedp.Click("#leave"))
	expect(t, "one left", without(all, e3), without(all, e3), without(all, e3), tiles("2x2"))
	c1.join(t, "vp8", room)
	expect(t, "back again", all, all, all, tiles("2x2"))
}

func hex(c color.RGBA) string { return fmt.Sprintf("#%02x%02x%02x", c.R, c.G, c.B) }

func without(list []endpoint, gone endpoint) (rest []endpoint) {
	for _, e := range list {
		if e.name != gone.name {
			rest = append(rest, e)
		}
	}
	return rest
}

// expect wants, within 20 s, every one of receivers to hear each of audible and
// to see each of visible but itself, and nobody else of what it could.
func expect(t *testing.T, situation string, receivers, audible, visible []endpoint, tiles []compose.Rect) {
	t.Helper()
	for _, r := range receivers {
		deadline := time.Now().Add(20 * time.Second)
		for {
			err := hears(t, r, audible)
			if err == nil {
				err = sees(t, r, visible, tiles)
			}
			if err == nil {
				break
			}
			if time.Now().After(deadline) {
				t.Errorf("%s: %s: %v", situation, r.name, err)
				break
			}
		}
	}
	if t.Failed() {
		t.FailNow()
	}
}

// tones are all that may be in the air, and one place where nothing is.
var tones = []float64{500, 800, 1100, 1400, 650}

// hears compares what r hears with who should be audible to it. A tone is there
// if it stands at least 20 dB above the place where nothing is; mixes with
// others change its level, but not by that much.
func hears(t *testing.T, r endpoint, audible []endpoint) error {
	levels, err := r.heard(t, tones)
	if err != nil {
		return err
	}
	floor := max(levels[len(levels)-1], -75)
	for i, hz := range tones[:len(tones)-1] {
		want := false
		for _, e := range audible {
			want = want || e.hz == hz && e.name != r.name
		}
		if got := levels[i] > floor+20; got != want {
			return fmt.Errorf("hears %v Hz: %v, want %v (levels %.0f dB)", hz, got, want, levels)
		}
	}
	return nil
}

// sees wants each visible endpoint but r itself in exactly one tile.
func sees(t *testing.T, r endpoint, visible []endpoint, tiles []compose.Rect) error {
	img, err := r.seen(t)
	if err != nil {
		return err
	}
	found := map[string]int{}
	var colors []color.RGBA
	for _, tile := range tiles {
		// the upper middle: names are below
		c := at(img, (float64(tile.X)+float64(tile.W)/2)/canvasWidth, (float64(tile.Y)+float64(tile.H)/3)/canvasHeight)
		colors = append(colors, c)
		for _, e := range visible {
			if near(c, e.color) {
				found[e.name]++
			}
		}
	}
	for _, e := range visible {
		want := 1
		if e.name == r.name {
			want = 0
		}
		if found[e.name] != want {
			return fmt.Errorf("sees %s in %d tiles, want %d (tiles %v)", e.name, found[e.name], want, colors)
		}
	}
	return nil
}

const canvasWidth, canvasHeight = 1280, 720

// tilesOf returns where a full layout has its tiles.
func tilesOf(t *testing.T, name string) []compose.Rect {
	t.Helper()
	layout, err := compose.Parse(name)
	if err != nil {
		t.Fatal(err)
	}
	var members []compose.Member
	for i := range layout.Seats() {
		members = append(members, compose.Member{ID: fmt.Sprint(i)})
	}
	var rects []compose.Rect
	seats := layout.Arrange(members, nil, "", nil)
	for i := range seats.Seats {
		rects = append(rects, seats.Rect(i, canvasWidth, canvasHeight))
	}
	return rects
}

func near(a, b color.RGBA) bool {
	d := func(x, y uint8) int { return max(int(x)-int(y), int(y)-int(x)) }
	return d(a.R, b.R) < 45 && d(a.G, b.G) < 45 && d(a.B, b.B) < 45
}

// A seat takes part in a room through the client API, without media.
type seat struct{ base, token, pin, id string }

func newSeat(t *testing.T, p *program, room string) *seat {
	t.Helper()
	return newSeatWithPIN(t, p, room, "")
}

func newSeatWithPIN(t *testing.T, p *program, room, pin string) *seat {
	t.Helper()
	s := &seat{base: p.Web + "/api/client/v2/conferences/" + room + "/", pin: pin}
	var r struct {
		Token string `json:"token"`
		ID    string `json:"participant_uuid"`
	}
	if err := json.Unmarshal(s.post(t, "request_token", map[string]any{"display_name": "operator", "supports_direct_chat": true}), &r); err != nil || r.Token == "" {
		t.Fatalf("no token: %v", err)
	}
	s.token, s.id = r.Token, r.ID
	t.Cleanup(func() { s.try(http.MethodPost, "release_token", map[string]any{}) })
	return s
}

// post wants success and returns the result.
func (s *seat) post(t *testing.T, path string, body any) json.RawMessage {
	t.Helper()
	result, err := s.try(http.MethodPost, path, body)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func (s *seat) try(method, path string, body any) (json.RawMessage, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequest(method, s.base+path, bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("token", s.token)
	req.Header.Set("pin", s.pin)
	resp, err := insecure.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	var r struct {
		Status string
		Result json.RawMessage
	}
	if err := json.Unmarshal(answer, &r); err != nil || resp.StatusCode != 200 || r.Status != "success" {
		return nil, fmt.Errorf("%s: %s: %s", path, resp.Status, answer)
	}
	return r.Result, nil
}

// participants waits until n are in the room and returns their ids by name.
func (s *seat) participants(t *testing.T, n int) map[string]string {
	t.Helper()
	ids := map[string]string{}
	eventually(t, 20*time.Second, func() error {
		result, err := s.try(http.MethodGet, "participants", nil)
		if err != nil {
			return err
		}
		var list []struct {
			UUID string `json:"uuid"`
			Name string `json:"display_name"`
		}
		if err := json.Unmarshal(result, &list); err != nil {
			return err
		}
		clear(ids)
		for _, p := range list {
			ids[p.Name] = p.UUID
		}
		if len(list) != n {
			return fmt.Errorf("%d participants, want %d: %v", len(list), n, ids)
		}
		return nil
	})
	return ids
}
