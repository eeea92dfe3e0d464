package sip_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	gosip "github.com/emiago/sipgo/sip"

	"github.com/skybridge-media/skybridge/actors/node"
	"github.com/skybridge-media/skybridge/actors/participant"
)

func TestCall(t *testing.T) {
	for _, transport := range []string{"UDP", "TCP", "TLS"} {
		t.Run(transport, func(t *testing.T) {
			b := newBench(t, withTLS(t))
			c := newUA(b, transport).call("room")
			if !strings.Contains(c.answer.body, "m=audio ") {
				t.Errorf("no audio in the answer:\n%s", c.answer.body)
			}
			p := b.Node.participant(t, 0)
			if p.Alias != "room" || p.Name != "Alice" || p.Protocol != "sip" || !p.Audio || p.Video {
				t.Errorf("admitted %+v", p.Admit)
			}
			next[*participant.Connect](t, p)
			c.do("BYE", 200, func(d *draft) { d.set("Reason", `SIP;cause=200;text="Had to go"`) })
			if e := next[*participant.Ended](t, p); e.Reason.Code != "hangup" || e.Reason.Text != "Had to go" {
				t.Errorf("ended with %+v", e.Reason)
			}
			settled(t, "gone", func() bool { return b.Server.Calls() == 0 })
		})
	}
}

// TestAliasIsUnescaped: RFC 3261 section 19.1.2, "escaped" characters in the
// user part are the characters that they stand for.
func TestAliasIsUnescaped(t *testing.T) {
	b := newBench(t)
	c := newUA(b, "UDP").call("caf%C3%A9%20room")
	if p := b.Node.participant(t, 0); p.Alias != "café room" {
		t.Errorf("alias %q", p.Alias)
	}
	if !strings.Contains(c.answer.header("Contact"), "sip:caf%C3%A9%20room@127.0.0.1") {
		t.Errorf("Contact %q", c.answer.header("Contact"))
	}
	c.bye()
}

// TestAnswerIsRepeated: RFC 3261 section 13.3.1.4, "the response ... is passed
// to the transport ... with an interval that starts at T1 seconds and doubles
// for each retransmission until it reaches T2 seconds"; and "If the server
// retransmits the 2xx response for 64*T1 seconds without receiving an ACK ...
// the session should be terminated ... with a BYE". sipgo's own waits 4 s from
// the second time on, for ever, and says no BYE.
func TestAnswerIsRepeated(t *testing.T) {
	b := newBench(t)
	newUA(b, "UDP").call("room").bye() // the address is known to be real now
	u := newUA(b, "UDP")
	u.write(u.draft("INVITE", "room").sdp(audioOffer).String())
	last := u.expect(200, "INVITE")
	began := last.at
	for want := gosip.T1; time.Since(began) < 40*gosip.T1; want = min(2*want, gosip.T2) {
		m := u.expect(200, "INVITE")
		if gap := m.at.Sub(last.at); gap < want/2 || gap > want*3/2+50*time.Millisecond {
			t.Errorf("repeated after %v, want %v", gap, want)
		}
		last = m
	}
	bye := u.expectRequest("BYE")
	if d := bye.at.Sub(began); d < 60*gosip.T1 || d > 70*gosip.T1 {
		t.Errorf("BYE after %v, want %v", d, 64*gosip.T1)
	}
	u.reply(bye, 200, "OK")
	p := b.Node.participant(t, 1)
	if e := next[*participant.Ended](t, p); e.Reason.Code != "timeout" {
		t.Errorf("ended with %+v", e.Reason)
	}
}

// TestForgedCaller: to an address that has never shown that it is real the 200
// is sent four times, and nothing else.
func TestForgedCaller(t *testing.T) {
	b := newBench(t)
	u := newUA(b, "UDP")
	u.write(u.draft("INVITE", "room").sdp(audioOffer).String())
	settled(t, "over", func() bool { return b.Node.count() == 1 && b.Server.Calls() == 0 })
	answers := 0
	for len(u.in) > 0 {
		if m := u.receive(); m.status() == 200 {
			answers++
		} else if m.status() != 100 {
			t.Errorf("got %q", m.line)
		}
	}
	if answers != 4 {
		t.Errorf("200 was sent %d times, want 4", answers)
	}
}

