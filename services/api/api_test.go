package api_test

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/actors/node"
	"github.com/skybridge-media/skybridge/actors/participant"
	"github.com/skybridge-media/skybridge/services/api"
)

func TestRequestToken(t *testing.T) {
	w := newWorld(t)
	a := w.do("POST", root+"request_token", `{"display_name":" Ada\u202e\n ","call_tag":"x","direct_media":true,"brand_new":1}`)
	if a.Code != http.StatusOK || a.Status != "success" {
		t.Fatalf("got %d %s", a.Code, a.Body)
	}
	r := a.Result.(map[string]any)
	for k, want := range map[string]any{
		"display_name": "Ada", "conference_name": "standup", "role": "HOST", "expires": "120",
		"current_service_type": "conference", "call_tag": "x", "chat_enabled": true, "fecc_enabled": true, "guests_can_present": true,
	} {
		if r[k] != want {
			t.Errorf("%s: got %v, want %v", k, r[k], want)
		}
	}
	for _, k := range []string{"stun", "turn"} {
		if r[k] != nil {
			t.Errorf("%s: got %v, want none at all", k, r[k])
		}
	}
	if len(r["token"].(string)) < 40 || r["participant_uuid"] == "" {
		t.Errorf("token %v, participant %v", r["token"], r["participant_uuid"])
	}
	if got := w.admitted[0]; !got.API || got.Protocol != "webrtc" || got.Name != "Ada" || got.Signalling == nil {
		t.Errorf("the node was asked to admit %+v", got)
	}
}

func TestRequestTokenRefused(t *testing.T) {
	ok := `{"display_name":"Ada"}`
	tests := []struct {
		name, alias, body string
		refuse            any
		code              int
		reason, text      string
	}{
		{name: "unknown alias", alias: "nowhere", body: ok, code: 404, reason: "not_found", text: "Neither conference nor gateway found"},
		{name: "locked", body: ok, refuse: conference.ErrLocked, code: 403, reason: "locked", text: "The conference is locked"},
		{name: "locked, told by another node", body: ok, refuse: conference.Refuse(conference.ErrLocked), code: 403, reason: "locked"},
		{name: "full", body: ok, refuse: conference.ErrFull, code: 503, reason: "full", text: "Participant limit reached"},
		{name: "no capacity", body: ok, refuse: node.ErrCapacity, code: 503, reason: "capacity", text: "capacity exceeded"},
		{name: "draining", body: ok, refuse: node.ErrDraining, code: 503, reason: "maintenance", text: "System in maintenance mode"},
		{name: "out of reach", body: ok, refuse: node.ErrUnavailable, code: 503, reason: "unavailable"},
		{name: "broken inside", body: ok, refuse: fmt.Errorf("dial 10.0.0.7"), code: 500, reason: "internal", text: "internal error"},
		{name: "no name", body: `{}`, code: 400, reason: "invalid", text: "display_name: missing"},
		{name: "no body", body: ``, code: 400, reason: "invalid", text: "display_name: missing"},
		{name: "wrong type", body: `{"display_name":5}`, code: 400, reason: "invalid", text: "display_name: must not be number"},
		{name: "long name", body: `{"display_name":"` + strings.Repeat("é", 256) + `"}`, code: 400, reason: "invalid", text: "display_name: longer than 255 characters"},
		{name: "not JSON", body: `{"display_name"`, code: 400, reason: "invalid", text: "body: not JSON"},
		{name: "not an object", body: `[1]`, code: 400, reason: "invalid", text: "body: must not be array"},
		{name: "huge", body: `"` + strings.Repeat("x", 600<<10) + `"`, code: 413, reason: "invalid", text: "body: too large"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.refuse = tt.refuse
			alias := "standup"
			if tt.alias != "" {
				alias = tt.alias
			}
			a := w.do("POST", "/api/client/v2/conferences/"+alias+"/request_token", tt.body)
			if a.Code != tt.code || a.Status != "failed" || a.Reason != tt.reason || (tt.text != "" && a.Result != tt.text) {
				t.Errorf("got %d %s, want %d %s %q", a.Code, a.Body, tt.code, tt.reason, tt.text)
			}
			if retry := a.Header.Get("Retry-After"); (retry != "") != (tt.code == 503 && tt.reason != "full") {
				t.Errorf("Retry-After is %q", retry)
			}
		})
	}
	t.Run("other content", func(t *testing.T) {
		w := newWorld(t)
		if a := w.do("POST", root+"request_token", ok, "Content-Type", "text/plain"); a.Code != 415 {
			t.Errorf("got %d %s", a.Code, a.Body)
		}
	})
	t.Run("too many seats", func(t *testing.T) {
		w := newWorld(t, func(c *api.Config) { c.Seats = 1 })
		w.join("Ada")
		if a := w.do("POST", root+"request_token", ok); a.Code != 503 || a.Result != "capacity exceeded" {
			t.Errorf("got %d %s", a.Code, a.Body)
		}
	})
}

