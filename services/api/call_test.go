package api_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skybridge-media/skybridge/actors/node"
	"github.com/skybridge-media/skybridge/actors/participant"
	"github.com/skybridge-media/skybridge/codecs/vp8"
	"github.com/skybridge-media/skybridge/media/port"
	"github.com/skybridge-media/skybridge/services/api"
)

const offer = `{"call_type":"WEBRTC","sdp":"v=0 m=audio m=video"}`

// call places a call and returns its id.
func (c *client) call() string {
	c.Helper()
	a := c.post(c.me("calls"), offer)
	if a.Code != http.StatusOK {
		c.Fatalf("calls: %d %s", a.Code, a.Body)
	}
	r := a.Result.(map[string]any)
	if r["sdp"] != "v=0 answer" {
		c.Errorf("calls: %s", a.Body)
	}
	return r["call_uuid"].(string)
}

// The conference is told who sees presentations apart: whoever has a stream for
// them, and has not asked to see them in the composed picture.
func TestSlidesApart(t *testing.T) {
	w := newWorld(t)
	c := w.join("Ada")
	c.call()
	far := w.media.last(t)
	far.Connected()
	wants := func(want bool, when string) {
		t.Helper()
		if m := await[*participant.SetMedia](w); !m.Audio || !m.Video || m.Slides != want {
			t.Errorf("%s: got %+v, want slides %v", when, m, want)
		}
	}
	wants(false, "no stream")
	far.Port.SetContent(&port.Video{Codec: &vp8.VP8, SSRC: 7, Width: 1280, Height: 720, FrameRate: 15, MaxBitrate: 1e6})
	far.Connected()
	wants(true, "a stream")
	c.post(c.me("pres_in_mix"), `{"state":true}`)
	wants(false, "in the mix")
	c.post(c.me("pres_in_mix"), `{"state":false}`)
	wants(true, "apart again")
}

func TestCallLife(t *testing.T) {
	w := newWorld(t)
	c := w.join("Ada")
	id := c.call()
	at := c.me("calls/" + id + "/")
	if a := c.post(at+"ack", `{}`); a.Code != 200 || a.Result != true {
		t.Errorf("ack: %d %s", a.Code, a.Body)
	}
	if a := c.post(at+"new_candidate", `{"candidate":"candidate:1","mid":"0","ufrag":"u"}`); a.Code != 200 || a.Result != nil {
		t.Errorf("new_candidate: %d %s", a.Code, a.Body)
	}
	far := w.media.last(t)
	if got := strings.Join(far.candidates, " "); got != "candidate:1/u" {
		t.Errorf("candidates: %s", got)
	}

	far.Connected()
	if m := await[*participant.SetMedia](w); !m.Audio || !m.Video {
		t.Errorf("media: %+v", m)
	}
	if m := await[*participant.Connect](w); m.Port != far.Port {
		t.Error("the participant has another port than the call")
	}
	a := c.post(at+"update", `{"sdp":"v=0 again"}`)
	if r, _ := a.Result.(map[string]any); a.Code != 200 || r["sdp"] != "v=0 updated" || r["call_uuid"] != id {
		t.Errorf("update: %d %s", a.Code, a.Body)
	}
	if m := await[*participant.SetMedia](w); !m.Audio || m.Video {
		t.Errorf("media after update: %+v", m)
	}
	if a := c.post(at+"update", `{"fecc_supported":true}`); a.Code != 200 {
		t.Errorf("update without an offer: %d %s", a.Code, a.Body)
	}
	if a := c.post(at+"dtmf", `{"digits":"5"}`); a.Code != 200 || a.Result != true {
		t.Errorf("dtmf: %d %s", a.Code, a.Body)
	}
	if m := await[*participant.Pressed](w); m.Digit != '5' {
		t.Errorf("pressed %q", m.Digit)
	}
	if a := c.post(at+"statistics", `{"audio":{"rx_jitter":3,"rx_codec":"opus"}}`); a.Code != 200 || a.Result != nil {
		t.Errorf("statistics: %d %s", a.Code, a.Body)
	}

	// The client hangs up and keeps its seat; a second call uses the same port.
	if a := c.post(at+"disconnect", ""); a.Code != 200 || a.Result != nil {
		t.Errorf("disconnect: %d %s", a.Code, a.Body)
	}
	if !far.isClosed() {
		t.Error("the call is still open")
	}
	await[*participant.SetMedia](w)
	if a := c.post(at+"ack", `{}`); a.Code != 403 {
		t.Errorf("ack after disconnect: %d %s", a.Code, a.Body)
	}
	c.call()
	again := w.media.last(t)
	again.Connected()
	await[*participant.SetMedia](w)
	if again.Port != far.Port {
		t.Error("the second call has another port")
	}
	c.post("release_token", "")
	w.eventually("the call to close", again.isClosed)
	for _, m := range w.take() {
		if _, ok := m.(*participant.Connect); ok {
			t.Error("the participant was connected twice")
		}
	}
}