func TestRepeatedInvite(t *testing.T) {
	b := newBench(t)
	release := b.Node.wait("room")
	u := newUA(b, "UDP")
	d := u.draft("INVITE", "room").sdp(audioOffer)
	for range 3 {
		u.write(d.String())
	}
	u.expectProvisional(100)
	release()
	ok := u.final(d, 200)
	c := &dialog{ua: u, first: d, answer: ok, seq: 1}
	c.ack(ok, "")
	c.ack(ok, "")
	c.bye()
	if n := b.Node.count(); n != 1 {
		t.Errorf("%d calls, want 1", n)
	}
}

func (u *ua) expectProvisional(status int) {
	u.Helper()
	if m := u.receive(); m.status() != status {
		u.Fatalf("got %q, want %d", m.line, status)
	}
}

func TestCancel(t *testing.T) {
	b := newBench(t)
	release := b.Node.wait("room")
	u := newUA(b, "UDP")
	d := u.draft("INVITE", "room").sdp(audioOffer)
	u.write(d.String())
	u.expectProvisional(100)
	u.write(cancelOf(d).String())
	ok, terminated := u.receive(), u.receive()
	if ok.status() != 200 || ok.method() != "CANCEL" || terminated.status() != 487 || terminated.method() != "INVITE" {
		t.Fatalf("got %q and %q", ok.line, terminated.line)
	}
	if ok.tag("To") != terminated.tag("To") {
		t.Errorf("tags %q and %q, want the same (RFC 3261 section 9.2)", ok.tag("To"), terminated.tag("To"))
	}
	// The node lets the call in after all: it is told at once.
	release()
	if e := next[*participant.Ended](t, b.Node.participant(t, 0)); e.Reason.Code != "hangup" {
		t.Errorf("ended with %+v", e.Reason)
	}
	settled(t, "gone", func() bool { return b.Server.Calls() == 0 && b.Ports.Used() == 0 })
}

// cancelOf is the CANCEL of an INVITE.
func cancelOf(d *draft) *draft {
	c := d.clone()
	c.line, c.body = strings.Replace(d.line, "INVITE", "CANCEL", 1), ""
	return c.remove("Content-Type").remove("Contact").set("CSeq", "1 CANCEL")
}

// TestCancelTooLate: a CANCEL after the 200 changes nothing.
func TestCancelTooLate(t *testing.T) {
	b := newBench(t)
	u := newUA(b, "UDP")
	d := u.draft("INVITE", "room").sdp(audioOffer)
	u.write(d.String())
	ok := u.final(d, 200)
	u.write(cancelOf(d).String())
	u.expect(200, "CANCEL")
	c := &dialog{ua: u, first: d, answer: ok, seq: 1}
	c.ack(ok, "")
	next[*participant.Connect](t, b.Node.participant(t, 0))
	c.bye()
}

func TestLateOffer(t *testing.T) {
	b := newBench(t)
	u := newUA(b, "UDP")
	d := u.draft("INVITE", "room")
	u.write(d.String())
	ok := u.final(d, 200)
	for _, want := range []string{"m=audio ", "m=video ", "PCMU/8000", "opus/48000", "H264/90000", "VP8/90000"} {
		if !strings.Contains(ok.body, want) {
			t.Errorf("no %s in the offer:\n%s", want, ok.body)
		}
	}
	c := &dialog{ua: u, first: d, answer: ok, seq: 1}
	p := b.Node.participant(t, 0)
	select {
	case e := <-p.events:
		t.Errorf("participant was told %T before the ACK", e)
	case <-time.After(20 * time.Millisecond):
	}
	c.ack(ok, strings.Replace(audioOffer, "a=sendrecv", "a=ptime:20", 1)+"m=video 0 RTP/AVP 96\r\n")
	next[*participant.Connect](t, p)
	if e := next[*participant.SetMedia](t, p); !e.Audio || e.Video {
		t.Errorf("media %+v", e) // video was offered, and not taken
	}
	c.bye()
}

func TestLateOfferNotAnswered(t *testing.T) {
	for name, body := range map[string]string{
		"no answer": "", "no codec": strings.ReplaceAll(audioOffer, " 0 101", " 18"), "garbage": "v=0\r\nm=\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			u := newUA(b, "UDP")
			d := u.draft("INVITE", "room")
			u.write(d.String())
			ok := u.final(d, 200)
			c := &dialog{ua: u, first: d, answer: ok, seq: 1}
			c.ack(ok, body)
			u.reply(u.expectRequest("BYE"), 200, "OK")
			next[*participant.Ended](t, b.Node.participant(t, 0))
			settled(t, "gone", func() bool { return b.Server.Calls() == 0 })
		})
	}
}

