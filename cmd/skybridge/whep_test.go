package main

import (
	"context"
	"fmt"
	"image/color"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// watchPage is the page of the manual, which so is known to work.
func watchPage(t *testing.T, endpoint string) *httptest.Server {
	t.Helper()
	manual, err := os.ReadFile("../../docs/manual/streaming.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(manual), "```html\n")
	page, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("the manual has no page")
	}
	page = strings.Replace(page, "https://HOST:8443/whep/ROOM", endpoint, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write([]byte(page)) // the browser has gone
	}))
	t.Cleanup(server.Close)
	return server
}

// script runs statements in the page.
func script(statements string) chromedp.Action[chromedp.Void] {
	run := chromedp.Evaluate[bool]("(() => { " + statements + "; return true })()")
	return func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := run(ctx, t)
		return chromedp.Void{}, err
	}
}

// TestWHEP publishes a colour and a tone by WHIP with aiortc, and watches them by
// WHEP with a real browser, in a page of another origin.
func TestWHEP(t *testing.T) {
	needAiortc(t)
	p := startProgram(t, "serve", "--adhoc", "--adhoc-layout", "1+0", "--rtp-ports", "43600-43699")

	offer := "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\n" +
		"a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\na=setup:actpass\r\na=rtcp-mux\r\na=recvonly\r\n" +
		"a=fingerprint:sha-256 " + strings.Repeat("00:", 31) + "00\r\na=rtpmap:111 opus/48000/2\r\n"
	early, err := insecure.Post(p.Web+"/whep/studio", "application/sdp", strings.NewReader(offer))
	if err != nil {
		t.Fatal(err)
	}
	_ = early.Body.Close()
	if early.StatusCode != http.StatusConflict || early.Header.Get("Retry-After") == "" {
		t.Errorf("before anybody is there: %s, want 409 and when to try again", early.Status)
	}

	red := color.RGBA{200, 30, 30, 255}
	w := startPublisher(t, p.Web+"/whip/studio?name=camera", "video/H264", hex(red), "700")
	wantRoster(t, 5*time.Second, "studio", "camera", p)
	c := startChromium(t, watchPage(t, p.Web+"/whep/studio?name=lobby").URL, "#00ff00", "640x360", 300)
	wantRoster(t, 10*time.Second, "studio", "camera lobby", p)
	c.do(t, until(`document.getElementById("far").videoWidth > 0`))
	eventually(t, 15*time.Second, func() error {
		img, err := c.seen(t)
		if err != nil {
			return err
		}
		for _, x := range []float64{0.1, 0.5, 0.9} { // a viewer has no tile: the publisher fills the picture
			if got := at(img, x, 0.4); !near(got, red) {
				return fmt.Errorf("the picture is %v at %v of its width, want %v", got, x, red)
			}
		}
		return nil
	})
	eventually(t, 15*time.Second, func() error {
		levels, err := c.heard(t, []float64{700, 1900})
		if err == nil && (levels[0] < -50 || levels[0] < levels[1]+20) {
			err = fmt.Errorf("700 Hz at %.0f dB, 1900 Hz at %.0f", levels[0], levels[1])
		}
		return err
	})
	if got, err := c.codecs(); err != nil || got != "inbound video/H264" && got != "inbound video/VP8" {
		t.Errorf("the browser says %q, %v", got, err)
	}
	if got := p.metric(t, `skybridge_participant_calls{protocol="whep"}`); got != 1 {
		t.Errorf("%v calls by WHEP, want 1", got)
	}

	// Two more viewers cost no encoder: they get what the first one gets.
	c.do(t, script(`for (let i = 0; i < 2; i++) { const f = document.createElement("iframe"); f.src = "/"; f.allow = "autoplay"; document.body.append(f); }`))
	wantRoster(t, 15*time.Second, "studio", "camera lobby lobby lobby", p)
	c.do(t, until(`[...document.querySelectorAll("iframe")].every((f) => f.contentDocument.getElementById("far")?.videoWidth > 0)`))
	eventually(t, 20*time.Second, func() error { // they begin at a lower bitrate, and rise
		for _, kind := range []string{"video", "full_mix"} {
			if n := p.metric(t, `skybridge_bridge_encode_groups{kind="`+kind+`"}`); n != 1 {
				return fmt.Errorf("%v encode groups of %s for three viewers, want 1", n, kind)
			}
		}
		return nil
	})

	// A page that is left says goodbye.
	c.do(t, script(`document.querySelector("iframe").remove()`))
	wantRoster(t, 5*time.Second, "studio", "camera lobby lobby", p)

	// The last one who is seen goes, and so do those who saw.
	if answers := w.end(t); answers != "200 404" {
		t.Errorf("DELETE and DELETE again: %s, want 200 404", answers)
	}
	eventually(t, 20*time.Second, func() error {
		r, err := p.roster("studio")
		if err == nil && r != nil {
			err = fmt.Errorf("the conference goes on: %v", r)
		}
		return err
	})
	c.do(t, until(`["disconnected", "failed", "closed"].includes(window.connections[0].connectionState)`))
}

// restartICE watches, trickles and restarts ICE as a player does, and returns what
// happened.
const restartICE = `(async () => {
  const pc = new RTCPeerConnection(), found = [];
  pc.onicecandidate = (e) => { if (e.candidate?.candidate) found.push("a=" + e.candidate.candidate); };
  for (const kind of ["audio", "video"]) pc.addTransceiver(kind, { direction: "recvonly" });
  await pc.setLocalDescription();
  const posted = await fetch("/whep/studio", { method: "POST", headers: { "Content-Type": "application/sdp" }, body: pc.localDescription.sdp });
  const answer = await posted.text(), session = posted.headers.get("Location");
  await pc.setRemoteDescription({ type: "answer", sdp: answer });
  const until = async (what, ok) => {
    for (let i = 0; i < 100; i++) {
      if (await ok()) return;
      await new Promise((r) => setTimeout(r, 100));
    }
    throw new Error("never: " + what);
  };
  const stats = async (type) => [...(await pc.getStats()).values()].filter((s) => s.type === type);
  const received = async () => (await stats("inbound-rtp")).reduce((n, s) => n + s.packetsReceived, 0);
  await until("media", async () => await received() > 20);
  const credentials = (sdp) => ["ufrag", "pwd"].map((k) => sdp.match(new RegExp("^a=ice-" + k + ":.*$", "m"))[0].trim());
  const fragment = () => [...credentials(pc.localDescription.sdp), "m=audio 9 UDP/TLS/RTP/SAVPF 0", "a=mid:0", ...found, ""].join("\r\n");
  const patch = (match, body) => fetch(session, { method: "PATCH", headers: { "Content-Type": "application/trickle-ice-sdpfrag", "If-Match": match }, body });
  const etag = posted.headers.get("ETag");
  const trickled = await patch(etag, fragment());
  await pc.setLocalDescription(await pc.createOffer({ iceRestart: true }));
  const restarted = await patch("*", fragment()), theirs = await restarted.text();
  let again = answer;
  credentials(answer).forEach((was, i) => { again = again.replaceAll(was, credentials(theirs)[i]); });
  await pc.setRemoteDescription({ type: "answer", sdp: again });
  const ours = credentials(pc.localDescription.sdp)[0].slice("a=ice-ufrag:".length);
  await until("the new path", async () => (await stats("transport"))[0].iceLocalUsernameFragment === ours && pc.iceConnectionState === "connected");
  const before = await received();
  await until("media on it", async () => await received() > before + 20);
  const stale = await patch(etag, fragment());
  const gone = await fetch(session, { method: "DELETE" });
  return [posted.status, trickled.status, restarted.status, /^a=ice-lite/m.test(theirs), restarted.headers.get("ETag") !== etag,
    stale.status, gone.status, /a=sendonly/.test(answer) && !/a=sendrecv/.test(answer)].join(" ");
})()`

// TestWHEPRestart lets a real browser trickle candidates and restart ICE by PATCH.
func TestWHEPRestart(t *testing.T) {
	needAiortc(t)
	p := startProgram(t, "serve", "--adhoc", "--rtp-ports", "43500-43519")
	w := startPublisher(t, p.Web+"/whip/studio", "video/VP8", "#c81e1e", "700")
	c := startChromium(t, p.Web+"/", "#00ff00", "640x360", 300)
	got, err := try(c, chromedp.Evaluate[string](restartICE, chromedp.EvalAwaitPromise))
	if want := "201 204 200 true true 412 200 true"; err != nil || got != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	if n := p.metric(t, "skybridge_webrtc_ice_restarts_total"); n != 1 {
		t.Errorf("%v ICE restarts, want 1", n)
	}
	w.end(t)
}

// TestTokens wants the tokens of the files, and no others.
func TestTokens(t *testing.T) {
	file := t.TempDir() + "/token"
	if err := os.WriteFile(file, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := startProgram(t, "serve", "--adhoc", "--whip-token-file", file, "--whep-token-file", file, "--rtp-ports", "43700-43719")
	for _, protocol := range []string{"whip", "whep"} {
		for token, want := range map[string]int{"": http.StatusUnauthorized, "wrong": http.StatusUnauthorized, "s3cret": http.StatusBadRequest} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.Web+"/"+protocol+"/studio", strings.NewReader("rubbish"))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/sdp")
			r.Header.Set("Authorization", "Bearer "+token)
			resp, err := insecure.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.StatusCode != want {
				t.Errorf("%s with token %q: %s, want %d", protocol, token, resp.Status, want)
			}
		}
	}
}

// TestWHEPPIN watches rooms with PINs: with any of them, and without where guests
// need none. What a PIN is for does not matter: nobody is there to be watched.
func TestWHEPPIN(t *testing.T) {
	p := startWithRooms(t, "--rtp-ports", "43720-43739")
	offer := strings.ReplaceAll(webOffer, "a=sendonly", "a=recvonly")
	for _, tt := range []struct{ path, want string }{
		{"/whep/vault", "401 pin"},
		{"/whep/vault?pin=0000", "403 pin"},
		{"/whep/vault?pin=2342", "409 not_live"},
		{"/whep/vault?pin=4711", "409 not_live"},
		{"/whep/council", "409 not_live"},
		{"/whep/council?pin=0000", "403 pin"},
	} {
		t.Run(tt.path, func(t *testing.T) {
			refusal{retry: strings.HasPrefix(tt.want, "409")}.post(t, p, tt.path, "application/sdp", offer, tt.want)
		})
	}
	host := newSeatWithPIN(t, p, "vault", "4711")
	refusal{retry: true}.post(t, p, "/whep/vault?pin=2342", "application/sdp", offer, "409 not_live") // waits for its host's media
	host.post(t, "start_conference", nil)
	resp, err := insecure.Post(p.Web+"/whep/vault?pin=4711", "application/sdp", strings.NewReader(offer))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		t.Errorf("once it has begun: %s", resp.Status)
	}
	host.participants(t, 2)
	host.post(t, "lock", nil)
	refusal{}.post(t, p, "/whep/vault?pin=4711", "application/sdp", offer, "403 locked")
}