func TestCallRefused(t *testing.T) {
	w := newWorld(t)
	c := w.join("Ada")
	bob := w.join("Bob")
	id := c.call()
	tests := []struct {
		path, body string
		code       int
		text       string
	}{
		{c.me("calls"), `{}`, 400, "call_type: want WEBRTC"},
		{c.me("calls"), `{"call_type":"RTMP"}`, 403, "Not supported: RTMP"},
		{c.me("calls"), `{"call_type":"WEBRTC"}`, 400, "sdp: missing"},
		{c.me("calls"), `{"call_type":"WEBRTC","sdp":3}`, 400, "sdp: must not be number"},
		{c.me("calls"), `{"call_type":"WEBRTC","sdp":"rubbish"}`, 400, "webrtc: sdp: broken"},
		{c.me("calls"), `{"call_type":"WEBRTC","sdp":"v=0 AMR"}`, 400, "no common codec"},
		{c.me("calls"), `{"call_type":"WEBRTC","sdp":"v=0","present":"other"}`, 400, "present: want main, send or receive"},
		{"participants/" + bob.id + "/calls", offer, 403, "Invalid token"},
		{c.me("calls/other/ack"), `{}`, 403, "No such call"},
		{c.me("calls/" + id + "/new_candidate"), `{}`, 400, "candidate: missing"},
		{c.me("calls/" + id + "/update"), `{"sdp":"rubbish"}`, 400, "webrtc: sdp: broken"},
		{c.me("calls/" + id + "/dtmf"), `{"digits":"12x"}`, 400, "digits: want 0-9, *, #, A-D"},
		{"participants/" + bob.id + "/calls/" + id + "/disconnect", "", 403, "Invalid token"},
	}
	for _, tt := range tests {
		if a := c.post(tt.path, tt.body); a.Code != tt.code || a.Result != tt.text || a.Status != "failed" {
			t.Errorf("%s %s: got %d %s, want %d %q", tt.path, tt.body, a.Code, a.Body, tt.code, tt.text)
		}
	}
	if w.media.last(t).isClosed() {
		t.Error("a refused request closed the call")
	}
}

// TestCallBeyondCapacity refuses media to somebody who is in without; what was
// there before stays.
func TestCallBeyondCapacity(t *testing.T) {
	w := newWorld(t)
	full := w.fill
	bob := w.join("Bob")
	c := w.join("Ada")
	full(true)
	if a := c.post(c.me("calls"), offer); a.Code != 503 || a.Result != "capacity exceeded" {
		t.Errorf("no room: got %d %s", a.Code, a.Body)
	}
	full(false)
	c.call()
	first := w.media.last(t)
	full(true)
	if a := bob.post(bob.me("calls"), offer); a.Code != 503 {
		t.Errorf("no room for another: got %d %s", a.Code, a.Body)
	}
	if first.isClosed() {
		t.Error("the first call was closed for want of room for another")
	}
	full(false)
	if a := bob.post(bob.me("calls"), `{"call_type":"WEBRTC","sdp":"v=0 UNANSWERABLE"}`); a.Code != 400 {
		t.Errorf("no answer: got %d %s", a.Code, a.Body)
	}
	bob.leases(false, false)
}

// leases waits until the node was told last that this is what the client takes.
func (c *client) leases(audio, video bool) {
	c.Helper()
	c.eventually("what is leased", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return *c.leased[len(c.leased)-1] == node.Reserve{Call: participant.ID(c.id), Audio: audio, Video: video}
	})
}