// TestAsked is about a caller who is asked for a PIN: the node is told where the
// call comes from, the conference is known later, and the BYE says why.
func TestAsked(t *testing.T) {
	for reason, want := range map[participant.Reason]string{
		{Code: participant.ReasonRejected, Text: "Too many wrong PINs"}: `Q.850;cause=21;text="Too many wrong PINs"`,
		{Code: "timeout", Text: "No PIN was entered"}:                   `Q.850;cause=102;text="No PIN was entered"`,
	} {
		b := newBench(t)
		u := newUA(b, "UDP")
		u.call("room")
		p := b.Node.participant(t, 0)
		if !p.Asks || p.PIN != node.NoPIN || !p.Source.IsLoopback() {
			t.Errorf("admitted with %+v", p.Admit)
		}
		next[*participant.Connect](t, p)
		p.Signalling.(participant.Enterer).Entered(b.Node.pid)
		p.hangup(reason)
		bye := u.expectRequest("BYE")
		if got := bye.header("Reason"); got != want {
			t.Errorf("Reason %q, want %q", got, want)
		}
		u.reply(bye, 200, "OK")
		settled(t, "gone", func() bool { return b.Server.Calls() == 0 })
		p.Signalling.(participant.Enterer).Entered(b.Node.pid) // too late
	}
}

func TestHangup(t *testing.T) {
	b := newBench(t)
	u := newUA(b, "UDP")
	c := u.call("room")
	p := b.Node.participant(t, 0)
	next[*participant.Connect](t, p)
	p.hangup(participant.Reason{Code: "disconnected", Text: `Disconnected by "host"`})
	bye := u.expectRequest("BYE")
	if got, want := bye.header("Reason"), `Q.850;cause=16;text="Disconnected by \"host\""`; got != want {
		t.Errorf("Reason %q, want %q", got, want)
	}
	if bye.tag("To") != c.first.tagOf("From") || bye.header("Call-ID") != c.first.get("Call-ID") {
		t.Errorf("BYE of another dialog: %+v", bye)
	}
	u.reply(bye, 200, "OK")
	p.Signalling.Hangup(participant.Reason{})
	settled(t, "gone", func() bool { return b.Server.Calls() == 0 })
	c.do("BYE", 481) // the peer's own, which came too late
	u.silence(50 * time.Millisecond)
}

func (d *draft) tagOf(name string) string {
	_, tag, _ := strings.Cut(d.get(name), ";tag=")
	return tag
}

// TestHangupBeforeAck: RFC 3261 section 15, "The callee's UA MAY send a BYE on
// confirmed dialogs ... However, the callee's UA MUST NOT send a BYE on a
// confirmed dialog until it has received an ACK for its 2xx response".
func TestHangupBeforeAck(t *testing.T) {
	b := newBench(t)
	u := newUA(b, "UDP")
	d := u.draft("INVITE", "room").sdp(audioOffer)
	u.write(d.String())
	ok := u.final(d, 200)
	b.Node.participant(t, 0).hangup(participant.Reason{Code: "disconnected"})
	if m := u.receive(); m.status() != 200 {
		t.Fatalf("got %q before the ACK", m.line)
	}
	c := &dialog{ua: u, first: d, answer: ok, seq: 1}
	c.ack(ok, "")
	u.reply(u.expectRequest("BYE"), 200, "OK")
	settled(t, "gone", func() bool { return b.Server.Calls() == 0 })
}

