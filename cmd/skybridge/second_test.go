package main

import (
	_ "embed"
	"fmt"
	"image/color"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

//go:embed testdata/second.js
var secondScript string

// TestSecondConnection lets clients in a real browser present and watch in
// connections of their own for that, beside calls that know nothing of it.
func TestSecondConnection(t *testing.T) {
	needPeer(t, "chromium", "ffmpeg", "sox")
	p := startProgram(t, "serve", "--adhoc", "--adhoc-layout", "2x2", "--rtp-ports", "44600-44699")
	viewer := newViewer(t, p, "older")
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
	is := func(expression, want string) {
		t.Helper()
		if got := js(expression); got != want {
			t.Fatalf("%s: %s, want %s", expression, got, want)
		}
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
	presentations := func(want float64) {
		t.Helper()
		eventually(t, 10*time.Second, func() error {
			if got := p.metric(t, "skybridge_bridge_presentations"); got != want {
				return fmt.Errorf("%v presentations, want %v", got, want)
			}
			return nil
		})
	}
	if _, err := try(c, chromedp.Evaluate[bool](presentationScript+secondScript+"; true")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ada", "bob"} {
		is(fmt.Sprintf(`older("older", %q).then((m) => (window.%s = m).name)`, name, name), name)
		wants(name+`.calls[""].pc.connectionState`, "connected")
	}
	wants("ada.mixed()", "ada bob viewer")

	// Who watches may come before there is something to be seen.
	is(`bob.connect("receive")`, "200")
	wants(`bob.calls.receive.pc.connectionState`, "connected")
	wants("ada.mixed()", "ada viewer")
	is("presented(bob)", "nothing")
	presentations(0)

	red, blue := color.RGBA{200, 30, 30, 255}, color.RGBA{30, 50, 200, 255}
	is(`ada.connect("send", picture(["#c81e1e"], 1280, 720))`, "200")
	wants("presented(bob)", "r r r")
	viewer.sees(t, red, true)
	presentations(1)
	is("ada.mixed()", "ada viewer")
	// Somebody who has no call watches, too, and goes with what he has.
	is(`older("older", "carol", false).then((m) => (window.carol = m).name)`, "carol")
	is(`carol.connect("receive")`, "200")
	wants("presented(carol)", "r r r")
	wants("ada.mixed()", "ada viewer")
	is(`carol.hangUp("receive")`, "200")

	is(`ada.again("send")`, "200") // ICE anew, in each
	is(`bob.again("receive")`, "200")
	is(`ada.hangUp("send")`, "200")
	presentations(0)
	viewer.sees(t, red, false)

	// The other way round: what bob sends replaces what he watches.
	is(`bob.connect("send", picture(["#1e32c8"], 1280, 720))`, "200")
	is(`ada.connect("receive")`, "200")
	wants("presented(ada)", "b b b")
	viewer.sees(t, blue, true)
	wants("ada.mixed()", "bob viewer")
	is(`bob.hangUp("receive")`, "200") // late
	presentations(1)

	// Hosts take over. Who has lost the floor shows nothing any more.
	is(`ada.connect("send", picture(["#c81e1e"], 1280, 720))`, "200")
	viewer.sees(t, red, true)
	is(`bob.hangUp("send")`, "200")
	viewer.sees(t, red, true)
	presentations(1)

	// A connection that is closed without a word gives the floor back.
	js(`ada.calls.send.pc.close()`)
	presentations(0)
	for _, name := range []string{"ada", "bob"} {
		is(name+`.calls[""].pc.connectionState`, "connected")
	}
	is(`ada.hangUp("send")`, "200")
}
