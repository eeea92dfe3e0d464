package sip_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	gosip "github.com/emiago/sipgo/sip"
	"github.com/icholy/digest"

	"github.com/skybridge-media/skybridge/actors/node"
	"github.com/skybridge-media/skybridge/actors/participant"
	"github.com/skybridge-media/skybridge/services/sip"
)

const audioAnswer = "v=0\r\no=- 7 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n" +
	"m=audio 40000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\nm=video 0 RTP/AVP 96\r\n"

// called is a call that the service has placed to a ua.
type called struct {
	*ua
	invite message
	tag    string
	seq    int
}

// dial lets the service call u from room.
func (b *bench) dial(u *ua) *called {
	b.Helper()
	b.Server.Dial(node.NewCall(), node.Dial{Alias: "room", URI: "sip:bob@" + u.local.String()})
	return &called{ua: u, invite: u.expectRequest("INVITE"), tag: fmt.Sprintf("bob%d", unique.Add(1))}
}

// with adds to a reply what makes it one of this dialog.
func (c *called) with(body string) func(*draft) {
	return func(d *draft) {
		d.set("To", c.invite.header("To")+";tag="+c.tag).set("Contact", fmt.Sprintf("<sip:bob@%s>", c.local))
		if body != "" {
			d.sdp(body)
		}
	}
}

// answer picks up.
func (c *called) answer(change ...func(*draft)) {
	c.Helper()
	c.reply(c.invite, 200, "OK", append([]func(*draft){c.with(audioAnswer)}, change...)...)
	c.expectRequest("ACK")
}

// request starts a request of the callee's.
func (c *called) request(method string) *draft {
	c.seq++
	m := c.draft(method, "x")
	m.line = fmt.Sprintf("%s %s SIP/2.0", method, strings.Trim(c.invite.header("Contact"), "<>"))
	m.set("From", c.invite.header("To")+";tag="+c.tag).set("To", c.invite.header("From")).set("Call-ID", c.invite.header("Call-ID"))
	return m.set("CSeq", fmt.Sprintf("%d %s", c.seq, method))
}

func (c *called) bye() {
	c.Helper()
	c.write(c.request("BYE").String())
	c.expect(200, "BYE")
}

func TestDial(t *testing.T) {
	b := newBench(t)
	c := b.dial(newUA(b, "UDP"))
	p := b.Node.participant(t, 0)
	if !p.Outgoing || p.Name != "bob" || p.Alias != "room" || !p.Audio || !p.Video {
		t.Errorf("admitted %+v", p.Admit)
	}
	for _, want := range []string{"m=audio ", "m=video ", "RTP/AVP"} {
		if !strings.Contains(c.invite.body, want) {
			t.Errorf("no %s in the offer:\n%s", want, c.invite.body)
		}
	}
	for h, want := range map[string]string{
		"From": "<sip:room@127.0.0.1>;tag=", "To": "<sip:bob@" + c.local.String() + ">", "Contact": "<sip:room@" + c.remote.String() + ">",
		"Allow": "INVITE, ACK", "Supported": "timer", "Session-Expires": "1800", "Max-Forwards": "70", "User-Agent": "Skybridge",
	} {
		if got := c.invite.header(h); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q, want %q", h, got, want)
		}
	}
	c.reply(c.invite, 180, "Ringing", c.with(""))
	c.answer()
	next[*participant.Connect](t, p)
	if e := next[*participant.SetMedia](t, p); !e.Audio || e.Video {
		t.Errorf("media %+v", e) // video was offered, and not taken
	}
	c.bye()
	if e := next[*participant.Ended](t, p); e.Reason.Code != "hangup" {
		t.Errorf("ended with %+v", e.Reason)
	}
	settled(t, "gone", func() bool { return b.Server.Calls() == 0 && b.Ports.Used() == 0 })
}

func TestDialHangup(t *testing.T) {
	b := newBench(t)
	c := b.dial(newUA(b, "UDP"))
	c.answer()
	p := b.Node.participant(t, 0)
	next[*participant.Connect](t, p)
	p.hangup(participant.Reason{Code: "disconnected"})
	bye := c.expectRequest("BYE")
	if bye.tag("To") != c.tag || bye.tag("From") != c.invite.tag("From") {
		t.Errorf("BYE of another dialog: %+v", bye)
	}
	c.reply(bye, 200, "OK")
}

