package sip_test

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/skybridge-media/skybridge/actors"
	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/actors/node"
	"github.com/skybridge-media/skybridge/actors/participant"
	"github.com/skybridge-media/skybridge/actors/transcoder"
	"github.com/skybridge-media/skybridge/actors/watcher"
	"github.com/skybridge-media/skybridge/bus"
	"github.com/skybridge-media/skybridge/bus/claim"
	"github.com/skybridge-media/skybridge/bus/membus"
	"github.com/skybridge-media/skybridge/codecs/pcm"
	"github.com/skybridge-media/skybridge/media/bridge"
	"github.com/skybridge-media/skybridge/media/rtp"
	"github.com/skybridge-media/skybridge/media/tone"
	"github.com/skybridge-media/skybridge/services/sip"
)

// needPeer skips the test when programs are missing. With SKYBRIDGE_PEERS=all,
// as in CI, a missing peer is a failure: a skipped test must not look green.
func needPeer(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			if os.Getenv("SKYBRIDGE_PEERS") == "all" {
				t.Fatalf("peer %s is required and not installed", p)
			}
			t.Skipf("peer %s is not installed", p)
		}
	}
}

// A house is a whole node: service, actors and media.
type house struct {
	*testing.T
	Server *sip.Server
	Events *membus.Bus
	Reg    *prometheus.Registry
	Ports  *rtp.PortRange
	sys    *actor.ActorSystem
	node   *actor.PID
	ca     string // the certificate, for who wants to trust it
}

