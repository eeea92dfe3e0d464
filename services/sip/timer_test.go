package sip_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/skybridge-media/skybridge/actors/participant"
)

// headers adds headers to a draft: name, value, and so on.
func headers(kv ...string) func(*draft) {
	return func(d *draft) {
		for i := 0; i < len(kv); i += 2 {
			d.set(kv[i], kv[i+1])
		}
	}
}

const second = time.Second

// within fails unless got is between lo and hi.
func within(t *testing.T, what string, got, lo, hi time.Duration) {
	t.Helper()
	if got < lo || got > hi {
		t.Errorf("%s after %v, want %v to %v", what, got, lo, hi)
	}
}

// expectLater is expectRequest for what comes after a long time.
func (u *ua) expectLater(method string, within time.Duration) message {
	u.Helper()
	for timeout := time.After(within); ; {
		select {
		case m, ok := <-u.in:
			if !ok {
				u.Fatalf("connection closed, want %s", method)
			}
			if m.status() == 0 && m.method() == method {
				return m
			}
			if m.status() == 0 {
				u.Fatalf("got %q, want %s", m.line, method)
			}
		case <-timeout:
			u.Fatalf("no %s within %v", method, within)
		}
	}
}

// TestSessionExpires: RFC 4028 section 10, "if the side not performing refreshes
// does not receive a session refresh request before the session expiration, it
// SHOULD send a BYE ... the minimum of 32 seconds and one third of the session
// interval before" it.
func TestSessionExpires(t *testing.T) {
	inBubble(t, func(b *bubble) {
		u := b.newUA()
		began := time.Now()
		c := u.call("room", headers("Supported", "timer", "Session-Expires", "600;refresher=uac", "Min-SE", "90"))
		if got := c.answer.header("Session-Expires"); got != "600;refresher=uac" {
			t.Errorf("Session-Expires %q", got)
		}
		p := b.Node.participant(t, 0)
		next[*participant.Connect](t, p)
		time.Sleep(500 * second)
		m := c.do("UPDATE", 200, headers("Supported", "timer", "Session-Expires", "600;refresher=uac"))
		if got := m.header("Session-Expires"); got != "600;refresher=uac" {
			t.Errorf("Session-Expires %q", got)
		}
		bye := u.expectLater("BYE", time.Hour)
		within(t, "BYE", time.Since(began), (500+568)*second, (500+569)*second)
		u.reply(bye, 200, "OK")
		if e := next[*participant.Ended](t, p); e.Reason.Text != "Session expired" {
			t.Errorf("ended with %+v", e.Reason)
		}
	})
}

// TestWeRefresh: a peer that does not know session timers, or asks us to,
// is asked every half interval whether it is alive.
func TestWeRefresh(t *testing.T) {
	tests := []struct {
		name    string
		headers []string
		method  string
		every   time.Duration
	}{
		{"no timer", nil, "INVITE", 900 * second},
		{"no timer, but UPDATE", []string{"Allow", "INVITE, ACK, BYE, UPDATE"}, "UPDATE", 900 * second},
		{"asked to", []string{"Supported", "timer", "Session-Expires", "200;refresher=uas"}, "INVITE", 100 * second},
		{"proxy asks for long intervals", []string{"Min-SE", "3600"}, "INVITE", 1800 * second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(b *bubble) {
				u := b.newUA()
				c := u.call("room", headers(tt.headers...))
				seconds := int(2 * tt.every / second)
				if got, want := c.answer.header("Session-Expires"), fmt.Sprintf("%d;refresher=uas", seconds); got != want {
					t.Errorf("Session-Expires %q, want %q", got, want)
				}
				for i := range 5 {
					began := time.Now()
					m := u.expectLater(tt.method, 2*time.Hour)
					within(t, "refresh", time.Since(began), tt.every, tt.every+second)
					if got, want := m.header("Session-Expires"), fmt.Sprintf("%d;refresher=uac", seconds); got != want {
						t.Errorf("Session-Expires %q, want %q", got, want)
					}
					if tt.method == "INVITE" && m.body != c.answer.body {
						t.Errorf("refresh %d changes the session:\n%s\nwas\n%s", i, m.body, c.answer.body)
					}
					u.reply(m, 200, "OK", headers("Session-Expires", fmt.Sprintf("%d;refresher=uac", seconds)), offer(audioOffer))
					if tt.method == "INVITE" {
						u.expectRequest("ACK")
					}
				}
				c.bye()
			})
		})
	}
}