// stranger is a peer that listens for connections.
func stranger(b *bench, config *tls.Config) (l net.Listener, accept func() *ua) {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.Close() })
	return l, func() *ua {
		b.Helper()
		conn, err := l.Accept()
		if err != nil {
			b.Fatal(err)
		}
		u := &ua{T: b.T, transport: "TCP", remote: b.Server.Addrs().SIP, in: make(chan message, 64), stream: conn}
		if config != nil {
			u.transport, u.stream = "TLS", tls.Server(conn, config)
		}
		u.start()
		return u
	}
}

func TestDialOverTLS(t *testing.T) {
	cert := certificate(t)
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, trusted := range []bool{true, false} {
		t.Run(fmt.Sprintf("trusted=%v", trusted), func(t *testing.T) {
			b := newBench(t, func(c *sip.Config, _ *sip.Deps) {
				c.DialTLS = &tls.Config{RootCAs: x509.NewCertPool()}
				if trusted {
					c.DialTLS.RootCAs.AddCert(leaf)
				}
			})
			l, accept := stranger(b, &tls.Config{Certificates: []tls.Certificate{cert}})
			b.Server.Dial(node.NewCall(), node.Dial{Alias: "room", URI: fmt.Sprintf("sip:bob@%s;transport=tls", l.Addr())})
			u := accept()
			if !trusted {
				if e := next[*participant.Ended](t, b.Node.participant(t, 0)); !strings.Contains(e.Reason.Text, "certificate") {
					t.Errorf("ended with %+v", e.Reason)
				}
				return
			}
			c := &called{ua: u, invite: u.expectRequest("INVITE"), tag: "tls"}
			if !strings.Contains(c.invite.body, "a=crypto:1 ") {
				t.Errorf("no keys offered over TLS:\n%s", c.invite.body)
			}
			c.answer(func(d *draft) {
				// A Contact that the certificate is not for: the connection
				// stays the one that was made.
				d.set("Contact", "<sip:bob@callee.example.com;transport=tls>")
			})
			p := b.Node.participant(t, 0)
			next[*participant.Connect](t, p)
			p.hangup(participant.Reason{Code: "disconnected"})
			c.reply(c.expectRequest("BYE"), 200, "OK")
		})
	}
}

// TestConnectionIsShared: calls to one server go over one connection.
func TestConnectionIsShared(t *testing.T) {
	b := newBench(t)
	l, accept := stranger(b, nil)
	for range 3 {
		b.Server.Dial(node.NewCall(), node.Dial{Alias: "room", URI: fmt.Sprintf("sip:bob@%s;transport=tcp", l.Addr())})
	}
	u := accept()
	for i := range 3 {
		c := &called{ua: u, invite: u.expectRequest("INVITE"), tag: fmt.Sprint("tcp", i)}
		u.reply(c.invite, 486, "Busy Here", c.with(""))
	}
	if n := b.Server.Remembered()["streams"]; n != 1 {
		t.Errorf("%d connections", n)
	}
}

func TestDialFails(t *testing.T) {
	tests := []struct {
		status int
		reason string
		code   string
		text   string
	}{
		{486, "Busy Here", "failed", "486 Busy Here"},
		{404, "Not Found", "failed", "404 Not Found"},
		{603, "Decline", "failed", "603 Decline"},
		{408, "Request Timeout", "timeout", "408 Request Timeout"},
		{302, "Moved", "failed", "302 Moved"},
		{401, "Unauthorized", "failed", "401 Unauthorized"},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			b := newBench(t)
			c := b.dial(newUA(b, "UDP"))
			c.reply(c.invite, tt.status, tt.reason)
			ack := c.expectRequest("ACK")
			if ack.header("Via") != c.invite.header("Via") {
				t.Errorf("ACK has Via %q, want that of the INVITE (RFC 3261 section 17.1.1.3)", ack.header("Via"))
			}
			e := next[*participant.Ended](t, b.Node.participant(t, 0))
			if e.Reason.Code != tt.code || e.Reason.Text != tt.text {
				t.Errorf("ended with %+v", e.Reason)
			}
			settled(t, "gone", func() bool { return b.Server.Calls() == 0 && b.Ports.Used() == 0 })
		})
	}
}

