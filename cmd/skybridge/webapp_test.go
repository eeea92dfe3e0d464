package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// firstContact is how long it may take from opening a link to seeing the room.
const firstContact = 3 * time.Second

// arrive opens a link, joins as a person does and waits for the picture.
func (c *chromium) arrive(t *testing.T, url, name string) {
	t.Helper()
	c.do(t, chromedp.Navigate(url), chromedp.WaitVisible("#join-form"), chromedp.SetValue("#name", name), chromedp.Click("#join-button"), until(inRoom))
}

// row is true for the participant of that name in the list, if what is said
// below its name has text.
func row(name, text string) string {
	return fmt.Sprintf(`[...document.querySelectorAll("#people li")].some((r) => r.querySelector("b").textContent.startsWith(%q) && r.querySelector("small").textContent.includes(%q))`, name, text)
}

// TestWebMeeting lets two browsers and a phone meet: they see each other's
// names, that one has muted itself, what one writes, and the layout that one
// chooses; who comes to a locked room waits until
// it is let in, or told that it is not; who is removed knows that.
func TestWebMeeting(t *testing.T) {
	p := startProgram(t, "serve", "--adhoc", "--rtp-ports", "42000-42999")
	link := p.Web + "/join/standup"
	ada := startChromium(t, p.Web, "#2040a0", "640x360", 1100)
	began := time.Now()
	ada.arrive(t, link, "Ada")
	took := time.Since(began)
	t.Logf("from the link to the picture: %v", took.Round(10*time.Millisecond))
	if took > firstContact*loaded {
		t.Errorf("it took %v from the link to the picture, want at most %v", took, firstContact)
	}
	bob := startChromium(t, p.Web, "#a04020", "640x360", 1400)
	bob.arrive(t, link, "Bob")
	phone := newPhone(t, p, "UDP", "127.0.0.1").call("standup")
	if r := phone.ask(t, "INVITE", describe(42998, "RTP/AVP", "0")); r.status != "200 OK" {
		t.Fatal(r.status)
	}
	for _, c := range []*chromium{ada, bob} {
		c.do(t, until(row("Ada", "Browser")), until(row("Bob", "Browser")), until(row("phone", "SIP")))
	}

	ada.do(t, chromedp.Click("#mute"))
	bob.do(t, until(row("Ada", "muted")))
	ada.do(t, chromedp.Click("#mute"))
	bob.do(t, until("!"+row("Ada", "muted")))

	bob.do(t, chromedp.Click("#layout-open"), chromedp.WaitVisible(".layouts"), chromedp.Click(`.layouts [data-view="4:0"]`), until(`document.querySelector('.layouts [data-view="4:0"]').ariaPressed === "true"`),
		chromedp.Click("#dialog-close"))
	ada.do(t, chromedp.KeyEvent("l"), until(`document.querySelector('.layouts [data-view="4:0"]')?.ariaPressed === "true"`), chromedp.KeyEvent("\u001b"))

	bob.do(t, chromedp.Click("#chat-toggle"), chromedp.WaitVisible("#chat-text"), chromedp.SendKeys("#chat-text", "Shall we begin?\r"))
	ada.do(t, until(`document.querySelector("#chat-toggle .dot").dataset.count === "1"`), chromedp.Click("#chat-toggle"),
		until(`document.querySelector(".message .text").textContent === "Shall we begin?" && document.querySelector("#chat-toggle .dot").hidden`),
		until(`document.querySelector("#chat-to").options.length === 2`), // Bob's browser takes what is for him alone, the phone does not
		chromedp.Evaluate[chromedp.Void](`document.querySelector("#chat-to").selectedIndex = 1`), chromedp.SendKeys("#chat-text", "One moment.\r"))
	bob.do(t, until(`document.querySelector(".message:last-child").textContent.match(/Ada only to you.*One moment\./) !== null`))
	ada.do(t, chromedp.Click("#tab-people"))

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
	knock()
	ada.do(t, chromedp.Click("#waiting-list .admit"))
	bob.do(t, until(inRoom))
	ada.do(t, chromedp.Click("#lock"), until(`document.getElementById("locked").hidden`))
	ada.do(t, until(row("Bob", "")), chromedp.Evaluate[chromedp.Void](`[...document.querySelectorAll("#people li")].find((r) => r.querySelector("b").textContent === "Bob").querySelector(".act").click()`),
		chromedp.WaitVisible("#menu .bad"), chromedp.Click("#menu .bad"), chromedp.WaitVisible("#dialog .danger"), chromedp.Click("#dialog .danger"))
	bob.do(t, until(`document.getElementById("ended-why").textContent === "A host has removed you from the room."`))
}

// loaded is how much longer things may take where tests share the machine.
const loaded = 3

