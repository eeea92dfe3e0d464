package api_test

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/actors/participant"
)

// say is what the conference would tell those who watch it.
func (w *world) say(msg any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, pid := range w.watching {
		w.System.Root.Send(pid, msg)
	}
}

func TestMessages(t *testing.T) {
	w := newWorld(t)
	ada, bob := w.join("Ada"), w.join("Bob")
	atAda, atBob := ada.listen(), bob.listen()
	ada.until(atAda, "stage")
	bob.until(atBob, "stage")

	w.say(&conference.Message{From: ada.id, Name: "Ada", Type: "text/plain", Payload: "to all"})
	w.say(&conference.Message{From: ada.id, Name: "Ada", To: bob.id, Type: "application/json", Payload: `{"a":1}`})
	w.say(&conference.Message{From: bob.id, Name: "Bob", To: "somebody else", Type: "text/plain", Payload: "secret"})
	w.say(&conference.Message{From: bob.id, Name: "Bob", To: ada.id, Type: "text/plain", Payload: "to Ada"})
	w.say(&conference.MoveCamera{From: ada.id, To: bob.id, Action: "start", Movements: []*conference.Movement{{Axis: "zoom", Direction: "in"}}, TimeoutMs: 1000})

	for _, want := range []string{
		"message_received map[direct:false origin:Ada payload:to all type:text/plain uuid:" + ada.id + "]",
		`message_received map[direct:true origin:Ada payload:{"a":1} type:application/json uuid:` + ada.id + "]",
		"fecc map[action:start movement:[map[axis:zoom direction:in]] timeout:1000]",
	} {
		if got := bob.next(atBob).String(); got != want {
			t.Errorf("Bob: got %s, want %s", got, want)
		}
	}
	// Her own, and what is for others, is not for Ada.
	if got, want := ada.next(atAda).String(), "message_received map[direct:true origin:Bob payload:to Ada type:text/plain uuid:"+bob.id+"]"; got != want {
		t.Errorf("Ada: got %s, want %s", got, want)
	}
}

// What is said while a client has no stream is told on the next one, once; what
// was said before it came is not.
func TestMessagesMissed(t *testing.T) {
	w := newWorld(t)
	first := w.join("Early")
	events := first.listen()
	first.until(events, "stage")
	w.say(&conference.Message{From: "x", Name: "X", Type: "text/plain", Payload: "before"})
	first.until(events, "message_received")

	c := w.join("Ada")
	const n = 250 // more than are remembered
	for i := range n {
		w.say(&conference.Message{From: "x", Name: "X", Type: "text/plain", Payload: fmt.Sprint(i)})
		if i%50 == 0 {
			first.until(events, "message_received")
		}
	}
	for first.until(events, "message_received").data.(map[string]any)["payload"] != fmt.Sprint(n-1) {
	}
	events = c.listen()
	for i := n - 200; i < n; i++ {
		if got := c.until(events, "message_received").data.(map[string]any)["payload"]; got != fmt.Sprint(i) {
			t.Fatalf("got message %v, want %d", got, i)
		}
	}
	events = c.listen()
	w.say(&conference.Message{From: "x", Name: "X", Type: "text/plain", Payload: "new"})
	if got := c.until(events, "message_received").data.(map[string]any)["payload"]; got != "new" {
		t.Errorf("on another stream: got %v", got)
	}
}

func TestMessageRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		t.Cleanup(func() { time.Sleep(3 * time.Second) })
		w := newWorld(t)
		c := w.join("Ada")
		body := `{"type":"text/plain","payload":"hi"}`
		for i := range 20 {
			if a := c.post("message", body); a.Code != http.StatusOK {
				t.Fatalf("message %d: got %d %s", i, a.Code, a.Body)
			}
		}
		if a := c.post("message", body); a.Code != http.StatusTooManyRequests || a.Reason != "rate" || a.Header.Get("Retry-After") != "1" {
			t.Errorf("one too many: got %d %s", a.Code, a.Body)
		}
		time.Sleep(time.Second)
		for i, want := range []int{200, 200, 429} {
			if a := c.post("message", body); a.Code != want {
				t.Errorf("a second later, message %d: got %d %s, want %d", i, a.Code, a.Body, want)
			}
		}
		for range 20 {
			c.post("participants/x/fecc", `{"action":"stop"}`)
		}
		if a := c.post("participants/x/fecc", `{"action":"stop"}`); a.Code != http.StatusTooManyRequests {
			t.Errorf("cameras: got %d %s", a.Code, a.Body)
		}
	})
}

func TestFarEndCamera(t *testing.T) {
	w := newWorld(t)
	ada, bob := w.join("Ada"), w.join("Bob")
	a := ada.post(ada.me("calls"), `{"call_type":"WEBRTC","sdp":"v=0 m=audio","fecc_supported":true}`)
	if m := await[*participant.SetCamera](w); !m.On {
		t.Error("the camera was not lent")
	}
	call := ada.me("calls/" + a.Result.(map[string]any)["call_uuid"].(string) + "/")
	if a := ada.post(call+"fecc", `{"action":"stop","movement":[]}`); a.Code != http.StatusOK || await[*conference.MoveCamera](w).To != bob.id {
		t.Errorf("got %d %s", a.Code, a.Body)
	}
	ada.post(call+"update", `{"fecc_supported":false}`)
	if m := await[*participant.SetCamera](w); m.On {
		t.Error("the camera was not taken back")
	}
	w.join("Carol")
	w.eventually("the third", func() bool { return ada.post(call+"fecc", `{"action":"stop"}`).Code == http.StatusForbidden })
}
