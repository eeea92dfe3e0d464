package main

import (
	_ "embed"
	"fmt"
	"image/color"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

//go:embed testdata/presentation.js
var presentationScript string

// bright says which of red, green and blue there are in a colour.
func bright(c color.RGBA) (s string) {
	for i, v := range []uint8{c.R, c.G, c.B} {
		if v > 128 {
			s += "rgb"[i : i+1]
		}
	}
	return s
}

// TestPresentation lets two clients in a real browser present to each other, in
// streams of their own, and to a SIP caller, who sees it in its picture.
func TestPresentation(t *testing.T) {
	needPeer(t, "chromium", "ffmpeg", "sox")
	p := startProgram(t, "serve", "--adhoc", "--adhoc-layout", "2x2", "--rtp-ports", "44100-44199")
	viewer := newViewer(t, p, "slides")
	c := startChromium(t, p.Web, "#202020", "320x180", 500)
	c.do(t, until(`document.readyState === "complete"`))
	js := func(expression string) string {
		t.Helper()
		v, err := try(c, chromedp.Evaluate[string](`(async () => { try { return String(await (`+expression+`)); } catch (e) { return "failed: " + e; } })()`, chromedp.EvalAwaitPromise))
		if err != nil {
			t.Fatalf("%s: %v", expression, err)
		}
		return v
	}
	wants := func(expression, want string) {
		t.Helper()
		eventually(t, 15*time.Second, func() error {
			if got := js(expression); got != want {
				return fmt.Errorf("%s: %s, want %s", expression, got, want)
			}
			return nil
		})
	}
	if _, err := try(c, chromedp.Evaluate[bool](presentationScript+"; true")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(js(`JSON.stringify([ada, bob].map((m) => [m.name, m.events, presented(m), m.slides.currentDirection, m.pc.connectionState]))`))
			t.Log(js(`ada.answer`))
		}
	})
	for _, name := range []string{"ada", "bob"} {
		wants(fmt.Sprintf(`join("slides", %q).then((m) => (window.%s = m).slides.currentDirection)`, name, name), "inactive")
		wants(name+".pc.connectionState", "connected")
	}
	gauge := func(want float64) {
		t.Helper()
		eventually(t, 5*time.Second, func() error {
			if got := p.metric(t, "skybridge_bridge_presentations"); got != want {
				return fmt.Errorf("%v presentations, want %v", got, want)
			}
			return nil
		})
	}
	// The large seat of a composition, in its thirds.
	mixes := func(want string) {
		t.Helper()
		eventually(t, 15*time.Second, func() error {
			viewer.mu.Lock()
			defer viewer.mu.Unlock()
			if viewer.last == nil {
				return fmt.Errorf("no picture")
			}
			var got []string
			for i := range 3 {
				// 16:10 between bars, above and below of which is nothing.
				c := at(viewer.last, 0.04+0.72*(float64(i)+0.5)/3, 0.5)
				got = append(got, bright(c))
			}
			if s := strings.Join(got, " "); s != want {
				return fmt.Errorf("the caller sees %s, want %s", s, want)
			}
			return nil
		})
	}
	const slide = `picture(["#cc0000", "#00cc00", "#0000cc"], 1280, 800)`

	// What is sent without the floor is not shown.
	wants(`ada.send(`+slide+`).then(() => ada.slides.currentDirection)`, "sendonly")
	time.Sleep(2 * time.Second)
	if got := js("presented(bob)"); got != "nothing" {
		t.Errorf("without the floor: %s", got)
	}
	gauge(0)

	wants("ada.floor(true)", "200")
	wants("bob.slides.currentDirection", "recvonly")
	wants("presented(bob)", "r g b")
	mixes("r g b")
	gauge(1)
	if got := p.metric(t, `skybridge_bridge_encode_groups{kind="presentation"}`); got != 1 {
		t.Errorf("%v encodes of one presentation", got)
	}
	if got := js("ada.events"); got != "" {
		t.Errorf("who presents was told %s", got)
	}

	// The other one takes over.
	wants("bob.floor(true)", "200")
	wants(`bob.send(picture(["#cccc00", "#00cccc", "#cc00cc"], 640, 360)).then(() => bob.slides.currentDirection)`, "sendonly")
	wants("ada.slides.currentDirection", "recvonly")
	wants("presented(ada)", "rg gb rb")
	mixes("rg gb rb")

	// And stops: what was presented goes from the composed picture, too.
	wants("bob.floor(false)", "200")
	wants("ada.slides.currentDirection", "inactive")
	gauge(0)
	if got := js("ada.events"); got != "presentation_start bob,presentation_stop " {
		t.Errorf("ada was told %q", got)
	}

	// The first one presents again, with another source of RTP, and a larger screen.
	wants("ada.floor(true)", "200")
	wants(`ada.send(picture(["#cc0000", "#00cc00", "#0000cc"], 2560, 1440)).then(() => ada.slides.currentDirection)`, "sendonly")
	wants("bob.slides.currentDirection", "recvonly")
	wants("presented(bob)", "r g b")
	mixes("r g b")

	// Who presents goes.
	js(`ada.pc.close()`)
	if got := js(`fetch("/api/client/v2/conferences/slides/release_token", {method: "POST", headers: {token: ada.token}}).then((r) => r.status)`); !strings.HasPrefix(got, "200") {
		t.Errorf("release_token: %s", got)
	}
	wants("bob.slides.currentDirection", "inactive")
	gauge(0)
}
