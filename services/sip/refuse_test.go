package sip_test

import (
	"strings"
	"testing"

	"github.com/skybridge-media/skybridge/services/sip"
)

// TestRefusals is the table of bad input: what the caller gets, and that
// nothing is left of the call.
func TestRefusals(t *testing.T) {
	tests := []struct {
		name    string
		alias   string
		change  func(*draft)
		want    string
		headers map[string]string // and what they contain
	}{
		{name: "unknown alias", alias: "nobody", want: "404 Not Found"},
		{name: "locked", alias: "locked", want: "403 Forbidden"},
		{name: "PIN", alias: "secret", want: "403 Forbidden"},
		{name: "full", alias: "full", want: "486 Busy Here"},
		{name: "no capacity", alias: "busy", want: "503 Capacity Exceeded", headers: map[string]string{"Retry-After": "10"}},
		{name: "internal error", alias: "broken", want: "500 Server Internal Error"},
		{name: "other node", alias: "elsewhere", want: "302 Moved Temporarily", headers: map[string]string{"Contact": "<sip:elsewhere@192.0.2.7:5070>"}},
		{
			name: "no common codec", change: func(d *draft) { d.sdp(strings.ReplaceAll(audioOffer, "0 101", "18")) },
			want: "488 Not Acceptable Here", headers: map[string]string{"Warning": "305 Skybridge \"No common audio codec"},
		},
		{
			name: "unknown transport", change: func(d *draft) { d.sdp(strings.ReplaceAll(audioOffer, "RTP/AVP", "UDP/TLS/RTP/SAVPF")) },
			want: "488 Not Acceptable Here", headers: map[string]string{"Warning": "302 Skybridge"},
		},
		{
			name: "unknown extension", change: func(d *draft) { d.set("Require", "timer, frobnicate, 100rel") },
			want: "420 Bad Extension", headers: map[string]string{"Unsupported": "frobnicate"},
		},
		{name: "no hops left", change: func(d *draft) { d.set("Max-Forwards", "0") }, want: "483 Too Many Hops"},
		{
			name: "unknown body", change: func(d *draft) { d.set("Content-Type", "text/nobodyKnowsThis") },
			want: "415 Unsupported Media Type", headers: map[string]string{"Accept": "application/sdp"},
		},
		{
			name: "compressed body", change: func(d *draft) { d.set("e", "gzip") },
			want: "415 Unsupported Media Type", headers: map[string]string{"Accept-Encoding": "identity"},
		},
		{name: "takes no SDP", change: func(d *draft) { d.set("Accept", "text/plain") }, want: "406 Not Acceptable"},
		{
			name: "short session", change: func(d *draft) { d.set("Supported", "timer").set("x", "60;refresher=uac") },
			want: "422 Session Interval Too Small", headers: map[string]string{"Min-SE": "90"},
		},
		{name: "version", change: func(d *draft) { d.line = strings.Replace(d.line, "SIP/2.0", "SIP/7.0", 1) }, want: "505 Version Not Supported"},
		{name: "URI scheme", change: func(d *draft) { d.line = "INVITE tel:+123 SIP/2.0" }, want: "416 Unsupported URI Scheme"},
		{name: "headers in URI", change: func(d *draft) { d.line = "INVITE sip:room@127.0.0.1?Route=x SIP/2.0" }, want: "400 Malformed Request-URI"},
	}
	for _, transport := range []string{"UDP", "TLS"} {
		b := newBench(t, withTLS(t))
		u := newUA(b, transport)
		for _, tt := range tests {
			t.Run(transport+"/"+tt.name, func(t *testing.T) {
				alias := tt.alias
				if alias == "" {
					alias = "room"
				}
				d := u.draft("INVITE", alias).sdp(audioOffer)
				if tt.change != nil {
					tt.change(d)
				}
				u.write(d.String())
				var m message
				for m = u.receive(); m.status() < 200; m = u.receive() {
				}
				if got := strings.TrimPrefix(m.line, "SIP/2.0 "); got != tt.want {
					t.Errorf("got %q, want %q", got, tt.want)
				}
				for h, want := range tt.headers {
					if transport == "TLS" && h == "Contact" {
						want = "<sip:elsewhere@192.0.2.7:5071;transport=tls>"
					}
					if !strings.HasPrefix(m.header(h), want) {
						t.Errorf("%s: %q, want %q", h, m.header(h), want)
					}
				}
				if m.tag("To") == "" {
					t.Error("no tag in To")
				}
				ack := d.clone()
				ack.line = strings.Replace(d.line, "INVITE", "ACK", 1)
				ack.body = ""
				u.write(ack.remove("Content-Type").set("To", m.header("To")).set("CSeq", "1 ACK").String())
				settled(t, "gone", func() bool { return b.Server.Calls() == 0 })
			})
		}
		if n := b.Ports.Used(); n != 0 {
			t.Errorf("%d port pairs in use", n)
		}
	}
}

