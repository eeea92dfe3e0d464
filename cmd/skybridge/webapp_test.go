package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
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
	c := startChromium(t, p.Web, "#2040a0", "640x360", 1100, chromedp.Flag("use-fake-ui-for-media-stream", false))
	c.do(t, permit("granted"))
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
	c.do(t, says("join-error", "There is no such room."), until(`document.activeElement.id === "room"`)) // to write another one
	c.byKeys(t, p.Web)

	c.do(t, permit("denied"), chromedp.Navigate(p.Web+"/join/small"), says("device-help", "Your browser blocks the microphone and camera."))
	c.screenshot(t, "blocked")
	c.do(t, permit("granted"), chromedp.Click("#try-again"), until(`document.getElementById("preview").videoWidth > 0 && document.getElementById("device-help").hidden`))

	// Chromium's fake devices never fail, so the page is told that they do.
	c.do(t, onEveryPage(noDevices))
	for name, words := range map[string]string{
		"NotFoundError":    "No microphone or camera was found.",
		"NotReadableError": "Another program is using the microphone and camera",
	} {
		c.do(t, chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`sessionStorage.fail = %q`, name)), chromedp.Navigate(p.Web+"/join/small"), says("device-help", words))
	}
	c.screenshot(t, "no-devices")
}

// permit answers the browser's question whether the page may use camera and
// microphone.
func permit(setting browser.PermissionSetting) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		for _, name := range []string{"camera", "microphone"} {
			if _, err := cdp.Call(ctx, target, browser.SetPermission, browser.SetPermissionParams{
				Permission: &browser.PermissionDescriptor{Name: name}, Setting: setting,
			}); err != nil {
				return err
			}
		}
		return nil
	})
}

// byKeys joins a room with a PIN, leaves and comes to the door again without a
// mouse.
func (c *chromium) byKeys(t *testing.T, web string) {
	t.Helper()
	focused := func(id string) chromedp.Action[chromedp.Void] {
		return until(fmt.Sprintf(`document.activeElement.id === %q`, id))
	}
	tabTo := func(id string) {
		t.Helper()
		for range 30 {
			c.do(t, chromedp.KeyEvent("\t"))
			if js[string](t, c, `document.activeElement.id`) == id {
				return
			}
		}
		t.Fatalf("the tabulator does not come to %s", id)
	}
	c.do(t, chromedp.Navigate(web), chromedp.WaitVisible("#join-form"), focused("room"), // the name is known from before
		chromedp.KeyEvent("council\r"), focused("pin"), chromedp.KeyEvent("1111\r"),
		until(`document.getElementById("pin-error").textContent.includes("That PIN is not right.") && document.activeElement.id === "pin"`),
		chromedp.KeyEvent("4711\r"), until(inRoom), chromedp.WaitVisible("#lock"), focused("mute"))
	c.do(t, chromedp.KeyEvent(" "), until(`document.getElementById("mute").title === "Unmute"`), chromedp.KeyEvent("m"), until(`document.getElementById("mute").title === "Mute"`))
	tabTo("more")
	c.do(t, chromedp.KeyEvent("\r"), chromedp.WaitVisible("#menu button"), until(`document.activeElement.textContent === "Devices"`),
		chromedp.KeyEvent("\u001b"), focused("more"))
	tabTo("leave")
	c.do(t, chromedp.KeyEvent("\r"), focused("ended-title"))
	tabTo("rejoin")
	c.do(t, chromedp.KeyEvent("\r"), focused("join-button"))
}

// noDevices lets devices fail with the error that is named, where one is.
const noDevices = `if (sessionStorage.fail) {
	navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("", sessionStorage.fail));
	navigator.permissions.query = async () => ({ state: "denied" });
}`

// TestWebControls uses what a host has besides, and wants each to reach the
// server and to be shown.
func TestWebControls(t *testing.T) {
	p := startProgram(t, "serve", "--adhoc", "--rtp-ports", "42000-42999")
	c := startChromium(t, p.Web, "#2040a0", "640x360", 1100)
	c.arrive(t, p.Web+"/join/standup", "Ada")
	operator := newSeat(t, p, "standup")
	operator.post(t, "participants/"+operator.id+"/buzz", nil)
	c.do(t, until(row("operator", "Host")), until(`document.querySelector(".raised") !== null`))
	choose := func(label string) { c.choose(t, "operator", label) }
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

	c.views(t)

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

// views uses what the browser itself does for the page: full screen, a window
// for the picture, another speaker. Each works, and is complained about in plain
// words where it does not.
func (c *chromium) views(t *testing.T) {
	more := func(label string, wants string) {
		t.Helper()
		item := fmt.Sprintf(`[...document.querySelectorAll("#menu button span")].find((b) => b.textContent === %q)`, label)
		c.do(t, chromedp.Click("#more"), chromedp.WaitVisible("#menu button"), chromedp.Evaluate[chromedp.Void](item+`.id = "item"`), chromedp.Click("#item"), until(wants))
	}
	complains := func(words string) string {
		return fmt.Sprintf(`document.querySelector(".toast.bad")?.textContent.startsWith(%q)`, words)
	}
	fails := func(of, method string) {
		t.Helper()
		c.do(t, chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`%s.prototype.%s = () => Promise.reject(new DOMException("", "NotFoundError"))`, of, method)))
	}
	more("Full screen", `document.fullscreenElement === document.documentElement`)
	c.screenshot(t, "full-screen")
	more("End full screen", `document.fullscreenElement === null`)
	c.do(t, chromedp.KeyEvent("f"), until(`document.fullscreenElement !== null`), chromedp.KeyEvent("f"), until(`document.fullscreenElement === null`))
	fails("Element", "requestFullscreen")
	more("Full screen", complains("The browser does not allow full screen here."))

	more("Picture in picture", `document.pictureInPictureElement?.id === "far"`)
	more("Attach the picture", `document.pictureInPictureElement === null`)
	fails("HTMLVideoElement", "requestPictureInPicture")
	more("Picture in picture", complains("The browser cannot show the picture in a window of its own here."))

	speaker := func(label string) chromedp.Action[chromedp.Void] {
		return chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`(() => {
			const select = [...document.querySelectorAll("#dialog select")].at(-1);
			select.value = [...select.options].find((o) => o.text === %q).value;
			select.dispatchEvent(new Event("change"));
		})()`, label))
	}
	const shown = `[...document.querySelectorAll("#dialog select")].at(-1).selectedOptions[0].text`
	const playedBy = `(await navigator.mediaDevices.enumerateDevices()).find((d) => d.kind === "audiooutput" && d.deviceId === document.getElementById("far").sinkId)?.label`
	more("Devices", `document.querySelectorAll("#dialog select").length === 3`)
	c.do(t, speaker("Fake Audio Output 2"), until(`document.getElementById("far").sinkId !== ""`))
	if got := js[string](t, c, `(async () => `+playedBy+`)()`); got != "Fake Audio Output 2" {
		t.Errorf("the room is heard by %q, want the second speaker", got)
	}
	c.do(t, chromedp.Click("#dialog .with-button button")) // a chord, by the same
	fails("HTMLMediaElement", "setSinkId")
	c.do(t, speaker("Fake Audio Output 1"), until(complains("That speaker cannot be used.")), until(shown+` === "Fake Audio Output 2"`))
	c.screenshot(t, "no-speaker")
	c.do(t, chromedp.KeyEvent("\u001b"), until(`!document.querySelector("dialog[open]")`))
}