// TestWebReturns stops the server for longer than a browser waits, as a network
// that breaks does, and wants sound and events back soon after it goes on. Then
// the server is another process, which knows nobody: the page takes a new seat.
func TestWebReturns(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := fmt.Sprint(free.Addr().(*net.TCPAddr).Port)
	_ = free.Close() // both processes are to have it
	serve := func() *program {
		return startProgram(t, "serve", "--adhoc", "--rtp-ports", "42000-42999", "--https-port", port)
	}
	p := serve()
	c := startChromium(t, p.Web, "#2040a0", "640x360", 1100)
	c.arrive(t, p.Web+"/join/standup", "Ada")
	c.do(t, until(`document.getElementById("call-note-text").textContent === ""`))
	time.Sleep(3 * time.Second) // let packets flow for a while: that is what is missed

	if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	c.do(t, until(`document.getElementById("banner").textContent !== ""`))
	time.Sleep(3 * time.Second)
	c.screenshot(t, "interrupted")
	if err := p.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	c.do(t, until(`document.getElementById("banner").textContent === ""`))
	took := time.Since(began)
	t.Logf("back after %v", took.Round(10*time.Millisecond))
	if took > firstContact*loaded {
		t.Errorf("back after %v, want at most %v", took, firstContact)
	}
	operator := newSeat(t, p, "standup")
	operator.participants(t, 2)
	c.do(t, until(row("operator", "")))

	_ = p.cmd.Process.Kill()
	<-p.done
	c.do(t, until(`document.getElementById("banner").textContent !== ""`))
	again := newSeat(t, serve(), "standup")
	again.participants(t, 2)
	c.do(t, until(`document.getElementById("banner").textContent === ""`), until(row("operator", "")))
	c.screenshot(t, "another-server")
}

// TestWebPlainWords wants what went wrong to be said in words that help.
func TestWebPlainWords(t *testing.T) {
	config := filepath.Join(t.TempDir(), "skybridge.yaml")
	rooms := "rooms:\n  - {name: small, limit: 1}\n  - {name: council, host-pin: \"4711\", guest-pin: \"2342\"}\n"
	if err := os.WriteFile(config, []byte(rooms), 0o600); err != nil {
		t.Fatal(err)
	}
	p := startProgram(t, "serve", "--config", config, "--rtp-ports", "42000-42999")
	newSeat(t, p, "small")
	c := startChromium(t, p.Web, "#2040a0", "640x360", 1100)
	says := func(element, words string) chromedp.Action[chromedp.Void] {
		return until(fmt.Sprintf(`document.getElementById(%q).textContent.includes(%q)`, element, words))
	}
	join := func(room string) {
		t.Helper()
		c.do(t, chromedp.Navigate(p.Web+"/join/"+room), chromedp.WaitVisible("#join-form"), chromedp.SetValue("#name", "Ada"), chromedp.Click("#join-button"))
	}
	join("small")
	c.do(t, says("join-error", "The room is full."))
	join("nowhere")
	c.do(t, says("join-error", "There is no such room."))
	join("council")
	c.do(t, chromedp.WaitVisible("#pin"), chromedp.SendKeys("#pin", "1111\r"), says("pin-error", "That PIN is not right."),
		chromedp.SendKeys("#pin", "4711\r"), until(inRoom), chromedp.WaitVisible("#lock"))

	// Chromium's fake devices never fail, so the page is told that they do.
	c.do(t, onEveryPage(noDevices))
	for name, words := range map[string]string{
		"NotAllowedError":  "Your browser blocks the microphone and camera.",
		"NotFoundError":    "No microphone or camera was found.",
		"NotReadableError": "Another program is using the microphone and camera",
	} {
		c.do(t, chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`sessionStorage.fail = %q`, name)), chromedp.Navigate(p.Web+"/join/small"), says("device-help", words))
	}
	c.screenshot(t, "no-devices")
}

// noDevices lets devices fail with the error that is named, where one is.
const noDevices = `if (sessionStorage.fail) {
	navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("", sessionStorage.fail));
	navigator.permissions.query = async () => ({ state: "denied" });
}`

// fakeScreen is a screen that Chromium shares without asking: a green text on
// white.
const fakeScreen = `navigator.mediaDevices.getDisplayMedia = async () => {
	const canvas = Object.assign(document.createElement("canvas"), { width: 1280, height: 720 });
	const g = canvas.getContext("2d");
	setInterval(() => {
		g.fillStyle = "#fff";
		g.fillRect(0, 0, 1280, 720);
		g.fillStyle = "#063";
		g.font = "80px sans-serif";
		g.fillText("Figures " + Date.now(), 100, 300);
	}, 200);
	return canvas.captureStream(10);
};`

