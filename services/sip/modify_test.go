package sip_test

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/skybridge-media/skybridge/actors/participant"
)

// offer replaces the SDP of a request.
func offer(body string) func(*draft) { return func(d *draft) { d.sdp(body) } }

// version steps o= of a description.
func version(n int, body string) string {
	return strings.Replace(body, "o=- 1 1 ", fmt.Sprintf("o=- 1 %d ", n), 1)
}

func direction(n int, dir string) string {
	return strings.ReplaceAll(version(n, audioOffer), "a=sendrecv", "a="+dir)
}

// reinvite changes the call and acknowledges the answer.
func (d *dialog) reinvite(change ...func(*draft)) message {
	d.Helper()
	m := d.do("INVITE", 200, change...)
	d.ack(m, "")
	return m
}

func TestHoldAndResume(t *testing.T) {
	for name, hold := range map[string]string{
		"sendonly": direction(2, "sendonly"), "inactive": direction(2, "inactive"),
		"0.0.0.0": strings.Replace(version(2, audioOffer), "c=IN IP4 127.0.0.1", "c=IN IP4 0.0.0.0", 1),
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			c := newUA(b, "UDP").call("room")
			p := b.Node.participant(t, 0)
			next[*participant.Connect](t, p)
			m := c.reinvite(offer(hold))
			if e := next[*participant.Hold](t, p); !e.On {
				t.Error("not on hold")
			}
			if strings.Contains(m.body, "a=sendrecv") {
				t.Errorf("we would send to who is on hold:\n%s", m.body)
			}
			c.reinvite(offer(direction(3, "sendrecv")))
			if e := next[*participant.Hold](t, p); e.On {
				t.Error("still on hold")
			}
			c.bye()
		})
	}
}

func TestHoldByUpdate(t *testing.T) {
	b := newBench(t)
	c := newUA(b, "UDP").call("room")
	p := b.Node.participant(t, 0)
	next[*participant.Connect](t, p)
	c.do("UPDATE", 200, offer(direction(2, "sendonly")))
	if e := next[*participant.Hold](t, p); !e.On {
		t.Error("not on hold")
	}
	if m := c.do("UPDATE", 200); m.body != "" {
		t.Errorf("an UPDATE without offer got an answer:\n%s", m.body)
	}
	c.bye()
}

func TestVideoAddedAndRemoved(t *testing.T) {
	b := newBench(t)
	c := newUA(b, "UDP").call("room")
	p := b.Node.participant(t, 0)
	next[*participant.Connect](t, p)
	m := c.reinvite(offer(version(2, videoOffer)))
	if e := next[*participant.SetMedia](t, p); !e.Audio || !e.Video {
		t.Errorf("media %+v", e)
	}
	if !strings.Contains(m.body, "H264/90000") {
		t.Errorf("no video in the answer:\n%s", m.body)
	}
	c.reinvite(offer(strings.Replace(version(3, videoOffer), "m=video 40002", "m=video 0", 1)))
	if e := next[*participant.SetMedia](t, p); !e.Audio || e.Video {
		t.Errorf("media %+v", e)
	}
	c.bye()
}

// TestRefusedChange: RFC 3261 section 14.2, "the session parameters ... MUST
// remain unchanged" after a re-INVITE that fails.
func TestRefusedChange(t *testing.T) {
	b := newBench(t)
	c := newUA(b, "UDP").call("room")
	p := b.Node.participant(t, 0)
	next[*participant.Connect](t, p)
	m := c.request("INVITE").sdp(strings.ReplaceAll(version(2, audioOffer), " 0 101", " 18"))
	c.write(m.String())
	refused := c.expect(488, "INVITE")
	ack := m.clone()
	ack.line, ack.body = strings.Replace(m.line, "INVITE", "ACK", 1), ""
	c.write(ack.remove("Content-Type").set("CSeq", fmt.Sprintf("%d ACK", c.seq)).String())
	if !strings.Contains(refused.header("Warning"), "codec") {
		t.Errorf("Warning %q", refused.header("Warning"))
	}
	c.reinvite(offer(direction(3, "sendonly")))
	next[*participant.Hold](t, p)
	c.bye()
}

// TestOfferInOurAnswer: a re-INVITE without SDP asks us to offer.
func TestOfferInOurAnswer(t *testing.T) {
	b := newBench(t)
	c := newUA(b, "UDP").call("room")
	p := b.Node.participant(t, 0)
	next[*participant.Connect](t, p)
	m := c.do("INVITE", 200)
	if !strings.Contains(m.body, "m=audio ") {
		t.Fatalf("no offer:\n%s", m.body)
	}
	c.ack(m, direction(2, "sendonly")+"m=video 0 RTP/AVP 96\r\n")
	if e := next[*participant.Hold](t, p); !e.On {
		t.Error("not on hold")
	}
	c.bye()
}