func TestDialBadURI(t *testing.T) {
	for _, uri := range []string{"", "tel:+123", "sip:", "sip:bob@host with space", "sip:bob@127.0.0.1;transport=sctp", "http://x", "sip:bob@nowhere.invalid"} {
		b := newBench(t, func(_ *sip.Config, d *sip.Deps) { d.Resolver = names{} })
		b.Server.Dial(node.NewCall(), node.Dial{Alias: "room", URI: uri})
		if e := next[*participant.Ended](t, b.Node.participant(t, 0)); e.Reason.Code != "failed" || e.Reason.Text == "" {
			t.Errorf("%q ended with %+v", uri, e.Reason)
		}
	}
}

func TestDialNobodyThere(t *testing.T) {
	b := newBench(t)
	u := newUA(b, "UDP")
	c := b.dial(u)
	again := 0
	e := (*participant.Ended)(nil)
	p := b.Node.participant(t, 0)
	for began := time.Now(); e == nil && time.Since(began) < patience; {
		select {
		case m := <-u.in:
			if m.line == c.invite.line {
				again++
			}
		case ev := <-p.events:
			e, _ = ev.(*participant.Ended)
		}
	}
	if again < 5 {
		t.Errorf("INVITE was repeated %d times", again)
	}
	if e == nil || e.Reason.Code != "timeout" {
		t.Errorf("ended with %+v", e)
	}
}

// TestRingTimeout: a phone that rings for too long is told to stop.
func TestRingTimeout(t *testing.T) {
	b := newBench(t, func(c *sip.Config, _ *sip.Deps) { c.RingTimeout = 100 * time.Millisecond })
	c := b.dial(newUA(b, "UDP"))
	c.reply(c.invite, 180, "Ringing", c.with(""))
	cancel := c.expectRequest("CANCEL")
	if cancel.header("Via") != c.invite.header("Via") || cancel.header("CSeq") != "1 CANCEL" {
		t.Errorf("CANCEL does not match its INVITE: %+v", cancel)
	}
	c.reply(cancel, 200, "OK", c.with(""))
	c.reply(c.invite, 487, "Request Terminated", c.with(""))
	c.expectRequest("ACK")
	if e := next[*participant.Ended](t, b.Node.participant(t, 0)); e.Reason.Code != "timeout" {
		t.Errorf("ended with %+v", e.Reason)
	}
	settled(t, "gone", func() bool { return b.Server.Calls() == 0 })
}

// TestCancelWaits: RFC 3261 section 9.1, "If no provisional response has been
// received, the CANCEL request MUST NOT be sent".
func TestCancelWaits(t *testing.T) {
	b := newBench(t)
	c := b.dial(newUA(b, "UDP"))
	b.Node.participant(t, 0).hangup(participant.Reason{Code: "disconnected"})
	for end := time.Now().Add(3 * gosip.T1); time.Now().Before(end); {
		select {
		case m := <-c.in:
			if m.method() != "INVITE" {
				t.Fatalf("got %q", m.line)
			}
		case <-time.After(gosip.T1):
		}
	}
	c.reply(c.invite, 100, "Trying")
	c.reply(c.expectRequest("CANCEL"), 200, "OK", c.with(""))
	c.reply(c.invite, 487, "Request Terminated", c.with(""))
	c.expectRequest("ACK")
}

// TestCancelCrossesAnswer: the 200 wins the race against our CANCEL.
func TestCancelCrossesAnswer(t *testing.T) {
	b := newBench(t)
	c := b.dial(newUA(b, "UDP"))
	c.reply(c.invite, 180, "Ringing", c.with(""))
	b.Node.participant(t, 0).hangup(participant.Reason{Code: "disconnected"})
	cancel := c.expectRequest("CANCEL")
	c.reply(c.invite, 200, "OK", c.with(audioAnswer))
	c.reply(cancel, 200, "OK", c.with(""))
	c.expectRequest("ACK")
	c.reply(c.expectRequest("BYE"), 200, "OK")
	settled(t, "gone", func() bool { return b.Server.Calls() == 0 && b.Ports.Used() == 0 })
}