// TestVideoBeyondCapacity adds video to a call where there is no room for it,
// and again when there is.
func TestVideoBeyondCapacity(t *testing.T) {
	w := newWorld(t)
	c := w.join("Ada")
	a := c.post(c.me("calls"), `{"call_type":"WEBRTC","sdp":"v=0 m=audio"}`)
	id := a.Result.(map[string]any)["call_uuid"].(string)
	w.media.last(t).Connected()
	await[*participant.Connect](w)
	w.take()
	update := func(sdp string, code int, video bool) {
		t.Helper()
		a := c.post(c.me("calls/"+id+"/update"), `{"sdp":"`+sdp+`"}`)
		if a.Code != code || code == 503 && (a.Result != "capacity exceeded" || a.Reason != "capacity") {
			t.Errorf("%s: got %d %s, want %d", sdp, a.Code, a.Body, code)
		}
		if code == 200 {
			if m := await[*participant.SetMedia](w); !m.Audio || m.Video != video {
				t.Errorf("%s: media %+v, want video: %v", sdp, m, video)
			}
		}
		c.leases(true, video)
	}
	w.fill(true)
	update("v=0 m=audio m=video", 200, false)
	update("v=0 no audio m=video", 503, false) // there is nothing to go on with
	w.fill(false)
	update("v=0 m=audio m=video UNANSWERABLE", 400, false)
	update("v=0 m=audio m=video", 200, true)
	w.fill(true)
	update("v=0 m=audio m=video again", 200, true) // it has its place
	update("v=0 m=audio", 200, false)
	if w.media.last(t).isClosed() {
		t.Error("the call was closed")
	}
	if a := c.post(c.me("calls/"+id+"/disconnect"), ""); a.Code != 200 {
		t.Errorf("disconnect: %d %s", a.Code, a.Body)
	}
	c.leases(false, false)
}

// TestSlidesAreLeased while they flow, with the call that they are part of.
func TestSlidesAreLeased(t *testing.T) {
	w := newWorld(t)
	c := w.join("Ada")
	id := c.call()
	c.leases(true, true)
	leases := func(content bool) {
		t.Helper()
		c.eventually("what is leased", func() bool {
			w.mu.Lock()
			defer w.mu.Unlock()
			return *w.leased[len(w.leased)-1] == node.Reserve{Call: participant.ID(c.id), Audio: true, Video: true, Content: content}
		})
	}
	update := func(sdp string, granted bool) {
		t.Helper()
		if a := c.post(c.me("calls/"+id+"/update"), `{"sdp":"v=0 m=audio m=video `+sdp+`"}`); a.Code != 200 {
			t.Fatalf("%q: %d %s", sdp, a.Code, a.Body)
		}
		call := w.media.last(t)
		call.mu.Lock()
		defer call.mu.Unlock()
		if call.slides != granted {
			t.Errorf("%q: granted %v, want %v", sdp, call.slides, granted)
		}
	}
	w.fill(true)
	update("slides", false)
	leases(false)
	w.fill(false)
	update("slides", true)
	leases(true)
	update("slides again", true)
	leases(true)
	update("", false)
	leases(false)
	update("slides", true)
	c.post(c.me("calls/"+id+"/disconnect"), "")
	c.leases(false, false)
}

// TestLeaseOfCallThatNeverConnects: it has leased from its answer on.
func TestLeaseOfCallThatNeverConnects(t *testing.T) {
	for name, end := range map[string]func(c *client, id string){
		"hung up": func(c *client, id string) { c.post(c.me("calls/"+id+"/disconnect"), "") },
		"lost":    func(c *client, _ string) { c.media.last(c.T).Ended("timeout") },
	} {
		t.Run(name, func(t *testing.T) {
			c := newWorld(t).join("Ada")
			id := c.call()
			c.leases(true, true)
			end(c, id)
			c.leases(false, false)
		})
	}
}

func TestNewCallReplacesTheOld(t *testing.T) {
	w := newWorld(t)
	c := w.join("Ada")
	c.call()
	first := w.media.last(t)
	c.call()
	if !first.isClosed() || w.media.last(t).isClosed() {
		t.Error("want the first call closed and the second open")
	}
	first.Ended("closed") // late news of the first one
	if a := c.get("participants"); a.Code != 200 {
		t.Errorf("got %d %s", a.Code, a.Body)
	}
}

