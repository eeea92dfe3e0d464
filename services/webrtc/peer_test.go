package webrtc

import (
	"context"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/sdp/v3"
	pion "github.com/pion/webrtc/v4"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/media/port"
)

// limit is for what takes milliseconds when it works.
const limit = 20 * time.Second

// engine returns an Engine on 127.0.0.1 that is closed with the test.
func engine(t testing.TB, change ...func(*Config)) *Engine {
	t.Helper()
	cfg := Config{
		Audio: []*codecs.Audio{justOpus, justG722, justPCMU, justPCMA},
		Video: []*codecs.Video{justVP8, justH264},
		Bind:  netip.MustParseAddr("127.0.0.1"),
		Lite:  true,
	}
	for _, f := range change {
		f(&cfg)
	}
	e, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return e
}

// A browser is pion as the peer.
type browser struct {
	*testing.T
	*pion.PeerConnection
	connected chan struct{}
}

// newBrowser returns a peer that offers the kinds of media it is given.
func newBrowser(t *testing.T, settings *pion.SettingEngine, kinds ...pion.RTPCodecType) *browser {
	t.Helper()
	if settings == nil {
		settings = &pion.SettingEngine{}
		settings.SetNetworkTypes([]pion.NetworkType{pion.NetworkTypeUDP4})
	}
	settings.SetIncludeLoopbackCandidate(true)
	media := &pion.MediaEngine{}
	if err := media.RegisterDefaultCodecs(); err != nil {
		t.Fatal(err)
	}
	for _, uri := range []string{sdp.SDESMidURI, sdp.SDESRTPStreamIDURI} {
		if err := media.RegisterHeaderExtension(pion.RTPHeaderExtensionCapability{URI: uri}, pion.RTPCodecTypeVideo); err != nil {
			t.Fatal(err)
		}
	}
	registry := &interceptor.Registry{}
	if err := pion.ConfigureRTCPReports(registry); err != nil {
		t.Fatal(err)
	}
	api := pion.NewAPI(pion.WithSettingEngine(*settings), pion.WithMediaEngine(media), pion.WithInterceptorRegistry(registry))
	pc, err := api.NewPeerConnection(pion.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	b := &browser{t, pc, make(chan struct{})}
	t.Cleanup(func() { _ = pc.GracefulClose() })
	pc.OnConnectionStateChange(func(s pion.PeerConnectionState) {
		if s == pion.PeerConnectionStateConnected {
			select {
			case <-b.connected:
			default:
				close(b.connected)
			}
		}
	})
	for _, k := range kinds {
		b.add(k)
	}
	return b
}

// add adds a track that we send ourselves.
func (b *browser) add(k pion.RTPCodecType) *pion.TrackLocalStaticRTP {
	b.Helper()
	mime := pion.MimeTypeOpus
	if k == pion.RTPCodecTypeVideo {
		mime = pion.MimeTypeVP8
	}
	track, err := pion.NewTrackLocalStaticRTP(pion.RTPCodecCapability{MimeType: mime}, k.String(), "browser")
	if err != nil {
		b.Fatal(err)
	}
	if _, err := b.AddTransceiverFromTrack(track); err != nil {
		b.Fatal(err)
	}
	return track
}

// offer makes one, complete with candidates.
func (b *browser) offer(options *pion.OfferOptions) string {
	b.Helper()
	o, err := b.CreateOffer(options)
	if err != nil {
		b.Fatal(err)
	}
	gathered := pion.GatheringCompletePromise(b.PeerConnection)
	if err := b.SetLocalDescription(o); err != nil {
		b.Fatal(err)
	}
	<-gathered
	return b.LocalDescription().SDP
}

func (b *browser) accept(answer string) {
	b.Helper()
	if err := b.SetRemoteDescription(pion.SessionDescription{Type: pion.SDPTypeAnswer, SDP: answer}); err != nil {
		b.Fatalf("%v\n%s", err, answer)
	}
}

// A side is our side of a call, with what its callbacks said.
type side struct {
	*Call
	port      *port.Port
	connected chan struct{}
	ended     chan string
}

func answer(t *testing.T, e *Engine, offer string) *side {
	t.Helper()
	s := &side{port: port.New(port.Config{}), connected: make(chan struct{}), ended: make(chan string, 1)}
	t.Cleanup(s.port.Close)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	var err error
	s.Call, err = e.Answer(ctx, Offer{
		ID: "test", SDP: offer, Port: s.port,
		Connected: func() { close(s.connected) },
		Ended:     func(cause string) { s.ended <- cause },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// call lets a browser call, and returns when both sides are connected.
func call(t *testing.T, e *Engine, b *browser) *side {
	t.Helper()
	s := answer(t, e, b.offer(nil))
	b.accept(s.SDP())
	await(t, "browser to connect", b.connected)
	await(t, "our side to connect", s.connected)
	return s
}

func await[T any](t *testing.T, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(limit):
		t.Fatalf("gave up waiting for %s", what)
	}
	return v
}

// eventually polls what no channel tells.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(limit); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("gave up waiting for %s", what)
		}
	}
}