// TestForked: RFC 3261 section 13.2.2.4, several phones pick up: the first is
// it, "the UAC MUST generate an ACK request for each 2xx", and a BYE for those
// it does not want.
func TestForked(t *testing.T) {
	b := newBench(t)
	c := b.dial(newUA(b, "UDP"))
	c.answer()
	p := b.Node.participant(t, 0)
	next[*participant.Connect](t, p)
	next[*participant.SetMedia](t, p)
	other := *c
	other.tag = "other"
	c.reply(c.invite, 200, "OK", other.with(audioAnswer))
	ack, bye := c.expectRequest("ACK"), c.expectRequest("BYE")
	if ack.tag("To") != "other" || bye.tag("To") != "other" {
		t.Errorf("ACK to %q, BYE to %q", ack.tag("To"), bye.tag("To"))
	}
	c.reply(bye, 200, "OK")

	// The first one has missed our ACK.
	c.reply(c.invite, 200, "OK", c.with(audioAnswer))
	if again := c.expectRequest("ACK"); again.tag("To") != c.tag {
		t.Errorf("ACK to %q", again.tag("To"))
	}
	c.bye()
	next[*participant.Ended](t, p)
}

func TestRedirected(t *testing.T) {
	b := newBench(t)
	there := newUA(b, "UDP")
	c := b.dial(newUA(b, "UDP"))
	c.reply(c.invite, 302, "Moved Temporarily", func(d *draft) { d.set("Contact", fmt.Sprintf("<sip:bob@%s>;q=0.7", there.local)) })
	c.expectRequest("ACK")
	moved := &called{ua: there, invite: there.expectRequest("INVITE"), tag: "there"}
	if got := moved.invite.header("To"); got != c.invite.header("To") {
		t.Errorf("To: %q, want %q (RFC 3261 section 8.1.3.4)", got, c.invite.header("To"))
	}
	moved.answer()
	next[*participant.Connect](t, b.Node.participant(t, 0))
	moved.bye()
}

// TestRedirectLoop: a redirection to itself ends.
func TestRedirectLoop(t *testing.T) {
	b := newBench(t)
	c := b.dial(newUA(b, "UDP"))
	invites := 1
	p := b.Node.participant(t, 0)
	m := c.invite
	for {
		c.reply(m, 302, "Moved", func(d *draft) {
			d.set("Contact", fmt.Sprintf("<sip:bob@%s>, <sip:bob2@%s>", c.local, c.local))
		})
		for m = c.receive(); m.method() == "ACK"; {
			select {
			case m = <-c.in:
				continue
			case e := <-p.events:
				if ended, ok := e.(*participant.Ended); !ok || !strings.HasPrefix(ended.Reason.Text, "302") {
					t.Errorf("participant was told %+v", e)
				}
			}
			if invites > 10 {
				t.Errorf("%d INVITEs", invites)
			}
			return
		}
		invites++
	}
}

func TestAuthentication(t *testing.T) {
	creds := func(c *sip.Config, _ *sip.Deps) {
		c.Credentials = []sip.Credential{{Host: "127.0.0.1", Realm: "example", Username: "bob", Password: "secret"}}
	}
	tests := []struct {
		name      string
		challenge []string
		algorithm string // of the answer; empty: none
	}{
		{"MD5", []string{`Digest realm="example", nonce="n1", qop="auth"`}, "MD5"},
		{"strongest", []string{`Digest realm="example", nonce="n1"`, `Digest realm="example", nonce="n2", algorithm=SHA-256, qop="auth"`}, "SHA-256"},
		{"other realm", []string{`Digest realm="elsewhere", nonce="n1"`}, ""},
		{"unknown", []string{`Digest realm="example", nonce="n1", algorithm=ROT13`}, ""},
		{"garbage", []string{`Digest`}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, creds)
			c := b.dial(newUA(b, "UDP"))
			challenge := func(d *draft) {
				for _, ch := range tt.challenge {
					d.add("Proxy-Authenticate", ch)
				}
			}
			c.reply(c.invite, 407, "Proxy Authentication Required", challenge)
			c.expectRequest("ACK")
			p := b.Node.participant(t, 0)
			if tt.algorithm == "" {
				next[*participant.Ended](t, p)
				return
			}
			second := c.expectRequest("INVITE")
			cred, err := digest.ParseCredentials(second.header("Proxy-Authorization"))
			if err != nil || cred.Username != "bob" || cred.Algorithm != tt.algorithm && (tt.algorithm != "MD5" || cred.Algorithm != "") {
				t.Fatalf("credentials %+v, %v", cred, err)
			}
			if second.header("CSeq") != "2 INVITE" || second.header("Call-ID") != c.invite.header("Call-ID") {
				t.Errorf("second INVITE: %+v", second)
			}
			// It is asked once.
			c.reply(second, 407, "Proxy Authentication Required", challenge)
			c.expectRequest("ACK")
			next[*participant.Ended](t, p)
		})
	}
}