func TestCallLost(t *testing.T) {
	w := newWorld(t, api.QuickGrace)
	c := w.join("Ada")
	c.call()
	w.media.last(t).Ended("failed")
	if m := await[*participant.Ended](w); m.Reason.Code != "media_lost" {
		t.Errorf("the participant was told %+v", m)
	}
	if !w.media.last(t).isClosed() {
		t.Error("the call is still open")
	}
	if a := c.get("participants"); a.Code != http.StatusForbidden {
		t.Errorf("got %d %s", a.Code, a.Body)
	}
}

// Browsers close the connection before they say that they do.
func TestHangUpAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		t.Cleanup(func() { time.Sleep(3 * time.Second) }) // runs last: lets the dead-letter throttle run out
		w := newWorld(t)
		c := w.join("Ada")
		id := c.call()
		w.media.last(t).Ended("closed")
		if a := c.post(c.me("calls/"+id+"/disconnect"), ""); a.Code != 200 || a.Result != nil {
			t.Errorf("disconnect: %d %s", a.Code, a.Body)
		}
		time.Sleep(time.Minute) // the seat stays
		if a := c.get("participants"); a.Code != 200 {
			t.Errorf("a minute later: %d %s", a.Code, a.Body)
		}
	})
}

func TestWHIP(t *testing.T) {
	w := newWorld(t)
	sdp := []string{"Content-Type", "application/sdp"}
	a := w.do("POST", "/whip/standup?name=Camera%201", "v=0 m=audio m=video", sdp...)
	session, etag := a.Header.Get("Location"), a.Header.Get("ETag")
	if a.Code != http.StatusCreated || a.Body != "v=0 answer" || a.Header.Get("Content-Type") != "application/sdp" ||
		!strings.HasPrefix(session, "/whip/standup/") || len(etag) < 10 {
		t.Fatalf("got %d %q %v", a.Code, a.Body, a.Header)
	}
	if got := w.admitted[0]; got.Protocol != "whip" || got.Name != "Camera 1" || !got.Audio || !got.Video || got.API || got.Role != "" {
		t.Errorf("admitted %+v", got)
	}
	far := w.media.last(t)
	if !far.Publisher || far.Viewer {
		t.Errorf("answered as %+v", far.Offer)
	}
	far.Connected()
	await[*participant.Connect](w)

	patch := func(body string, header ...string) answer {
		return w.do("PATCH", session, body, append([]string{"Content-Type", "application/trickle-ice-sdpfrag"}, header...)...)
	}
	if a := patch("a=candidate:1", "If-Match", etag); a.Code != http.StatusNoContent {
		t.Errorf("trickle: %d %s", a.Code, a.Body)
	}
	if len(far.candidates) != 1 {
		t.Errorf("candidates: %v", far.candidates)
	}
	if a := patch("a=candidate:1"); a.Code != http.StatusPreconditionRequired {
		t.Errorf("without If-Match: %d %s", a.Code, a.Body)
	}
	if a := patch("a=candidate:1", "If-Match", `"other"`); a.Code != http.StatusPreconditionFailed {
		t.Errorf("with another tag: %d %s", a.Code, a.Body)
	}
	restarted := patch("a=ice-ufrag:x", "If-Match", "*")
	if restarted.Code != http.StatusOK || restarted.Body != "a=ice-ufrag:new" || restarted.Header.Get("ETag") == etag {
		t.Errorf("restart: %d %q %v", restarted.Code, restarted.Body, restarted.Header)
	}
	if a := patch("a=candidate:1", "If-Match", etag); a.Code != http.StatusPreconditionFailed {
		t.Errorf("with the tag before the restart: %d %s", a.Code, a.Body)
	}
	// RFC 9725 section 4.3.3: "any WHIP session receiving updated ice-pwd and
	// ice-ufrag attributes MUST consider the request as performing an ICE restart".
	etag = restarted.Header.Get("ETag")
	if a := patch("a=ice-ufrag:y\r\na=ice-pwd:yy\r\n", "If-Match", etag); a.Code != http.StatusOK || a.Header.Get("ETag") == etag {
		t.Errorf("new credentials: %d %q %v", a.Code, a.Body, a.Header)
	}
	if a := patch("a=ice-ufrag:z", "If-Match", `"*"`); a.Code != http.StatusOK {
		t.Errorf("any tag, as the examples quote it: %d %s", a.Code, a.Body)
	}
	if a := w.do("GET", session, ""); a.Code != http.StatusNoContent {
		t.Errorf("get: %d %s", a.Code, a.Body)
	}
	if a := w.do("PATCH", session, "x", "Content-Type", "text/plain", "If-Match", "*"); a.Code != http.StatusUnsupportedMediaType {
		t.Errorf("other content: %d %s", a.Code, a.Body)
	}
	if a := w.do("DELETE", session, ""); a.Code != http.StatusOK {
		t.Errorf("delete: %d %s", a.Code, a.Body)
	}
	await[*participant.Ended](w)
	w.eventually("the call to close", far.isClosed)
	if a := w.do("DELETE", session, ""); a.Code != http.StatusNotFound {
		t.Errorf("delete again: %d %s", a.Code, a.Body)
	}
}