func TestConferenceOnAnotherNode(t *testing.T) {
	w := newWorld(t)
	w.refuse = &node.Redirect{Node: "b", Contacts: node.Contacts{HTTPS: "https://b.example:8443"}}
	a := w.do("POST", root+"request_token", `{"display_name":"Ada"}`)
	if a.Code != 503 || a.Reason != "elsewhere" || a.Alternate != "https://b.example:8443" ||
		a.Header.Get("Location") != "https://b.example:8443"+root+"request_token" {
		t.Errorf("got %d %s %v", a.Code, a.Body, a.Header)
	}
	a = w.do("POST", "/whip/standup?name=Cam", "v=0 m=audio", "Content-Type", "application/sdp")
	if a.Code != http.StatusTemporaryRedirect || a.Header.Get("Location") != "https://b.example:8443/whip/standup?name=Cam" {
		t.Errorf("WHIP: got %d %s %v", a.Code, a.Body, a.Header)
	}
	w.refuse = &node.Redirect{Node: "b"} // it does not listen for HTTPS
	if a = w.do("POST", root+"request_token", `{"display_name":"Ada"}`); a.Reason != "capacity" {
		t.Errorf("got %d %s", a.Code, a.Body)
	}
}

func TestTokens(t *testing.T) {
	w := newWorld(t)
	c := w.join("Ada")
	for name, a := range map[string]answer{
		"none":       w.do("GET", root+"participants", ""),
		"wrong":      w.do("GET", root+"participants", "", "token", "guess"),
		"other room": w.do("GET", "/api/client/v2/conferences/other/participants", "", "token", c.token),
	} {
		if a.Code != http.StatusForbidden || a.Result != "Invalid token" || a.Reason != "token" {
			t.Errorf("%s token: got %d %s", name, a.Code, a.Body)
		}
	}
	if a := w.do("GET", root+"participants?token="+c.token, ""); a.Code != http.StatusOK {
		t.Errorf("token in the query: got %d %s", a.Code, a.Body)
	}
	if a := w.do("GET", "/api/client/v2/conferences/STANDUP/participants", "", "token", c.token); a.Code != http.StatusOK {
		t.Errorf("alias in capitals: got %d %s", a.Code, a.Body)
	}
	first := c.token
	for range 2 {
		a := c.post("refresh_token", "")
		if a.Code != http.StatusOK {
			t.Fatalf("refresh: %d %s", a.Code, a.Body)
		}
		before := c.token
		c.token = a.Result.(map[string]any)["token"].(string)
		if a := w.do("GET", root+"participants", "", "token", before); a.Code != http.StatusOK {
			t.Errorf("the token before the refresh: got %d", a.Code)
		}
	}
	if a := w.do("GET", root+"participants", "", "token", first); a.Code != http.StatusForbidden {
		t.Errorf("the token before the last but one: got %d", a.Code)
	}
	if a := c.post("release_token", `{"reason":"bye"}`); a.Code != http.StatusOK || a.Result != true {
		t.Errorf("release: %d %s", a.Code, a.Body)
	}
	if m := await[*participant.Ended](w); m.Reason.Code != "hangup" {
		t.Errorf("the participant was told %+v", m)
	}
	if a := c.get("participants"); a.Code != http.StatusForbidden {
		t.Errorf("a released token: got %d", a.Code)
	}
}

func TestTokenExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		t.Cleanup(func() { time.Sleep(3 * time.Second) }) // runs last: lets the dead-letter throttle run out
		w := newWorld(t)
		c := w.join("Ada")
		for range 5 { // clients refresh every 40 s
			time.Sleep(100 * time.Second)
			c.token = c.post("refresh_token", "").Result.(map[string]any)["token"].(string)
		}
		time.Sleep(119 * time.Second)
		if a := c.get("participants"); a.Code != http.StatusOK {
			t.Errorf("a second early: got %d %s", a.Code, a.Body)
		}
		time.Sleep(2 * time.Second)
		if a := c.get("participants"); a.Code != http.StatusForbidden {
			t.Errorf("a second late: got %d %s", a.Code, a.Body)
		}
		if m := await[*participant.Ended](w); m.Reason.Code != "timeout" {
			t.Errorf("the participant was told %+v", m)
		}
	})
}

func TestDisconnectedByTheConference(t *testing.T) {
	w := newWorld(t)
	c := w.join("Ada")
	w.admitted[0].Signalling.Hangup(participant.Reason{Code: "disconnected", Text: "Disconnected by host"})
	if a := c.get("participants"); a.Code != http.StatusForbidden {
		t.Errorf("got %d %s", a.Code, a.Body)
	}
	for _, m := range w.take() {
		if _, ok := m.(*participant.Ended); ok {
			t.Error("the participant was told what it said itself")
		}
	}
}

