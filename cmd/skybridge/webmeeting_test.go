package main

import (
	"fmt"
	"image/color"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// A meeting is two browsers, Ada's and Bob's, and a SIP phone with a camera, in
// one room. What happens in it happens by clicking.
type meeting struct {
	p        *program
	ada, bob *chromium
	phone    *baresip

	// What each sends, and how to know what it receives.
	adas, bobs, phones endpoint
}

// sharesTabs lets a browser share real tabs whose title has that text, as if
// somebody had chosen one, and the real question for the camera be answered.
func sharesTabs(title string) []chromedp.ExecAllocatorOption {
	return []chromedp.ExecAllocatorOption{
		chromedp.Flag("use-fake-ui-for-media-stream", false), // it would share a screen that it makes up
		chromedp.Flag("auto-accept-camera-and-microphone-capture", true),
		chromedp.Flag("auto-select-tab-capture-source-by-title", title),
	}
}

// TestWebMeeting lets two browsers and baresip meet. They hear and see each
// other, and each step is a part of what people do in a meeting.
func TestWebMeeting(t *testing.T) {
	needPeer(t, "npm")
	p := startProgram(t, "serve", "--adhoc", "--rtp-ports", "42000-42999")
	m := &meeting{p: p}
	blue, red, green := color.RGBA{32, 64, 160, 255}, color.RGBA{160, 64, 32, 255}, color.RGBA{30, 170, 40, 255}
	link := p.Web + "/join/standup"
	m.ada = startChromium(t, p.Web, hex(blue), "640x360", 1100)
	began := time.Now()
	m.ada.arrive(t, link, "Ada")
	took := time.Since(began)
	t.Logf("from the link to the picture: %v", took.Round(10*time.Millisecond))
	if took > firstContact*loaded {
		t.Errorf("it took %v from the link to the picture, want at most %v", took, firstContact)
	}
	m.bob = startChromium(t, p.Web, hex(red), "640x360", 1400, sharesTabs("Figures")...)
	m.bob.arrive(t, link, "Bob")
	m.ada.screenshot(t, "two")
	m.phone = startBaresip(t, baresipConfig{
		name: "phone", port: 5261, rate: 48000, stereo: true, toneHz: 800, color: hex(green), display: 99,
		account: "audio_codecs=opus/48000/2;video_codecs=vp8",
	}, fmt.Sprintf("sip:standup@%s", p.SIP))
	m.adas = endpoint{"ada", 1100, blue, m.ada.heard, m.ada.seen}
	m.bobs = endpoint{"bob", 1400, red, m.bob.heard, m.bob.seen}
	m.phones = endpoint{"phone", 800, green, m.phone.heard, m.phone.seen}
	for _, step := range []struct {
		name string
		run  func(*meeting, *testing.T)
	}{
		{"meet", (*meeting).meet},
		{"chat", (*meeting).chat},
		{"host", (*meeting).host},
		{"share", (*meeting).share},
		{"lock", (*meeting).lock},
		{"blocked", (*meeting).blocked},
		{"remove", (*meeting).remove},
	} {
		if !t.Run(step.name, func(t *testing.T) { step.run(m, t) }) {
			return // the next ones need what this one should have done
		}
	}
}

func (m *meeting) all() []endpoint { return []endpoint{m.adas, m.bobs, m.phones} }

// person is the row of a participant in the list of people.
func person(name string) string {
	return fmt.Sprintf(`[...document.querySelectorAll("#people li")].find((r) => r.querySelector("b").textContent.startsWith(%q))`, name)
}

// choose opens the menu of a person and clicks what is named so.
func (c *chromium) choose(t *testing.T, name, label string) {
	t.Helper()
	c.do(t, until(person(name)+` !== undefined`), chromedp.Evaluate[chromedp.Void](person(name)+`.querySelector(".act").click()`), chromedp.WaitVisible("#menu button"),
		chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`[...document.querySelectorAll("#menu button")].find((b) => b.textContent === %q).click()`, label)))
}

