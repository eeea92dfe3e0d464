package sip

import (
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"
)

// lifetime is what is agreed on about the session's lifetime (RFC 4028).
type lifetime struct {
	interval time.Duration // zero: nothing yet
	refresh  bool          // it is us who refresh
}

// An expiry is what a message says about session timers.
type expiry struct {
	interval  time.Duration // zero: nothing
	refresher string        // "uac", "uas" or empty
	least     time.Duration // Min-SE; zero: nothing
	supported bool
}

func parseExpiry(m sip.Message) (expiry, bool) {
	e := expiry{supported: lists(m, "Supported", "timer")}
	var ok bool
	if v := text(m, "Min-SE"); v != "" {
		number, _, _ := strings.Cut(v, ";")
		if e.least, ok = seconds(number); !ok {
			return e, false
		}
	}
	v := text(m, "Session-Expires")
	if v == "" {
		return e, true
	}
	number, rest, _ := strings.Cut(v, ";")
	if e.interval, ok = seconds(number); !ok || e.interval == 0 {
		return e, false
	}
	ps, err := parseParams(";" + rest)
	if err != nil {
		return e, false
	}
	if r := strings.ToLower(ps.get("refresher")); r == "uac" || r == "uas" {
		e.refresher = r
	}
	return e, true
}

func seconds(s string) (time.Duration, bool) {
	n, err := strconv.ParseUint(strings.TrimSpace(s), 10, 31)
	return time.Duration(n) * time.Second, err == nil
}

// answerExpiry is the callee's part (RFC 4028 section 9): it decides the
// interval and who refreshes, or refuses an interval that is too short. usual
// is the interval that we want, least the shortest that we take.
func answerExpiry(e expiry, usual, least time.Duration) (lifetime, *refusal) {
	if e.interval != 0 && e.interval < least && e.supported {
		return lifetime{}, refuse(422, "Session Interval Too Small", header("Min-SE", "%d", least/time.Second))
	}
	// No shorter than a proxy on the way can take, no longer than was asked
	// for; and nobody can make us refresh all the time.
	s := lifetime{interval: max(usual, e.least)}
	if e.interval != 0 {
		s.interval = max(min(s.interval, e.interval), least)
	}
	// Who does not know session timers will not refresh. It takes our
	// re-INVITE all the same.
	s.refresh = !e.supported || e.refresher == "uas"
	return s, nil
}

// headers for the callee's 2xx.
func (s lifetime) answerHeaders(e expiry) []sip.Header {
	if s.refresh {
		return []sip.Header{header("Session-Expires", "%d;refresher=uas", s.interval/time.Second)}
	}
	hs := []sip.Header{header("Session-Expires", "%d;refresher=uac", s.interval/time.Second)}
	if e.supported {
		hs = append(hs, sip.NewHeader("Require", "timer"))
	}
	return hs
}

// acceptExpiry is the caller's part: what the 2xx says. A callee that says
// nothing does not know session timers; we refresh as if it did, because that
// is how a peer that has vanished while it was silent is found out.
func acceptExpiry(e expiry, asked time.Duration) lifetime {
	if e.interval == 0 {
		return lifetime{interval: asked, refresh: true}
	}
	return lifetime{interval: e.interval, refresh: e.refresher != "uas"}
}

// askExpiry are the headers of a request that starts or refreshes a session.
func askExpiry(s lifetime, least time.Duration, refreshing bool) []sip.Header {
	value := strconv.Itoa(int(s.interval / time.Second))
	if refreshing {
		// Roles are those of this request: whoever refreshes is the UAC.
		role := "uas"
		if s.refresh {
			role = "uac"
		}
		value += ";refresher=" + role
	}
	return []sip.Header{sip.NewHeader("Session-Expires", value), header("Min-SE", "%d", least/time.Second)}
}

// keep starts the timers of a session that has been made or refreshed
// (RFC 4028 section 10).
func (c *call) keep(s lifetime) {
	c.session = s
	c.refreshing.stop()
	c.after(&c.expiring, s.interval-min(32*time.Second, s.interval/3), c.expired)
	if s.refresh {
		c.after(&c.refreshing, s.interval/2, c.refresh)
	}
}

// expired ends a session that nobody has refreshed.
func (c *call) expired() {
	c.s.metrics.expired.Inc()
	c.log.Warn("session expired", "interval", c.session.interval)
	c.hangup(reasonExpired)
}
