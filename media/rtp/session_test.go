package rtp_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtcp"
	pion "github.com/pion/rtp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"github.com/skybridge-media/skybridge/media/rtp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 5 * time.Second // for what takes microseconds on loopback

// A side is a session with all that it has received.
type side struct {
	*rtp.Session
	packets  chan *pion.Packet
	controls chan []rtcp.Packet
}

// listen opens a session on 127.0.0.host.
func listen(t testing.TB, host byte, metrics *rtp.Metrics) *side {
	t.Helper()
	s, err := rtp.Listen(rtp.Config{Bind: netip.AddrFrom4([4]byte{127, 0, 0, host}), Metrics: metrics})
	if err != nil {
		t.Fatal(err)
	}
	d := &side{s, make(chan *pion.Packet, 1000), make(chan []rtcp.Packet, 1000)}
	t.Cleanup(func() { s.Close() })
	s.Start(rtp.Handler{
		RTP:  func(p *pion.Packet, _ time.Time) { d.packets <- p.Clone() },
		RTCP: func(ps []rtcp.Packet, _ time.Time) { d.controls <- slices.Clone(ps) },
	})
	return d
}

func (d *side) addr(host byte) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, host}), uint16(d.Port()))
}

func (d *side) controlAddr(host byte) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, host}), uint16(d.RTCPPort()))
}

