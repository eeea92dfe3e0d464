package main

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtcp"

	"github.com/skybridge-media/skybridge/bench/caller"
	"github.com/skybridge-media/skybridge/codecs/opus"
	"github.com/skybridge-media/skybridge/media/tone"
)

// TestGarbage throws malformed SIP, SDP, JSON, RTP, RTCP, STUN, DTLS and HTTP,
// and plain noise, at every port while two talk to each other, one by SIP and
// one as a browser. They notice nothing, new requests are served, nobody
// panics, the log stays readable and nothing is left behind.
func TestGarbage(t *testing.T) {
	p := startWithRooms(t, "--rtp-ports", "43600-43619")
	before := p.warm(t, listen(t, p.NATS))
	t.Run("during a call", func(t *testing.T) {
		ann := dial(t, p, "open", "ann", 600)
		bob := dialWeb(t, p, "open", "bob", 900)
		ann.hears(t, 900, true)
		bob.hears(t, 600, true)
		ann.reset()
		bob.reset()
		for name, attack := range map[string]func(*testing.T, *program, *litter){
			"SIP by UDP": sipDatagrams, "SIP by TCP": sipStreams, "SIP by TLS": sipStreams,
			"WebRTC": toWebRTC, "RTP ports": toRTP, "own RTP": ownRTP, "API": toAPI, "WHIP": toWHIP, "listeners": toListeners,
		} {
			t.Run(name, func(t *testing.T) { attack(t, p, newLitter(name)) })
		}
		ann.hears(t, 900, true)
		bob.hears(t, 600, true)
		// A busy machine makes gaps by itself.
		if a, b := ann.gap(), bob.gap(); max(a, b) > time.Second {
			t.Errorf("ann heard nothing for %v, bob for %v", a, b)
		} else {
			t.Logf("longest silences: ann %v, bob %v", a, b)
		}
		wantRoster(t, 5*time.Second, "open", "ann bob", p)
	})
	p.wantAsBefore(t, before)
	after := p.samples(t)
	for name, v := range after {
		if strings.Contains(name, "_panics_total") && v != 0 {
			t.Errorf("%s is %v", name, v)
		}
	}
	for name, least := range map[string]float64{ // else it was not garbage, or has not arrived
		`skybridge_sip_malformed_total{transport="UDP"}`:            50,
		`skybridge_sip_malformed_total{transport="TCP"}`:            20,
		`skybridge_sip_malformed_total{transport="TLS"}`:            20,
		`skybridge_rtp_packets_dropped_total{reason="malformed"}`:   50,
		`skybridge_rtp_packets_dropped_total{reason="source"}`:      10,
		`skybridge_rtp_packets_total{direction="in"}`:               200,
		`skybridge_webrtc_offers_refused_total{reason="malformed"}`: 20,
	} {
		if after[name] < least {
			t.Errorf("%s is %v, want %v or more", name, after[name], least)
		}
	}
	lines := strings.Split(p.logged(), "\n")
	complaints := 0
	for _, line := range lines {
		// The NATS server, which only this machine reaches, calls noise an error.
		if strings.Contains(line, `"level":"ERROR"`) && !strings.Contains(line, `"component":"nats"`) {
			t.Errorf("logged: %s", line)
		}
		if strings.Contains(line, `"level":"WARN"`) {
			complaints++
		}
	}
	t.Logf("%d lines in the log, %d of them warnings", len(lines), complaints)
	if complaints > 60 {
		t.Errorf("%d warnings about thousands of bad messages", complaints)
	}
}

// dialWeb is dial for a browser.
func dialWeb(t *testing.T, p *program, room, name string, hz float64) *ear {
	t.Helper()
	gen, e := tone.New(48000, -20, hz), &ear{}
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	call, err := caller.DialWeb(ctx, p.Web, room, caller.Config{Name: name, Audio: &opus.Mono, Sound: gen.Read, Heard: e.hear})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = call.Close() })
	return e
}

// A litter makes garbage out of what would be valid, the same in every run.
type litter struct{ *rand.Rand }

func newLitter(seed string) *litter {
	var s [32]byte
	copy(s[:], seed)
	return &litter{rand.New(rand.NewChaCha8(s))}
}

// noise is up to n random bytes.
func (l *litter) noise(n int) []byte {
	b := make([]byte, l.IntN(n+1))
	for i := range b {
		b[i] = byte(l.Uint32())
	}
	return b
}

