package sip_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/skybridge-media/skybridge/services/sip"
)

// mutations are what is done to a header, each of them once to every header of
// every method.
var mutations = []struct {
	name  string
	apply func(d *draft, header string)
}{
	{"missing", func(d *draft, h string) { d.remove(h) }},
	{"empty", func(d *draft, h string) { d.set(h, "") }},
	{"doubled", func(d *draft, h string) { d.add(h, d.get(h)) }},
	{"contradicted", func(d *draft, h string) { d.add(h, strings.Replace(d.get(h), "1", "2", 1)+"x") }},
	{"compact twice", func(d *draft, h string) { d.add(compact[h], d.get(h)) }},
	{"quotes", func(d *draft, h string) { d.set(h, `"`+d.get(h)) }},
	{"huge", func(d *draft, h string) { d.set(h, strings.Repeat("9", 5000)) }},
	{"negative", func(d *draft, h string) { d.set(h, "-1") }},
	{"NUL", func(d *draft, h string) { d.set(h, "\x00\x01"+d.get(h)) }},
	{"comma", func(d *draft, h string) { d.set(h, d.get(h)+",,") }},
	{"brackets", func(d *draft, h string) { d.set(h, "<<"+d.get(h)+">>;;=;") }},
	{"UTF-8", func(d *draft, h string) { d.set(h, "\xc3\x28"+d.get(h)) }},
}

var compact = map[string]string{
	"Via": "v", "From": "f", "To": "t", "Call-ID": "i", "Contact": "m", "Content-Length": "l", "Content-Type": "c",
	"CSeq": "cseq", "Max-Forwards": "MAX-FORWARDS",
}

// TestMandatoryHeaders sends every method with every mandatory header missing,
// doubled or spoilt, and responses likewise. Each gets a 400-class answer or
// none, and the service answers as before.
func TestMandatoryHeaders(t *testing.T) {
	headers := []string{"Via", "From", "To", "Call-ID", "CSeq", "Max-Forwards", "Contact", "Content-Length", "Content-Type"}
	methods := []string{
		"INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "INFO", "UPDATE", "PRACK", "REGISTER", "SUBSCRIBE", "NOTIFY", "REFER",
		"MESSAGE", "PUBLISH", "FROBNICATE",
	}
	cases := 0
	for _, transport := range []string{"UDP", "TCP"} {
		b := newBench(t, func(c *sip.Config, _ *sip.Deps) { c.Limits.MessagesPerSource = 1e6 })
		u := newUA(b, transport)
		calm := u.call("room")
		for _, inDialog := range []bool{false, true} {
			for _, method := range methods {
				for _, h := range headers {
					for i, m := range mutations {
						if inDialog && (method == "BYE" || i > 3) {
							continue // a good BYE would end the call; the rest does not get that far
						}
						cases++
						d := u.draft(method, "nobody").sdp(audioOffer)
						if inDialog {
							d.set("To", calm.answer.header("To")).set("From", calm.first.get("From")).set("Call-ID", calm.first.get("Call-ID"))
							d.set("CSeq", "1 "+method) // out of order, should it be understood
						}
						d.set("Content-Length", strconv.Itoa(len(d.body)))
						m.apply(d, h)
						what := fmt.Sprintf("%s %s with %s %s (in dialog: %v)", transport, method, h, m.name, inDialog)
						var alive bool
						if u, alive = u.survives(b, d, what, refuses(method, h, m.name)); !alive {
							t.Fatalf("no answer to OPTIONS after %s", what)
						}
					}
				}
			}
		}
		for _, status := range []string{"100 Trying", "200 OK", "404 Not Found"} {
			for _, h := range headers {
				for _, m := range mutations {
					cases++
					d := u.draft("INVITE", "nobody")
					d.line = "SIP/2.0 " + status
					d.set("Content-Length", "0").set("Content-Type", "application/sdp")
					m.apply(d, h)
					var alive bool
					if u, alive = u.survives(b, d, status, false); !alive {
						t.Fatalf("no answer to OPTIONS after response %s with %s %s", status, h, m.name)
					}
				}
			}
		}
		if transport == "UDP" {
			calm.bye()
		}
	}
	t.Logf("%d cases", cases)
	if cases < 2000 {
		t.Errorf("%d cases, want at least 2000", cases)
	}
}

// refuses reports whether such a message must not get a good answer.
func refuses(method, header, mutation string) bool {
	switch {
	case method == "ACK":
		return false // is never answered
	case mutation == "missing" && header == "Content-Length":
		return false // a datagram needs none
	case header == "Contact" && method != "INVITE" && method != "UPDATE":
		return false // is not mandatory
	case header == "Via" && mutation != "missing" && mutation != "empty":
		return false // several are fine
	}
	return mutation == "missing" || mutation == "doubled" || mutation == "empty"
}