// meet wants all in the lists of all, and a layout that one chooses to be
// everybody's: all hear and see the others in it.
func (m *meeting) meet(t *testing.T) {
	for _, c := range []*chromium{m.ada, m.bob} {
		c.do(t, until(row("Ada", "Browser")), until(row("Bob", "Browser")), until(row("phone", "SIP")))
	}
	m.ada.screenshot(t, "three")
	m.bob.do(t, chromedp.Click("#layout-open"), chromedp.WaitVisible(".layouts"), chromedp.Click(`.layouts [data-view="4:0"]`), until(`document.querySelector('.layouts [data-view="4:0"]').ariaPressed === "true"`),
		chromedp.Click("#dialog-close"))
	m.ada.do(t, chromedp.KeyEvent("l"), until(`document.querySelector('.layouts [data-view="4:0"]')?.ariaPressed === "true"`), chromedp.KeyEvent("\u001b"))
	expect(t, "met", m.all(), m.all(), m.all(), tilesOf(t, "2x2"))
	m.ada.screenshot(t, "met")
	m.ada.do(t, chromedp.Click("#mute"))
	m.bob.do(t, until(row("Ada", "muted")))
	m.ada.do(t, chromedp.Click("#mute"))
	m.bob.do(t, until("!"+row("Ada", "muted")))
}

// chat lets one write to all, and be answered alone.
func (m *meeting) chat(t *testing.T) {
	m.bob.do(t, chromedp.Click("#chat-toggle"), chromedp.WaitVisible("#chat-text"), chromedp.SendKeys("#chat-text", "Shall we begin?\r"))
	m.ada.do(t, until(`document.querySelector("#chat-toggle .dot").dataset.count === "1"`), chromedp.Click("#chat-toggle"),
		until(`document.querySelector(".message .text").textContent === "Shall we begin?" && document.querySelector("#chat-toggle .dot").hidden`),
		until(`document.querySelector("#chat-to").options.length === 2`), // Bob's browser takes what is for him alone, the phone does not
		chromedp.Evaluate[chromedp.Void](`document.querySelector("#chat-to").selectedIndex = 1`), chromedp.SendKeys("#chat-text", "One moment.\r"))
	m.bob.do(t, until(`document.querySelector(".message:last-child").textContent.match(/Ada only to you.*One moment\./) !== null`),
		until(`document.getElementById("chat-text").value === ""`))
	m.ada.screenshot(t, "said")
	m.ada.do(t, chromedp.Click("#tab-people"))
	m.bob.do(t, chromedp.Click("#tab-people"))
}

// host mutes the phone, which nobody hears then, and hides its picture, which
// nobody sees; and gives both back.
func (m *meeting) host(t *testing.T) {
	heard := func(situation string, audible, visible []endpoint) {
		t.Helper()
		expect(t, situation, []endpoint{m.bobs}, audible, visible, tilesOf(t, "2x2"))
	}
	mute := chromedp.Evaluate[chromedp.Void](person("phone") + `.querySelector(".mute").click()`)
	m.ada.do(t, mute, until(row("phone", "muted")))
	m.ada.choose(t, "phone", "Hide picture")
	m.bob.do(t, until(row("phone", "muted")), until(row("phone", "no camera")))
	heard("muted and hidden", without(m.all(), m.phones), without(m.all(), m.phones))
	m.ada.do(t, mute, until("!"+row("phone", "muted")))
	m.ada.choose(t, "phone", "Show picture")
	heard("unmuted and shown", m.all(), m.all())
}

// figures is what Bob has in another tab: three colours side by side, and
// something that moves.
const figures = `data:text/html,<title>Figures</title><body style="margin:0;background:linear-gradient(90deg,red 33%,lime 33% 67%,blue 67%)"><p id=x></p><script>setInterval(()=>x.textContent=Date.now(),200)</script>`

// slidesColours says which of red, green and blue there are in each third of
// the presentation that the page shows.
const slidesColours = `(() => {
	const slides = document.getElementById("slides");
	if (!slides.videoWidth || !slides.checkVisibility()) return "";
	const brush = new OffscreenCanvas(90, 9).getContext("2d");
	brush.drawImage(slides, 0, 0, 90, 9);
	return [15, 45, 75].map((x) => ["r", "g", "b"].filter((_, i) => brush.getImageData(x, 6, 1, 1).data[i] > 128).join("")).join(" ");
})()`

