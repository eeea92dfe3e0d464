package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/skybridge-media/skybridge/actors/node"
	"github.com/skybridge-media/skybridge/actors/participant"
	"github.com/skybridge-media/skybridge/services/api"
)

var offered = []string{"Content-Type", "application/sdp"}

func TestWHEP(t *testing.T) {
	w := newWorld(t)
	w.join("Ada")
	a := w.do("POST", "/whep/standup?name=Lobby%20screen", "v=0 m=audio m=video", offered...)
	session := a.Header.Get("Location")
	if a.Code != http.StatusCreated || a.Body != "v=0 answer" || a.Header.Get("Content-Type") != "application/sdp" ||
		!strings.HasPrefix(session, "/whep/standup/") || a.Header.Get("ETag") == "" {
		t.Fatalf("got %d %q %v", a.Code, a.Body, a.Header)
	}
	if got := w.admitted[1]; got.Protocol != "whep" || got.Name != "Lobby screen" || got.Role != "viewer" || !got.Audio || !got.Video || got.API {
		t.Errorf("admitted %+v", got)
	}
	far := w.media.last(t)
	if far.Publisher || !far.Viewer {
		t.Errorf("answered as %+v", far.Offer)
	}
	far.Connected()
	await[*participant.Connect](w)
	if a := w.do("DELETE", strings.Replace(session, "whep", "whip", 1), ""); a.Code != http.StatusNotFound {
		t.Errorf("delete as a publisher: %d %s", a.Code, a.Body)
	}
	patch := []string{"Content-Type", "application/trickle-ice-sdpfrag", "If-Match", a.Header.Get("ETag")}
	if a := w.do("PATCH", session, "a=candidate:1", patch...); a.Code != http.StatusNoContent {
		t.Errorf("trickle: %d %s", a.Code, a.Body)
	}
	if a := w.do("DELETE", session, ""); a.Code != http.StatusOK {
		t.Errorf("delete: %d %s", a.Code, a.Body)
	}
	await[*participant.Ended](w)
	w.eventually("the call to close", far.isClosed)
}

// A viewer is shown as one, and is neither host nor guest.
func TestWHEPInRoster(t *testing.T) {
	w := newWorld(t)
	c := w.join("Ada")
	w.do("POST", "/whep/standup", "v=0 m=audio m=video", offered...)
	var found map[string]any
	w.eventually("the viewer", func() bool {
		for _, p := range c.get("participants").Result.([]any) {
			if p := p.(map[string]any); p["display_name"] == "Viewer" {
				found = p
			}
		}
		return found != nil
	})
	if found["role"] != "guest" || found["is_streaming_conference"] != true {
		t.Errorf("got %v", found)
	}
	// Nobody else can be heard, so "all" are muted once Ada is.
	if muted := c.get("conference_status").Result.(map[string]any)["guests_muted"]; muted != false {
		t.Errorf("guests_muted is %v, without a guest", muted)
	}
}

func TestWHEPRefused(t *testing.T) {
	tests := []struct {
		name, path, body string
		code             int
		header, want     string
	}{
		// "the WHEP endpoint SHALL return a 409 Conflict response to the POST
		// request issued by the WHEP player with a Retry-After header"
		{"nobody there", "/whep/quiet", "v=0", http.StatusConflict, "Retry-After", "5"},
		{"locked", "/whep/locked", "v=0", http.StatusForbidden, "", ""},
		{"elsewhere", "/whep/elsewhere?name=x", "v=0", http.StatusTemporaryRedirect, "Location", "https://b.example:8443/whep/elsewhere?name=x"},
		{"no room", "/whep/nowhere", "v=0", http.StatusNotFound, "", ""},
		{"no capacity", "/whep/busy", "v=0", http.StatusServiceUnavailable, "Retry-After", "30"},
		{"other direction", "/whep/standup", "v=0 a=sendonly", http.StatusBadRequest, "", ""},
		{"no codec", "/whep/standup", "v=0 AMR", http.StatusNotAcceptable, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := newWorld(t).do("POST", tt.path, tt.body, offered...)
			if a.Code != tt.code || tt.header != "" && a.Header.Get(tt.header) != tt.want {
				t.Errorf("got %d %s %v, want %d", a.Code, a.Body, a.Header, tt.code)
			}
			if a.Header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("problem details: %s", a.Header.Get("Content-Type"))
			}
		})
	}
}

// Players ask with HEAD whether an address is an endpoint, browsers with OPTIONS
// whether they may post to it.
func TestEndpointsDescribed(t *testing.T) {
	w := newWorld(t)
	for _, protocol := range []string{"whip", "whep"} {
		at := "/" + protocol + "/standup"
		for _, method := range []string{"GET", "HEAD"} {
			if a := w.do(method, at, ""); a.Code != http.StatusOK || a.Body != "" || a.Header.Get("Content-Type") != "application/sdp" {
				t.Errorf("%s %s: %d %q %v", method, at, a.Code, a.Body, a.Header)
			}
		}
		if a := w.do("OPTIONS", at, ""); a.Code != http.StatusOK || a.Header.Get("Accept-Post") != "application/sdp" ||
			a.Header.Get("Allow") != "GET, HEAD, OPTIONS, POST" {
			t.Errorf("OPTIONS %s: %d %v", at, a.Code, a.Header)
		}
		if a := w.do("OPTIONS", at+"/x", ""); a.Code != http.StatusOK || a.Header.Get("Accept-Patch") != "application/trickle-ice-sdpfrag" ||
			a.Header.Get("Allow") != "DELETE, GET, HEAD, OPTIONS, PATCH" {
			t.Errorf("OPTIONS %s/x: %d %v", at, a.Code, a.Header)
		}
	}
}

func TestWHEPToken(t *testing.T) {
	w := newWorld(t, func(c *api.Config) { c.WHEPToken = "watch" })
	if a := w.do("POST", "/whep/standup", "v=0", offered...); a.Code != http.StatusUnauthorized {
		t.Errorf("without: %d", a.Code)
	}
	if a := w.do("POST", "/whep/standup", "v=0", append(offered, "Authorization", "Bearer watch")...); a.Code != http.StatusCreated {
		t.Errorf("with: %d %s", a.Code, a.Body)
	}
	if got := w.admitted[0].PIN; got != node.NoPIN {
		t.Errorf("the token was taken for a PIN: %q", got)
	}
	if a := w.do("POST", "/whep/standup?pin=1234", "v=0", append(offered, "Authorization", "Bearer watch")...); a.Code != http.StatusCreated || w.admitted[1].PIN != "1234" {
		t.Errorf("with a PIN as well: %d %s, %q", a.Code, a.Body, w.admitted[1].PIN)
	}
	if a := w.do("POST", "/whip/standup", "v=0", offered...); a.Code != http.StatusCreated {
		t.Errorf("publishers need none: %d %s", a.Code, a.Body)
	}
}