// connect makes two sessions peers of each other.
func connect(t testing.TB, a, b *side, crypto, reverse *rtp.Crypto) {
	t.Helper()
	must(t, a.SetRemote(rtp.Remote{RTP: b.addr(2), RTCP: b.controlAddr(2), Types: []uint8{96}, Crypto: crypto}))
	must(t, b.SetRemote(rtp.Remote{RTP: a.addr(1), RTCP: a.controlAddr(1), Types: []uint8{96}, Crypto: reverse}))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func header(seq uint16) *pion.Header {
	return &pion.Header{PayloadType: 96, SequenceNumber: seq, Timestamp: 160 * uint32(seq), SSRC: 7}
}

// next waits for the next packet.
func (d *side) next(t testing.TB) *pion.Packet {
	t.Helper()
	select {
	case p := <-d.packets:
		return p
	case <-time.After(patience):
		t.Fatalf("no packet; %+v", d.Stats())
		return nil
	}
}

func (d *side) nextControl(t testing.TB) []rtcp.Packet {
	t.Helper()
	select {
	case p := <-d.controls:
		return p
	case <-time.After(patience):
		t.Fatalf("no RTCP; %+v", d.Stats())
		return nil
	}
}

// until polls for a condition on the counters.
func (d *side) until(t testing.TB, what string, ok func(rtp.Stats) bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(d.Stats()); {
		if time.Now().After(end) {
			t.Fatalf("not %s: %+v", what, d.Stats())
		}
		time.Sleep(time.Millisecond) // polling a socket: there is nothing to wait on
	}
}

var report = []rtcp.Packet{
	&rtcp.ReceiverReport{SSRC: 7},
	&rtcp.SourceDescription{Chunks: []rtcp.SourceDescriptionChunk{{Source: 7, Items: []rtcp.SourceDescriptionItem{{Type: rtcp.SDESCNAME, Text: "x"}}}}},
	&rtcp.PictureLossIndication{SenderSSRC: 7, MediaSSRC: 8},
}

func TestExchange(t *testing.T) {
	a, b := listen(t, 1, nil), listen(t, 2, nil)
	connect(t, a, b, nil, nil)
	for i := range uint16(10) {
		h := header(i)
		h.Marker = i == 3
		must(t, h.SetExtension(1, []byte{0x85}))
		must(t, a.WriteRTP(h, []byte{byte(i), 1, 2, 3}))
	}
	for i := range uint16(10) {
		p := b.next(t)
		if p.SequenceNumber != i || p.Marker != (i == 3) || p.SSRC != 7 || !slices.Equal(p.Payload, []byte{byte(i), 1, 2, 3}) ||
			p.Version != 2 || !slices.Equal(p.GetExtension(1), []byte{0x85}) {
			t.Errorf("packet %d: %v", i, p)
		}
	}
	must(t, b.WriteRTCP(report))
	got := a.nextControl(t)
	if len(got) != 3 {
		t.Fatalf("got %d packets of RTCP, want 3", len(got))
	}
	if pli, ok := got[2].(*rtcp.PictureLossIndication); !ok || pli.MediaSSRC != 8 {
		t.Errorf("got %v", got[2])
	}
	if s := a.Stats(); s.RTPOut.Packets != 10 || s.RTPOut.Bytes != 10*(12+8+4) || s.RTCPIn.Packets != 1 || s.Learned {
		t.Errorf("sender: %+v", s)
	}
	if s := b.Stats(); s.RTPIn.Packets != 10 || s.RTPIn.Bytes != 10*(12+8+4) || s.RTCPOut.Packets != 1 || s.Remote != a.addr(1) {
		t.Errorf("receiver: %+v", s)
	}
}

func TestPadding(t *testing.T) {
	a, b := listen(t, 1, nil), listen(t, 2, nil)
	connect(t, a, b, nil, nil)
	h := header(1)
	h.Padding, h.PaddingSize = true, 200
	must(t, a.WriteRTP(h, []byte{1, 2, 3}))
	if p := b.next(t); p.PaddingSize != 200 || !slices.Equal(p.Payload, []byte{1, 2, 3}) {
		t.Errorf("got padding %d, payload %v", p.PaddingSize, p.Payload)
	}
	h = header(2)
	h.Padding = true // says so, but has none
	must(t, a.WriteRTP(h, []byte{1, 2, 3}))
	if p := b.next(t); p.Padding || !slices.Equal(p.Payload, []byte{1, 2, 3}) {
		t.Errorf("got padding %v, payload %v", p.Padding, p.Payload)
	}
}

func TestMux(t *testing.T) {
	a, b := listen(t, 1, nil), listen(t, 2, nil)
	must(t, a.SetRemote(rtp.Remote{RTP: b.addr(2), Mux: true, Types: []uint8{96}}))
	must(t, b.SetRemote(rtp.Remote{RTP: a.addr(1), Mux: true, Types: []uint8{96}}))
	must(t, a.WriteRTCP(report))
	must(t, a.WriteRTP(header(1), []byte{1}))
	must(t, a.WriteRTCP(report))
	b.next(t)
	b.nextControl(t)
	b.nextControl(t)
	if s := b.Stats(); s.RTPIn.Packets != 1 || s.RTCPIn.Packets != 2 {
		t.Errorf("%+v", s)
	}
}

// A peer behind a NAT signals an address that leads nowhere. It is found by
// its packets, none of which is lost, and hears us there.
func TestLearnsPeerBehindNAT(t *testing.T) {
	reg := prometheus.NewRegistry()
	a, b := listen(t, 1, nil), listen(t, 2, rtp.NewMetrics(reg))
	nowhere := netip.MustParseAddrPort("127.0.0.9:9")
	must(t, a.SetRemote(rtp.Remote{RTP: b.addr(2), RTCP: b.controlAddr(2), Types: []uint8{96}}))
	must(t, b.SetRemote(rtp.Remote{RTP: nowhere, RTCP: nowhere, Types: []uint8{96}}))
	for i := range uint16(6) {
		must(t, a.WriteRTP(header(i), []byte{byte(i)}))
	}
	for i := range uint16(6) {
		if p := b.next(t); p.SequenceNumber != i || !slices.Equal(p.Payload, []byte{byte(i)}) {
			t.Errorf("packet %d: %v", i, p)
		}
	}
	if s := b.Stats(); !s.Learned || s.Remote != a.addr(1) || s.RTPIn.Packets != 6 {
		t.Errorf("%+v", s)
	}
	must(t, b.WriteRTP(header(1), []byte{42}))
	if p := a.next(t); !slices.Equal(p.Payload, []byte{42}) {
		t.Errorf("got %v", p)
	}
	// The port above is where RTCP goes until the peer's arrives.
	must(t, b.WriteRTCP(report))
	a.nextControl(t)
	must(t, a.WriteRTCP(report))
	b.nextControl(t)
	if n, err := testutil.GatherAndCount(reg, "skybridge_rtp_sources_learned_total"); err != nil || n != 1 {
		t.Errorf("learned metric: %d, %v", n, err)
	}
}

// hijack sends n valid packets in sequence from another host.
func hijack(t *testing.T, to netip.AddrPort, n int) {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 66)})
	must(t, err)
	defer conn.Close()
	for i := range n {
		p := pion.Packet{Header: pion.Header{Version: 2, PayloadType: 96, SequenceNumber: uint16(i), SSRC: 666}, Payload: []byte("evil")}
		b, err := p.Marshal()
		must(t, err)
		_, err = conn.WriteToUDPAddrPort(b, to)
		must(t, err)
	}
}

