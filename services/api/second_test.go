package api_test

import (
	"slices"
	"testing"

	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/actors/node"
	"github.com/skybridge-media/skybridge/actors/participant"
)

// second places a call beside the client's own.
func (c *client) second(present string) (id string, far *fakeCall) {
	c.Helper()
	a := c.post(c.me("calls"), `{"call_type":"WEBRTC","sdp":"v=0 m=video","present":"`+present+`"}`)
	if a.Code != 200 {
		c.Fatalf("%s: %d %s", present, a.Code, a.Body)
	}
	return a.Result.(map[string]any)["call_uuid"].(string), c.media.last(c.T)
}

// holds waits until the node was told last that this is what the client takes.
func (c *client) holds(media, content bool) {
	c.Helper()
	c.eventually("what is leased", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return *c.leased[len(c.leased)-1] == node.Reserve{Call: participant.ID(c.id), Audio: media, Video: media, Content: content}
	})
}

func TestSecondCall(t *testing.T) {
	w := newWorld(t)
	c := w.join("Ada")
	first := c.call()
	firstFar := w.media.last(t)
	firstFar.Connected()
	await[*participant.Connect](w)
	c.holds(true, false)
	w.take()

	// One that receives.
	id, far := c.second("receive")
	c.holds(true, true)
	if id == first || far.Port != firstFar.Port || !far.Offer.Slides || !far.Viewer || far.Publisher {
		t.Errorf("the second call is %+v", far.Offer)
	}
	at := c.me("calls/" + id + "/")
	for path, body := range map[string]string{"ack": "", "new_candidate": `{"candidate":"candidate:1"}`, "statistics": "{}"} {
		if a := c.post(at+path, body); a.Code != 200 {
			t.Errorf("%s: %d %s", path, a.Code, a.Body)
		}
	}
	if !slices.Equal(far.candidates, []string{"candidate:1/"}) || len(firstFar.candidates) > 0 {
		t.Errorf("candidates %q, of the first call %q", far.candidates, firstFar.candidates)
	}
	if a := c.post(at+"update", `{"sdp":"v=0 m=video again","call_type":"WEBRTC","present":"receive"}`); a.Code != 200 || len(far.offers) != 2 || len(firstFar.offers) != 1 {
		t.Errorf("update: %d %s", a.Code, a.Body)
	}
	far.Connected()
	if m := await[*participant.SetMedia](w); !m.Audio || !m.Video {
		t.Errorf("media with a second call: %+v", m)
	}
	for _, m := range w.take() {
		switch m.(type) {
		case *conference.TakeFloor, *conference.ReleaseFloor, *participant.Connect:
			t.Errorf("who only receives had %T said", m)
		}
	}

	// The first one may end, and come again without slides.
	c.post(c.me("calls/"+first+"/disconnect"), "")
	c.holds(false, true)
	if far.isClosed() {
		t.Error("the second call ended with the first")
	}
	a := c.post(c.me("calls"), `{"call_type":"WEBRTC","sdp":"v=0 m=audio m=video slides"}`)
	if a.Code != 200 || w.media.last(t).Content != nil {
		t.Errorf("a call with slides beside another: %d %s", a.Code, a.Body)
	}
	c.holds(true, true)

	// One that sends takes its place.
	firstFar = w.media.last(t)
	sends, sender := c.second("send")
	if m := await[*conference.TakeFloor](w); m.Id != c.id || m.Force {
		t.Errorf("the floor: %+v", m)
	}
	if !far.isClosed() || !sender.Publisher || sender.Viewer || !sender.Offer.Slides {
		t.Errorf("the one before closed: %v; now %+v", far.isClosed(), sender.Offer)
	}
	if a := c.post(at+"disconnect", ""); a.Code != 200 || sender.isClosed() {
		t.Errorf("disconnect of what was replaced: %d %s", a.Code, a.Body)
	}
	c.holds(true, true)

	// And ends.
	if a := c.post(c.me("calls/"+sends+"/disconnect"), ""); a.Code != 200 || !sender.isClosed() {
		t.Errorf("disconnect: %d %s", a.Code, a.Body)
	}
	if m := await[*conference.ReleaseFloor](w); m.Id != c.id {
		t.Errorf("released: %+v", m)
	}
	c.holds(true, false)
	if a := c.post(c.me("calls/"+sends+"/ack"), ""); a.Code != 403 {
		t.Errorf("ack after disconnect: %d %s", a.Code, a.Body)
	}
	if firstFar.isClosed() {
		t.Error("the first call ended with the second")
	}

	// The participant takes both with it.
	_, far = c.second("receive")
	c.post("release_token", "")
	w.eventually("both to close", func() bool { return far.isClosed() && firstFar.isClosed() })
}

