package load

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v4"

	"github.com/skybridge-media/skybridge/media/sdp"
)

// A browser places calls as browsers do: by the client API, with ICE, DTLS and
// SRTP, all over loopback.
type browser struct {
	spec  *Spec
	http  *http.Client
	ended func() // the server has ended a call
}

func newBrowser(spec *Spec, ended func()) *browser {
	// It is meant for a server of one's own, which has made its certificate.
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	return &browser{spec: spec, ended: ended, http: &http.Client{Transport: transport, Timeout: 10 * time.Second}}
}

func (b *browser) close() { b.http.CloseIdleConnections() }

// A tab is one call of a browser.
type tab struct {
	*browser
	base, token string
	pc          *webrtc.PeerConnection
	wg          sync.WaitGroup
}

func (b *browser) dial(ctx context.Context, m *member) (call, error) {
	t := &tab{browser: b, base: b.spec.Web + "/api/client/v2/conferences/" + url.PathEscape(m.room) + "/"}
	var seat struct {
		Token string `json:"token"`
		ID    string `json:"participant_uuid"`
	}
	if err := t.post(ctx, "request_token", map[string]any{"display_name": m.name}, &seat); err != nil {
		return nil, err
	}
	t.token = seat.Token
	if err := t.connect(ctx, m, seat.ID); err != nil {
		_ = t.hangUp() // the error that counts is there
		return nil, err
	}
	return t, nil
}

func (t *tab) connect(ctx context.Context, m *member, id string) error {
	connected := make(chan struct{})
	if err := t.open(m, connected); err != nil {
		return err
	}
	offer, err := t.pc.CreateOffer(nil)
	if err != nil {
		return err
	}
	gathered := webrtc.GatheringCompletePromise(t.pc)
	if err := t.pc.SetLocalDescription(offer); err != nil {
		return err
	}
	<-gathered
	var answer struct {
		Call string `json:"call_uuid"`
		SDP  string `json:"sdp"`
	}
	path := "participants/" + id + "/calls"
	body := map[string]any{"call_type": "WEBRTC", "sdp": t.pc.LocalDescription().SDP}
	if err := t.post(ctx, path, body, &answer); err != nil {
		return err
	}
	if err := t.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer.SDP}); err != nil {
		return fmt.Errorf("load: answer: %w", err)
	}
	if err := t.post(ctx, path+"/"+answer.Call+"/ack", map[string]any{}, nil); err != nil {
		return err
	}
	select {
	case <-connected:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// open makes the peer connection of m with its tracks.
func (t *tab) open(m *member, connected chan struct{}) error {
	engine := &webrtc.MediaEngine{}
	if err := engine.RegisterDefaultCodecs(); err != nil {
		return err
	}
	settings := webrtc.SettingEngine{}
	settings.SetIncludeLoopbackCandidate(true)
	settings.SetInterfaceFilter(func(name string) bool { return name == "lo" })
	api := webrtc.NewAPI(
		webrtc.WithMediaEngine(engine), webrtc.WithSettingEngine(settings),
		webrtc.WithInterceptorRegistry(&interceptor.Registry{}),
	)
	var err error
	if t.pc, err = api.NewPeerConnection(webrtc.Configuration{}); err != nil {
		return err
	}
	t.pc.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		switch s {
		case webrtc.PeerConnectionStateConnected:
			close(connected)
		case webrtc.PeerConnectionStateFailed:
			t.ended()
		}
	})
	audio := AudioCodec(m.spec.Audio)
	capability := webrtc.RTPCodecCapability{MimeType: "audio/" + audio.Name, ClockRate: uint32(audio.Clock)}
	if audio.Name == "opus" {
		capability.Channels = 2 // RFC 7587, section 7
	}
	m.audio.stream = &sdp.Stream{Kind: sdp.Audio, Audio: &sdp.AudioStream{Codec: audio}}
	if err := t.add(m.audio, capability); err != nil || m.video == nil {
		t.receive(m)
		return err
	}
	video := VideoCodec(m.spec.Video.Codec)
	m.video.stream = &sdp.Stream{Kind: sdp.Video, Video: &sdp.VideoStream{Codec: video, Mode: 1}}
	err = t.add(m.video, webrtc.RTPCodecCapability{MimeType: "video/" + video.Name, ClockRate: 90_000})
	t.receive(m)
	return err
}

// add makes the track that f is sent by, with its codec as the only one.
func (t *tab) add(f *flow, capability webrtc.RTPCodecCapability) error {
	kind, _, _ := strings.Cut(capability.MimeType, "/")
	track, err := webrtc.NewTrackLocalStaticRTP(capability, kind, f.cname)
	if err != nil {
		return err
	}
	sender, err := t.pc.AddTrack(track)
	if err != nil {
		return err
	}
	for _, tr := range t.pc.GetTransceivers() {
		if tr.Sender() != sender {
			continue
		}
		for _, c := range sender.GetParameters().Codecs {
			if strings.EqualFold(c.MimeType, capability.MimeType) {
				_ = tr.SetCodecPreferences([]webrtc.RTPCodecParameters{c}) // c is one of its own
				f.stream.RecvType = uint8(c.PayloadType)
				break
			}
		}
	}
	f.write = func(b []byte) bool {
		_, err := track.Write(b) // pion sets SSRC and payload type
		return err == nil
	}
	t.wg.Go(func() {
		for {
			packets, _, err := sender.ReadRTCP()
			if err != nil {
				return
			}
			for _, p := range packets {
				switch p.(type) {
				case *rtcp.PictureLossIndication, *rtcp.FullIntraRequest:
					f.keyWanted.Store(true)
				}
			}
		}
	})
	return nil
}

// receive counts what comes in.
func (t *tab) receive(m *member) {
	t.pc.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		f := m.audio
		if track.Kind() == webrtc.RTPCodecTypeVideo {
			f = m.video
		}
		buf := make([]byte, mtu+512)
		for {
			n, _, err := track.Read(buf)
			if err != nil {
				return
			}
			f.receive(buf[:n], time.Now())
		}
	})
}

func (t *tab) post(ctx context.Context, path string, body, result any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.base+path, bytes.NewReader(data))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("token", t.token)
	resp, err := t.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("load: %s: %s: %.200s", path, resp.Status, answer)
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(answer, &struct{ Result any }{result})
}

func (t *tab) hangUp() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	err := t.post(ctx, "release_token", map[string]any{}, nil)
	if t.pc != nil {
		_ = t.pc.Close() // whatever it has to say, it is over
	}
	t.wg.Wait()
	return err
}
