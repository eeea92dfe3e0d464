package api_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/skybridge-media/skybridge/actors/conference"
)

// Who waits outside knows of itself, and may do nothing to others, host or not.
func TestWaiting(t *testing.T) {
	w := newWorld(t)
	ada := w.join("Ada")
	ada.post("release_token", "")
	ada = w.join("Ada")
	atAda := ada.listen()
	ada.until(atAda, "stage")

	w.wait = conference.WaitLock
	a := w.do("POST", root+"request_token", `{"display_name":"Eve"}`)
	r := a.Result.(map[string]any)
	if r["current_service_type"] != "waiting_room" || r["service_type"] != "conference" {
		t.Fatalf("got %s", a.Body)
	}
	eve := &client{w, r["participant_uuid"].(string), r["token"].(string)}
	// Before the roster names her as after.
	if a := eve.post("unlock", ""); a.Code != http.StatusForbidden || a.Reason != "role" {
		t.Errorf("unlock: got %d %s", a.Code, a.Body)
	}
	if e := ada.next(atAda); e.name != "participant_create" || e.data.(map[string]any)["service_type"] != "waiting_room" {
		t.Errorf("Ada: got %v", e)
	}
	for _, path := range []string{"unlock", "participants/" + eve.id + "/unlock", "disconnect", "participants/" + ada.id + "/disconnect"} {
		if a := eve.post(path, ""); a.Code != http.StatusForbidden || a.Reason != "role" {
			t.Errorf("%s: got %d %s", path, a.Code, a.Body)
		}
	}
	if a := eve.post("dial", `{"destination":"sip:a@b","protocol":"sip","role":"HOST"}`); a.Reason != "role" {
		t.Errorf("dial: got %d %s", a.Code, a.Body)
	}
	if list := eve.get("participants").Result.([]any); len(list) != 1 || list[0].(map[string]any)["uuid"] != eve.id {
		t.Errorf("participants: %v", list)
	}
	if a := eve.get("participants/" + ada.id + "/avatar.jpg"); a.Result != "No such participant" {
		t.Errorf("avatar: got %d %s", a.Code, a.Body)
	}
	atEve := eve.listen()
	for _, want := range []string{"participant_sync_begin", "participant_create", "participant_sync_end", "conference_update"} {
		if e := eve.next(atEve); e.name != want || want == "participant_create" && e.data.(map[string]any)["uuid"] != eve.id {
			t.Fatalf("Eve: got %v, want %s", e, want)
		}
	}
	w.say(&conference.Message{From: ada.id, Name: "Ada", Type: "text/plain", Payload: "secret"})
	w.update(func(r *conference.Roster) { r.Presenter, r.Layout, r.Speaker = ada.id, "2x2", ada.id })
	w.update(func(r *conference.Roster) { r.Locked = true })
	if e := eve.next(atEve); e.name != "conference_update" {
		t.Errorf("Eve: got %v", e)
	}

	w.update(func(r *conference.Roster) { r.Participants[1].Waiting = "" })
	var got []string
	for range 5 {
		e := eve.next(atEve)
		got = append(got, e.name)
		if e.name == "participant_update" && e.data.(map[string]any)["service_type"] != "conference" {
			t.Errorf("let in: %v", e)
		}
	}
	if fmt.Sprint(got) != "[participant_create participant_update layout stage presentation_start]" {
		t.Errorf("let in: got %v", got)
	}
	if a := eve.post("unlock", ""); a.Code != http.StatusOK {
		t.Errorf("unlock, let in: got %d %s", a.Code, a.Body)
	}
}

// What was said while somebody waited is not told it after it was let in, whether
// it had an event stream then or not.
func TestSaidWhileWaiting(t *testing.T) {
	w := newWorld(t)
	ada := w.join("Ada")
	atAda := ada.listen()
	ada.until(atAda, "stage")
	w.wait = conference.WaitLock
	eve := w.join("Eve")
	ada.until(atAda, "participant_create")
	say := func(what string) {
		w.say(&conference.Message{From: "x", Name: "X", Type: "text/plain", Payload: what})
		ada.until(atAda, "message_received")
	}
	say("secret")
	w.say(&conference.Message{From: ada.id, Name: "Ada", To: eve.id, Type: "text/plain", Payload: "to Eve"})
	w.update(func(r *conference.Roster) { r.Participants[1].Waiting = "" })
	ada.until(atAda, "participant_update")
	say("to all")
	atEve := eve.listen()
	for _, want := range []string{"to Eve", "to all"} {
		if got := eve.until(atEve, "message_received").data.(map[string]any)["payload"]; got != want {
			t.Errorf("got %v, want %s", got, want)
		}
	}
}

func TestNotStarted(t *testing.T) {
	w := newWorld(t)
	c := w.join("Ada")
	w.update(func(r *conference.Roster) { r.WaitsForHost = true })
	w.eventually("the news", func() bool {
		return c.get("conference_status").Result.(map[string]any)["started"] == false
	})
}