// TestReliableProvisional: who insists on a PRACK gets one (RFC 3262).
func TestReliableProvisional(t *testing.T) {
	b := newBench(t)
	c := b.dial(newUA(b, "UDP"))
	phone := newUA(b, "UDP") // behind the proxy that we have called
	c.reply(c.invite, 180, "Ringing", c.with(""), headers("Require", "100rel", "RSeq", "776656", "Contact", fmt.Sprintf("<sip:bob@%s>", phone.local)))
	prack := phone.expectRequest("PRACK")
	if prack.header("RAck") != "776656 1 INVITE" || prack.header("CSeq") != "2 PRACK" || prack.tag("To") != c.tag {
		t.Errorf("PRACK %+v", prack)
	}
	phone.reply(prack, 200, "OK")
	c.answer()
	p := b.Node.participant(t, 0)
	next[*participant.Connect](t, p)
	p.hangup(participant.Reason{Code: "disconnected"})
	bye := c.expectRequest("BYE")
	if bye.header("CSeq") != "3 BYE" {
		t.Errorf("CSeq %q", bye.header("CSeq"))
	}
	c.reply(bye, 200, "OK")
}

func TestIntervalTooSmall(t *testing.T) {
	b := newBench(t)
	c := b.dial(newUA(b, "UDP"))
	c.reply(c.invite, 422, "Session Interval Too Small", func(d *draft) { d.set("Min-SE", "3600") })
	c.expectRequest("ACK")
	if m := c.expectRequest("INVITE"); m.header("Session-Expires") != "3600" {
		t.Errorf("Session-Expires %q", m.header("Session-Expires"))
	}
	b.Node.participant(t, 0).hangup(participant.Reason{})
}

func TestCalleeHasNothing(t *testing.T) {
	for name, body := range map[string]string{"no SDP": "", "garbage": "v=0\r\nm=\r\n", "no stream": "v=0\r\no=- 7 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 0 RTP/AVP 0\r\nm=video 0 RTP/AVP 96\r\n"} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			c := b.dial(newUA(b, "UDP"))
			c.reply(c.invite, 200, "OK", c.with(body))
			c.expectRequest("ACK")
			c.reply(c.expectRequest("BYE"), 200, "OK")
			next[*participant.Ended](t, b.Node.participant(t, 0))
			settled(t, "gone", func() bool { return b.Server.Calls() == 0 && b.Ports.Used() == 0 })
		})
	}
}

// names resolves what a test needs.
type names map[string][]netip.Addr

func (n names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	if a, ok := n[host]; ok {
		return a, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

func (n names) LookupSRV(_ context.Context, service, proto, name string) (string, []*net.SRV, error) {
	var port uint16
	if a := n["_"+service+"._"+proto+"."+name]; len(a) > 0 {
		port = uint16(a[0].As4()[2])<<8 | uint16(a[0].As4()[3])
		return name, []*net.SRV{{Target: "dead." + name + ".", Port: port}, {Target: "live." + name + ".", Port: port}}, nil
	}
	return "", nil, &net.DNSError{Err: "no such record", Name: name, IsNotFound: true}
}

// TestFailover: RFC 3263 section 4.3: a name has several addresses, and the
// first refuses connections.
func TestFailover(t *testing.T) {
	resolver := names{}
	b := newBench(t, func(_ *sip.Config, d *sip.Deps) { d.Resolver = resolver })
	l, accept := stranger(b, nil)
	port := netip.MustParseAddrPort(l.Addr().String()).Port()
	resolver["_sip._tcp.example.com"] = []netip.Addr{netip.AddrFrom4([4]byte{0, 0, byte(port >> 8), byte(port)})}
	resolver["dead.example.com"] = []netip.Addr{netip.MustParseAddr("127.0.0.9")} // nobody listens there
	resolver["live.example.com"] = []netip.Addr{loopback}
	b.Server.Dial(node.NewCall(), node.Dial{Alias: "room", URI: "sip:bob@example.com;transport=tcp"})
	u := accept()
	c := &called{ua: u, invite: u.expectRequest("INVITE"), tag: "failover"}
	if c.invite.line != "INVITE sip:bob@example.com;transport=tcp SIP/2.0" {
		t.Errorf("got %q", c.invite.line)
	}
	c.answer()
	c.bye()
}