func TestHangupWhileAdmitting(t *testing.T) {
	b := newBench(t)
	release := b.Node.wait("room")
	defer release()
	u := newUA(b, "UDP")
	u.write(u.draft("INVITE", "room").sdp(audioOffer).String())
	b.Node.participant(t, 0).hangup(participant.Reason{Code: "node_stopping"})
	if m := u.expect(503, "INVITE"); m.header("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	release()
	next[*participant.Ended](t, b.Node.participant(t, 0))
}

// TestRoutes: RFC 3261 section 12.1.1, "The route set MUST be set to the list of
// URIs in the Record-Route header field from the request, taken in order".
func TestRoutes(t *testing.T) {
	b := newBench(t)
	u := newUA(b, "UDP")
	near := fmt.Sprintf("<sip:%s;lr>", u.local)
	c := u.call("room", func(d *draft) {
		d.add("Record-Route", near+", <sip:p2.example.com;lr;x=1,2>").add("Record-Route", "<sip:p3.example.com;lr>")
		d.set("Contact", "<sip:alice@pc33.example.com>")
	})
	if got := c.answer.all("Record-Route"); strings.Join(got, "|") != near+"|<sip:p2.example.com;lr;x=1,2>|<sip:p3.example.com;lr>" {
		t.Errorf("Record-Route in the 200: %q", got)
	}
	p := b.Node.participant(t, 0)
	p.hangup(participant.Reason{Code: "disconnected"})
	bye := u.expectRequest("BYE")
	if bye.line != "BYE sip:alice@pc33.example.com SIP/2.0" {
		t.Errorf("got %q", bye.line)
	}
	if got := bye.all("Route"); len(got) != 3 || got[0] != near {
		t.Errorf("Route: %q", got)
	}
	u.reply(bye, 200, "OK")
}

// TestStrictRouter: RFC 3261 section 12.2.1.1, a first hop without lr wants to
// be in the Request-URI itself.
func TestStrictRouter(t *testing.T) {
	b := newBench(t)
	u := newUA(b, "UDP")
	u.call("room", func(d *draft) {
		d.add("Record-Route", fmt.Sprintf("<sip:%s>", u.local)).set("Contact", "<sip:alice@pc33.example.com>")
	})
	b.Node.participant(t, 0).hangup(participant.Reason{Code: "disconnected"})
	bye := u.expectRequest("BYE")
	if want := fmt.Sprintf("BYE sip:%s SIP/2.0", u.local); bye.line != want {
		t.Errorf("got %q, want %q", bye.line, want)
	}
	if got := bye.all("Route"); len(got) != 1 || got[0] != "<sip:alice@pc33.example.com>" {
		t.Errorf("Route: %q", got)
	}
	u.reply(bye, 200, "OK")
}

// TestVia: RFC 3261 section 18.2.1 and RFC 3581: what the peer says of itself is
// completed by what its packets say, and cannot be forged.
func TestVia(t *testing.T) {
	b := newBench(t)
	u := newUA(b, "UDP")
	port := u.local.Port()
	tests := []struct{ via, want string }{
		{
			"SIP/2.0/UDP 10.1.1.1:5060;branch=z9hG4bKx1;rport",
			fmt.Sprintf("SIP/2.0/UDP 10.1.1.1:5060;branch=z9hG4bKx1;rport=%d;received=127.0.0.1", port),
		},
		{
			fmt.Sprintf("SIP/2.0/UDP phone.example.com:%d;branch=z9hG4bKx2", port),
			fmt.Sprintf("SIP/2.0/UDP phone.example.com:%d;branch=z9hG4bKx2;received=127.0.0.1", port),
		},
		{
			fmt.Sprintf("SIP/2.0/UDP 127.0.0.1:%d;branch=z9hG4bKx3;received=192.0.2.1;rport=1", port),
			fmt.Sprintf("SIP/2.0/UDP 127.0.0.1:%d;branch=z9hG4bKx3;rport=%d;received=127.0.0.1", port, port),
		},
		{
			fmt.Sprintf("SIP / 2.0 /  UDP\t127.0.0.1:%d  ; branch = z9hG4bKx4 , SIP/2.0/TCP far;branch=z9hG4bKfar", port),
			fmt.Sprintf("SIP/2.0/UDP 127.0.0.1:%d;branch=z9hG4bKx4", port),
		},
	}
	for _, tt := range tests {
		u.write(u.draft("OPTIONS", "room").set("Via", tt.via).String())
		m := u.expect(200, "OPTIONS")
		if got := m.header("Via"); got != tt.want {
			t.Errorf("Via of %q:\ngot  %q\nwant %q", tt.via, got, tt.want)
		}
	}
}

// TestBehindNAT: a phone that names a private address in Via and Contact is
// called back where its packets come from.
func TestBehindNAT(t *testing.T) {
	b := newBench(t)
	u := newUA(b, "UDP")
	u.call("room", func(d *draft) {
		d.set("Via", "SIP/2.0/UDP 10.1.1.1:5060;branch="+d.branch+";rport").set("Contact", "<sip:alice@10.1.1.1:5060>")
	})
	b.Node.participant(t, 0).hangup(participant.Reason{Code: "disconnected"})
	bye := u.expectRequest("BYE")
	if bye.line != "BYE sip:alice@10.1.1.1:5060 SIP/2.0" {
		t.Errorf("got %q", bye.line)
	}
	u.reply(bye, 200, "OK")
}

// TestCompactForms: RFC 3261 section 7.3.3, and the registry of later ones.
func TestCompactForms(t *testing.T) {
	b := newBench(t)
	u := newUA(b, "TCP")
	d := u.draft("INVITE", "room").sdp(audioOffer)
	short := &draft{line: d.line, body: d.body}
	for _, h := range d.headers {
		name := map[string]string{"Via": "v", "From": "F", "To": "t", "Call-ID": "I", "Contact": "m", "Content-Type": "C"}[h[0]]
		if name == "" {
			name = strings.ToUpper(h[0])
		}
		short.add(name, h[1])
	}
	short.add("k", "timer").add("x", "3600;refresher=uac").add("l", fmt.Sprint(len(d.body)))
	u.write(short.String())
	ok := u.final(d, 200)
	if got := ok.header("Session-Expires"); got != "1800;refresher=uac" {
		t.Errorf("Session-Expires %q", got)
	}
	if ok.header("Require") != "timer" {
		t.Errorf("Require %q", ok.header("Require"))
	}
	c := &dialog{ua: u, first: d, answer: ok, seq: 1}
	c.ack(ok, "")
	c.bye()
}

func TestMultipart(t *testing.T) {
	b := newBench(t)
	u := newUA(b, "UDP")
	c := u.call("room", func(d *draft) {
		d.body = "--xyz\r\nContent-Type: application/isup;version=x\r\n\r\n\x01\x02\r\n" +
			"--xyz\r\nContent-Type: application/sdp\r\nContent-Disposition: session\r\n\r\n" + audioOffer + "\r\n--xyz--\r\n"
		d.set("Content-Type", `multipart/mixed; boundary="xyz"`)
	})
	next[*participant.Connect](t, b.Node.participant(t, 0))
	c.bye()

	d := u.draft("INVITE", "room")
	d.body = "--xyz\r\nContent-Type: text/plain\r\n\r\nhello\r\n--xyz--\r\n"
	u.write(d.set("Content-Type", "multipart/mixed;boundary=xyz").String())
	u.expect(415, "INVITE")
	u.write(d.set("Content-Type", "multipart/mixed").set("Call-ID", "other").set("Via", d.get("Via")+";x").set("CSeq", "2 INVITE").
		set("Via", strings.Replace(d.get("Via"), d.branch, d.branch+"b", 1)).String())
	u.expect(400, "INVITE")
}

// TestOversizedAnswer: sipgo by itself sends no datagram above 1300 bytes, not
// even a response, and the caller rings for ever.
func TestOversizedAnswer(t *testing.T) {
	b := newBench(t)
	u := newUA(b, "UDP")
	c := u.call("room", func(d *draft) {
		for i := range 40 {
			d.add("Record-Route", fmt.Sprintf("<sip:proxy-with-a-long-name-%d.example.com;lr>", i))
		}
		d.sdp(videoOffer)
		d.add("Record-Route", fmt.Sprintf("<sip:%s;lr>", u.local))
	})
	if n := len(strings.Join(c.answer.headers, "\r\n") + c.answer.body); n < 2500 {
		t.Errorf("answer has %d bytes only", n)
	}
	c.bye()
}

// TestCloseEndsCalls: calls get a BYE, callers that wait a 503.
func TestCloseEndsCalls(t *testing.T) {
	b := newBench(t)
	release := b.Node.wait("slow")
	defer release()
	u, waiting := newUA(b, "UDP"), newUA(b, "TCP")
	u.call("room")
	next[*participant.Connect](t, b.Node.participant(t, 0))
	waiting.write(waiting.draft("INVITE", "slow").sdp(audioOffer).String())
	b.Node.participant(t, 1)
	began := time.Now()
	closed := make(chan struct{})
	go func() {
		b.close()
		close(closed)
	}()
	bye := u.expectRequest("BYE")
	if !strings.Contains(bye.header("Reason"), "Node is stopping") {
		t.Errorf("Reason %q", bye.header("Reason"))
	}
	u.reply(bye, 200, "OK")
	waiting.expect(503, "INVITE")
	<-closed
	if d := time.Since(began); d > 2500*time.Millisecond {
		t.Errorf("closed after %v", d)
	}
	if e := next[*participant.Ended](t, b.Node.participant(t, 0)); e.Reason.Code != "node_stopping" {
		t.Errorf("ended with %+v", e.Reason)
	}
}