func TestCall(t *testing.T) {
	for _, lite := range []bool{true, false} {
		t.Run(fmt.Sprintf("lite=%v", lite), func(t *testing.T) {
			e := engine(t, func(c *Config) { c.Lite = lite })
			b := newBrowser(t, nil, pion.RTPCodecTypeAudio, pion.RTPCodecTypeVideo)
			s := call(t, e, b)
			if a, v := s.Media(); !a || !v {
				t.Errorf("media: audio %v, video %v", a, v)
			}
			if got := strings.Contains(s.SDP(), "a=ice-lite\r\n"); got != lite {
				t.Errorf("ice-lite in the answer: %v", got)
			}
			port := fmt.Sprintf(" 127.0.0.1 %d typ host", e.Port())
			if n := strings.Count(s.SDP(), port); n != 2 {
				t.Errorf("%d candidates with%s, want UDP and TCP:\n%s", n, port, s.SDP())
			}
		})
	}
}

func TestCallOverTCP(t *testing.T) {
	e := engine(t)
	var settings pion.SettingEngine
	settings.SetNetworkTypes([]pion.NetworkType{pion.NetworkTypeTCP4})
	b := newBrowser(t, &settings, pion.RTPCodecTypeAudio)
	s := call(t, e, b)
	pair, err := b.SCTP().Transport().ICETransport().GetSelectedCandidatePair()
	if err != nil || pair == nil || pair.Remote.Protocol != pion.ICEProtocolTCP {
		t.Errorf("selected pair %v, %v; want TCP", pair, err)
	}
	s.Close()
}

// A loopback address that no interface lists, as tests of clusters use them.
func TestBindOtherLoopback(t *testing.T) {
	e := engine(t, func(c *Config) { c.Bind = netip.MustParseAddr("127.0.0.7") })
	s := call(t, e, newBrowser(t, nil, pion.RTPCodecTypeAudio))
	if n := strings.Count(s.SDP(), " 127.0.0.7 "); n != 2 {
		t.Errorf("%d candidates on 127.0.0.7, want UDP and TCP:\n%s", n, s.SDP())
	}
}

func TestPublicAddress(t *testing.T) {
	e := engine(t, func(c *Config) { c.Public = netip.MustParseAddr("203.0.113.9") })
	s := answer(t, e, newBrowser(t, nil, pion.RTPCodecTypeAudio).offer(nil))
	if strings.Contains(s.SDP(), "127.0.0.1") {
		t.Errorf("the answer shows the private address:\n%s", s.SDP())
	}
	if n := strings.Count(s.SDP(), " 203.0.113.9 "); n != 2 {
		t.Errorf("%d candidates with the public address, want UDP and TCP:\n%s", n, s.SDP())
	}
}

func TestTwoEnginesOnePort(t *testing.T) {
	e := engine(t)
	if _, err := New(Config{Audio: e.cfg.Audio, Bind: e.cfg.Bind, Port: e.Port()}); err == nil {
		t.Error("a port that is in use was bound again")
	}
}

