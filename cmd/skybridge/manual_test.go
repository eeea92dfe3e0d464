package main

import (
	"fmt"
	"image/color"
	"net/url"
	"regexp"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// TestManualJavaScript runs the application that the manual prints, as it stands
// there, from another origin than the server's.
func TestManualJavaScript(t *testing.T) {
	needPeer(t, "chromium", "ffmpeg", "sox", "node", "npm")
	manual := read(t, "../../docs/manual/javascript-client.md")
	file := func(name, language string) []byte {
		m := regexp.MustCompile("(?s)`" + regexp.QuoteMeta(name) + "`:\n\n```" + language + "\n(.*?)```").FindSubmatch(manual)
		if m == nil {
			t.Fatalf("the manual has no %s", name)
		}
		return m[1]
	}
	p := startProgram(t, "serve", "--config", pinRooms(t), "--adhoc", "--adhoc-layout", "2x2", "--rtp-ports", "44000-44999")
	site := serveInfinity(t, p, "/join.html", file("join.html", "html"), "/join.bundle.js", file("join.js", "js"))
	red, blue := color.RGBA{200, 30, 30, 255}, color.RGBA{30, 50, 200, 255}
	phone := dialColour(t, p, "standup", "phone", 500, red)
	query := url.Values{"room": {"standup"}, "name": {"Ann"}, "server": {p.Web}}
	c := startChromium(t, site.URL+"/join.html?"+query.Encode(), hex(blue), "640x360", 1100)
	c.do(t, until(`document.getElementById("far").videoWidth > 0`))
	page := endpoint{"Ann", 1100, blue, c.heard, c.seen}
	ringer := endpoint{name: "phone", hz: 500, color: red}
	expect(t, "joined", []endpoint{page}, []endpoint{ringer}, []endpoint{ringer}, tilesOf(t, "2x2")[:1])
	phone.hears(t, 1100, true)

	shown := func(people string) chromedp.Action[chromedp.Void] {
		return until(fmt.Sprintf(`Array.from(document.querySelectorAll("#people li"), (p) => p.textContent).sort().join(", ") === %s`, quote(people)))
	}
	operator := newSeat(t, p, "standup")
	ids := operator.participants(t, 3)
	c.do(t, shown("Ann, operator, phone"))
	operator.post(t, "participants/"+ids["phone"]+"/mute", nil)
	operator.post(t, "participants/"+ids["operator"]+"/buzz", nil)
	c.do(t, shown("Ann, operator ✋, phone (muted)"))

	c.do(t, chromedp.Click("#leave"))
	operator.participants(t, 2)
	c.do(t, chromedp.Reload(), until(`document.getElementById("far").videoWidth > 0`))
	ids = operator.participants(t, 3)
	operator.post(t, "participants/"+ids["Ann"]+"/disconnect", nil)
	c.do(t, until(`document.getElementById("said").textContent === "Disconnected by another participant (#pex124)"`))
	c.do(t, chromedp.Reload(), until(`document.getElementById("far").videoWidth > 0`), chromedp.Navigate("about:blank"))
	wantRoster(t, 4*time.Second, "standup", "phone operator", p) // a page that is closed takes leave, or media would be missed 5 s later

	// It asks for a PIN.
	query.Set("room", "board")
	c.do(t, onEveryPage(`window.prompt = () => "1234";`), chromedp.Navigate(site.URL+"/join.html?"+query.Encode()),
		until(`document.getElementById("far").videoWidth > 0`), shown("Ann"))
}