func newHouse(t *testing.T, change ...func(*sip.Config, *sip.Deps)) *house {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	if os.Getenv("SKYBRIDGE_TEST_LOG") != "" {
		log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	ports, err := rtp.NewPortRange(25000, 26999)
	if err != nil {
		t.Fatal(err)
	}
	collect := actors.NewMetrics(nil)
	h := &house{T: t, Events: &membus.Bus{}, Reg: prometheus.NewRegistry(), Ports: ports, sys: actors.NewSystem(log, collect)}
	cfg := sip.Config{Bind: loopback}
	deps := sip.Deps{
		Log: log, System: h.sys, Node: h.sys.NewLocalPID(node.ActorName), Media: media(),
		Ports: ports, RTPMetrics: rtp.NewMetrics(h.Reg),
	}
	deps.Watchers = watcher.NewSet(watcher.Deps{Log: log, Metrics: collect, System: h.sys, Node: deps.Node})
	for _, f := range change {
		f(&cfg, &deps)
	}
	if h.Server, err = sip.New(cfg, deps); err != nil {
		t.Fatal(err)
	}
	if err := h.Server.Listen(); err != nil {
		t.Fatal(err)
	}
	workers := bridge.NewWorkers(2)
	h.node, err = node.Start(h.sys, node.Config{
		Name: "test", Roles: []string{node.RoleMedia}, AdHoc: &conference.Config{},
	}, node.Deps{
		Log: log, Events: h.Events, Directory: claim.NewMemory("test", h.sys.Address()), Dialer: h.Server,
		Metrics: node.Collectors{
			Node: node.NewMetrics(h.Reg), Actors: collect, Conference: conference.NewMetrics(nil),
			Transcoder: transcoder.NewMetrics(nil), Participant: participant.NewMetrics(nil),
		},
		NewBridge: func(_ string, notify func(any)) transcoder.Bridge {
			return bridge.New(bridge.Config{Log: log, Notify: notify, Workers: workers})
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- h.Server.Serve(ctx) }()
	t.Cleanup(func() {
		stopping, done := context.WithTimeout(context.Background(), 10*time.Second)
		defer done()
		if err := node.Stop(stopping, h.sys, h.node); err != nil {
			t.Errorf("node: %v", err)
		}
		cancel()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
		workers.Close()
		h.sys.Shutdown()
	})
	return h
}

// roster says who is in a room.
func (h *house) roster(room string) []*conference.Participant {
	h.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	found, err := actors.Ask[*node.Found](ctx, h.sys, h.node, &node.Find{Alias: room})
	if err != nil || found.Conference == nil {
		return nil
	}
	r, err := actors.Ask[*conference.Roster](ctx, h.sys, found.Conference, &conference.GetRoster{})
	if err != nil {
		return nil
	}
	return r.GetParticipants()
}

// packets is how much RTP was exchanged.
func (h *house) packets(direction string) float64 {
	h.Helper()
	return h.counter("skybridge_rtp_packets_total", direction)
}

// counter returns a counter of the registry by the value of its first label; 0
// if nothing was counted.
func (h *house) counter(name, label string) float64 {
	h.Helper()
	families, err := h.Reg.Gather()
	if err != nil {
		h.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.Metric {
			if f.GetName() == name && m.Label[0].GetValue() == label {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}

// TestPeerSipp: 20 calls, 10 a second, with audio both ways and two keys each.
func TestPeerSipp(t *testing.T) {
	needPeer(t, "sipp")
	scenario, err := filepath.Abs("testdata/sipp/call.xml")
	if err != nil {
		t.Fatal(err)
	}
	for _, transport := range []string{"u1", "t1"} {
		t.Run(transport, func(t *testing.T) {
			const calls = 20
			h := newHouse(t)
			ping := dialUA(t, "UDP", h.Server.Addrs().SIP)
			ping.write(ping.draft("OPTIONS", "room").String())
			ping.expect(200, "OPTIONS") // everything runs that runs without calls
			ping.close()
			goroutines := runtime.NumGoroutine()
			dir := t.TempDir()
			cmd := exec.Command("sipp", h.Server.Addrs().SIP.String(), "-sf", scenario, "-s", "room", "-t", transport,
				"-i", "127.0.0.1", "-mi", "127.0.0.1", "-p", freePort(t), "-mp", "27000", "-m", fmt.Sprint(calls), "-r", "10", "-l", fmt.Sprint(calls),
				"-timeout", "60", "-timeout_error", "-trace_err", "-error_file", "errors.log", "-nostdin")
			cmd.Dir = dir
			out, err := cmd.CombinedOutput()
			if err != nil {
				said, _ := os.ReadFile(filepath.Join(dir, "errors.log"))
				t.Fatalf("sipp: %v\n%s\n%s", err, said, tail(string(out), 2000))
			}
			settled(t, "gone", func() bool { return h.Server.Calls() == 0 && h.Ports.Used() == 0 })
			keys, joined := map[string]int{}, 0
			for _, e := range h.Events.Events() {
				switch e := e.(type) {
				case bus.ParticipantPressed:
					keys[e.Digit]++
				case bus.ParticipantJoined:
					joined++
				}
			}
			if joined != calls || keys["5"] != calls || keys["7"] != calls || len(keys) != 2 {
				t.Errorf("%d joined and pressed %v; want %d, and 5 and 7 as often", joined, keys, calls)
			}
			// 50 packets a second: two seconds of speech come, four go.
			for direction, least := range map[string]float64{"in": calls * 2 * 50 * 0.8, "out": calls * 4 * 50 * 0.8} {
				if n := h.packets(direction); n < least {
					t.Errorf("%v RTP packets %s, want at least %v", n, direction, least)
				}
			}
			settled(t, "quiet", func() bool { return runtime.NumGoroutine() <= goroutines })
		})
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	for {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		_, port, _ := net.SplitHostPort(l.Addr().String())
		_ = l.Close()
		u, err := net.ListenPacket("udp", "127.0.0.1:"+port)
		if err == nil {
			_ = u.Close()
			return port
		}
	}
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }

const baresipConfig = `poll_method epoll
sip_listen %[2]s
sip_certificate %[1]s/ident.pem
sip_cafile %[1]s/ca.pem
call_local_timeout 120
call_max_calls 8
net_interface 127.0.0.1
audio_path /usr/share/baresip
audio_player aubridge,nil
audio_source aufile,%[1]s/tone.wav
audio_alert aubridge,nil
ausrc_format s16
auplay_format s16
auenc_format s16
audec_format s16
video_source cairo,
video_display fakevideo,
video_size 320x180
video_bitrate 500000
video_fps 15.00
videnc_format yuv420p
rtp_ports %[4]d-%[5]d
rtcp_mux no
jitter_buffer_delay 5-10
statmode_default off
snd_path %[1]s
module_path /usr/lib/baresip/modules
module stdio.so
module opus.so
module g722.so
module g711.so
module sndfile.so
module aubridge.so
module aufile.so
module avcodec.so
module vp8.so
module fakevideo.so
module cairo.so
module srtp.so
module_tmp uuid.so
module_tmp account.so
module_app contact.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen %[3]s
opus_bitrate 32000
`

// A phone is a baresip that calls us, plays one tone and keeps what it hears.
type phone struct {
	*testing.T
	dir  string
	ctrl string
}

type phoneConfig struct {
	name, account, target string // no target: it waits to be called
	listen                string // address; empty: any
	rate, channels        int    // of its codec
	hz                    float64
	rtp                   int
}

func startPhone(t *testing.T, h *house, c phoneConfig) *phone {
	t.Helper()
	needPeer(t, "baresip")
	p := &phone{T: t, dir: t.TempDir(), ctrl: "127.0.0.1:" + freePort(t)}
	p.wav(c)
	p.write("ident.pem", identity(t, certificate(t)))
	p.write("ca.pem", h.ca)
	p.write("config", fmt.Sprintf(baresipConfig, p.dir, cmp.Or(c.listen, "127.0.0.1:"+freePort(t)), p.ctrl, c.rtp, c.rtp+8))
	p.write("accounts", fmt.Sprintf("%q <sip:%s@127.0.0.1>;regint=0;answermode=auto;%s\n", c.name, c.name, c.account))
	p.write("contacts", "")
	cmd := exec.Command("baresip", "-4", "-f", p.dir, "-t", "120")
	if c.target != "" {
		cmd.Args = append(cmd.Args, "-e", "/dial "+c.target)
	}
	cmd.Dir = p.dir
	log, err := os.Create(filepath.Join(p.dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			said, _ := os.ReadFile(filepath.Join(p.dir, "log"))
			t.Logf("%s:\n%s", c.name, tail(string(said), 3000))
		}
	})
	return p
}

// identity is a key and its certificate as baresip reads them.
func identity(t *testing.T, cert tls.Certificate) string {
	t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})) +
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]}))
}