// spoil returns one of the seeds with some damage.
func (l *litter) spoil(seeds ...[]byte) []byte {
	b := append([]byte(nil), seeds[l.IntN(len(seeds))]...)
	for range 1 + l.IntN(4) {
		if len(b) == 0 {
			return l.noise(100)
		}
		at := l.IntN(len(b))
		switch l.IntN(6) {
		case 0: // cut off
			b = b[:at]
		case 1: // something is missing
			b = append(b[:at], b[min(len(b), at+1+l.IntN(20)):]...)
		case 2: // something is there twice
			b = append(b[:at:at], b[max(0, at-l.IntN(60)):]...)
		case 3: // noise in the middle
			b = append(b[:at:at], append(l.noise(20), b[at:]...)...)
		default: // bytes changed
			for range 1 + l.IntN(8) {
				b[l.IntN(len(b))] = byte(l.Uint32())
			}
		}
	}
	return b[:min(len(b), 1400)]
}

// stranger is where garbage comes from: another address than that of callers,
// whose own messages are not to count as part of a flood.
const stranger = "127.0.0.66"

// throw sends datagrams.
func throw(t *testing.T, to string, n int, next func() []byte) {
	t.Helper()
	conn, err := (&net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(stranger)}}).Dial("udp", to)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for range n {
		_, _ = conn.Write(next()) // nobody may be there
	}
}

// pour opens connections, one for each thing that next returns, and gives up on
// each when it is closed or nothing is said.
func pour(t *testing.T, dial func() (net.Conn, error), n int, next func() []byte) {
	t.Helper()
	for range n {
		conn, err := dial()
		if err != nil {
			t.Fatal(err)
		}
		_, _ = conn.Write(next()) // it may be closed meanwhile
		_ = conn.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
		_, _ = io.Copy(io.Discard, conn)
		_ = conn.Close()
	}
}

func byTCP(to string) func() (net.Conn, error) {
	return func() (net.Conn, error) {
		return (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(stranger)}}).Dial("tcp", to)
	}
}

func byTLS(to string) func() (net.Conn, error) {
	return func() (net.Conn, error) { return tls.Dial("tcp", to, &tls.Config{InsecureSkipVerify: true}) }
}

// sipSeeds are messages to a room that there is not: none of them may become
// a call by accident.
func sipSeeds(t *testing.T, p *program, network string) (seeds [][]byte) {
	d := newPhone(t, p, network, stranger).call("nobody")
	for _, method := range []string{"INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "INFO", "UPDATE", "PRACK", "REGISTER"} {
		body := ""
		if method == "INVITE" || method == "UPDATE" {
			body = describe(40000, "RTP/AVP", "0 8 101") + "a=rtpmap:101 telephone-event/8000\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n"
		}
		seeds = append(seeds, []byte(d.message(method, body)))
	}
	return append(seeds, []byte("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP "+d.local+";branch=z9hG4bKx\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"))
}

func sipDatagrams(t *testing.T, p *program, l *litter) {
	seeds := sipSeeds(t, p, "UDP")
	throw(t, p.SIP, 1500, func() []byte {
		if l.IntN(5) == 0 {
			return l.noise(1400)
		}
		return l.spoil(seeds...)
	})
	wantOptions(t, p, "UDP")
}

func sipStreams(t *testing.T, p *program, l *litter) {
	network, connect := "TCP", byTCP(p.SIP)
	if strings.HasSuffix(t.Name(), "TLS") {
		network, connect = "TLS", byTLS(p.SIPS)
		pour(t, byTCP(p.SIPS), 20, func() []byte { return l.noise(600) }) // no TLS at all
	}
	seeds := sipSeeds(t, p, network)
	pour(t, connect, 60, func() []byte {
		if l.IntN(5) == 0 {
			return l.noise(5000)
		}
		return append(l.spoil(seeds...), l.spoil(seeds...)...)
	})
	wantOptions(t, p, network)
}

func wantOptions(t *testing.T, p *program, network string) {
	t.Helper()
	if got := newPhone(t, p, network, "127.0.0.1").call("nobody").ask(t, "OPTIONS", ""); got.status != "200 OK" {
		t.Errorf("OPTIONS over %s: %s", network, got.status)
	}
}

// stunSeed is a Binding request (RFC 8489) with the attributes of ICE.
func stunSeed() []byte {
	b := []byte{0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
	attribute := func(kind uint16, v string) {
		b = binary.BigEndian.AppendUint16(b, kind)
		b = binary.BigEndian.AppendUint16(b, uint16(len(v)))
		b = append(b, v...)
		for len(b)%4 != 0 {
			b = append(b, 0)
		}
	}
	attribute(0x0006, "abcdefgh:ijkl")        // USERNAME
	attribute(0x0024, "\x6e\x00\x1e\xff")     // PRIORITY
	attribute(0x802a, "12345678")             // ICE-CONTROLLING
	attribute(0x0008, "12345678901234567890") // MESSAGE-INTEGRITY
	attribute(0x8028, "\x01\x02\x03\x04")     // FINGERPRINT
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)-20))
	return b
}

