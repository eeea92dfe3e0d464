package api_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/services/api"
)

// Who may use a function that changes something.
const (
	anybody   = "anybody"           // guests as well
	hosts     = "hosts"             // guests get "Invalid role"
	inside    = "inside"            // hosts, or oneself, but not who waits
	self      = "self"              // nobody for others; guests for themselves
	hostsElse = "hosts, or oneself" // guests for themselves
	hostsSelf = "hosts, themselves" // nobody for others, and guests get "Invalid role"
	nobody    = "nobody"            // not done here
	reading   = "reading"
)

// functions lists every function that needs a token, with who may use it, and a
// body that is good. TestRoles fails when one is missing.
var functions = map[string]struct{ who, body string }{
	"POST refresh_token":                            {anybody, ""},
	"GET conference_status":                         {reading, ""},
	"GET participants":                              {reading, ""},
	"GET available_layouts":                         {reading, ""},
	"GET layout_svgs":                               {reading, ""},
	"GET participants/ID/avatar.jpg":                {reading, ""},
	"POST lock":                                     {hosts, ""},
	"POST unlock":                                   {hosts, ""},
	"POST muteguests":                               {hosts, ""},
	"POST unmuteguests":                             {hosts, ""},
	"POST start_conference":                         {hosts, ""},
	"POST disconnect":                               {hosts, ""},
	"POST transform_layout":                         {hosts, `{"transforms":{"layout":"1:7"}}`},
	"POST clearallbuzz":                             {hosts, ""},
	"POST dial":                                     {hosts, `{"destination":"sip:a@b","protocol":"sip","role":"HOST"}`},
	"POST set_guests_can_unmute":                    {hosts, `{"setting":true}`},
	"POST message":                                  {anybody, `{"type":"text/plain","payload":"hi"}`},
	"POST participants/ID/message":                  {anybody, `{"type":"text/plain","payload":"hi"}`},
	"POST participants/ID/disconnect":               {hostsElse, ""},
	"POST participants/ID/mute":                     {inside, ""},
	"POST participants/ID/unmute":                   {inside, ""},
	"POST participants/ID/video_muted":              {inside, ""},
	"POST participants/ID/video_unmuted":            {inside, ""},
	"POST participants/ID/buzz":                     {inside, ""},
	"POST participants/ID/clearbuzz":                {inside, ""},
	"POST participants/ID/take_floor":               {hostsElse, ""},
	"POST participants/ID/release_floor":            {hostsElse, ""},
	"POST participants/ID/overlaytext":              {inside, `{"text":"x"}`},
	"POST participants/ID/spotlighton":              {hosts, ""},
	"POST participants/ID/spotlightoff":             {hosts, ""},
	"POST participants/ID/role":                     {hosts, `{"role":"chair"}`},
	"POST participants/ID/unlock":                   {hosts, ""},
	"POST participants/ID/transfer":                 {hosts, `{"role":"host","conference_alias":"other"}`},
	"POST participants/ID/fecc":                     {hosts, `{"action":"stop"}`},
	"POST participants/ID/client_mute":              {self, ""},
	"POST participants/ID/client_unmute":            {self, ""},
	"POST participants/ID/notify_not_afk":           {self, ""},
	"POST participants/ID/preferred_aspect_ratio":   {self, ""},
	"POST participants/ID/dtmf":                     {self, `{"digits":"1"}`},
	"POST participants/ID/calls":                    {self, `{"call_type":"WEBRTC","sdp":"v=0 m=audio"}`},
	"POST participants/ID/calls/CALL/ack":           {self, "{}"},
	"POST participants/ID/calls/CALL/new_candidate": {self, `{"candidate":"x"}`},
	"POST participants/ID/calls/CALL/update":        {self, `{"sdp":"v=0"}`},
	"POST participants/ID/calls/CALL/dtmf":          {self, `{"digits":"1"}`},
	"POST participants/ID/calls/CALL/statistics":    {self, "{}"},
	"POST participants/ID/calls/CALL/fecc":          {hostsSelf, `{"action":"stop"}`},
	"POST participants/ID/calls/CALL/disconnect":    {self, ""},

	"POST participants/ID/pres_in_mix":         {self, `{"state":true}`},
	"POST participants/ID/allowrxpresentation": {nobody, ""},
	"POST participants/ID/denyrxpresentation":  {nobody, ""},
	"POST participants/ID/show_live_captions":  {nobody, ""},
	"POST participants/ID/hide_live_captions":  {nobody, ""},
	"POST silent_video_detection":              {nobody, "{}"},
	"POST breakouts":                           {nobody, "{}"},
	"POST breakouts/REST":                      {nobody, "{}"},
	"POST participants/breakout":               {nobody, "{}"},
	"POST leavebreakout":                       {nobody, ""},
	"POST breakoutbuzz":                        {nobody, ""},
	"POST clearbreakoutbuzz":                   {nobody, ""},
	"POST video_mixes/REST":                    {nobody, "{}"},
}