func TestTrickle(t *testing.T) {
	e := engine(t, func(c *Config) { c.Lite = false })
	b := newBrowser(t, nil, pion.RTPCodecTypeAudio)
	var late []string
	bare := strings.Join(slices.DeleteFunc(strings.SplitAfter(b.offer(nil), "\r\n"), func(l string) bool {
		if c, ok := strings.CutPrefix(l, "a=candidate:"); ok {
			late = append(late, strings.TrimSpace(c))
			return true
		}
		return strings.HasPrefix(l, "a=end-of-candidates")
	}), "")
	s := answer(t, e, bare)
	if err := s.AddCandidate("candidate:"+late[0], "wrong"); err != nil {
		t.Errorf("candidate of another generation: %v", err)
	}
	for _, c := range late {
		if err := s.AddCandidate("candidate:"+c, s.choice.via.ufrag); err != nil {
			t.Errorf("candidate %q: %v", c, err)
		}
	}
	if err := s.AddCandidate("", ""); err != nil {
		t.Errorf("end of candidates: %v", err)
	}
	b.accept(s.SDP())
	await(t, "connection", s.connected)
	for _, bad := range []string{"nonsense", "candidate:1 1 udp x 127.0.0.1 1 typ host"} {
		if err := s.AddCandidate(bad, ""); err == nil {
			t.Errorf("candidate %q was taken", bad)
		}
	}
	var err error
	for i := 0; err == nil && i <= maxCandidates; i++ {
		err = s.AddCandidate("candidate:"+late[0], "")
	}
	if err == nil {
		t.Error("candidates without end were taken")
	}
}

func TestRestart(t *testing.T) {
	e := engine(t)
	b := newBrowser(t, nil, pion.RTPCodecTypeAudio)
	s := call(t, e, b)
	first := s.SDP()
	again, err := s.Update(t.Context(), b.offer(&pion.OfferOptions{ICERestart: true}), true, true)
	if err != nil {
		t.Fatal(err)
	}
	if ufrag(t, first) == ufrag(t, again) {
		t.Error("our credentials did not change")
	}
	b.accept(again)
	eventually(t, "the browser to connect again", func() bool {
		return b.ICEConnectionState() == pion.ICEConnectionStateConnected && selected(b) != ""
	})
	if got := s.pc.ConnectionState(); got != pion.PeerConnectionStateConnected {
		t.Errorf("our state is %v", got)
	}
}

func ufrag(t *testing.T, text string) string {
	t.Helper()
	d, err := parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return d.sections[0].transport.ufrag
}

func selected(b *browser) string {
	pair, err := b.SCTP().Transport().ICETransport().GetSelectedCandidatePair()
	if err != nil || pair == nil {
		return ""
	}
	return pair.String()
}

// WHIP clients restart by fragments (RFC 9725 section 4.3.3).
func TestRestartByFragment(t *testing.T) {
	e := engine(t)
	b := newBrowser(t, nil, pion.RTPCodecTypeAudio, pion.RTPCodecTypeVideo)
	s := call(t, e, b)
	before := s.SDP()
	d, err := parse(b.offer(&pion.OfferOptions{ICERestart: true}))
	if err != nil {
		t.Fatal(err)
	}
	// Some clients trickle the way others restart.
	if reply, err := s.Restart(t.Context(), s.choice.offer.sections[0].fragment()); reply != "" || err != nil {
		t.Errorf("restart without a change: %q, %v", reply, err)
	}
	reply, err := s.Restart(t.Context(), d.sections[0].fragment())
	if err != nil {
		t.Fatal(err)
	}
	f, err := parseFragment(reply)
	if err != nil || f.ufrag == ufrag(t, before) || len(f.candidates) != 2 {
		t.Fatalf("got fragment %+v, %v", f, err)
	}
	// The client puts the fragment into the answer that it has.
	old, err := parse(before)
	if err != nil {
		t.Fatal(err)
	}
	was := old.sections[0].transport
	after := strings.NewReplacer("a=ice-ufrag:"+was.ufrag, "a=ice-ufrag:"+f.ufrag, "a=ice-pwd:"+was.pwd, "a=ice-pwd:"+f.pwd).Replace(before)
	b.accept(after)
	eventually(t, "the browser to connect again", func() bool {
		return b.ICEConnectionState() == pion.ICEConnectionStateConnected && selected(b) != ""
	})
	for _, bad := range []string{"", "x", "a=ice-ufrag:abc\r\na=ice-pwd:short\r\n"} {
		if _, err := s.Restart(t.Context(), bad); err == nil {
			t.Errorf("fragment %q was taken", bad)
		}
	}
}