func TestRefusesStranger(t *testing.T) {
	a, b := listen(t, 1, nil), listen(t, 2, nil)
	connect(t, a, b, nil, nil)
	must(t, a.WriteRTP(header(1), []byte{1}))
	b.next(t)
	hijack(t, b.addr(2), 20)
	b.until(t, "refused", func(s rtp.Stats) bool { return s.WrongSource == 20 })
	must(t, a.WriteRTP(header(2), []byte{2}))
	if p := b.next(t); p.SSRC != 7 {
		t.Errorf("got the stranger's %v", p)
	}
	if s := b.Stats(); s.Remote != a.addr(1) || s.Learned {
		t.Errorf("%+v", s)
	}
}

func TestDropsWhatIsNotNegotiated(t *testing.T) {
	a, b := listen(t, 1, nil), listen(t, 2, nil)
	connect(t, a, b, nil, nil)
	h := header(1)
	h.PayloadType = 97
	must(t, a.WriteRTP(h, []byte{1}))
	b.until(t, "dropped", func(s rtp.Stats) bool { return s.WrongType == 1 })
	must(t, a.WriteRTP(header(2), []byte{2}))
	if p := b.next(t); p.SequenceNumber != 2 {
		t.Errorf("got %v", p)
	}
}

func TestDropsMalformed(t *testing.T) {
	reg := prometheus.NewRegistry()
	a, b := listen(t, 1, nil), listen(t, 2, rtp.NewMetrics(reg))
	connect(t, a, b, nil, nil)
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(b.addr(2)))
	must(t, err)
	defer conn.Close()
	garbage := [][]byte{
		{},
		{0x80},
		[]byte("\x00\x01\x00\x00\x21\x12\xa4\x42stunstunstun"),
		{0x80, 96, 0, 1, 0, 0, 0, 1},                          // half a header
		append([]byte{0x9f, 96}, make([]byte, 20)...),         // extension and CSRCs that are not there
		append([]byte{0xa0, 96}, make([]byte, 20)...),         // padding of zero
		{0x80, 200, 0, 9, 0, 0, 0, 1},                         // RTCP longer than the datagram
		{0x80, 200, 0, 1, 0, 0, 0, 1, 0x40, 200, 0, 1},        // second packet of another version
		append([]byte{0x80, 96, 0, 1}, make([]byte, 2100)...), // larger than any packet
	}
	for _, g := range garbage {
		_, err := conn.Write(g)
		must(t, err)
	}
	b.until(t, "counted", func(s rtp.Stats) bool { return s.Malformed >= uint64(len(garbage)) })
	must(t, a.WriteRTP(header(1), []byte{1}))
	b.next(t)
	if n := len(b.packets) + len(b.controls); n != 0 {
		t.Errorf("%d pieces of garbage were handed on", n)
	}
}

// What is no RTCP has no business on its port: the handler takes RTP from one
// goroutine, and the peer's place is not to be learned from there.
func TestDropsMediaOnControlPort(t *testing.T) {
	a := listen(t, 1, nil)
	must(t, a.SetRemote(rtp.Remote{Types: []uint8{96}}))
	stranger, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(a.controlAddr(1)))
	must(t, err)
	defer stranger.Close()
	for i := range uint16(10) {
		h := header(i)
		h.Version = 2
		b, err := (&pion.Packet{Header: *h, Payload: []byte{1}}).Marshal()
		must(t, err)
		_, err = stranger.Write(b)
		must(t, err)
	}
	a.until(t, "dropped", func(s rtp.Stats) bool { return s.Malformed+s.RTPIn.Packets >= 10 })
	if s := a.Stats(); s.RTPIn.Packets != 0 || s.Remote.IsValid() {
		t.Errorf("taken: %+v", s)
	}
}

// baresip opens its NAT binding with an RTCP APP packet.
func TestTakesHolePunch(t *testing.T) {
	a, b := listen(t, 1, nil), listen(t, 2, nil)
	connect(t, a, b, nil, nil)
	must(t, a.WriteRTCP([]rtcp.Packet{&rtcp.ApplicationDefined{SSRC: 7, Name: "OPEN", Data: []byte{1, 2, 3, 4}}}))
	b.until(t, "received", func(s rtp.Stats) bool { return s.RTCPIn.Packets == 1 })
	if s := b.Stats(); s.Malformed != 0 {
		t.Errorf("%+v", s)
	}
	// What follows an unknown packet in a compound is read.
	must(t, a.WriteRTCP([]rtcp.Packet{&rtcp.ApplicationDefined{SSRC: 7, Name: "OPEN"}, &rtcp.Goodbye{Sources: []uint32{7}}}))
	if got := b.nextControl(t); len(got) != 1 || fmt.Sprintf("%T", got[0]) != "*rtcp.Goodbye" {
		t.Errorf("got %v", got)
	}
}