func (p *phone) write(name, content string) {
	p.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, name), []byte(content), 0o600); err != nil {
		p.Fatal(err)
	}
}

// wav writes a minute of the phone's tone.
func (p *phone) wav(c phoneConfig) {
	mono := make(pcm.Frame, 60*c.rate)
	tone.New(c.rate, -15, c.hz).Read(mono)
	data := make([]byte, 0, 44+2*len(mono)*c.channels)
	size := uint32(2 * len(mono) * c.channels)
	data = append(data, "RIFF"...)
	data = binary.LittleEndian.AppendUint32(data, 36+size)
	data = append(data, "WAVEfmt "...)
	data = binary.LittleEndian.AppendUint32(data, 16)
	data = binary.LittleEndian.AppendUint16(data, 1)
	data = binary.LittleEndian.AppendUint16(data, uint16(c.channels))
	data = binary.LittleEndian.AppendUint32(data, uint32(c.rate))
	data = binary.LittleEndian.AppendUint32(data, uint32(2*c.rate*c.channels))
	data = binary.LittleEndian.AppendUint16(data, uint16(2*c.channels))
	data = binary.LittleEndian.AppendUint16(data, 16)
	data = append(data, "data"...)
	data = binary.LittleEndian.AppendUint32(data, size)
	for _, s := range mono {
		for range c.channels {
			data = binary.LittleEndian.AppendUint16(data, uint16(s))
		}
	}
	p.write("tone.wav", string(data))
}

// command sends one command to the phone's control port and returns the answer.
func (p *phone) command(name string) string {
	p.Helper()
	var answer string
	settled(p.T, "at the control port", func() bool {
		conn, err := net.Dial("tcp", p.ctrl)
		if err != nil {
			return false
		}
		defer conn.Close()
		msg, _ := json.Marshal(map[string]string{"command": name, "token": "t"})
		_ = conn.SetDeadline(time.Now().Add(2 * time.Second))
		if _, err := fmt.Fprintf(conn, "%d:%s,", len(msg), msg); err != nil {
			return false
		}
		buf := make([]byte, 16384)
		n, err := conn.Read(buf)
		answer = string(buf[:n])
		return err == nil
	})
	return answer
}

// heard is how loud tones are in the last second that the phone has recorded.
func (p *phone) heard(rate, channels int, hz ...float64) []float64 {
	p.Helper()
	files, _ := filepath.Glob(filepath.Join(p.dir, "dump-*-dec.wav"))
	if len(files) == 0 {
		return nil
	}
	data, err := os.ReadFile(files[0])
	frame := 2 * channels
	if err != nil || len(data) < 44+rate*frame {
		return nil
	}
	data = data[44:]
	data = data[len(data)/frame*frame-rate*frame:]
	samples := make(pcm.Frame, rate)
	for i := range samples {
		samples[i] = int16(binary.LittleEndian.Uint16(data[i*frame:]))
	}
	return tone.Detect(samples, rate, hz...)
}

