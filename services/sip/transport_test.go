package sip_test

import (
	"fmt"
	"maps"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/skybridge-media/skybridge/actors/participant"
	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/g711"
	"github.com/skybridge-media/skybridge/media/sdp"
	"github.com/skybridge-media/skybridge/services/sip"
)

// TestRightConnection: a request for one peer does not arrive at another that
// has connected since. sipgo's pool knows accepted connections also under the
// address of our listener, where the last one wins.
func TestRightConnection(t *testing.T) {
	for _, transport := range []string{"TCP", "TLS"} {
		t.Run(transport, func(t *testing.T) {
			b := newBench(t, withTLS(t))
			a := newUA(b, transport)
			a.call("room")
			p := b.Node.participant(t, 0)
			next[*participant.Connect](t, p)
			other := newUA(b, transport)
			other.call("room").do("OPTIONS", 200)
			p.hangup(participant.Reason{Code: "disconnected"})
			a.reply(a.expectRequest("BYE"), 200, "OK")
			other.silence(20 * time.Millisecond)
		})
	}
}

// TestStrangersAreForgotten: sipgo keeps two map entries for every address that
// has ever sent a datagram.
func TestStrangersAreForgotten(t *testing.T) {
	b := newBench(t, func(c *sip.Config, _ *sip.Deps) { c.Limits.MessagesPerSource = 1e6 })
	remote := net.UDPAddrFromAddrPort(b.Server.Addrs().SIP)
	u := newUA(b, "UDP")
	knock := func(n int) {
		for i := range n {
			c, err := net.DialUDP("udp", nil, remote)
			if err != nil {
				t.Fatal(err)
			}
			d := u.draft([]string{"OPTIONS", "BYE", "INVITE", "garbage"}[i%4], "nobody")
			d.set("Via", fmt.Sprintf("SIP/2.0/UDP %s;branch=%s;rport", c.LocalAddr(), d.branch))
			_, _ = c.Write([]byte(d.String()))
			_ = c.Close()
			if i%50 == 49 { // what the socket's buffer takes
				u.write(u.draft("OPTIONS", "room").String())
				u.expect(200, "OPTIONS")
			}
		}
		b.forgets()
	}
	knock(400) // tables and pools have grown to their size
	before := heap()
	knock(800)
	if grown := int64(heap()) - int64(before); grown > 512<<10 {
		t.Errorf("%d bytes are kept", grown)
	}
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestPortsAreOurOwn: sipgo remembers the first port of each network only, and
// names it in Via and Contact.
func TestPortsAreOurOwn(t *testing.T) {
	b := newBench(t, withTLS(t))
	addrs := b.Server.Addrs()
	for transport, want := range map[string]string{
		"UDP": fmt.Sprintf("<sip:room@%s>", addrs.SIP),
		"TCP": fmt.Sprintf("<sip:room@%s;transport=tcp>", addrs.SIP),
		"TLS": fmt.Sprintf("<sip:room@%s;transport=tls>", addrs.SIPS),
	} {
		c := newUA(b, transport).call("room")
		if got := c.answer.header("Contact"); got != want {
			t.Errorf("%s: Contact %q, want %q", transport, got, want)
		}
		c.bye()
	}
}

// TestPublicAddress: behind a static NAT the peer is told what it can reach.
func TestPublicAddress(t *testing.T) {
	b := newBench(t, func(c *sip.Config, _ *sip.Deps) { c.Public = publicAddr })
	u := newUA(b, "UDP")
	d := u.draft("INVITE", "room").sdp(audioOffer)
	u.write(d.String())
	m := u.expect(200, "INVITE")
	port := b.Server.Addrs().SIP.Port()
	if got, want := m.header("Contact"), fmt.Sprintf("<sip:room@198.51.100.7:%d>", port); got != want {
		t.Errorf("Contact %q, want %q", got, want)
	}
	if !strings.Contains(m.body, "c=IN IP4 198.51.100.7\r\n") || strings.Contains(m.body, "127.0.0.1") {
		t.Errorf("answer:\n%s", m.body)
	}
}

// TestConnectionGoneBeforeAnswer: sipgo dials what the Via of the request says,
// for up to a minute, when the connection that it came on is gone.
func TestConnectionGoneBeforeAnswer(t *testing.T) {
	b := newBench(t)
	release := b.Node.wait("room")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	u := newUA(b, "TCP")
	d := u.draft("INVITE", "room").sdp(audioOffer)
	d.set("Via", fmt.Sprintf("SIP/2.0/TCP %s;branch=%s", l.Addr(), d.branch))
	u.write(d.String())
	p := b.Node.participant(t, 0)
	u.close()
	settled(t, "closed", func() bool { return b.Server.Remembered()["streams"] == 0 })
	began := time.Now()
	release()
	next[*participant.Ended](t, p)
	settled(t, "gone", func() bool { return b.Server.Calls() == 0 })
	if d := time.Since(began); d > 500*time.Millisecond {
		t.Errorf("took %v", d)
	}
	_ = l.(*net.TCPListener).SetDeadline(time.Now().Add(50 * time.Millisecond))
	if c, err := l.Accept(); err == nil {
		t.Errorf("%v was dialled", c.LocalAddr())
	}
}

// TestConnectionGoneInCall: requests of ours go to the peer's Contact then, and
// give up soon if nobody is there.
func TestConnectionGoneInCall(t *testing.T) {
	for _, there := range []bool{true, false} {
		t.Run(fmt.Sprintf("reachable=%v", there), func(t *testing.T) {
			b := newBench(t, func(c *sip.Config, _ *sip.Deps) { c.Limits.Dial = 200 * time.Millisecond })
			l, accept := stranger(b, nil)
			u := newUA(b, "TCP")
			u.call("room", headers("Contact", fmt.Sprintf("<sip:alice@%s;transport=tcp>", l.Addr())))
			p := b.Node.participant(t, 0)
			next[*participant.Connect](t, p)
			u.close()
			settled(t, "closed", func() bool { return b.Server.Remembered()["streams"] == 0 })
			if !there {
				_ = l.Close()
			}
			began := time.Now()
			p.hangup(participant.Reason{Code: "disconnected"})
			if there {
				again := accept()
				again.reply(again.expectRequest("BYE"), 200, "OK")
			}
			settled(t, "gone", func() bool { return b.Server.Calls() == 0 })
			if d := time.Since(began); d > time.Second {
				t.Errorf("took %v", d)
			}
		})
	}
}

// TestUnacknowledgedDoesNotBlock: sipgo's way to send a 200 returns when the ACK
// comes. Here other calls go on meanwhile, on the same connection too.
func TestUnacknowledgedDoesNotBlock(t *testing.T) {
	b := newBench(t)
	u := newUA(b, "TCP")
	var open []*dialog
	for range 10 {
		d := u.draft("INVITE", "room").sdp(audioOffer)
		u.write(d.String())
		open = append(open, &dialog{ua: u, first: d, answer: u.final(d, 200), seq: 1})
	}
	newUA(b, "UDP").call("room").bye()
	for _, c := range open {
		c.ack(c.answer, "")
	}
	for _, c := range open {
		c.do("BYE", 200)
	}
}

// TestAckEndsRepeating: nothing is sent after the ACK, and a second ACK is
// nothing (sipgo issues 285 and 289).
func TestAckEndsRepeating(t *testing.T) {
	b := newBench(t)
	u := newUA(b, "UDP")
	c := u.call("room")
	c.ack(c.answer, "")
	u.silence(500 * time.Millisecond) // ten times T1
	c.bye()
}

func TestStreamFraming(t *testing.T) {
	remote := newBench(t).Server.Addrs().SIP
	t.Run("byte by byte", func(t *testing.T) {
		u := dialUA(t, "TCP", remote)
		_ = u.stream.(*net.TCPConn).SetNoDelay(true)
		for _, c := range u.draft("OPTIONS", "room").String() {
			u.write(string(c))
		}
		u.expect(200, "OPTIONS")
	})
	t.Run("merged", func(t *testing.T) {
		u := dialUA(t, "TCP", remote)
		u.write("\r\n\r\n" + u.draft("OPTIONS", "a").String() + u.draft("OPTIONS", "b").String() + "\r\n" + u.draft("OPTIONS", "c").String())
		for range 3 {
			u.expect(200, "OPTIONS")
		}
	})
	t.Run("no Content-Length", func(t *testing.T) {
		u := dialUA(t, "TCP", remote)
		d := u.draft("OPTIONS", "a")
		u.write(strings.Replace(d.String(), "Content-Length: 0\r\n", "", 1))
		if m := u.receive(); m.status() != 400 || !strings.Contains(m.header("Via"), d.branch) {
			t.Errorf("got %+v", m)
		}
		if !u.closedWithin(patience) {
			t.Error("connection still open")
		}
	})
	t.Run("too long", func(t *testing.T) {
		u := dialUA(t, "TCP", remote)
		_, _ = u.stream.Write([]byte(u.draft("OPTIONS", "a").add("X", strings.Repeat("x", 70000)).String()))
		for range 3 { // a 400, perhaps
			if _, ok := u.next(); !ok {
				return
			}
		}
		t.Error("connection still open")
	})
	t.Run("no SIP", func(t *testing.T) {
		u := dialUA(t, "TCP", remote)
		u.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		if !u.closedWithin(patience) {
			t.Error("connection still open")
		}
	})
}

// TestKeepAlive: RFC 5626 section 4.4.1, a double CRLF is answered by a single.
func TestKeepAlive(t *testing.T) {
	b := newBench(t)
	conn, err := net.Dial("tcp", b.Server.Addrs().SIP.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	u := newUA(b, "UDP")
	if _, err := conn.Write([]byte(u.draft("OPTIONS", "x").String())); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4096)
	if _, err := conn.Read(buf); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte("\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	if n, err := conn.Read(buf); err != nil || string(buf[:n]) != "\r\n" {
		t.Errorf("got %q, %v", buf[:n], err)
	}
	u.write("\r\n\r\n")
	u.write("\x00\x00")
	u.write(u.draft("OPTIONS", "x").String())
	u.expect(200, "OPTIONS")
}

// TestSlowLoris: a connection must say something, and finish what it says.
func TestSlowLoris(t *testing.T) {
	inBubble(t, func(b *bubble) {
		silent, slow := b.newUA(), b.newUA()
		began := time.Now()
		text := slow.draft("OPTIONS", "room").add("X", strings.Repeat("x", 1000)).String()
		slow.write(text[:1])
		stop := make(chan struct{})
		go func() {
			for i := 1; ; i++ {
				select {
				case <-time.After(second):
					_, _ = slow.stream.Write([]byte(text[i : i+1]))
				case <-stop:
					return
				}
			}
		}()
		for _, u := range []*ua{silent, slow} {
			if !u.closedWithin(time.Minute) {
				t.Error("connection still open")
			}
			within(t, "closed", time.Since(began), 10*second, 11*second)
		}
		close(stop)
		if n := b.Metrics.Dropped("slow"); n != 2 {
			t.Errorf("%d counted as slow", n)
		}
	})
}

// TestIdleConnection: one without calls is closed after five minutes, one with
// a call is not.
func TestIdleConnection(t *testing.T) {
	inBubble(t, func(b *bubble) {
		idle, busy := b.newUA(), b.newUA()
		idle.write(idle.draft("OPTIONS", "room").String())
		idle.expect(200, "OPTIONS")
		c := busy.call("room", headers("Supported", "timer", "Session-Expires", "1800;refresher=uac"))
		began := time.Now()
		if !idle.closedWithin(time.Hour) {
			t.Error("idle connection still open")
		}
		within(t, "closed", time.Since(began), 5*time.Minute, 5*time.Minute+second)
		time.Sleep(15 * time.Minute)
		c.bye()
		if !busy.closedWithin(6 * time.Minute) {
			t.Error("connection still open, long after the call")
		}
	})
}

func TestConnectionLimits(t *testing.T) {
	b := newBench(t, func(c *sip.Config, _ *sip.Deps) { c.Limits.ConnectionsPerSource = 3 })
	var open []*ua
	for range 3 {
		u := newUA(b, "TCP")
		u.write(u.draft("OPTIONS", "x").String())
		u.expect(200, "OPTIONS")
		open = append(open, u)
	}
	one := newUA(b, "TCP")
	if !one.closedWithin(patience) {
		t.Error("a connection too many")
	}
	if n := b.Metrics.Dropped("connection"); n != 1 {
		t.Errorf("%d connections refused, want 1", n)
	}
	open[0].close()
	settled(t, "closed", func() bool { return b.Server.Remembered()["streams"] == 2 })
	u := newUA(b, "TCP")
	u.write(u.draft("OPTIONS", "x").String())
	u.expect(200, "OPTIONS")
}

func TestHandshakeLimit(t *testing.T) {
	b := newBench(t, withTLS(t), func(c *sip.Config, _ *sip.Deps) { c.Limits.Handshake = 50 * time.Millisecond })
	conn, err := net.Dial("tcp", b.Server.Addrs().SIPS.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	if _, err := conn.Read(make([]byte, 1)); err == nil || strings.Contains(err.Error(), "timeout") {
		t.Errorf("half a handshake was kept: %v", err)
	}
	settled(t, "counted", func() bool { return b.Metrics.Dropped("slow") == 1 })
}

// TestFlood: who sends too much is not heard for a while; others are.
func TestFlood(t *testing.T) {
	b := newBench(t, func(c *sip.Config, _ *sip.Deps) { c.Limits.MessagesPerSource = 50 })
	u := newUA(b, "TCP") // where nothing is lost on the way
	for range 500 {
		u.write(u.draft("OPTIONS", "x").String())
	}
	settled(t, "through", func() bool { return len(u.in)+b.Metrics.Dropped("flood") == 500 })
	if answers := len(u.in); answers < 100 || answers > 400 {
		t.Errorf("%d of 500 were answered, want the 100 of a burst and some more", answers)
	}
}

// TestPanicInMessage: a panic ends with the message that caused it.
func TestPanicInMessage(t *testing.T) {
	b := newPreparedBench(t, func(s *sip.Server) { s.PanicOn("OPTIONS") })
	u := newUA(b, "UDP")
	c := u.call("room")
	b.panics = 1
	u.write(u.draft("OPTIONS", "x").String())
	c.bye()
}

// TestPanicInCall: a panic ends the call that it happens in, with a 500, and no
// other notices.
func TestPanicInCall(t *testing.T) {
	b := newBench(t, func(_ *sip.Config, d *sip.Deps) {
		d.Media = sdp.Capabilities{Audio: []*codecs.Audio{&g711.PCMU, nil}} // who asks for more finds nil
	})
	u := newUA(b, "UDP")
	simple := strings.ReplaceAll(audioOffer, " 0 101", " 0")
	c := u.call("room", offer(simple))
	b.panics = 2
	d := u.draft("INVITE", "room").sdp(strings.ReplaceAll(simple, " 0\r", " 8\r"))
	u.write(d.String())
	u.final(d, 500)

	// In the middle of a call it is that call.
	other := u.call("room", offer(simple))
	next[*participant.Connect](t, b.Node.participant(t, 1))
	other.do("UPDATE", 500, offer(strings.ReplaceAll(simple, " 0\r", " 8\r")))
	u.reply(u.expectRequest("BYE"), 200, "OK")
	next[*participant.Ended](t, b.Node.participant(t, 1))

	u.call("room", offer(simple)).bye()
	c.bye()
	settled(t, "gone", func() bool { return b.Server.Calls() == 0 })
}

// TestAbandonedDialogs: callers that never say ACK, never say BYE, or cancel, or
// vanish with their connection. Nothing stays of any of them.
func TestAbandonedDialogs(t *testing.T) {
	b := newBench(t)
	newUA(b, "UDP").call("room").bye()
	b.forgets()
	goroutines := runtime.NumGoroutine()
	const each = 50
	u := newUA(b, "UDP")
	streams := make([]*ua, 5)
	for i := range streams {
		streams[i] = newUA(b, "TCP")
	}
	for i := range each {
		u.write(u.draft("INVITE", "noack").sdp(audioOffer).String())
		u.write(u.draft("INVITE", "late").String())
		d := u.draft("INVITE", "cancel").sdp(audioOffer)
		u.write(d.String())
		u.write(cancelOf(d).String())
		s := streams[i%len(streams)]
		s.write(s.draft("INVITE", "vanish").sdp(videoOffer).String())
	}
	for _, s := range streams {
		s.call("nobye")
		s.close()
	}
	settled(t, "asked", func() bool { return b.Node.count() >= 3*each })
	settled(t, "over", func() bool { return b.Server.Calls() <= len(streams) })
	// Media would find these out, or session timers; here it is the node.
	for i := range b.Node.admitted() {
		if p := b.Node.participant(t, i); p.Alias == "nobye" {
			p.hangup(participant.Reason{Code: "media_lost"})
		}
	}
	u.close()
	b.forgets()
	settled(t, "freed", func() bool { return b.Ports.Used() == 0 })
	settled(t, "quiet", func() bool { return runtime.NumGoroutine() <= goroutines })
}

// forgets waits until the service remembers nobody.
func (b *bench) forgets() {
	b.Helper()
	var left map[string]int
	defer func() {
		if b.Failed() {
			b.Logf("left: %v", left)
		}
	}()
	settled(b.T, "forgotten", func() bool {
		left = b.Server.Remembered()
		maps.DeleteFunc(left, func(_ string, n int) bool { return n == 0 })
		return len(left) == 0
	})
}