// TestRefreshFails: what the peer says to a refresh, and what we do then.
func TestRefreshFails(t *testing.T) {
	tests := []struct {
		status int
		header []string
		next   string
		lo, hi time.Duration
	}{
		{481, nil, "BYE", 0, second},
		{408, nil, "BYE", 0, second},
		{491, nil, "UPDATE", 0, 2 * second},
		{405, nil, "INVITE", 0, second},
		{501, nil, "INVITE", 0, second},
		{422, []string{"Min-SE", "4000"}, "UPDATE", 0, second},
		{500, nil, "UPDATE", 225 * second, 226 * second},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.status), func(t *testing.T) {
			inBubble(t, func(b *bubble) {
				u := b.newUA()
				c := u.call("room", headers("Allow", "INVITE, ACK, BYE, UPDATE"))
				m := u.expectLater("UPDATE", time.Hour)
				u.reply(m, tt.status, "No", headers(tt.header...))
				began := time.Now()
				again := u.expectLater(tt.next, time.Hour)
				within(t, tt.next, time.Since(began), tt.lo, tt.hi)
				if tt.status == 422 && !strings.HasPrefix(again.header("Session-Expires"), "4000;") {
					t.Errorf("Session-Expires %q", again.header("Session-Expires"))
				}
				u.reply(again, 200, "OK")
				if tt.next != "BYE" {
					c.bye()
				}
			})
		})
	}
}

// TestRefreshNotAnswered: the peer has gone without a word. Its connection is
// still there, as it is when a phone loses power.
func TestRefreshNotAnswered(t *testing.T) {
	inBubble(t, func(b *bubble) {
		u := b.newUA()
		u.call("room", headers("Allow", "UPDATE"))
		p := b.Node.participant(t, 0)
		next[*participant.Connect](t, p)
		u.expectLater("UPDATE", time.Hour)
		u.expectLater("BYE", time.Minute)
		if e := next[*participant.Ended](t, p); e.Reason.Code != "timeout" {
			t.Errorf("ended with %+v", e.Reason)
		}
	})
}

// TestGlareOfRefresh: RFC 3261 section 14.2, "A UAS that receives an INVITE on a
// dialog while an INVITE it had sent on that dialog is in progress MUST return a
// 491 (Request Pending)".
func TestGlareOfRefresh(t *testing.T) {
	inBubble(t, func(b *bubble) {
		u := b.newUA()
		c := u.call("room")
		m := u.expectLater("INVITE", time.Hour)
		c.do("INVITE", 491, offer(direction(2, "sendonly")))
		c.do("UPDATE", 491, offer(direction(2, "sendonly")))
		u.reply(m, 200, "OK", offer(audioOffer))
		u.expectRequest("ACK")
		c.do("UPDATE", 200, offer(direction(2, "sendonly")))
		c.bye()
	})
}

// TestKeyFrameRequests: RFC 5168 requests towards a peer without RTCP feedback
// are sent at most twice a second, and not at all to one that does not know them.
func TestKeyFrameRequests(t *testing.T) {
	inBubble(t, func(b *bubble) {
		u := b.newUA()
		c := u.call("room", offer(videoOffer))
		next[*participant.Connect](t, b.Node.participant(t, 0))
		began := time.Now()
		for range 5 {
			b.Server.AskKeyFrames()
		}
		for i := range 2 {
			m := u.expectLater("INFO", time.Minute)
			within(t, "INFO", time.Since(began), time.Duration(i)*500*time.Millisecond, time.Duration(i)*500*time.Millisecond+50*time.Millisecond)
			if m.header("Content-Type") != "application/media_control+xml" || !strings.Contains(m.body, "<picture_fast_update/>") {
				t.Errorf("INFO %+v", m)
			}
			status := []int{200, 415}[i]
			u.reply(m, status, "Answer")
		}
		b.Server.AskKeyFrames()
		u.silence(20 * second)
		c.bye()
	})
}

// TestOutgoingSession: the caller's half of RFC 4028: who is called may leave
// the refreshing to us, take it over, or know nothing of it.
func TestOutgoingSession(t *testing.T) {
	for answer, refresh := range map[string]time.Duration{
		"1000;refresher=uac": 500 * second, "1000;refresher=uas": 0, "": 900 * second,
	} {
		t.Run(answer, func(t *testing.T) {
			inBubble(t, func(b *bubble) {
				u := b.newUA()
				c := b.dial(u)
				c.answer(func(d *draft) {
					if d.set("Allow", "UPDATE"); answer != "" {
						d.set("Session-Expires", answer)
					}
				})
				began := time.Now()
				if refresh == 0 {
					m := u.expectLater("BYE", time.Hour)
					within(t, "BYE", time.Since(began), 968*second, 969*second)
					u.reply(m, 200, "OK")
					return
				}
				m := u.expectLater("UPDATE", time.Hour)
				within(t, "UPDATE", time.Since(began), refresh, refresh+second)
				u.reply(m, 200, "OK")
				c.bye()
			})
		})
	}
}