// TestPeerBaresip: one phone with H.264 and G.722 over TLS and SRTP, one with VP8
// and Opus over UDP. Each hears the other and not itself; hold and resume reach
// the roster; and one of them is hung up on.
func TestPeerBaresip(t *testing.T) {
	needPeer(t, "baresip")
	cert := certificate(t)
	h := newHouse(t, func(c *sip.Config, _ *sip.Deps) { c.TLS = &tls.Config{Certificates: []tls.Certificate{cert}} })
	h.ca = identity(t, cert)
	secure := startPhone(t, h, phoneConfig{
		name: "secure", account: "audio_codecs=g722/16000/1;video_codecs=h264;mediaenc=srtp-mand", rate: 16000, channels: 1, hz: 600, rtp: 28000,
		target: fmt.Sprintf("sip:meet@%s;transport=tls", h.Server.Addrs().SIPS),
	})
	plain := startPhone(t, h, phoneConfig{
		name: "plain", account: "audio_codecs=opus/48000/2;video_codecs=vp8", rate: 48000, channels: 2, hz: 1100, rtp: 28020,
		target: fmt.Sprintf("sip:meet@%s", h.Server.Addrs().SIP),
	})
	settled(t, "connected", func() bool {
		n := 0
		for _, p := range h.roster("meet") {
			if p.GetState() == conference.StateConnected && p.GetAudio() && p.GetVideo() {
				n++
			}
		}
		return n == 2
	})
	hears := func(p *phone, rate, channels int, other, own float64) func() bool {
		return func() bool {
			levels := p.heard(rate, channels, other, own)
			return len(levels) == 2 && levels[0] > -30 && levels[0] > levels[1]+20
		}
	}
	settled(t, "hearing the other over TLS and SRTP", hears(secure, 16000, 1, 1100, 600))
	settled(t, "hearing the other over UDP", hears(plain, 48000, 2, 600, 1100))

	held := func(name string, want bool) func() bool {
		return func() bool {
			for _, p := range h.roster("meet") {
				if p.GetName() == name {
					return p.GetHeld() == want
				}
			}
			return false
		}
	}
	secure.command("hold")
	settled(t, "on hold", held("secure", true))
	secure.command("resume")
	settled(t, "resumed", held("secure", false))

	plain.command("hangup")
	settled(t, "hung up", func() bool { return len(h.roster("meet")) == 1 })
	if v := h.packets("in"); v < 100 {
		t.Errorf("%v RTP packets came", v)
	}
	if !strings.Contains(secure.command("listcalls"), "ESTABLISHED") {
		t.Errorf("the other call: %s", secure.command("listcalls"))
	}
}

// lossy relays datagrams between one peer and the service, and loses a share of
// them both ways.
func lossy(t *testing.T, to netip.AddrPort, share float64) netip.AddrPort {
	t.Helper()
	front, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback, 0)))
	if err != nil {
		t.Fatal(err)
	}
	back, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		t.Fatal(err)
	}
	var peer atomic.Pointer[netip.AddrPort]
	var relays sync.WaitGroup
	relay := func(seed uint64, read func([]byte) (int, error), write func([]byte)) {
		dice := rand.New(rand.NewPCG(seed, 1))
		buf := make([]byte, 65536)
		for {
			n, err := read(buf)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil && dice.Float64() >= share {
				write(buf[:n])
			}
		}
	}
	relays.Go(func() {
		relay(1, func(b []byte) (int, error) {
			n, from, err := front.ReadFromUDPAddrPort(b)
			peer.Store(&from)
			return n, err
		}, func(b []byte) { _, _ = back.Write(b) })
	})
	relays.Go(func() {
		relay(2, back.Read, func(b []byte) {
			if p := peer.Load(); p != nil {
				_, _ = front.WriteToUDPAddrPort(b, *p)
			}
		})
	})
	t.Cleanup(func() {
		_ = front.Close()
		_ = back.Close()
		relays.Wait()
	})
	return netip.MustParseAddrPort(front.LocalAddr().String())
}

// TestPeerSippLoss: at 10 % loss both ways all of 200 calls complete, and each is
// one call.
func TestPeerSippLoss(t *testing.T) {
	needPeer(t, "sipp")
	scenario, err := filepath.Abs("testdata/sipp/signal.xml")
	if err != nil {
		t.Fatal(err)
	}
	const calls = 200
	h := newHouse(t)
	relay := lossy(t, h.Server.Addrs().SIP, 0.1)
	dir := t.TempDir()
	cmd := exec.Command("sipp", relay.String(), "-sf", scenario, "-s", "room", "-t", "u1", "-i", "127.0.0.1", "-p", freePort(t),
		"-m", fmt.Sprint(calls), "-r", "50", "-l", fmt.Sprint(calls), "-timeout", "60", "-timeout_error", "-trace_err", "-error_file", "errors.log", "-nostdin")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		said, _ := os.ReadFile(filepath.Join(dir, "errors.log"))
		t.Fatalf("sipp: %v\n%s\n%s", err, said, tail(string(out), 2000))
	}
	settled(t, "gone", func() bool { return h.Server.Calls() == 0 && h.Ports.Used() == 0 })
	connected := 0
	for _, e := range h.Events.Events() {
		if _, ok := e.(bus.ParticipantConnected); ok {
			connected++
		}
	}
	if connected != calls {
		t.Errorf("%d calls were connected, want %d", connected, calls)
	}
}