// share lets Bob share a real tab, which Ada sees beside the people; until he
// stops, and the second time until the tab is closed.
func (m *meeting) share(t *testing.T) {
	tab, closeTab := chromedp.NewContext(m.bob.ctx)
	t.Cleanup(closeTab)
	if _, err := chromedp.Run(tab, chromedp.Navigate(figures)); err != nil {
		t.Fatal(err)
	}
	shares := func() {
		t.Helper()
		m.bob.do(t, chromedp.WaitVisible("#share"), chromedp.Click("#share"), until(`document.getElementById("share").ariaPressed === "true"`), chromedp.WaitVisible("#sharing"))
		m.ada.do(t, until(slidesColours+` === "r g b"`), until(`document.getElementById("slides").getAttribute("aria-label") === "Presentation of Bob"`), until(inRoom))
	}
	stopped := func() {
		t.Helper()
		m.bob.do(t, until(`document.getElementById("share").ariaPressed === "false" && document.getElementById("sharing").hidden`))
		m.ada.do(t, until(`document.getElementById("slides").hidden`))
	}
	shares()
	kind := js[string](t, m.bob, `window.connections.at(-1).getSenders().map((s) => s.track?.getSettings().displaySurface ?? "").join("")`)
	if kind != "browser" {
		t.Errorf("what is shared is %q, want a tab", kind)
	}
	axe := axeCore(t)
	for name, c := range map[string]*chromium{"presenting": m.bob, "presented": m.ada} {
		c.do(t, chromedp.Click("#panel-close"))
		(&critic{t: t, c: c, axe: axe}).state(name, nil)
		c.do(t, chromedp.Click("#people-toggle"))
	}
	m.ada.screenshot(t, "beside-people")
	m.bob.do(t, chromedp.Click("#sharing-stop"))
	stopped()
	shares()
	closeTab()
	stopped()
}

// lock lets Bob leave, knock at the locked room, be refused and be let in.
func (m *meeting) lock(t *testing.T) {
	ada, bob := m.ada, m.bob
	ada.do(t, chromedp.Click("#lock"), chromedp.WaitVisible("#locked"))
	bob.do(t, chromedp.Click("#leave"), chromedp.WaitVisible("#rejoin"))
	ada.do(t, until("!"+row("Bob", "")))
	knock := func() {
		t.Helper()
		bob.do(t, chromedp.Click("#rejoin"), chromedp.WaitVisible("#join-form"), chromedp.Click("#join-button"), chromedp.WaitVisible("#ask-wait"))
		bob.screenshot(t, "waits")
		ada.do(t, until(`document.querySelector("#waiting-list b")?.textContent === "Bob"`))
		ada.screenshot(t, "is-asked")
	}
	knock()
	ada.do(t, chromedp.Click("#waiting-list .quiet"))
	bob.do(t, until(`document.getElementById("ended-why").textContent === "A host has removed you from the room."`))
	bob.screenshot(t, "refused")
	knock()
	ada.do(t, chromedp.Click("#waiting-list .admit"))
	bob.do(t, until(inRoom))
	ada.do(t, chromedp.Click("#lock"), until(`document.getElementById("locked").hidden`), until(row("Bob", "")))
}

// blocked has a packet filter drop all UDP between the pages and the server for
// five seconds, and wants sound and picture back at most three seconds after
// that, on whatever path.
func (m *meeting) blocked(t *testing.T) {
	needPeer(t, "nft")
	expect(t, "before", []endpoint{m.adas}, m.all(), m.all(), tilesOf(t, "2x2"))
	open := block(t, m.p.webRTCPort(t))
	filter := time.After(5 * time.Second)
	m.ada.do(t, until(`document.getElementById("banner").textContent !== ""`))
	<-filter
	m.ada.screenshot(t, "blocked")
	open()
	began := time.Now()
	m.ada.do(t, until(`document.getElementById("banner").textContent === ""`))
	eventually(t, firstContact*loaded, func() error {
		levels, err := m.ada.heard(t, []float64{m.phones.hz, 650})
		if err == nil && levels[0] < levels[1]+20 {
			err = fmt.Errorf("the phone is not heard: %.0f dB", levels)
		}
		return err
	})
	took := time.Since(began)
	t.Logf("back after %v", took.Round(10*time.Millisecond))
	if took > firstContact*loaded {
		t.Errorf("back after %v, want at most %v", took, firstContact)
	}
	m.bob.do(t, until(`document.getElementById("banner").textContent === ""`))
	expect(t, "after", m.all(), m.all(), m.all(), tilesOf(t, "2x2"))
}

// remove lets the host disconnect the phone, and Bob, who is told.
func (m *meeting) remove(t *testing.T) {
	gone := func(name string) {
		t.Helper()
		m.ada.choose(t, name, "Remove from the room")
		m.ada.do(t, chromedp.WaitVisible("#dialog .danger"), chromedp.Click("#dialog .danger"), until("!"+row(name, "")))
	}
	gone("phone")
	eventually(t, 10*time.Second, func() error { return m.phone.logs(t, "session closed") })
	expect(t, "without the phone", []endpoint{m.bobs}, without(m.all(), m.phones), without(m.all(), m.phones), tilesOf(t, "2x2"))
	gone("Bob")
	m.bob.do(t, until(`document.getElementById("ended-why").textContent === "A host has removed you from the room."`))
}