func TestHoldAndResume(t *testing.T) {
	e := engine(t)
	b := newBrowser(t, nil, pion.RTPCodecTypeAudio, pion.RTPCodecTypeVideo)
	s := call(t, e, b)
	offer := b.offer(nil)
	for _, tt := range []struct{ theirs, ours string }{
		{"inactive", "inactive"}, {"sendrecv", "sendrecv"}, {"sendonly", "recvonly"}, {"recvonly", "sendonly"}, {"sendrecv", "sendrecv"},
	} {
		answer, err := s.Update(t.Context(), strings.ReplaceAll(offer, "a=sendrecv", "a="+tt.theirs), true, true)
		if err != nil {
			t.Fatalf("%s: %v", tt.theirs, err)
		}
		if n := strings.Count(answer, "a="+tt.ours+"\r\n"); n != 2 {
			t.Errorf("offered %s, want %s twice in\n%s", tt.theirs, tt.ours, answer)
		}
	}
}

func TestAddVideoLater(t *testing.T) {
	e := engine(t)
	b := newBrowser(t, nil, pion.RTPCodecTypeAudio)
	s := call(t, e, b)
	b.add(pion.RTPCodecTypeVideo)
	answer, err := s.Update(t.Context(), b.offer(nil), true, true)
	if err != nil {
		t.Fatal(err)
	}
	b.accept(answer)
	if _, video := s.Media(); !video {
		t.Error("no video")
	}
	// And off again: the section is rejected, the call stays.
	gone := strings.Replace(b.offer(nil), "m=video 9", "m=video 0", 1)
	if _, err := s.Update(t.Context(), gone, true, true); err != nil {
		t.Fatal(err)
	}
	if _, video := s.Media(); video {
		t.Error("video is still there")
	}
}

// TestVideoWithoutRoom adds video to a call that may not have it, and then may.
func TestVideoWithoutRoom(t *testing.T) {
	for name, had := range map[string]bool{"never had": false, "had before": true} {
		t.Run(name, func(t *testing.T) {
			e := engine(t)
			b := newBrowser(t, nil, pion.RTPCodecTypeAudio)
			s := call(t, e, b)
			b.add(pion.RTPCodecTypeVideo)
			update := func(offer string, withVideo, want bool) string {
				t.Helper()
				answer, err := s.Update(t.Context(), offer, withVideo, true)
				if err != nil {
					t.Fatal(err)
				}
				b.accept(answer)
				if audio, video := s.Media(); !audio || video != want {
					t.Errorf("audio %v, video %v; want video: %v", audio, video, want)
				}
				return answer
			}
			if had {
				update(b.offer(nil), true, true)
			}
			for range 2 {
				answer := update(b.offer(nil), false, false)
				if _, video, _ := strings.Cut(answer, "m=video 9 "); !strings.Contains(video, "a=inactive\r\n") {
					t.Errorf("video is not refused:\n%s", answer)
				}
			}
			answer := update(b.offer(nil), true, true)
			if strings.Contains(answer, "a=inactive\r\n") {
				t.Errorf("video is still refused:\n%s", answer)
			}
			select {
			case cause := <-s.ended:
				t.Errorf("the call ended: %s", cause)
			default:
			}
		})
	}
}

func TestUpdateRefused(t *testing.T) {
	e := engine(t)
	b := newBrowser(t, nil, pion.RTPCodecTypeAudio)
	s := call(t, e, b)
	before := s.SDP()
	for _, offer := range []string{"", "v=0", craft("8|", "")} {
		if _, err := s.Update(t.Context(), offer, true, true); err == nil {
			t.Errorf("offer %q was answered", offer)
		}
	}
	if s.SDP() != before {
		t.Error("a refused offer changed the call")
	}
	select {
	case cause := <-s.ended:
		t.Errorf("a refused offer ended the call: %s", cause)
	default:
	}
}