// TestGlare: RFC 3261 section 14.2 and RFC 3311 section 5.2.
func TestGlare(t *testing.T) {
	b := newBench(t)
	c := newUA(b, "UDP").call("room")
	next[*participant.Connect](t, b.Node.participant(t, 0))

	// Our 200 is not acknowledged yet.
	first := c.do("INVITE", 200, offer(direction(2, "sendrecv")))
	if m := c.do("INVITE", 500, offer(direction(3, "sendrecv"))); m.header("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	c.ack(first, "")

	// Our offer is not answered yet.
	first = c.do("INVITE", 200)
	c.do("UPDATE", 491, offer(direction(4, "sendonly")))
	c.ack(first, direction(5, "sendrecv")+"m=video 0 RTP/AVP 96\r\n")
	c.bye()
}

// TestOutOfOrder: RFC 3261 section 12.2.2, "If the remote sequence number was
// not empty, but the sequence number of the request is lower than the remote
// sequence number, the request is out of order and MUST be rejected with a 500".
func TestOutOfOrder(t *testing.T) {
	b := newBench(t)
	c := newUA(b, "UDP").call("room")
	c.seq = 10
	c.do("OPTIONS", 200)
	c.seq = 5
	c.do("OPTIONS", 500)
	c.seq = 11
	c.bye()
}

// TestTargetRefresh: RFC 3261 section 12.2.2: a re-INVITE moves the peer.
func TestTargetRefresh(t *testing.T) {
	b := newBench(t)
	u := newUA(b, "UDP")
	c := u.call("room")
	p := b.Node.participant(t, 0)
	next[*participant.Connect](t, p)
	moved := newUA(b, "UDP")
	c.reinvite(func(d *draft) {
		d.sdp(version(2, audioOffer)).set("Contact", fmt.Sprintf("<sip:alice@%s>", moved.local))
	})
	p.hangup(participant.Reason{Code: "disconnected"})
	moved.reply(moved.expectRequest("BYE"), 200, "OK")
}

func TestInfo(t *testing.T) {
	b := newBench(t)
	c := newUA(b, "UDP").call("room", offer(videoOffer))
	p := b.Node.participant(t, 0)
	next[*participant.Connect](t, p)
	info := func(kind, body string, want int) {
		t.Helper()
		c.do("INFO", want, func(d *draft) {
			if d.body = body; body != "" {
				d.set("Content-Type", kind)
			}
		})
	}
	info("application/dtmf-relay", "Signal=5\r\nDuration=160\r\n", 200)
	info("application/dtmf", "#", 200)
	for _, want := range "5#" {
		if e := next[*participant.Pressed](t, p); e.Digit != byte(want) {
			t.Errorf("pressed %c, want %c", e.Digit, want)
		}
	}
	info("application/dtmf-relay", "Signal=!!\r\n", 400)
	info("application/media_control+xml", "<media_control><vc_primitive><to_encoder><picture_fast_update/></to_encoder></vc_primitive></media_control>", 200)
	info("application/media_control+xml", "not xml", 400)
	info("text/plain", "hello", 415)
	info("", "", 200)
	c.bye()
	next[*participant.Ended](t, p)
}

// TestInfoInOrder: the order of 200 INFO requests survives both transports, and
// over UDP even a network that swaps neighbours. sipgo hands each message to a
// goroutine of its own: 48 of 500 came out of order.
func TestInfoInOrder(t *testing.T) {
	const digits = "0123456789*#ABCD"
	for _, transport := range []string{"UDP", "TCP"} {
		t.Run(transport, func(t *testing.T) {
			b := newBench(t)
			c := newUA(b, transport).call("room")
			p := b.Node.participant(t, 0)
			next[*participant.Connect](t, p)
			var drafts []string
			for i := range 48 {
				d := c.request("INFO").set("Content-Type", "application/dtmf-relay")
				d.body = fmt.Sprintf("Signal=%c\r\nDuration=100\r\n", digits[i%len(digits)])
				drafts = append(drafts, d.String())
			}
			if transport == "UDP" {
				for i := 0; i+1 < len(drafts); i += 3 {
					drafts[i], drafts[i+1] = drafts[i+1], drafts[i]
				}
				for _, d := range drafts {
					c.write(d)
				}
			} else {
				c.write(strings.Join(drafts, ""))
			}
			for i := range drafts {
				if e := next[*participant.Pressed](t, p); e.Digit != digits[i%len(digits)] {
					t.Fatalf("key %d is %c, want %c", i, e.Digit, digits[i%len(digits)])
				}
			}
			for range drafts {
				c.expect(200, "INFO")
			}
			c.bye()
		})
	}
}

// TestSkippedNumber: a gap in CSeq is allowed, and costs an INFO over UDP only
// the wait for what may have been overtaken.
func TestSkippedNumber(t *testing.T) {
	b := newBench(t)
	c := newUA(b, "UDP").call("room")
	p := b.Node.participant(t, 0)
	next[*participant.Connect](t, p)
	c.seq += 5
	began := time.Now()
	c.do("INFO", 200, func(d *draft) { d.set("Content-Type", "application/dtmf").body = "1" })
	if d := time.Since(began); d < 90*time.Millisecond || d > time.Second {
		t.Errorf("answered after %v", d)
	}
	next[*participant.Pressed](t, p)
	c.bye()
}

// ear is a socket that hears RTP.
func ear(t *testing.T) (*net.UDPConn, int) {
	t.Helper()
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback, 0)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c, c.LocalAddr().(*net.UDPAddr).Port
}

