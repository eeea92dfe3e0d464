package api_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/actors/node"
)

// Who is transferred is told where to, with a token that is good once, there,
// and for a minute.
func TestTransfer(t *testing.T) {
	w := newWorld(t)
	c := w.join("Ada")
	events := c.listen()
	c.until(events, "stage")
	refer := func(alias string) string {
		w.say(&conference.Transfer{Id: c.id, Alias: alias, Role: "guest"})
		data := c.until(events, "refer").data.(map[string]any)
		if data["alias"] != alias || data["target"] != "conference" {
			t.Errorf("refer: %v", data)
		}
		return data["token"].(string)
	}
	w.say(&conference.Transfer{Id: "somebody on another node", Alias: "other", Role: "guest"})
	token := refer("Standup")
	follow := func(token string) *bool {
		a := w.do("POST", root+"request_token", `{"display_name":"Ada","token":"`+token+`"}`, "pin", "none")
		if a.Code != http.StatusOK {
			t.Fatalf("request_token: got %d %s", a.Code, a.Body)
		}
		m := w.admitted[len(w.admitted)-1]
		if m.Referred && m.Role != "guest" {
			t.Errorf("referred as %q", m.Role)
		}
		return &m.Referred
	}
	if !*follow(token) {
		t.Error("the token was not taken")
	}
	if *follow(token) {
		t.Error("the token was taken twice")
	}
	if *follow(refer("other")) {
		t.Error("the token of another room was taken")
	}
	if *follow("guess") {
		t.Error("a guess was taken")
	}
}

// Who is refused may try again with the same token.
func TestReferralOutlivesFailure(t *testing.T) {
	w := newWorld(t)
	c := w.join("Ada")
	events := c.listen()
	c.until(events, "stage")
	w.say(&conference.Transfer{Id: c.id, Alias: "standup", Role: "host"})
	token := c.until(events, "refer").data.(map[string]any)["token"].(string)
	body := `{"display_name":"Ada","token":"` + token + `"}`
	refuse := func(with any) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.refuse = with
	}
	refuse(node.ErrCapacity)
	if a := w.do("POST", root+"request_token", body); a.Reason != "capacity" {
		t.Fatalf("got %d %s", a.Code, a.Body)
	}
	w.do("POST", root+"request_token", body, "pin", strings.Repeat("1", 65))
	w.do("POST", "/api/client/v2/conferences/nowhere/request_token", body)
	refuse(nil)
	for _, want := range []bool{true, false} {
		w.do("POST", root+"request_token", body)
		if got := w.admitted[len(w.admitted)-1].Referred; got != want {
			t.Errorf("referred: %v, want %v", got, want)
		}
	}
}

func TestReferralExpires(t *testing.T) {
	for wait, want := range map[time.Duration]bool{58 * time.Second: true, 60 * time.Second: false} {
		synctest.Test(t, func(t *testing.T) {
			t.Cleanup(func() { time.Sleep(3 * time.Second) })
			w := newWorld(t)
			c := w.join("Ada")
			w.say(&conference.Transfer{Id: c.id, Alias: "standup", Role: "host"})
			synctest.Wait()
			token := c.referral()
			time.Sleep(wait)
			w.do("POST", root+"request_token", `{"display_name":"Ada","token":"`+token+`"}`)
			if got := w.admitted[len(w.admitted)-1].Referred; got != want {
				t.Errorf("after %v: taken %v, want %v", wait, got, want)
			}
		})
	}
}

// referral opens a stream for a moment, and returns the token that it brings.
func (c *client) referral() string {
	c.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	rec := httptest.NewRecorder()
	c.Server.ServeHTTP(rec, httptest.NewRequestWithContext(ctx, "GET", root+"events?token="+c.token, nil))
	m := regexp.MustCompile(`event: refer\ndata: .*"token":"([^"]+)"`).FindStringSubmatch(rec.Body.String())
	if m == nil {
		c.Fatalf("no referral in %s", rec.Body)
	}
	return m[1]
}