func TestUnroutable(t *testing.T) {
	a := listen(t, 1, nil)
	must(t, a.WriteRTP(header(1), nil)) // before anything is known
	must(t, a.SetRemote(rtp.Remote{RTP: netip.MustParseAddrPort("0.0.0.0:4000"), Types: []uint8{96}}))
	must(t, a.WriteRTP(header(2), nil))
	must(t, a.WriteRTCP(report))
	if s := a.Stats(); s.Unroutable != 3 || s.RTPOut.Packets != 0 || s.Remote.IsValid() {
		t.Errorf("%+v", s)
	}
}

func TestTooLarge(t *testing.T) {
	a, b := listen(t, 1, nil), listen(t, 2, nil)
	connect(t, a, b, nil, nil)
	if err := a.WriteRTP(header(1), make([]byte, 2048-11)); !errors.Is(err, rtp.ErrTooLarge) {
		t.Errorf("got %v, want ErrTooLarge", err)
	}
	must(t, a.WriteRTP(header(1), make([]byte, 2048-12)))
	if p := b.next(t); len(p.Payload) != 2048-12 {
		t.Errorf("%d bytes", len(p.Payload))
	}
}

func TestClose(t *testing.T) {
	ports, err := rtp.NewPortRange(0, 0)
	must(t, err)
	s, err := rtp.Listen(rtp.Config{Bind: netip.MustParseAddr("127.0.0.1"), Ports: ports})
	must(t, err)
	addr := net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: s.Port()}
	s.Start(rtp.Handler{})
	must(t, s.SetRemote(rtp.Remote{RTP: netip.MustParseAddrPort("127.0.0.1:9"), RTCP: netip.MustParseAddrPort("127.0.0.1:9")}))
	must(t, s.Close())
	must(t, s.Close())
	if err := s.WriteRTP(header(1), nil); !errors.Is(err, rtp.ErrClosed) {
		t.Errorf("WriteRTP: %v, want ErrClosed", err)
	}
	if err := s.WriteRTCP(report); !errors.Is(err, rtp.ErrClosed) {
		t.Errorf("WriteRTCP: %v, want ErrClosed", err)
	}
	again, err := net.ListenUDP("udp", &addr)
	if err != nil {
		t.Fatalf("port not free: %v", err)
	}
	again.Close()
}

func TestCloseWithoutStart(t *testing.T) {
	s, err := rtp.Listen(rtp.Config{Bind: netip.MustParseAddr("127.0.0.1")})
	must(t, err)
	must(t, s.Close())
}

func TestMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	m := rtp.NewMetrics(reg)
	a, b := listen(t, 1, m), listen(t, 2, m)
	connect(t, a, b, nil, nil)
	must(t, a.WriteRTP(header(1), []byte{1, 2}))
	b.next(t)
	problems, err := testutil.GatherAndLint(reg)
	must(t, err)
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	families, err := reg.Gather()
	must(t, err)
	for _, f := range families {
		if h := f.GetHelp(); h == "" || h[len(h)-1] != '.' {
			t.Errorf("%s: help %q is no sentence", f.GetName(), h)
		}
		if f.GetName() == "skybridge_rtp_sessions" && f.GetMetric()[0].GetGauge().GetValue() != 2 {
			t.Errorf("sessions %v, want 2", f)
		}
	}
	// What a session has counted outlives it.
	must(t, a.Close())
	want := `
# HELP skybridge_rtp_packets_total RTP packets exchanged with peers of SIP calls, by direction.
# TYPE skybridge_rtp_packets_total counter
skybridge_rtp_packets_total{direction="in"} 1
skybridge_rtp_packets_total{direction="out"} 1
`
	must(t, testutil.GatherAndCompare(reg, strings.NewReader(want), "skybridge_rtp_packets_total"))
}

func BenchmarkWriteRTP(b *testing.B) {
	for _, suite := range []rtp.Suite{"", rtp.AES128CM80, rtp.AES128GCM} {
		b.Run("suite="+string(suite), func(b *testing.B) {
			s, err := rtp.Listen(rtp.Config{Bind: netip.MustParseAddr("127.0.0.1")})
			must(b, err)
			defer s.Close()
			r := rtp.Remote{RTP: netip.MustParseAddrPort("127.0.0.1:9")}
			if suite != "" {
				k := suite.NewKey()
				r.Crypto = &rtp.Crypto{Suite: suite, Send: k, Recv: []rtp.Key{k}}
			}
			must(b, s.SetRemote(r))
			h, payload := header(1), make([]byte, 1000)
			b.ReportAllocs()
			for b.Loop() {
				h.SequenceNumber++
				must(b, s.WriteRTP(h, payload))
			}
		})
	}
}
