package main

import (
	"encoding/json"
	"fmt"
	"net/http"
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