// dtlsSeed begins like a ClientHello (RFC 9147).
func dtlsSeed() []byte {
	hello := append([]byte{1, 0, 0, 60, 0, 0, 0, 0, 0, 0, 0, 60, 0xfe, 0xfd}, make([]byte, 32)...)
	hello = append(hello, 0, 0, 0, 4, 0xc0, 0x2b, 0xc0, 0x2f, 1, 0, 0, 14, 0, 14, 0, 8, 0, 6, 0, 1, 0, 7, 0, 8)
	return append([]byte{22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, byte(len(hello))}, hello...)
}

// rtpSeed is a packet of 20 ms.
func rtpSeed(kind byte, seq uint16, payload []byte) []byte {
	b := []byte{0x80, kind}
	b = binary.BigEndian.AppendUint16(b, seq)
	b = binary.BigEndian.AppendUint32(b, uint32(seq)*160)
	return append(append(b, 0x11, 0x22, 0x33, 0x44), payload...)
}

// rtcpSeeds are one packet of every kind.
func rtcpSeeds(t *testing.T) (seeds [][]byte) {
	block := rtcp.ReceptionReport{SSRC: 1, FractionLost: 3, TotalLost: 4, LastSequenceNumber: 5}
	for _, packet := range []rtcp.Packet{
		&rtcp.SenderReport{SSRC: 0x11223344, NTPTime: 1 << 40, PacketCount: 7, Reports: []rtcp.ReceptionReport{block}},
		&rtcp.ReceiverReport{SSRC: 0x11223344, Reports: []rtcp.ReceptionReport{block}},
		&rtcp.SourceDescription{Chunks: []rtcp.SourceDescriptionChunk{{Source: 0x11223344, Items: []rtcp.SourceDescriptionItem{{Type: rtcp.SDESCNAME, Text: "x"}}}}},
		&rtcp.Goodbye{Sources: []uint32{0x99999999}, Reason: "none"},
		&rtcp.TransportLayerNack{SenderSSRC: 0x11223344, MediaSSRC: 1, Nacks: []rtcp.NackPair{{PacketID: 9, LostPackets: 0xffff}}},
		&rtcp.PictureLossIndication{SenderSSRC: 0x11223344, MediaSSRC: 1},
		&rtcp.FullIntraRequest{SenderSSRC: 0x11223344, MediaSSRC: 1, FIR: []rtcp.FIREntry{{SSRC: 1, SequenceNumber: 2}}},
		&rtcp.ReceiverEstimatedMaximumBitrate{SenderSSRC: 0x11223344, Bitrate: 1e6, SSRCs: []uint32{1}},
	} {
		b, err := packet.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		seeds = append(seeds, b)
	}
	return seeds
}

// media is garbage for any port that takes media.
func (l *litter) media(t *testing.T) func() []byte {
	seeds := append(rtcpSeeds(t), stunSeed(), dtlsSeed(), rtpSeed(0, 1, make([]byte, 160)), rtpSeed(101, 2, []byte{5, 10, 0, 160}), rtpSeed(0x80|96, 3, l.noise(1200)))
	return func() []byte {
		if l.IntN(5) == 0 {
			return l.noise(1400)
		}
		return l.spoil(seeds...)
	}
}

func toWebRTC(t *testing.T, p *program, l *litter) {
	next := l.media(t)
	throw(t, p.WebRTC, 3000, next)
	pour(t, byTCP(p.WebRTC), 60, func() []byte { // RFC 4571 framing, right or wrong
		b := next()
		return append(binary.BigEndian.AppendUint16(nil, uint16(len(b)+l.IntN(3)-1)), b...)
	})
}

func toRTP(t *testing.T, _ *program, l *litter) {
	next := l.media(t)
	for port := 43600; port <= 43619; port++ { // all that the program may use
		throw(t, fmt.Sprintf("127.0.0.1:%d", port), 150, next)
	}
}

