package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestGuestsWait lets two phones into a room whose hosts have a PIN. They hear
// nothing of each other until a host starts the conference.
func TestGuestsWait(t *testing.T) {
	needPeer(t, "baresip", "Xvfb", "sox")
	p := startWithRooms(t, "--rtp-ports", "43700-43799")
	target := fmt.Sprintf("sip:council@%s", p.SIP)
	b1 := startBaresip(t, baresipConfig{name: "one", port: 5241, rate: 8000, toneHz: 500, color: "#c81e1e", display: 97, account: "audio_codecs=pcmu"}, target)
	b2 := startBaresip(t, baresipConfig{name: "two", port: 5251, rate: 8000, toneHz: 800, color: "#1eaa28", display: 98, account: "audio_codecs=pcmu"}, target)
	e1 := endpoint{name: "one", hz: 500, heard: b1.heard}
	e2 := endpoint{name: "two", hz: 800, heard: b2.heard}
	both := []endpoint{e1, e2}

	for _, b := range []*baresip{b1, b2} {
		b.press(t, "#") // guests need no PIN here
	}
	host := newSeatWithPIN(t, p, "council", "4711#")
	host.participants(t, 3)
	host.wantServiceType(t, "waiting_room", "one", "two")
	for _, e := range both {
		// Silence proves nothing at once: they are listened to for longer than it
		// takes to be heard.
		for range 3 {
			if err := hears(t, e, nil); err != nil {
				t.Errorf("waiting: %s: %v", e.name, err)
			}
		}
	}

	host.post(t, "start_conference", nil)
	host.wantServiceType(t, "conference", "one", "two")
	for _, e := range both {
		eventually(t, 20*time.Second, func() error { return hears(t, e, both) })
	}
}

// wantServiceType waits until the participants of those names are there.
func (s *seat) wantServiceType(t *testing.T, want string, names ...string) {
	t.Helper()
	eventually(t, 20*time.Second, func() error {
		result, err := s.try(http.MethodGet, "participants", nil)
		if err != nil {
			return err
		}
		var list []struct {
			Name string `json:"display_name"`
			Type string `json:"service_type"`
		}
		if err := json.Unmarshal(result, &list); err != nil {
			return err
		}
		types := map[string]string{}
		for _, p := range list {
			types[p.Name] = p.Type
		}
		for _, name := range names {
			if types[name] != want {
				return fmt.Errorf("%s is in %q of %v, want %q", name, types[name], types, want)
			}
		}
		return nil
	})
}

// TestMessageAndTransfer lets a host write to a guest, who hears it on its event
// stream, and send it to a room that it has no PIN for.
func TestMessageAndTransfer(t *testing.T) {
	p := startWithRooms(t, "--rtp-ports", "43800-43899")
	host := newSeatWithPIN(t, p, "council", "4711")
	guest := newSeatWithPIN(t, p, "council", "none")
	events := guest.listen(t)
	if _, err := guest.try(http.MethodPost, "message", map[string]any{"type": "text/plain", "payload": "let me in"}); err == nil {
		t.Error("a guest who waits was heard")
	}
	host.post(t, "start_conference", nil)
	host.post(t, "message", map[string]any{"type": "text/plain", "payload": "welcome"})
	if e := await(t, events, "message_received"); e["payload"] != "welcome" || e["origin"] != "operator" || e["direct"] != false {
		t.Errorf("heard %v", e)
	}

	newSeatWithPIN(t, p, "vault", "4711").post(t, "start_conference", nil)
	id := guest.id
	if _, err := host.try(http.MethodPost, "participants/"+id+"/transfer", map[string]any{"role": "guest", "conference_alias": "vault", "pin": "0000"}); err == nil {
		t.Error("transferred with a wrong PIN")
	}
	host.post(t, "participants/"+id+"/transfer", map[string]any{"role": "guest", "conference_alias": "vault", "pin": "2342"})
	refer := await(t, events, "refer")
	moved := &seat{base: p.Web + "/api/client/v2/conferences/" + refer["alias"].(string) + "/"}
	var r struct {
		Role string `json:"role"`
		Type string `json:"current_service_type"`
	}
	result := moved.post(t, "request_token", map[string]any{"display_name": "guest", "token": refer["token"]})
	if err := json.Unmarshal(result, &r); err != nil || r.Role != "GUEST" {
		t.Errorf("in the vault: %s", result)
	}
	if _, err := moved.try(http.MethodPost, "request_token", map[string]any{"display_name": "guest", "token": refer["token"]}); err == nil {
		t.Error("the token was good twice")
	}
}

// listen opens an event stream.
func (s *seat) listen(t *testing.T) <-chan serverEvent {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base+"events?token="+s.token, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := insecure.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	events := make(chan serverEvent, 100)
	go func() {
		defer resp.Body.Close()
		name := ""
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			key, value, _ := strings.Cut(lines.Text(), ": ")
			switch key {
			case "event":
				name = value
			case "data":
				e := serverEvent{name: name}
				_ = json.Unmarshal([]byte(value), &e.data) // others have lists and null
				select {
				case events <- e:
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	return events
}

type serverEvent struct {
	name string
	data map[string]any
}

// await returns the data of the next event of that name.
func await(t *testing.T, events <-chan serverEvent, name string) map[string]any {
	t.Helper()
	patience := time.After(20 * time.Second)
	for {
		select {
		case e := <-events:
			if e.name == name {
				return e.data
			}
		case <-patience:
			t.Fatalf("no %s", name)
		}
	}
}
