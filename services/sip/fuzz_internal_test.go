package sip

import (
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"
)

// seeds are messages to begin with.
var seeds = []string{
	"INVITE sip:room@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK1;rport\r\nFrom: \"A\" <sip:a@b>;tag=1\r\n" +
		"To: <sip:room@127.0.0.1>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\nContact: <sip:a@127.0.0.1:5070>\r\n" +
		"x: 1800;refresher=uac\r\nk: timer, 100rel\r\nc: application/sdp\r\nl: 4\r\n\r\nv=0\r",
	"OPTIONS sip:x@y SIP/2.0\r\nv: SIP / 2.0 / TCP [::1]:5060 ;branch=z9hG4bK2, SIP/2.0/UDP b\r\nf: sip:a@b;tag=1\r\nt: \"\\\"\" <sip:c@d>\r\n" +
		"i: 1\r\nCSeq: 0001\r\n  OPTIONS\r\nmax-forwards: 0\r\nl: 0\r\n\r\n",
	"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK3\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\nCall-ID: 1\r\n" +
		"CSeq: 1 INVITE\r\nRecord-Route: <sip:p1;lr>, <sip:p2;lr>\r\nContact: <sip:c@d:5070;transport=tcp>;q=0.3\r\nContent-Length: 0\r\n\r\n",
	"INFO sip:x@y SIP/2.0\r\nVia: SIP/2.0/TLS h;branch=z9hG4bK4\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\nCall-ID: 1\r\nCSeq: 2 INFO\r\n" +
		"Max-Forwards: 70\r\nContent-Type: multipart/mixed;boundary=x\r\nContent-Length: 40\r\n\r\n--x\r\nContent-Type: application/sdp\r\n\r\nv=0",
	"\r\n\r\n", "INVITE", "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
}

// FuzzWire feeds bytes to everything that they meet on their way in, over UDP
// and over a stream. Whatever they are, nothing panics; and what passes
// validation can be answered and makes a dialog whose requests are well-formed
// again.
func FuzzWire(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	parser := newParser()
	from := netip.MustParseAddrPort("192.0.2.1:5060")
	f.Fuzz(func(t *testing.T, data []byte) {
		if req, _ := salvage(data); req != nil {
			_ = refuse(400, "Malformed Message").response(normaliseRequest(req, from), "tag").String()
		}
		if m, err := parser.ParseSIP(data); err == nil {
			checkMessage(t, parser, m, from)
		}
		stream := parser.NewSIPStream()
		defer stream.Close()
		_, _ = stream.Write(data)
		for range 10 {
			m, _, err := stream.ParseNext()
			if err != nil {
				break
			}
			checkMessage(t, parser, m, from)
		}
	})
}

func checkMessage(t *testing.T, parser *sip.Parser, m sip.Message, from netip.AddrPort) {
	if res, ok := m.(*sip.Response); ok {
		if res = normaliseResponse(res); checkResponse(res) {
			base := uacDialog(nameAddr{raw: "sip:us@here"}, nameAddr{raw: "sip:them@there"}, "id")
			if d, ok := base.answered(res); ok {
				d.request(sip.BYE, 0)
			}
			_, _ = parseExpiry(res)
			_, _ = description(res)
		}
		return
	}
	req := normaliseRequest(m.(*sip.Request), from)
	r, why := validate(req)
	if why != nil {
		_ = why.response(req, "tag").String()
		return
	}
	if _, err := sip.ServerTxKeyMake(r.Request); err != nil {
		t.Errorf("valid request without a transaction: %v", err)
	}
	_ = replyTo(r.via, from)
	_, _ = parseExpiry(r)
	_, _ = description(r)
	_, _ = parseInfo(text(r, "Content-Type"), r.Body())
	_ = r.checkRequire()
	_ = byeText(r)

	// What we send because of it must be something that we would take.
	res := newResponse(r.Request, 200, "OK", "tag")
	back, err := parser.ParseSIP([]byte(res.String()))
	if err != nil {
		t.Fatalf("our response does not parse: %v\n%s", err, res)
	}
	if got := text(back, "Call-ID"); got != r.callID {
		t.Errorf("Call-ID %q became %q", r.callID, got)
	}
	if r.Method != sip.INVITE {
		return
	}
	d := uasDialog(r, "tag")
	bye := d.request(sip.BYE, 0)
	bye.PrependHeader(sip.NewHeader("Via", "SIP/2.0/UDP here;branch=z9hG4bK1"))
	again, err := parser.ParseSIP([]byte(bye.String()))
	if err != nil {
		t.Fatalf("our BYE does not parse: %v\n%s", err, bye)
	}
	if _, why := validate(normaliseRequest(again.(*sip.Request), from)); why != nil {
		t.Errorf("our BYE is refused: %s\n%s", why.reason, bye)
	}
}

// FuzzInfo reads bodies of INFO.
func FuzzInfo(f *testing.F) {
	f.Add("application/dtmf-relay", []byte("Signal=5\r\nDuration=160\r\n"))
	f.Add("application/dtmf", []byte("#"))
	f.Add(mediaControl, []byte("<media_control><vc_primitive><to_encoder><picture_fast_update/></to_encoder></vc_primitive></media_control>"))
	f.Add("text/plain;x", []byte("x"))
	f.Fuzz(func(t *testing.T, kind string, body []byte) {
		in, why := parseInfo(kind, body)
		if why == nil && in.digit != 0 && !strings.ContainsRune("0123456789*#ABCD", rune(in.digit)) {
			t.Errorf("digit %q", in.digit)
		}
	})
}

// BenchmarkRequest is what one INVITE costs until it is known to be well-formed.
func BenchmarkRequest(b *testing.B) {
	cfg := &Config{Limits: Limits{MessagesPerSource: 1 << 30}}
	tr := newTransport(cfg, slog.New(slog.DiscardHandler), NewMetrics(nil))
	tr.deliver = func(m sip.Message, f flow) {
		if _, why := validate(normaliseRequest(m.(*sip.Request), f.peer())); why != nil {
			b.Fatal(why.reason)
		}
	}
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	tr.bindUDP(conn)
	data, from := []byte(seeds[0]), netip.MustParseAddrPort("127.0.0.1:5070")
	b.ReportAllocs()
	for b.Loop() {
		tr.udp.datagram(data, from)
	}
}