// ownRTP is a caller who sends garbage from where its media is expected, so
// that it gets past the guards of the door, and whose call goes on.
func ownRTP(t *testing.T, p *program, l *litter) {
	media, control := listenUDP(t), listenUDP(t)
	defer media.Close()
	defer control.Close()
	d := newPhone(t, p, "UDP", "127.0.0.1").call("door")
	port := func(c *net.UDPConn) int { return c.LocalAddr().(*net.UDPAddr).Port }
	got := d.ask(t, "INVITE", describe(port(media), "RTP/AVP", "0 101")+fmt.Sprintf("a=rtpmap:101 telephone-event/8000\r\na=rtcp:%d\r\n", port(control)))
	if got.status != "200 OK" {
		t.Fatalf("INVITE: %s", got.status)
	}
	m := audioPort.FindStringSubmatch(got.body)
	if m == nil {
		t.Fatalf("no audio in %s", got.body)
	}
	n, err := strconv.ParseUint(m[1], 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	rtpTo := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(n))
	rtcpTo := netip.AddrPortFrom(rtpTo.Addr(), rtpTo.Port()+1)
	next, reports := l.media(t), rtcpSeeds(t)
	for seq := range uint16(1000) {
		_, _ = media.WriteToUDPAddrPort(rtpSeed(0, seq, l.noise(400)), rtpTo) // a valid header, and speech of any length
		_, _ = media.WriteToUDPAddrPort(rtpSeed(101, seq, l.noise(12)), rtpTo)
		_, _ = media.WriteToUDPAddrPort(next(), rtpTo)
		_, _ = control.WriteToUDPAddrPort(l.spoil(reports...), rtcpTo)
	}
	if got := d.ask(t, "BYE", ""); got.status != "200 OK" {
		t.Errorf("BYE: %s", got.status)
	}
}

// toAPI sends bad bodies to every function, with and without a token.
func toAPI(t *testing.T, p *program, l *litter) {
	s := newSeat(t, p, "door")
	id := s.participants(t, 1)["operator"]
	offer, err := json.Marshal(map[string]string{"call_type": "WEBRTC", "sdp": webOffer})
	if err != nil {
		t.Fatal(err)
	}
	seeds := [][]byte{
		offer, []byte(`{"display_name":"x","pin":["1234"],"node":{}}`), []byte(`{"transforms":{"layout":"4:0","streaming_indicator":true}}`),
		[]byte(`{"candidate":"candidate:1 1 udp 1 127.0.0.1 9 typ host","mid":"0","ufrag":"abcd"}`), []byte(`{"digits":"12#"}`), []byte(strings.Repeat(`[{"a":`, 300)),
	}
	paths := []string{
		"request_token", "refresh_token", "participants/" + id + "/calls", "participants/" + id + "/calls/none/new_candidate",
		"participants/" + id + "/calls/none/update", "participants/" + id + "/dtmf", "participants/%00/mute", "transform_layout", "dial", "message", "nothing",
	}
	for range 400 {
		path := p.Web + "/api/client/v2/conferences/nobody/" + paths[l.IntN(len(paths))]
		if l.IntN(2) == 0 {
			path = s.base + paths[2+l.IntN(len(paths)-2)] // no more seats, and no other token
		}
		token := s.token
		if l.IntN(4) == 0 {
			token = "none"
		}
		code := ask(t, "POST", path, "application/json", token, l.spoil(seeds...))
		if code >= 500 && code != http.StatusNotImplemented {
			t.Errorf("POST %s: %d", path, code)
		}
	}
}

func toWHIP(t *testing.T, p *program, l *litter) {
	for range 300 {
		code := ask(t, "POST", p.Web+"/whip/nobody", "application/sdp", "", l.spoil([]byte(webOffer)))
		if code != http.StatusNotFound && code != http.StatusBadRequest && code != http.StatusNotAcceptable {
			t.Errorf("POST: %d", code)
		}
		for _, method := range []string{"PATCH", "DELETE"} {
			if code := ask(t, method, p.Web+"/whip/open/none", "application/trickle-ice-sdpfrag", "", l.noise(100)); code != http.StatusNotFound {
				t.Errorf("%s: %d", method, code)
			}
		}
	}
}

// ask returns the status of an answer.
func ask(t *testing.T, method, url, kind, token string, body []byte) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", kind)
	req.Header.Set("token", token)
	resp, err := insecure.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body) // so that the connection can be used again
	return resp.StatusCode
}

var hostPort = regexp.MustCompile(`[\d.]+:\d+`)

// toListeners sends noise to whatever else listens.
func toListeners(t *testing.T, p *program, l *litter) {
	next := func() []byte {
		if l.IntN(2) == 0 {
			return l.noise(2000)
		}
		return l.spoil([]byte("POST /api/client/v2/conferences/nobody/request_token HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"), []byte("CONNECT {\"verbose\":true}\r\nPING\r\nSUB > 1\r\n"))
	}
	pour(t, byTLS(hostPort.FindString(p.Web)), 30, next)
	for _, url := range []string{p.Web, p.Metrics, p.NATS} {
		pour(t, byTCP(hostPort.FindString(url)), 30, next)
	}
	if code := ask(t, "GET", strings.TrimSuffix(p.Metrics, "metrics")+"readyz", "", "", nil); code != http.StatusOK {
		t.Errorf("readyz: %d", code)
	}
	if code := ask(t, "GET", p.Web+"/", "", "", nil); code != http.StatusOK {
		t.Errorf("the page: %d", code)
	}
}