// TestSecondCallLost gives the floor back; browsers say afterwards that they have
// hung up.
func TestSecondCallLost(t *testing.T) {
	w := newWorld(t)
	c := w.join("Ada")
	c.call()
	id, far := c.second("send")
	far.Ended("closed")
	await[*conference.ReleaseFloor](w)
	c.holds(true, false)
	if a := c.post(c.me("calls/"+id+"/disconnect"), "{}"); a.Code != 200 {
		t.Errorf("disconnect: %d %s", a.Code, a.Body)
	}
	if a := c.get("participants"); a.Code != 200 {
		t.Errorf("the seat went with it: %d %s", a.Code, a.Body)
	}
}

// TestSecondCallAlone: a client without a call of its own has media by it.
func TestSecondCallAlone(t *testing.T) {
	w := newWorld(t)
	c := w.join("Ada")
	_, far := c.second("receive")
	c.holds(false, true)
	far.Connected()
	if m := await[*participant.Connect](w); m.Port != far.Port {
		t.Error("the participant has another port than the call")
	}
}

func TestSecondCallRefused(t *testing.T) {
	w := newWorld(t)
	c := w.join("Ada")
	id := c.call()
	ask := func(present, sdp string, code int, text string) {
		t.Helper()
		a := c.post(c.me("calls"), `{"call_type":"WEBRTC","sdp":"`+sdp+`","present":"`+present+`"}`)
		if a.Code != code || a.Result != text {
			t.Errorf("%s %q: got %d %s, want %d %s", present, sdp, a.Code, a.Body, code, text)
		}
		c.holds(true, false)
	}
	ask("backwards", "v=0 m=video", 400, "present: want main, send or receive")
	ask("send", "rubbish", 400, "webrtc: sdp: broken")
	w.fill(true)
	ask("send", "v=0 m=video", 503, "capacity exceeded")
	w.fill(false)
	for _, m := range w.take() {
		if m, ok := m.(*conference.TakeFloor); ok {
			t.Errorf("a call that was not answered took the floor: %+v", m)
		}
	}
	ask("send", "v=0 m=video UNANSWERABLE", 400, "webrtc: sdp: broken")
	await[*conference.TakeFloor](w)
	await[*conference.ReleaseFloor](w)

	// As take_floor: somebody else presents.
	w.update(func(r *conference.Roster) { r.Presenter = "bob" })
	ask("send", "v=0 m=video", 403, "Another participant is presenting")
	// What there is stays then.
	second, far := c.second("receive")
	for _, sdp := range []string{"v=0 m=video", "rubbish"} {
		if a := c.post(c.me("calls"), `{"call_type":"WEBRTC","sdp":"`+sdp+`","present":"send"}`); a.Code == 200 {
			t.Errorf("%s: %s", sdp, a.Body)
		}
		c.holds(true, true)
	}
	if far.isClosed() {
		t.Error("a call that was refused has replaced another")
	}
	c.post(c.me("calls/"+second+"/disconnect"), "")
	c.holds(true, false)

	// It would have two streams for the same.
	if a := c.post(c.me("calls/"+id+"/update"), `{"sdp":"v=0 m=audio m=video slides"}`); a.Code != 200 {
		t.Fatalf("update: %d %s", a.Code, a.Body)
	}
	a := c.post(c.me("calls"), `{"call_type":"WEBRTC","sdp":"v=0 m=video","present":"receive"}`)
	if a.Code != 400 || a.Result != "present: the call has a section for presentations already" {
		t.Errorf("got %d %s", a.Code, a.Body)
	}
}