// Every function, what the conference was told, and what the client.
func TestFunctions(t *testing.T) {
	w := newWorld(t)
	ada := w.join("Ada")
	bob := w.join("Bob")
	at := "participants/" + bob.id + "/"
	tests := []struct {
		path, body string
		code       int
		told       string // %T %+v of the message, shortened; empty for none
	}{
		{"lock", "", 200, "*conference.Lock on:true"},
		{"unlock", "", 200, "*conference.Lock"},
		{"muteguests", "", 200, "*conference.Mute on:true"},
		{"unmuteguests", "{}", 200, "*conference.Mute"},
		{"start_conference", "", 200, "*conference.Start"},
		{at + "unlock", "", 200, `*conference.LetIn id:"BOB"`},
		{"transform_layout", `{"transforms":{"layout":"4:0"}}`, 200, `*conference.SetLayout layout:"2x2"`},
		{"transform_layout", `{"transforms":{"layout":"ac"}}`, 200, `*conference.SetLayout layout:"adaptive"`},
		{"transform_layout", `{"transforms":{"layout":"1+7"}}`, 200, `*conference.SetLayout layout:"1+7"`},
		{"transform_layout", `{"transforms":{"layout":"7:7"}}`, 400, ""},
		{"transform_layout", `{"transforms":{"layout":7}}`, 400, ""},
		{"transform_layout", `{"transforms":{}}`, 501, ""},
		{"transform_layout", `{}`, 400, ""},
		{"dial", `{"destination":"carol@example.com","protocol":"auto","role":"HOST","remote_display_name":"Carol"}`, 200, "*node.Dial &{Alias:standup URI:sip:carol@example.com Name:Carol Role:host}"},
		{"dial", `{"destination":"SIPS:carol@example.com","protocol":"sip","role":"GUEST"}`, 200, "*node.Dial &{Alias:standup URI:sips:carol@example.com Name: Role:guest}"},
		{"dial", `{"destination":"carol","protocol":"sip","role":"HOST"}`, 400, ""},
		{"dial", `{"destination":"sip:a@b\r\nX: y","protocol":"sip","role":"HOST"}`, 400, ""},
		{"dial", `{"destination":"a@b","protocol":"h323","role":"HOST"}`, 400, ""},
		{"dial", `{}`, 400, ""},
		{at + "mute", "", 200, `*conference.Mute id:"BOB" on:true`},
		{at + "unmute", "", 200, `*conference.Mute id:"BOB"`},
		{at + "video_muted", "", 200, `*conference.MuteVideo id:"BOB" on:true`},
		{at + "video_unmuted", "", 200, `*conference.MuteVideo id:"BOB"`},
		{at + "spotlighton", "", 200, `*conference.Spotlight id:"BOB" on:true`},
		{at + "spotlightoff", "", 200, `*conference.Spotlight id:"BOB"`},
		{at + "buzz", "", 200, `*conference.RaiseHand id:"BOB" on:true`},
		{at + "clearbuzz", "", 200, `*conference.RaiseHand id:"BOB"`},
		{at + "role", `{"role":"guest"}`, 200, `*conference.SetRole id:"BOB" role:"guest"`},
		{at + "role", `{"role":"king"}`, 400, ""},
		{at + "disconnect", "", 200, `*conference.Disconnect id:"BOB" reason:"Disconnected by another participant"`},
		{"participants/nobody/disconnect", "", 404, `*conference.Disconnect id:"nobody" reason:"Disconnected by another participant"`},
		{ada.me("dtmf"), `{"digits":"1#"}`, 200, "*participant.Pressed &{Digit:49}"},
		{ada.me("dtmf"), `{"digits":"x"}`, 400, ""},
		{ada.me("dtmf"), `{}`, 400, ""},
		{at + "dtmf", `{"digits":"1"}`, 403, ""},
		{ada.me("client_mute"), "", 200, ""},
		{at + "client_mute", "", 403, ""},
		{ada.me("pres_in_mix"), `{"state":true}`, 200, ""},
		{ada.me("pres_in_mix"), `{}`, 400, ""},
		{at + "pres_in_mix", `{"state":true}`, 403, ""},
		{"disconnect", "", 200, `*conference.Disconnect reason:"Conference terminated by another participant"`},
		{"message", `{"type":"text/plain","payload":"hi"}`, 200, `*conference.SendMessage from:"ADA" type:"text/plain" payload:"hi"`},
		{"message", `{"type":"application/json","payload":"{\"a\":1}"}`, 200, `*conference.SendMessage from:"ADA" type:"application/json" payload:"{\"a\":1}"`},
		{"message", `{"type":"application/json","payload":"{"}`, 400, ""},
		{"message", `{"type":"text/html","payload":"hi"}`, 400, ""},
		{"message", `{"type":"text/plain"}`, 400, ""},
		{"message", `{"type":"text/plain","payload":"` + strings.Repeat("x", 8193) + `"}`, 400, ""},
		{at + "message", `{"type":"text/plain","payload":"hi"}`, 200, `*conference.SendMessage from:"ADA" to:"BOB" type:"text/plain" payload:"hi"`},
		{at + "fecc", `{"action":"start","target":"x","movement":[{"axis":"pan","direction":"left"}],"timeout":1000}`, 200, `*conference.MoveCamera from:"ADA" to:"BOB" action:"start" movements:{axis:"pan" direction:"left"} timeout_ms:1000`},
		{at + "fecc", `{"action":"start","timeout":10001}`, 400, ""},
		{at + "fecc", `{"action":"start","timeout":-1}`, 400, ""},
		{at + "fecc", `{"action":5}`, 400, ""},
		{ada.me("take_floor"), "", 200, `*conference.TakeFloor id:"ADA"`},
		{at + "take_floor", "", 200, `*conference.TakeFloor id:"BOB" force:true`},
		{ada.me("release_floor"), "", 200, `*conference.ReleaseFloor id:"ADA"`},
		{at + "transfer", "{}", 400, ""},
		{at + "transfer", `{"role":"host"}`, 400, ""},
		{at + "transfer", `{"role":"king","conference_alias":"other"}`, 400, ""},
		{at + "transfer", `{"role":"host","conference_alias":"other","pin":"wrong"}`, 403, "*node.Authorize &{Alias:other Role:host PIN:wrong Source:192.0.2.1}"},
		{at + "transfer", `{"role":"guest","conference_alias":"other"}`, 200, "*node.Authorize &{Alias:other Role:guest PIN: Source:192.0.2.1}"},
		{ada.me("preferred_aspect_ratio"), `{"aspect_ratio":1.7}`, 200, ""},
		{ada.me("preferred_aspect_ratio"), `{}`, 200, ""},
		{ada.me("preferred_aspect_ratio"), `{"aspect_ratio":0.5625}`, 403, ""},
		{ada.me("preferred_aspect_ratio"), `{"aspect_ratio":0}`, 400, ""},
		{at + "preferred_aspect_ratio", `{"aspect_ratio":1.7}`, 403, ""},
		{ada.me("notify_not_afk"), "", 200, ""},
		{at + "notify_not_afk", "", 403, ""},
		{at + "overlaytext", `{"text":" Chair\u202e "}`, 200, `*conference.SetOverlayText id:"BOB" text:"Chair"`},
		{at + "overlaytext", `{"text":""}`, 200, `*conference.SetOverlayText id:"BOB"`},
		{at + "overlaytext", `{}`, 400, ""},
		{"set_guests_can_unmute", `{"setting":false}`, 200, "*conference.SetGuestsCanUnmute"},
		{"set_guests_can_unmute", `{"setting":true}`, 200, "*conference.SetGuestsCanUnmute on:true"},
		{"set_guests_can_unmute", `{}`, 400, ""},
		{"breakouts/x/participants/y/mute", "", 403, ""},
		{"participants/breakout", "{}", 403, ""},
		{"leavebreakout", "", 501, ""},
		{ada.me("calls"), `{"call_type":"RTMP"}`, 403, ""},
		{"breakouts/x/lock", "", 501, ""},
		{"video_mixes/create", "{}", 501, ""},
		{"silent_video_detection", "{}", 501, ""},
		{"nonsense", "", 404, ""},
	}
	for _, tt := range tests {
		t.Run(strings.ReplaceAll(tt.path, bob.id, "BOB")+" "+tt.body[:min(len(tt.body), 60)], func(t *testing.T) {
			w.take()
			a := ada.post(tt.path, tt.body)
			if a.Code != tt.code {
				t.Errorf("got %d %s, want %d", a.Code, a.Body, tt.code)
			}
			want := "success"
			if tt.code != 200 {
				want = "failed"
			}
			if a.Status != want {
				t.Errorf("status %q, want %q", a.Status, want)
			}
			if tt.told != "" {
				w.eventually(tt.told, func() bool { return len(w.peek()) > 0 })
			}
			got := ""
			if told := w.take(); len(told) > 0 {
				got = strings.ReplaceAll(strings.TrimSpace(fmt.Sprintf("%T %+v", told[0], told[0])), bob.id, "BOB")
				got = strings.ReplaceAll(got, ada.id, "ADA")
				got = strings.ReplaceAll(got, "  ", " ")
			}
			if got != tt.told {
				t.Errorf("the actors were told %s, want %s", got, tt.told)
			}
		})
	}
}