func TestPeerCloses(t *testing.T) {
	e := engine(t)
	b := newBrowser(t, nil, pion.RTPCodecTypeAudio)
	s := call(t, e, b)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if got := await(t, "the end", s.ended); got != "closed" {
		t.Errorf("ended: %s", got)
	}
	wantLost(t, e, stageConnected)
	if _, err := s.Update(t.Context(), sample(t, "chromium-audio.sdp"), true, true); err == nil {
		s.Close()
	}
}

// quick makes tests of what takes half a minute take a second.
func quick(c *Config) {
	c.patience = patience{idle: 300 * time.Millisecond, grace: 300 * time.Millisecond, setup: time.Second}
}

func TestPeerVanishes(t *testing.T) {
	e := engine(t, quick)
	var settings pion.SettingEngine
	settings.SetNetworkTypes([]pion.NetworkType{pion.NetworkTypeUDP4})
	settings.SetICETimeouts(time.Minute, time.Minute, time.Hour) // it never says another word
	b := newBrowser(t, &settings, pion.RTPCodecTypeAudio)
	s := call(t, e, b)
	if got := await(t, "the end", s.ended); got != "failed" {
		t.Errorf("ended: %s", got)
	}
	wantLost(t, e, stageConnected)
}

// TestImpostor offers a fingerprint that is not its certificate's: packets find
// their way, and the handshake fails.
func TestImpostor(t *testing.T) {
	e := engine(t, quick)
	b := newBrowser(t, nil, pion.RTPCodecTypeAudio)
	fingerprint := regexp.MustCompile(`(a=fingerprint:sha-256 )[0-9A-Fa-f]{2}`)
	offer := fingerprint.ReplaceAllStringFunc(b.offer(nil), func(s string) string {
		if strings.HasSuffix(s, "00") {
			return s[:len(s)-2] + "01"
		}
		return s[:len(s)-2] + "00"
	})
	s := answer(t, e, offer)
	b.accept(s.SDP())
	if got := await(t, "the end", s.ended); got != "failed" {
		t.Errorf("ended: %s", got)
	}
	wantLost(t, e, stageDTLS)
}

// wantLost wants one call counted as lost, and at this stage.
func wantLost(t *testing.T, e *Engine, stage string) {
	t.Helper()
	for _, s := range []string{stageICE, stageDTLS, stageConnected} {
		n := 0.
		for _, cause := range []string{"closed", "failed", "timeout"} {
			n += testutil.ToFloat64(e.metrics.lost.WithLabelValues(cause, s))
		}
		if want := map[bool]float64{true: 1}[s == stage]; n != want {
			t.Errorf("%v calls lost at stage %s, want %v", n, s, want)
		}
	}
}

func TestPeerNeverCalls(t *testing.T) {
	e := engine(t, quick)
	s := answer(t, e, sample(t, "chromium-audio.sdp"))
	got := await(t, "the end", s.ended)
	if got != "timeout" && got != "failed" {
		t.Errorf("ended: %s", got)
	}
	wantLost(t, e, stageICE)
}

func TestCloseFromEnded(t *testing.T) {
	e := engine(t, quick)
	done := make(chan struct{})
	calls := make(chan *Call, 1)
	media := port.New(port.Config{})
	defer media.Close()
	c, err := e.Answer(t.Context(), Offer{
		SDP: sample(t, "chromium-audio.sdp"), Port: media,
		Ended: func(string) { (<-calls).Close(); close(done) },
	})
	if err != nil {
		t.Fatal(err)
	}
	calls <- c
	await(t, "Close to return", done)
}

func TestClosedEngine(t *testing.T) {
	e := engine(t)
	s := call(t, e, newBrowser(t, nil, pion.RTPCodecTypeAudio))
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	if len(e.calls) != 0 {
		t.Errorf("%d calls left", len(e.calls))
	}
	if err := s.AddCandidate("", ""); err == nil {
		t.Error("a closed call took a candidate")
	}
	if _, err := e.Answer(t.Context(), Offer{SDP: sample(t, "chromium-audio.sdp"), Port: s.port}); err == nil {
		t.Error("a closed engine answered")
	}
	select {
	case cause := <-s.ended:
		t.Errorf("Ended(%s) after Close", cause)
	default:
	}
}