// TestRoles asks for every function as a host and as a guest, for oneself and
// for somebody else, and again as one who has to wait.
func TestRoles(t *testing.T) {
	for _, f := range api.Functions() {
		if functions[f].who == "" && f != "POST release_token" { // which is everybody's, and the end
			t.Errorf("%s is not in the table", f)
		}
	}
	for _, as := range []string{"host", "guest", "waiting host"} {
		me, other := twoOf(t, as)
		for f, is := range functions {
			for _, whose := range []string{"own", "other"} {
				if whose == "other" && !strings.Contains(f, "/ID/") {
					continue
				}
				t.Run(as+"/"+f+"/"+whose, func(t *testing.T) {
					a, forWhom := askAs(t, me, other, f, is.body, whose)
					allowed := is.who == anybody || is.who == reading || as == "host"
					if is.who == self {
						allowed = whose == "own"
					}
					if is.who == hostsElse {
						allowed = as == "host" || whose == "own"
					}
					reason, text := "role", "Invalid role"
					if is.who == inside {
						allowed = as == "host" || as == "guest" && whose == "own"
						if whose == "own" {
							reason, text = "waiting", "Waiting to be let in"
						}
					}
					if is.who == hostsSelf {
						allowed = as == "host" && whose == "own"
					}
					switch {
					case is.who == nobody:
						if a.Reason != "unsupported" || a.Code != http.StatusForbidden && a.Code != http.StatusNotImplemented {
							t.Errorf("got %d %s, want unsupported", a.Code, a.Body)
						}
					case strings.HasSuffix(f, "avatar.jpg"): // there are none
					case allowed && a.Code != http.StatusOK:
						t.Errorf("%s: got %d %s, want success", forWhom, a.Code, a.Body)
					case !allowed && a.Code != http.StatusForbidden:
						t.Errorf("%s: got %d %s, want a refusal", forWhom, a.Code, a.Body)
					case !allowed && !(whose == "other" && (is.who == self || is.who == hostsSelf)) && (a.Reason != reason || a.Result != text):
						t.Errorf("%s: got %s, want %s", forWhom, a.Body, text)
					}
				})
			}
		}
	}
}

// twoOf returns two clients in a new world, the first as what is to be tested.
func twoOf(t *testing.T, as string) (me, other *client) {
	w := newWorld(t)
	me, other = w.join("Ada"), w.join("Bob")
	if as == "host" {
		return me, other
	}
	w.update(func(r *conference.Roster) {
		if as == "guest" || as == "viewer" {
			r.Participants[0].Role = as
		} else {
			r.Participants[0].Waiting = conference.WaitLock
		}
	})
	w.eventually("the role", func() bool { return me.post("lock", "").Code == http.StatusForbidden })
	return me, other
}

// askAs asks for one function.
func askAs(t *testing.T, me, other *client, function, body, whose string) (answer, string) {
	id, call := me.id, "none"
	if strings.Contains(function, "/CALL/") {
		r, ok := me.post(me.me("calls"), `{"call_type":"WEBRTC","sdp":"v=0 m=audio"}`).Result.(map[string]any)
		if !ok {
			t.Fatal("no call")
		}
		call = r["call_uuid"].(string)
	}
	if whose == "other" {
		id = other.id
	}
	method, path, _ := strings.Cut(function, " ")
	path = strings.NewReplacer("ID", id, "CALL", call, "REST", "x/lock").Replace(path)
	return me.do(method, root+path, body, "token", me.token), path
}

// Who only watches is no host.
func TestViewersCommandNobody(t *testing.T) {
	me, other := twoOf(t, "viewer")
	for _, path := range []string{"lock", "participants/" + other.id + "/mute", "clearallbuzz"} {
		if a := me.post(path, ""); a.Code != http.StatusForbidden || a.Reason != "role" {
			t.Errorf("%s: got %d %s", path, a.Code, a.Body)
		}
	}
}

// Where hosts have said so, guests who are muted stay muted.
func TestGuestsStayMuted(t *testing.T) {
	w := newWorld(t)
	host, guest := w.join("Ada"), w.join("Bob")
	w.update(func(r *conference.Roster) { r.Participants[1].Role, r.GuestsStayMuted = "guest", true })
	w.eventually("the setting", func() bool {
		return host.get("conference_status").Result.(map[string]any)["guests_can_unmute"] == false
	})
	if a := guest.post(guest.me("unmute"), ""); a.Reason != "role" {
		t.Errorf("unmute: got %d %s", a.Code, a.Body)
	}
	if a := guest.post(guest.me("mute"), ""); a.Code != http.StatusOK {
		t.Errorf("mute: got %d %s", a.Code, a.Body)
	}
	if a := host.post("participants/"+guest.id+"/unmute", ""); a.Code != http.StatusOK {
		t.Errorf("unmute by the host: got %d %s", a.Code, a.Body)
	}
}

// Each command may be an event that is stored, so there is an end to them.
func TestCommandRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		t.Cleanup(func() { time.Sleep(3 * time.Second) })
		w := newWorld(t)
		c := w.join("Ada")
		for i := range 100 {
			if a := c.post(c.me("buzz"), ""); a.Code != http.StatusOK {
				t.Fatalf("command %d: got %d %s", i, a.Code, a.Body)
			}
		}
		for _, path := range []string{c.me("buzz"), "lock", "clearallbuzz", c.me("client_mute"), c.me("client_unmute")} {
			if a := c.post(path, ""); a.Code != http.StatusTooManyRequests || a.Reason != "rate" {
				t.Errorf("%s, one too many: got %d %s", path, a.Code, a.Body)
			}
		}
		if a := w.join("Bob").post("lock", ""); a.Code != http.StatusOK {
			t.Errorf("somebody else: got %d %s", a.Code, a.Body)
		}
		time.Sleep(time.Second)
		for i, want := range []int{200, 200, 200, 200, 200, 429} {
			if a := c.post(c.me("clearbuzz"), ""); a.Code != want {
				t.Errorf("a second later, command %d: got %d %s, want %d", i, a.Code, a.Body, want)
			}
		}
	})
}

// That guests are muted who come is to be seen where there is none.
func TestGuestsComeMuted(t *testing.T) {
	w := newWorld(t)
	host := w.join("Ada")
	w.update(func(r *conference.Roster) { r.GuestsMuted = true })
	w.eventually("the setting", func() bool {
		return host.get("conference_status").Result.(map[string]any)["guests_muted"] == true
	})
}