func TestWHIPRefused(t *testing.T) {
	tests := []struct {
		name, method, path, content, body string
		code                              int
		header                            string // that must be set
	}{
		{"unknown alias", "POST", "/whip/nowhere", "application/sdp", "v=0", 404, ""},
		{"other content", "POST", "/whip/standup", "application/json", "{}", 415, "Accept-Post"},
		{"no content", "POST", "/whip/standup", "application/sdp", "", 400, ""},
		{"broken", "POST", "/whip/standup", "application/sdp", "rubbish", 400, ""},
		{"no codec", "POST", "/whip/standup", "application/sdp", "v=0 AMR", 406, ""},
		{"other direction", "POST", "/whip/standup", "application/sdp", "v=0 a=recvonly", 400, ""},
		{"get no session", "GET", "/whip/standup/x", "", "", 404, ""},
		{"put", "PUT", "/whip/standup", "application/sdp", "v=0", 405, "Allow"},
		{"post to a session", "POST", "/whip/standup/x", "application/sdp", "v=0", 405, "Allow"},
		{"patch nothing", "PATCH", "/whip/standup/x", "application/trickle-ice-sdpfrag", "a=x", 404, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			a := w.do(tt.method, tt.path, tt.body, "Content-Type", tt.content)
			if a.Code != tt.code || (tt.header != "" && a.Header.Get(tt.header) == "") {
				t.Errorf("got %d %s %v, want %d", a.Code, a.Body, a.Header, tt.code)
			}
			if !strings.HasPrefix(a.Header.Get("Content-Type"), "application/problem+json") || !json.Valid([]byte(a.Body)) {
				t.Errorf("problem details: %s %s", a.Header.Get("Content-Type"), a.Body)
			}
			for _, m := range w.take() {
				if _, ok := m.(*participant.Ended); ok {
					t.Error("somebody had been admitted")
				}
			}
		})
	}
}

func TestWHIPToken(t *testing.T) {
	w := newWorld(t, func(c *api.Config) { c.WHIPToken = "secret" })
	sdp := []string{"Content-Type", "application/sdp", "Authorization"}
	for _, bad := range []string{"", "Bearer guess", "Basic secret"} {
		a := w.do("POST", "/whip/standup", "v=0", append(sdp, bad)...)
		if a.Code != http.StatusUnauthorized || a.Header.Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("%q: got %d %v", bad, a.Code, a.Header)
		}
	}
	if a := w.do("POST", "/whip/standup", "v=0", append(sdp, "Bearer secret")...); a.Code != http.StatusCreated {
		t.Errorf("got %d %s", a.Code, a.Body)
	}
}

// A WHIP client whose media is lost is gone: nobody will call again for it.
func TestWHIPLost(t *testing.T) {
	w := newWorld(t)
	a := w.do("POST", "/whip/standup", "v=0", "Content-Type", "application/sdp")
	w.media.last(t).Ended("closed")
	await[*participant.Ended](w)
	if a := w.do("DELETE", a.Header.Get("Location"), ""); a.Code != http.StatusNotFound {
		t.Errorf("got %d %s", a.Code, a.Body)
	}
}