func TestMethodsThatAreNotServed(t *testing.T) {
	b := newBench(t)
	u := newUA(b, "UDP")
	for method, want := range map[string]int{
		"REGISTER": 405, "SUBSCRIBE": 405, "NOTIFY": 405, "REFER": 405, "MESSAGE": 405, "PUBLISH": 405, "FROBNICATE": 501,
		"BYE": 481, "INFO": 481, "UPDATE": 481, "PRACK": 481, "CANCEL": 481, "OPTIONS": 200,
	} {
		u.write(u.draft(method, "room").String())
		m := u.expect(want, method)
		if want == 405 || want == 200 {
			if got := m.header("Allow"); got != "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK" {
				t.Errorf("%s: Allow: %q", method, got)
			}
		}
		if want == 200 && (!strings.Contains(m.header("Accept"), "application/sdp") || !strings.Contains(m.header("Supported"), "timer")) {
			t.Errorf("OPTIONS was answered with %v", m.headers)
		}
	}
}

func TestRedirectToANodeThatCannotBeCalled(t *testing.T) {
	b := newBench(t)
	u := newUA(b, "UDP")
	u.write(u.draft("INVITE", "elsewhere").sdp(audioOffer).String())
	u.expect(302, "INVITE")
}

// TestMergedRequest: RFC 3261 section 8.2.2.2, "If the request has no tag in
// the To header field, the UAS core MUST check the request against ongoing
// transactions. If the From tag, Call-ID, and CSeq exactly match those
// associated with an ongoing transaction, but the request does not match that
// transaction, the UAS core SHOULD generate a 482 (Loop Detected) response".
func TestMergedRequest(t *testing.T) {
	b := newBench(t)
	release := b.Node.wait("room")
	defer release()
	u := newUA(b, "UDP")
	first := u.draft("INVITE", "room").sdp(audioOffer)
	u.write(first.String())
	settled(t, "asked", func() bool { return b.Node.count() == 1 })
	second := first.clone().set("Via", strings.Replace(first.get("Via"), first.branch, first.branch+"other", 1))
	u.write(second.String())
	if m := u.expect(482, "INVITE"); !strings.Contains(m.header("Via"), first.branch+"other") {
		t.Errorf("482 went to %q", m.header("Via"))
	}
	release()
	u.expect(200, "INVITE")
	if n := b.Node.count(); n != 1 {
		t.Errorf("the node was asked %d times", n)
	}
}

func TestTooManyCalls(t *testing.T) {
	b := newBench(t, func(c *sip.Config, _ *sip.Deps) { c.Limits.Calls = 2 })
	u := newUA(b, "UDP")
	one, two := u.call("room"), u.call("room")
	u.write(u.draft("INVITE", "room").sdp(audioOffer).String())
	if m := u.expect(503, "INVITE"); m.header("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	one.bye()
	settled(t, "gone", func() bool { return b.Server.Calls() == 1 })
	u.call("room").bye()
	two.bye()
}

func TestCryptoPolicy(t *testing.T) {
	const secure = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/SAVP 0\r\n" +
		"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n"
	tests := []struct {
		policy  sip.CryptoPolicy
		offer   string
		want    int
		warning string
	}{
		{sip.CryptoOptional, secure, 200, ""},
		{sip.CryptoOptional, audioOffer, 200, ""},
		{sip.CryptoRequired, secure, 200, ""},
		{sip.CryptoRequired, audioOffer, 488, `302 Skybridge "SRTP is required"`},
		{sip.CryptoOff, secure, 488, `302 Skybridge "SRTP is switched off"`},
		{sip.CryptoOff, audioOffer, 200, ""},
	}
	for _, tt := range tests {
		b := newBench(t, func(c *sip.Config, _ *sip.Deps) { c.Crypto = tt.policy })
		u := newUA(b, "UDP")
		d := u.draft("INVITE", "room").sdp(tt.offer)
		u.write(d.String())
		m := u.expect(tt.want, "INVITE")
		if got := m.header("Warning"); got != tt.warning {
			t.Errorf("%s: Warning %q, want %q", tt.policy, got, tt.warning)
		}
		if tt.want == 200 && strings.Contains(m.body, "a=crypto:") != (tt.offer == secure) {
			t.Errorf("%s: answer to %q:\n%s", tt.policy, tt.offer, m.body)
		}
	}
}