// survives sends d and then OPTIONS, and reports whether that is answered. What
// has the branch of d is the answer to it. A connection may be closed on
// something that cannot be framed; then there is a new one.
func (u *ua) survives(b *bench, d *draft, what string, refused bool) (*ua, bool) {
	u.Helper()
	u.writeLoosely(d.String())
	ping := u.draft("OPTIONS", "ping")
	u.writeLoosely(ping.String())
	for {
		m, ok := u.next()
		if !ok {
			if u.udp != nil {
				return u, false
			}
			u.close()
			u = newUA(b, u.transport)
			u.write(ping.String())
			continue
		}
		if m.status() == 200 && m.header("Call-ID") == ping.get("Call-ID") {
			return u, true
		}
		if m.status() == 0 {
			u.Fatalf("%s made us send %q", what, m.line)
		}
		if !strings.Contains(m.header("Via"), d.branch+";") {
			continue // an answer that took longer, to one before
		}
		if refused && (m.status() < 400 || m.status() >= 500) && m.status() != 501 {
			u.Errorf("%s was answered with %q, want a refusal", what, m.line)
		}
		if m.status() == 500 && m.line != "SIP/2.0 500 Request Out of Order" {
			u.Errorf("%s was answered with %q", what, m.line)
		}
	}
}

// writeLoosely writes what the service may close the connection on.
func (u *ua) writeLoosely(text string) {
	if u.udp != nil {
		u.write(text)
		return
	}
	_, _ = u.stream.Write([]byte(text))
}

// next returns the next message, and false when there is none.
func (u *ua) next() (message, bool) {
	select {
	case m, ok := <-u.in:
		return m, ok
	case <-timeout():
		return message{}, false
	}
}

func TestRefusedHeaderIsNamed(t *testing.T) {
	b := newBench(t)
	u := newUA(b, "UDP")
	tests := []struct {
		change func(*draft)
		want   string
	}{
		{func(d *draft) { d.remove("From") }, "400 Missing From header"},
		{func(d *draft) { d.remove("To") }, "400 Missing To header"},
		{func(d *draft) { d.remove("Call-ID") }, "400 Missing Call-ID header"},
		{func(d *draft) { d.remove("CSeq") }, "400 Missing CSeq header"},
		{func(d *draft) { d.remove("Max-Forwards") }, "400 Missing Max-Forwards header"},
		{func(d *draft) { d.remove("Contact") }, "400 Missing Contact header"},
		{func(d *draft) { d.remove("Content-Type") }, "400 Missing Content-Type header"},
		{func(d *draft) { d.add("Call-ID", "other") }, "400 More than one Call-ID header"},
		{func(d *draft) { d.add("f", d.get("From")) }, "400 More than one From header"},
		{func(d *draft) { d.set("CSeq", "1 BYE") }, "400 Method in CSeq header differs"},
		{func(d *draft) { d.set("CSeq", "99999999999 INVITE") }, "400 Malformed CSeq header"},
		{func(d *draft) { d.set("From", "<sip:a@b>") }, "400 Missing tag in From header"},
		{func(d *draft) { d.set("To", `"unterminated <sip:a@b>`) }, "400 Malformed To header"},
		{func(d *draft) { d.set("Max-Forwards", "300") }, "400 Malformed Max-Forwards header"},
		{func(d *draft) { d.set("Contact", "*") }, "400 Malformed Contact header"},
		{func(d *draft) { d.set("Content-Type", "/;=") }, "400 Malformed Content-Type header"},
		{func(d *draft) { d.set("Session-Expires", "soon") }, "400 Malformed Session-Expires or Min-SE header"},
		{func(d *draft) { d.body = "v=0\r\nm=\r\n" }, "400 Malformed SDP"},
	}
	for _, tt := range tests {
		d := u.draft("INVITE", "room").sdp(audioOffer)
		tt.change(d)
		u.write(d.String())
		m := u.receive()
		if got := strings.TrimPrefix(m.line, "SIP/2.0 "); !strings.HasPrefix(got, tt.want) {
			t.Errorf("got %q, want %q", got, tt.want)
		}
		if m.status() == 0 || m.header("Via") == "" {
			t.Errorf("answer to %q cannot be matched: %+v", tt.want, m)
		}
	}
	if n := b.Node.count(); n != 0 {
		t.Errorf("the node was asked %d times", n)
	}
}
