package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/actors/participant"
	"github.com/skybridge-media/skybridge/services/api"
)

// An event is one that a client received.
type event struct {
	name string
	data any
}

func (e event) String() string { return fmt.Sprint(e.name, " ", e.data) }

// listen opens an event stream over a real connection. The channel is closed
// when the stream ends.
func (c *client) listen(header ...string) <-chan event {
	c.Helper()
	server := httptest.NewServer(c.Server)
	ctx, cancel := context.WithCancel(context.Background())
	c.Cleanup(func() { cancel(); server.Close() })
	r, err := http.NewRequestWithContext(ctx, "GET", server.URL+root+"events?token="+c.token, nil)
	if err != nil {
		c.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		c.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" {
		c.Fatalf("got %s, %s", resp.Status, resp.Header.Get("Content-Type"))
	}
	events := make(chan event, 100)
	go func() {
		defer close(events)
		defer resp.Body.Close()
		var e event
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			key, value, _ := strings.Cut(lines.Text(), ": ")
			switch key {
			case "event":
				e.name = value
			case "data":
				if err := json.Unmarshal([]byte(value), &e.data); err != nil && ctx.Err() == nil {
					c.Errorf("data %q: %v", value, err)
				}
			case "":
				if e.name != "" {
					events <- e
				} else if value != "" {
					events <- event{name: "comment", data: value}
				}
				e = event{}
			}
		}
	}()
	return events
}

// next returns the next event, comments left out.
func (c *client) next(events <-chan event) event {
	c.Helper()
	for {
		select {
		case e, ok := <-events:
			if !ok {
				return event{name: "end"}
			}
			if e.name != "comment" {
				return e
			}
		case <-time.After(limit):
			c.Fatal("no event came")
		}
	}
}

// until skips to the next event of that name.
func (c *client) until(events <-chan event, name string) event {
	c.Helper()
	for {
		switch e := c.next(events); e.name {
		case name:
			return e
		case "end":
			c.Fatalf("the stream ended before %s", name)
		}
	}
}

func TestEvents(t *testing.T) {
	w := newWorld(t)
	c := w.join("Ada")
	events := c.listen("Last-Event-ID", "whatever-12")
	for _, want := range []string{"participant_sync_begin", "participant_create", "participant_sync_end", "conference_update", "layout", "stage"} {
		if got := c.next(events); got.name != want {
			t.Fatalf("got %v, want %s", got, want)
		}
	}

	bob := w.join("Bob")
	if e := c.next(events); e.name != "participant_create" || e.data.(map[string]any)["display_name"] != "Bob" {
		t.Errorf("Bob comes: got %v", e)
	}
	w.update(func(r *conference.Roster) {
		for _, p := range r.Participants {
			p.Audio, p.State = true, "connected"
		}
		r.Participants[1].Speaking, r.Speaker = true, bob.id
	})
	if e := c.until(events, "stage"); fmt.Sprint(e.data) != fmt.Sprintf("[map[participant_uuid:%s stage_index:0 vad:100] map[participant_uuid:%s stage_index:1 vad:0]]", bob.id, c.id) {
		t.Errorf("Bob speaks: got %v", e)
	}
	w.update(func(r *conference.Roster) { r.Locked = true })
	if e := c.next(events); e.name != "conference_update" || e.data.(map[string]any)["locked"] != true {
		t.Errorf("locked: got %v", e)
	}
	w.update(func(r *conference.Roster) { r.Layout = "adaptive" })
	if e := c.next(events); e.name != "layout" || e.data.(map[string]any)["view"] != "ac" {
		t.Errorf("layout: got %v", e)
	}
	w.update(func(r *conference.Roster) { r.Participants[0].AudioMuted = true })
	if e := c.next(events); e.name != "participant_update" || e.data.(map[string]any)["is_muted"] != "YES" {
		t.Errorf("muted: got %v", e)
	}
	w.update(func(r *conference.Roster) { r.Participants[0].Role = "guest" })
	if e := c.next(events); e.name != "participant_update" {
		t.Errorf("role: got %v", e)
	}
	if e := c.next(events); e.name != "refresh_token" || e.data != nil {
		t.Errorf("role: got %v", e)
	}
	c.until(events, "conference_update") // all guests are muted now
	bob.post(bob.me("client_mute"), "")
	if e := c.next(events); e.name != "participant_update" || e.data.(map[string]any)["is_client_muted"] != true {
		t.Errorf("client_mute: got %v", e)
	}
	w.update(func(r *conference.Roster) { r.Presenter = bob.id })
	if e := c.next(events); e.name != "participant_update" || e.data.(map[string]any)["is_presenting"] != "YES" {
		t.Errorf("Bob presents: got %v", e)
	}
	if e := c.next(events); e.name != "presentation_start" || fmt.Sprint(e.data) != "map[presenter_name:Bob presenter_uri: presenter_uuid:"+bob.id+"]" {
		t.Errorf("Bob presents: got %v", e)
	}
	w.update(func(r *conference.Roster) { r.Presenter = "" })
	if e := c.next(events); e.name != "participant_update" || e.data.(map[string]any)["is_presenting"] != "NO" {
		t.Errorf("Bob has presented: got %v", e)
	}
	if e := c.next(events); e.name != "presentation_stop" || e.data != nil {
		t.Errorf("Bob has presented: got %v", e)
	}
	bob.post("release_token", "")
	if e := c.next(events); e.name != "participant_delete" || e.data.(map[string]any)["uuid"] != bob.id {
		t.Errorf("Bob goes: got %v", e)
	}

	w.admitted[0].Signalling.Hangup(participant.Reason{Code: "disconnected", Text: "Disconnected by host"})
	if e := c.until(events, "disconnect"); e.data.(map[string]any)["reason"] != "Disconnected by host" {
		t.Errorf("disconnect: got %v", e)
	}
	if e := c.next(events); e.name != "end" {
		t.Errorf("after disconnect: got %v", e)
	}
}

