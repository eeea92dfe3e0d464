package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// axeVersion is the judge of accessibility, an npm package that the test alone
// uses.
const axeVersion = "axe-core@4.14.1"

// The states of the web app are walked through as a person does. Of each, on a
// desk and in a hand, light and dark, the tests want nothing that axe-core calls
// serious, nothing wider than the screen, and on a phone no button too small for
// a finger.

// TestWebStatesOutside judges what one sees before a call.
func TestWebStatesOutside(t *testing.T) {
	needPeer(t, "npm")
	j := &critic{t: t, axe: axeCore(t)}
	config := filepath.Join(t.TempDir(), "skybridge.yaml")
	if err := os.WriteFile(config, []byte("rooms:\n  - {name: standup}\n  - {name: council, host-pin: \"4711\", allow-guests: true}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := startProgram(t, "serve", "--config", config, "--rtp-ports", "42000-42999")
	j.c = startChromium(t, p.Web+"/join/council", "#2040a0", "1280x720", 1100)
	j.c.do(t, until(`document.getElementById("preview").videoWidth > 0`))
	j.state("join", nil)
	j.press("#pre-cam", "#preview-note")
	j.state("join-camera-off", nil)
	j.c.do(t, chromedp.SetValue("#name", "Ada Lovelace"), chromedp.Click("#join-button"), chromedp.WaitVisible("#pin"),
		chromedp.SendKeys("#pin", "1234\r"), chromedp.WaitVisible("#pin-error"))
	j.state("wrong-pin", nil)
	j.press("#pin-guest", "#wait-leave")
	j.state("waiting", nil)
	j.c.do(t, onEveryPage(noDevices), chromedp.Evaluate[chromedp.Void](`sessionStorage.fail = "NotAllowedError"`), chromedp.Navigate(p.Web+"/join/nowhere"),
		chromedp.WaitVisible("#device-help"), chromedp.Click("#join-button"), chromedp.WaitVisible("#join-error"))
	j.state("join-error", nil)
}

// TestWebStatesInside judges a call, its panels and dialogs, and its end.
func TestWebStatesInside(t *testing.T) {
	needPeer(t, "npm")
	j := &critic{t: t, axe: axeCore(t)}
	p := startProgram(t, "serve", "--adhoc", "--rtp-ports", "42000-42999")
	j.c = startChromium(t, p.Web, "#2040a0", "1280x720", 1100)
	j.c.arrive(t, p.Web+"/join/standup", "Ada Lovelace")
	j.c.do(t, chromedp.WaitVisible("#alone"))
	j.state("alone", nil)
	operator := newSeat(t, p, "standup")
	operator.post(t, "participants/"+operator.participants(t, 2)["operator"]+"/buzz", nil)
	j.c.do(t, until(`document.querySelector(".raised") !== null && document.querySelector("#quality").dataset.grade === "good"`))
	open := func(selector, there string) func() { return func() { j.press(selector, there) } }
	key := func(key, there string) func() {
		return func() { j.c.do(t, chromedp.KeyEvent(key), chromedp.WaitVisible(there)) }
	}
	j.state("call", nil)
	j.c.do(t, chromedp.EmulateViewport(720, 1000))
	time.Sleep(settle)
	j.c.screenshot(t, "call-tablet")
	j.fits("call-tablet", true)
	people := key("p", "#people")
	j.state("people", func() {
		if open, _ := try(j.c, chromedp.Evaluate[bool](`!document.getElementById("panel").hidden`)); !open {
			people()
		}
	})
	j.state("person", func() {
		if open, _ := try(j.c, chromedp.Evaluate[bool](`!document.getElementById("panel").hidden`)); !open {
			people()
		}
		j.press("#people li:nth-child(2) .act", "#menu button")
	})
	j.state("chat", func() {
		key("c", "#chat-text")()
		j.c.do(t, chromedp.SetValue("#chat-text", "Good morning!"), chromedp.KeyEvent("\r"), until(`document.querySelector(".message.own") !== null`))
		operator.post(t, "message", map[string]any{"type": "text/plain", "payload": "Good morning, Ada. Shall we begin?"})
		j.c.do(t, until(`document.querySelector(".message:not(.own)") !== null`))
	})
	j.state("more", open("#more", "#menu button"))
	j.state("layout", key("l", ".layouts [aria-pressed=true]"))
	j.state("invite", key("i", ".dial-form"))
	j.state("quality", open("#quality", "#dialog tbody td"))
	j.state("keypad", key("k", ".keys"))
	j.state("help", key("?", ".shortcuts"))
	j.state("devices", func() {
		j.press("#more", "#menu button")
		j.c.do(t, chromedp.Evaluate[chromedp.Void](`[...document.querySelectorAll("#menu button")].find((b) => b.textContent === "Devices").click()`), chromedp.WaitVisible("#dialog select"))
	})
	operator.post(t, "lock", nil)
	newSeat(t, p, "standup")
	j.c.do(t, until(`!document.querySelector("#people-toggle .dot").hidden`))
	j.state("asked", func() {
		key("p", "#people")()
		j.c.do(t, chromedp.WaitVisible("#waiting-box"))
	})
	if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	j.c.do(t, until(`document.getElementById("banner").textContent !== ""`))
	j.state("interrupted", nil)
	if err := p.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	j.c.do(t, until(`document.getElementById("banner").textContent === ""`))
	j.c.do(t, chromedp.Click("#mute"), chromedp.Click("#camera"), chromedp.Click("#hand"), until(`document.querySelector("#hand").getAttribute("aria-pressed") === "true"`))
	j.state("muted", nil)
	ada := "participants/" + operator.participants(t, 3)["Ada Lovelace"] + "/"
	operator.post(t, ada+"mute", nil)
	operator.post(t, ada+"role", map[string]any{"role": "guest"})
	j.c.do(t, until(`document.getElementById("layout-open").hidden && document.getElementById("leave-more").hidden`), until(`document.getElementById("mute").title === "Unmute; a host has muted you"`))
	j.state("guest", nil)
	operator.post(t, ada+"role", map[string]any{"role": "chair"})
	j.c.do(t, chromedp.WaitVisible("#leave-more"))
	j.press("#leave-more", "#menu button.bad")
	j.press("#menu button.bad", "#dialog .danger")
	j.state("end-for-all", nil)
	j.press("#leave-more", "#menu button.bad")
	j.press("#menu button.bad", "#dialog .danger")
	j.press("#dialog .danger", "#rejoin")
	j.c.do(t, until(`document.getElementById("ended-why").textContent === "You have ended the meeting for all."`))
	j.state("ended", nil)
}

const inRoom = `document.getElementById("far").videoWidth > 0`

// A critic looks at states of a page.
type critic struct {
	t   *testing.T
	c   *chromium
	axe string
}

// press clicks and waits for what appears.
func (j *critic) press(selector, there string) {
	j.t.Helper()
	j.c.do(j.t, chromedp.Click(selector), chromedp.WaitVisible(there))
}

// dismiss closes a menu or a dialog by the key that people try first.
func (j *critic) dismiss() {
	j.t.Helper()
	j.c.do(j.t, chromedp.KeyEvent("\u001b"), until(`!document.querySelector("dialog[open], #menu:popover-open")`))
}

// state judges what the page shows, or what it shows after open, which is closed
// again.
func (j *critic) state(name string, open func()) {
	j.t.Helper()
	for _, size := range []struct {
		name          string
		width, height int64
	}{{"wide", 1280, 800}, {"narrow", 390, 844}} {
		j.c.do(j.t, chromedp.EmulateViewport(size.width, size.height))
		time.Sleep(settle) // the page notices when it is drawn
		if open != nil {
			open()
		}
		for _, scheme := range []string{"light", "dark"} {
			j.c.do(j.t, colourScheme(scheme))
			where := strings.Join([]string{name, size.name, scheme}, "-")
			time.Sleep(settle) // colours fade
			j.c.screenshot(j.t, where)
			j.axeAt(where)
			j.fits(where, size.name == "narrow")
		}
		j.dismiss()
	}
	j.c.do(j.t, chromedp.EmulateViewport(1280, 800))
}

// settle is longer than any transition of the page.
const settle = 200 * time.Millisecond

func colourScheme(scheme string) chromedp.Action[chromedp.Void] {
	return func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		return chromedp.Void{}, err
	}
}

// axeAt fails the test with what axe-core finds.
func (j *critic) axeAt(where string) {
	j.t.Helper()
	const run = `(async () => {
		if (!window.axe) { %s }
		// Half a transition between two schemes is neither; a page in the background stays there.
		document.getAnimations().forEach((a) => a instanceof CSSTransition && a.finish());
		const found = await window.axe.run(document, { resultTypes: ["violations"] });
		return JSON.stringify(found.violations.filter((v) => ["serious", "critical"].includes(v.impact)).map((v) =>
			v.id + ": " + v.help + ": " + v.nodes.slice(0, 3).map((n) => n.html.slice(0, 160) + " " + n.any.map((a) => a.message).join("; ")).join(" | ")));
	})()`
	script := fmt.Sprintf(run, "")
	if loaded, err := try(j.c, chromedp.Evaluate[bool](`window.axe !== undefined`)); err != nil || !loaded {
		script = fmt.Sprintf(run, j.axe)
	}
	answer, err := try(j.c, chromedp.Evaluate[string](script, chromedp.EvalAwaitPromise))
	if err != nil {
		j.t.Fatalf("%s: %v", where, err)
	}
	var violations []string
	if err := json.Unmarshal([]byte(answer), &violations); err != nil {
		j.t.Fatal(err)
	}
	for _, v := range violations {
		j.t.Errorf("%s: %s", where, v)
	}
}

// fits wants nothing beside the screen, and buttons of a finger's size in a
// hand.
func (j *critic) fits(where string, hand bool) {
	j.t.Helper()
	const measure = `(() => {
		const bad = [];
		const root = document.documentElement;
		if (root.scrollWidth > innerWidth) bad.push("scrolls sideways: " + root.scrollWidth + " px");
		for (const e of document.querySelectorAll("button, input, select, textarea")) {
			if (!e.checkVisibility() || e.type === "checkbox") continue; // its label is the target
			const r = e.getBoundingClientRect();
			if (r.width === 0) continue;
			if (r.left < -1 || r.right > innerWidth + 1) bad.push("beside the screen: " + e.outerHTML.slice(0, 100));
			if (%t && (r.width < 43.5 || r.height < 43.5)) bad.push("too small (" + r.width + "x" + r.height + "): " + e.outerHTML.slice(0, 100));
		}
		return bad;
	})()`
	bad, err := try(j.c, chromedp.Evaluate[[]string](fmt.Sprintf(measure, hand)))
	if err != nil {
		j.t.Fatalf("%s: %v", where, err)
	}
	for _, b := range bad {
		j.t.Errorf("%s: %s", where, b)
	}
}

// axeCore returns the script, kept in the user's cache.
func axeCore(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	dir := filepath.Join(cache, "skybridge-test", strings.ReplaceAll(axeVersion, "@", "-"))
	file := filepath.Join(dir, "node_modules", "axe-core", "axe.min.js")
	if _, err := os.Stat(file); err != nil {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("npm", "install", "--prefix", dir, "--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock", axeVersion)
		if out, err := cmd.CombinedOutput(); err != nil {
			if os.Getenv("SKYBRIDGE_PEERS") == "all" {
				t.Fatalf("npm install: %v\n%s", err, out)
			}
			t.Skipf("npm install: %v\n%s", err, out)
		}
	}
	script, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(script)
}