func TestReading(t *testing.T) {
	w := newWorld(t)
	c := w.join("Ada")
	c.post(c.me("client_mute"), "")
	w.update(func(r *conference.Roster) {
		r.Locked, r.Presenter = true, "sip-1"
		r.Participants = append(r.Participants, &conference.Participant{
			Id: "sip-1", Name: "Room 7", Protocol: "sip", Remote: "sip:room7@example.com", State: "connected", Audio: true, Video: true,
			AudioMuted: true, HandRaised: true, Spotlight: true, Held: true, Role: "guest", Outgoing: true, JoinedUnixMs: 1_700_000_002_000,
			Slides: true,
		}, &conference.Participant{Id: "sip-2", Protocol: "sip", State: "connected", Audio: true, Video: true},
			&conference.Participant{Id: "sip-3", Protocol: "sip", State: "connected", Audio: true})
	})
	w.eventually("the others", func() bool {
		list, _ := c.get("participants").Result.([]any)
		return len(list) == 4
	})
	list := c.get("participants").Result.([]any)
	ada, room := list[0].(map[string]any), list[1].(map[string]any)
	for k, want := range map[string]any{"protocol": "api", "has_media": false, "is_client_muted": true, "is_muted": "NO", "role": "chair", "uri": "", "encryption": "On", "service_type": "conference"} {
		if ada[k] != want {
			t.Errorf("Ada's %s: got %v, want %v", k, ada[k], want)
		}
	}
	for k, want := range map[string]any{
		"protocol": "sip", "has_media": true, "is_muted": "YES", "is_video_call": "YES", "role": "guest", "call_direction": "out",
		"uri": "sip:room7@example.com", "is_on_hold": true, "is_presenting": "YES", "start_time": 1_700_000_002.0,
	} {
		if room[k] != want {
			t.Errorf("the room's %s: got %v, want %v", k, room[k], want)
		}
	}
	// Who sees what is presented in the composed picture: one picture, and no other.
	for i, want := range []bool{false, false, true, false} {
		if got := list[i].(map[string]any)["needs_presentation_in_mix"]; got != want {
			t.Errorf("%v: needs_presentation_in_mix is %v, want %v", list[i].(map[string]any)["uuid"], got, want)
		}
	}
	if room["buzz_time"].(float64) == 0 || room["spotlight"].(float64) == 0 {
		t.Errorf("hand %v, spotlight %v", room["buzz_time"], room["spotlight"])
	}
	status := c.get("conference_status").Result.(map[string]any)
	if status["locked"] != true || status["started"] != true || status["guests_muted"] != true || status["all_muted"] != false {
		t.Errorf("conference_status: %v", status)
	}
	if got := fmt.Sprint(c.get("available_layouts?annotate=false").Result); got != "[1:0 1:7 4:0 9:0 16:0 ac]" {
		t.Errorf("layouts: %s", got)
	}
	if a := c.get("available_layouts?annotate=true"); !strings.Contains(a.Body, `{"name":"1:7","tags":[]}`) {
		t.Errorf("annotated layouts: %s", a.Body)
	}
	if a := c.get(c.me("avatar.jpg")); a.Code != 404 || a.Result != "No image available" {
		t.Errorf("avatar: %d %s", a.Code, a.Body)
	}
	if a := c.get("theme/"); a.Code != http.StatusNoContent {
		t.Errorf("theme: %d", a.Code)
	}
	if a := w.do("GET", "/api/client/v2/status", ""); a.Code != 200 || a.Result != "OK" {
		t.Errorf("status: %d %s", a.Code, a.Body)
	}
	w.mu.Lock()
	w.refuse = node.ErrDraining
	w.mu.Unlock()
	if a := w.do("GET", "/api/client/v2/status", ""); a.Code != 503 || a.Result != "Maintenance mode" || a.Header.Get("Retry-After") == "" {
		t.Errorf("status, draining: %d %s", a.Code, a.Body)
	}
	pictures := c.get("layout_svgs").Result.(map[string]any)
	if len(pictures) != 6 || strings.Count(pictures["1:7"].(string), "<rect ") != 8 || !strings.Contains(pictures["4:0"].(string), `<rect x="81" y="1" width="78" height="42"`) {
		t.Errorf("layout_svgs: %v", pictures)
	}
	for name, picture := range pictures {
		var parsed struct {
			XMLName xml.Name `xml:"http://www.w3.org/2000/svg svg"`
		}
		if err := xml.Unmarshal([]byte(picture.(string)), &parsed); err != nil {
			t.Errorf("picture of %s: %v", name, err)
		}
	}
}