func TestEventStreamLimit(t *testing.T) {
	w := newWorld(t, func(c *api.Config) { c.Streams = 1 })
	c := w.join("Ada")
	c.next(c.listen())
	if a := c.get("events"); a.Code != http.StatusTooManyRequests {
		t.Errorf("second stream: got %d %s", a.Code, a.Body)
	}
	if a := w.do("GET", root+"events?token=guess", ""); a.Code != http.StatusForbidden {
		t.Errorf("wrong token: got %d %s", a.Code, a.Body)
	}
	// A browser would not tell its page.
	a := w.do("GET", root+"events?token=guess", "", "Accept", "text/event-stream")
	if want := "event: disconnect\ndata: {\"reason\":\"Call disconnected\"}\n\n"; a.Code != http.StatusOK || !strings.HasSuffix(a.Body, want) ||
		a.Header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("got %d %v %q, want it to end with %q", a.Code, a.Header, a.Body, want)
	}
}

func TestHeartbeat(t *testing.T) {
	w := newWorld(t, func(c *api.Config) { c.Heartbeat = 5 * time.Millisecond })
	c := w.join("Ada")
	events := c.listen()
	beats := 0
	for beats < 3 {
		select {
		case e := <-events:
			if e.name == "comment" && e.data == "beat" {
				beats++
			}
		case <-time.After(limit):
			t.Fatal("no heartbeat")
		}
	}
}

func TestStreamOutlivesItsToken(t *testing.T) {
	w := newWorld(t)
	c := w.join("Ada")
	events := c.listen()
	c.until(events, "stage")
	for range 3 {
		c.token = c.post("refresh_token", "").Result.(map[string]any)["token"].(string)
	}
	w.join("Bob")
	if e := c.next(events); e.name != "participant_create" {
		t.Errorf("got %v", e)
	}
}

// The conference has a new owner: the streams go on with its rosters.
func TestConferenceMoves(t *testing.T) {
	w := newWorld(t)
	c := w.join("Ada")
	events := c.listen()
	c.until(events, "stage")
	old := w.conference
	w.mu.Lock()
	w.watching = nil
	w.roster.Epoch, w.roster.Version = 2, 0
	w.conference = w.spawn("conference2", w.conferenceActor)
	w.roster.Conference = conference.AddressOf(w.conference)
	w.mu.Unlock()
	w.stop(old)
	w.eventually("the watcher to subscribe again", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.watching) > 0
	})
	w.update(func(r *conference.Roster) { r.Locked = true })
	if e := c.until(events, "conference_update"); e.data.(map[string]any)["locked"] != true {
		t.Errorf("got %v", e)
	}
}

// Who opens a stream late is told who presents.
func TestPresenter(t *testing.T) {
	w := newWorld(t)
	c := w.join("Ada")
	w.update(func(r *conference.Roster) {
		r.Presenter = "sip-1"
		r.Participants = append(r.Participants, &conference.Participant{Id: "sip-1", Name: "Room 7", Protocol: "sip", Remote: "sip:room7@example.com", State: "connected"})
	})
	w.eventually("the roster", func() bool { return strings.Contains(c.get("participants").Body, "sip-1") })
	events := c.listen()
	e := c.until(events, "presentation_start")
	if fmt.Sprint(e.data) != "map[presenter_name:Room 7 presenter_uri:sip:room7@example.com presenter_uuid:sip-1]" {
		t.Errorf("got %v", e)
	}
	if a := c.post(c.me("take_floor"), ""); a.Code != http.StatusForbidden || a.Reason != "floor" || a.Result != "Another participant is presenting" {
		t.Errorf("take_floor: got %d %s", a.Code, a.Body)
	}
	// Its own presentation ends where it is told that somebody presents.
	w.update(func(r *conference.Roster) { r.Presenter = c.id })
	e = c.next(events)
	for !strings.HasPrefix(e.name, "presentation_") {
		e = c.next(events)
	}
	if e.name != "presentation_stop" {
		t.Errorf("Ada presents: got %v", e)
	}
}