// hears sends one packet on the call and reports its payload type if ear gets
// it.
func hears(t *testing.T, port participant.Port, ear *net.UDPConn) (payloadType int, ok bool) {
	t.Helper()
	port.WriteAudio(make([]byte, 160))
	_ = ear.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
	buf := make([]byte, 2048)
	for {
		n, err := ear.Read(buf)
		if err != nil {
			return 0, false
		}
		if n > 12 && buf[1]&0x7f < 64 || buf[1]&0x7f >= 96 {
			return int(buf[1] & 0x7f), true
		}
	}
}

// TestPeerMoves: a re-INVITE takes the media elsewhere, and in another codec.
// Nothing goes to the first place before the ACK, or after the change.
func TestPeerMoves(t *testing.T) {
	b := newBench(t)
	u := newUA(b, "UDP")
	first, port := ear(t)
	at := func(version, port int, codec string) string {
		return fmt.Sprintf("v=0\r\no=- 1 %d IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio %d RTP/AVP %s\r\n", version, port, codec)
	}
	d := u.draft("INVITE", "room").sdp(at(1, port, "0"))
	u.write(d.String())
	c := &dialog{ua: u, first: d, answer: u.final(d, 200), seq: 1}
	_ = first.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if n, err := first.Read(make([]byte, 2048)); err == nil {
		t.Errorf("%d bytes before the ACK", n)
	}
	c.ack(c.answer, "")
	leg := next[*participant.Connect](t, b.Node.participant(t, 0)).Port
	if pt, ok := hears(t, leg, first); !ok || pt != 0 {
		t.Fatalf("got payload type %d, %v", pt, ok)
	}
	second, port := ear(t)
	if m := c.reinvite(offer(at(2, port, "8"))); !strings.Contains(m.body, "RTP/AVP 8\r\n") {
		t.Errorf("answer:\n%s", m.body)
	}
	if pt, ok := hears(t, leg, second); !ok || pt != 8 {
		t.Errorf("got payload type %d, %v", pt, ok)
	}
	if pt, ok := hears(t, leg, first); ok {
		t.Errorf("the old address still gets payload type %d", pt)
	}
	c.bye()
}

// TestNewKeys: a re-INVITE with another key is answered with ours, which stays.
func TestNewKeys(t *testing.T) {
	b := newBench(t)
	c := newUA(b, "UDP").call("room", offer(secureOffer(1, "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz")))
	key := cryptoLine(c.answer.body)
	if key == "" {
		t.Fatalf("no key in the answer:\n%s", c.answer.body)
	}
	next[*participant.Connect](t, b.Node.participant(t, 0))
	m := c.reinvite(offer(secureOffer(2, "PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR")))
	if got := cryptoLine(m.body); got != key {
		t.Errorf("our key became %q, was %q", got, key)
	}
	c.bye()
}

func secureOffer(version int, key string) string {
	return fmt.Sprintf("v=0\r\no=- 1 %d IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/SAVP 0\r\n"+
		"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:%s\r\n", version, key)
}

func cryptoLine(body string) string {
	for line := range strings.SplitSeq(body, "\r\n") {
		if strings.HasPrefix(line, "a=crypto:") {
			return line
		}
	}
	return ""
}