// Clients whose seat is gone would ask again and again.
func TestRefreshRefusedInPeace(t *testing.T) {
	w := newWorld(t)
	began := time.Now()
	if a := w.do("POST", root+"refresh_token", "", "token", "guess"); a.Code != http.StatusForbidden {
		t.Errorf("got %d", a.Code)
	}
	if took := time.Since(began); took < 900*time.Millisecond {
		t.Errorf("refused after %v", took)
	}
}

func TestCrossOrigin(t *testing.T) {
	w := newWorld(t)
	a := w.do("OPTIONS", root+"request_token", "", "Origin", "https://app.example")
	if a.Code != http.StatusNoContent || a.Header.Get("Access-Control-Allow-Origin") != "*" ||
		!strings.Contains(a.Header.Get("Access-Control-Allow-Headers"), "token") {
		t.Errorf("got %d %v", a.Code, a.Header)
	}
	// A page that is closed sends a beacon, which has credentials.
	a = w.do("OPTIONS", root+"release_token", "", "Origin", "https://app.example")
	if a.Header.Get("Access-Control-Allow-Origin") != "https://app.example" || a.Header.Get("Access-Control-Allow-Credentials") != "true" ||
		a.Header.Get("Vary") != "Origin" {
		t.Errorf("got %d %v for a beacon", a.Code, a.Header)
	}
}