// TestWebPresentation lets one browser share its screen and another see it
// beside the people, until it stops.
func TestWebPresentation(t *testing.T) {
	p := startProgram(t, "serve", "--adhoc", "--rtp-ports", "42000-42999")
	link := p.Web + "/join/standup"
	ada := startChromium(t, p.Web, "#2040a0", "640x360", 1100)
	ada.arrive(t, link, "Ada")
	bob := startChromium(t, p.Web, "#a04020", "640x360", 1400)
	bob.do(t, onEveryPage(fakeScreen))
	bob.arrive(t, link, "Bob")
	bob.do(t, chromedp.WaitVisible("#share"), chromedp.Click("#share"), until(`document.getElementById("share").ariaPressed === "true"`))
	ada.do(t, until(`document.getElementById("slides").videoWidth > 0 && document.getElementById("slides").checkVisibility()`),
		until(`document.getElementById("slides").getAttribute("aria-label") === "Presentation of Bob"`), until(inRoom))
	time.Sleep(time.Second) // for the picture of it
	ada.screenshot(t, "wide")
	ada.do(t, chromedp.EmulateViewport(390, 844))
	time.Sleep(settle)
	ada.screenshot(t, "narrow")
	bob.do(t, chromedp.Click("#share"))
	ada.do(t, until(`document.getElementById("slides").hidden`))
}

// TestWebControls uses what a host has besides, and wants each to reach the
// server and to be shown.
func TestWebControls(t *testing.T) {
	p := startProgram(t, "serve", "--adhoc", "--rtp-ports", "42000-42999")
	c := startChromium(t, p.Web, "#2040a0", "640x360", 1100)
	c.arrive(t, p.Web+"/join/standup", "Ada")
	operator := newSeat(t, p, "standup")
	operator.post(t, "participants/"+operator.id+"/buzz", nil)
	c.do(t, until(row("operator", "Host")), until(`document.querySelector(".raised") !== null`))
	choose := func(label string) {
		t.Helper()
		c.do(t, chromedp.Click("#people li:nth-child(2) .act"), chromedp.WaitVisible("#menu button"),
			chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`[...document.querySelectorAll("#menu button")].find((b) => b.textContent === %q).click()`, label)))
	}
	choose("Lower hand")
	c.do(t, until(`document.querySelector(".raised") === null`))
	choose("Spotlight")
	c.do(t, until(`document.querySelector(".lit") !== null`))
	choose("End spotlight")
	c.do(t, until(`document.querySelector(".lit") === null`))
	choose("Make a guest")
	c.do(t, until(row("operator", "Guest")), chromedp.Click("#mute-guests"), until(row("operator", "muted")),
		until(`document.querySelector("#mute-guests").textContent === "Unmute guests"`), chromedp.Click("#mute-guests"), until("!"+row("operator", "muted")))

	// Whom we call is in the list until the call fails.
	c.do(t, chromedp.Click("#invite"), chromedp.WaitVisible(".dial-form"), chromedp.SetValue("[name=destination]", "no address"), chromedp.Click(".dial-form .primary"),
		until(`document.querySelector(".dial-form .error").textContent.startsWith("Destination:")`),
		chromedp.SetValue("[name=destination]", "sip:carol@127.0.0.1:9;transport=tcp"), chromedp.Click(".dial-form .primary"), until(`!document.querySelector("dialog[open]")`))
	c.do(t, until(`document.getElementById("toasts").textContent.includes("Calling sip:carol")`))

	c.do(t, chromedp.KeyEvent("k"), chromedp.WaitVisible(".keys"), chromedp.Click(".keys button:nth-child(5)"), chromedp.KeyEvent("#"), until(`document.querySelector(".pressed").textContent === "5#"`), chromedp.KeyEvent("\u001b"))
	c.do(t, until(`!document.querySelector("dialog[open]") && document.querySelector(".toast.bad") === null`))
	c.do(t, until(`document.getElementById("quality").dataset.grade !== "unknown"`), chromedp.KeyEvent("q"), until(`[...document.querySelectorAll("#dialog tbody tr")].some((r) => r.textContent.match(/Bit rate[1-9]/))`), chromedp.KeyEvent("\u001b"))

	// The camera goes off and on.
	const sends = `(async () => [...(await window.connections.at(-1).getStats()).values()].filter((s) => s.type === "outbound-rtp" && s.kind === "video").reduce((n, s) => n + s.framesSent, 0))()`
	sent := func() int {
		t.Helper()
		n, err := try(c, chromedp.Evaluate[int](sends, chromedp.EvalAwaitPromise))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	c.do(t, chromedp.KeyEvent("v"), until(`document.getElementById("self-box").hidden`), until(row("Ada", "no camera")))
	c.do(t, chromedp.KeyEvent("v"), until(`!document.getElementById("self-box").hidden`), until("!"+row("Ada", "no camera")))
	before := sent()
	eventually(t, 10*time.Second, func() error {
		if now := sent(); now < before+10 {
			return fmt.Errorf("%d pictures were sent, and %d after the camera was switched on again", before, now)
		}
		return nil
	})
}