func TestPIN(t *testing.T) {
	w := newWorld(t)
	tests := []struct {
		name, pin    string
		refuse       any
		want, reason string
	}{
		{name: "all need one", refuse: node.ErrPIN, want: "map[guest_pin:required pin:required version:map[pseudo_version:test version_id:test]]", reason: "pin"},
		{name: "hosts need one", refuse: node.ErrHostPIN, want: "map[guest_pin:none pin:required version:map[pseudo_version:test version_id:test]]", reason: "pin"},
		{name: "wrong", pin: "1", refuse: node.ErrWrongPIN, want: "Invalid PIN", reason: "pin"},
		{name: "blocked", pin: "1234", refuse: node.ErrPINBlocked, want: "Participant exceeded PIN entry retries", reason: "blocked"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w.refuse = tt.refuse
			a := w.do("POST", root+"request_token", `{"display_name":"Ada"}`, "pin", tt.pin)
			if a.Code != http.StatusForbidden || fmt.Sprint(a.Result) != tt.want || a.Reason != tt.reason {
				t.Errorf("got %d %s", a.Code, a.Body)
			}
		})
	}
	w.refuse = nil
	w.as = "guest"
	a := w.do("POST", root+"request_token", `{"display_name":"Ada"}`, "pin", "none")
	r := a.Result.(map[string]any)
	if r["role"] != "GUEST" || w.admitted[0].PIN != "none" {
		t.Errorf("got %s; the node was given %q", a.Body, w.admitted[0].PIN)
	}
	if from := w.admitted[0].Source; from != netip.MustParseAddr("192.0.2.1") { // as of httptest
		t.Errorf("the node was told that it comes from %q", from)
	}
	// It is a guest before the roster says so.
	if a := w.do("POST", root+"lock", "", "token", r["token"].(string)); a.Reason != "role" {
		t.Errorf("lock: got %d %s", a.Code, a.Body)
	}
	if a := w.do("POST", root+"request_token", `{"display_name":"Ada"}`, "pin", strings.Repeat("1", 65)); a.Code != http.StatusBadRequest {
		t.Errorf("long PIN: got %d %s", a.Code, a.Body)
	}
}

func TestWHIPPIN(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct{ path, bearer, want string }{
		{"/whip/standup", "", "none"},
		{"/whip/standup?pin=1234", "", "1234"},
		{"/whip/standup", "5678", "5678"},
		{"/whip/standup?pin=1234", "5678", "1234"},
		{"/whep/standup", "", "none"},
		{"/whep/standup?pin=1234", "", "1234"},
		{"/whep/standup", "5678", "5678"},
	} {
		header := []string{"Content-Type", "application/sdp"}
		if tt.bearer != "" {
			header = append(header, "Authorization", "Bearer "+tt.bearer)
		}
		if a := w.do("POST", tt.path, "v=0 m=audio", header...); a.Code != http.StatusCreated {
			t.Errorf("%s: got %d %s", tt.path, a.Code, a.Body)
		}
		if got := w.admitted[len(w.admitted)-1].PIN; got != tt.want {
			t.Errorf("%s %s: the node was given %q, want %q", tt.path, tt.bearer, got, tt.want)
		}
	}
	w.refuse = node.ErrPIN
	if a := w.do("POST", "/whip/standup", "v=0 m=audio", "Content-Type", "application/sdp"); a.Code != http.StatusUnauthorized || a.Header.Get("WWW-Authenticate") != "Bearer" {
		t.Errorf("PIN required: got %d %s", a.Code, a.Body)
	}
	w.refuse = node.ErrWrongPIN
	if a := w.do("POST", "/whip/standup?pin=1", "v=0 m=audio", "Content-Type", "application/sdp"); a.Code != http.StatusForbidden {
		t.Errorf("wrong PIN: got %d %s", a.Code, a.Body)
	}
}
