package caller

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
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
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"github.com/skybridge-media/skybridge/media/port"
)

// Web is a participant that joined as a browser does: by the client API, with
// ICE, DTLS and SRTP. Safe for concurrent use.
type Web struct {
	cfg    Config
	base   string
	http   *http.Client
	mu     sync.Mutex // guards token
	token  string
	id     string
	pc     *webrtc.PeerConnection
	port   *port.Port
	engine *engine

	ended chan struct{}
	once  sync.Once
	wg    sync.WaitGroup
}

// DialWeb joins room at the server whose pages are at origin, such as
// "https://127.0.0.1:8443", and returns when media can flow. It trusts any
// certificate: it is meant for servers of one's own.
func DialWeb(ctx context.Context, origin, room string, cfg Config) (*Web, error) {
	cfg.defaults()
	w := &Web{
		cfg:   cfg,
		base:  strings.TrimSuffix(origin, "/") + "/api/client/v2/conferences/" + url.PathEscape(room) + "/",
		http:  &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, Timeout: 10 * time.Second},
		ended: make(chan struct{}),
	}
	if err := w.dial(ctx); err != nil {
		_ = w.Close()
		return nil, fmt.Errorf("dial %s by web: %w", room, err)
	}
	return w, nil
}

func (w *Web) dial(ctx context.Context) error {
	var seat struct {
		Token string `json:"token"`
		ID    string `json:"participant_uuid"`
	}
	if err := w.post(ctx, "request_token", map[string]any{"display_name": w.cfg.Name}, &seat); err != nil {
		return err
	}
	w.token, w.id = seat.Token, seat.ID // nobody else reads them yet
	w.wg.Go(w.refresh)
	if err := w.connect(ctx); err != nil {
		return err
	}
	w.engine = start(w.cfg, w.port)
	return nil
}

func (w *Web) connect(ctx context.Context) error {
	engine := &webrtc.MediaEngine{}
	if err := engine.RegisterDefaultCodecs(); err != nil {
		return err
	}
	api := webrtc.NewAPI(webrtc.WithMediaEngine(engine), webrtc.WithInterceptorRegistry(&interceptor.Registry{}))
	pc, err := api.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return err
	}
	w.pc, w.port = pc, port.New(port.Config{Log: w.cfg.Log})
	connected := make(chan struct{})
	pc.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		switch s {
		case webrtc.PeerConnectionStateConnected:
			close(connected)
		case webrtc.PeerConnectionStateFailed, webrtc.PeerConnectionStateClosed:
			w.end()
		}
	})
	if w.cfg.Audio != nil {
		if err := w.addAudio(); err != nil {
			return err
		}
	}
	if w.cfg.Video != nil {
		if err := w.addVideo(); err != nil {
			return err
		}
	}
	pc.OnTrack(w.receive)
	offer, err := pc.CreateOffer(nil)
	if err != nil {
		return err
	}
	gathered := webrtc.GatheringCompletePromise(pc)
	if err := pc.SetLocalDescription(offer); err != nil {
		return err
	}
	select {
	case <-gathered:
	case <-ctx.Done():
		return ctx.Err()
	}
	var answer struct {
		Call string `json:"call_uuid"`
		SDP  string `json:"sdp"`
	}
	body := map[string]any{"call_type": "WEBRTC", "sdp": pc.LocalDescription().SDP}
	if err := w.post(ctx, "participants/"+w.id+"/calls", body, &answer); err != nil {
		return err
	}
	if err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer.SDP}); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	if err := w.post(ctx, "participants/"+w.id+"/calls/"+answer.Call+"/ack", map[string]any{}, nil); err != nil {
		return err
	}
	select {
	case <-connected:
		return nil
	case <-w.ended:
		return ErrEnded
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *Web) addAudio() error {
	codec := w.cfg.Audio
	channels := uint16(0)
	if strings.EqualFold(codec.Name, "opus") {
		channels = 2 // RFC 7587, section 7
	}
	track, err := webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{
		MimeType: "audio/" + codec.Name, ClockRate: uint32(codec.Clock), Channels: channels,
	}, "audio", w.cfg.Name)
	if err != nil {
		return err
	}
	sender, err := w.pc.AddTrack(track)
	if err != nil {
		return err
	}
	w.port.SetAudio(&port.Audio{
		Codec: codec, Send: true, Recv: true, SSRC: ssrc(), CNAME: w.cfg.Name,
		RecvType: w.payloadType(webrtc.RTPCodecTypeAudio, codec.Name), Out: &trackWriter{w.pc, track, sender},
	})
	w.wg.Go(func() { readRTCP(sender, w.port.AudioRTCP) })
	return nil
}

func (w *Web) addVideo() error {
	codec := w.cfg.Video
	track, err := webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: "video/" + codec.Name, ClockRate: 90000}, "video", w.cfg.Name)
	if err != nil {
		return err
	}
	sender, err := w.pc.AddTrack(track)
	if err != nil {
		return err
	}
	w.port.SetVideo(&port.Video{
		Codec: codec, Mode: 1, MaxPayload: 1180, Width: w.cfg.Width, Height: w.cfg.Height, FrameRate: w.cfg.FrameRate,
		NACK: true, PLI: true, FIR: true, REMB: true, Send: w.cfg.sendsVideo(), Recv: true, SSRC: ssrc(), CNAME: w.cfg.Name,
		RecvType: w.payloadType(webrtc.RTPCodecTypeVideo, codec.Name), Out: &trackWriter{w.pc, track, sender},
	})
	w.wg.Go(func() { readRTCP(sender, w.port.VideoRTCP) })
	return nil
}

// payloadType keeps only the wanted codec in the offer of one kind of medium,
// and returns its payload type.
func (w *Web) payloadType(kind webrtc.RTPCodecType, name string) uint8 {
	for _, t := range w.pc.GetTransceivers() {
		if t.Kind() != kind {
			continue
		}
		for _, c := range t.Sender().GetParameters().Codecs {
			if strings.EqualFold(c.MimeType, kind.String()+"/"+name) {
				_ = t.SetCodecPreferences([]webrtc.RTPCodecParameters{c}) // c is one of its own
				return uint8(c.PayloadType)
			}
		}
	}
	return 0
}

func (w *Web) receive(track *webrtc.TrackRemote, receiver *webrtc.RTPReceiver) {
	rtpIn, rtcpIn := tapped(w.cfg.Tap, w.port.AudioRTP), w.port.AudioRTCP
	if track.Kind() == webrtc.RTPCodecTypeVideo {
		rtpIn, rtcpIn = w.port.VideoRTP, w.port.VideoRTCP
	}
	w.wg.Go(func() { readRTCP(receiver, rtcpIn) })
	for {
		p, _, err := track.ReadRTP()
		if err != nil {
			return
		}
		rtpIn(p, time.Now())
	}
}

func readRTCP(r interface {
	ReadRTCP() ([]rtcp.Packet, interceptor.Attributes, error)
}, handle func([]rtcp.Packet, time.Time),
) {
	for {
		packets, _, err := r.ReadRTCP()
		if err != nil {
			return
		}
		handle(packets, time.Now())
	}
}

// trackWriter is the port's way out: pion sets SSRC and payload type.
type trackWriter struct {
	pc     *webrtc.PeerConnection
	track  *webrtc.TrackLocalStaticRTP
	sender *webrtc.RTPSender
}

func (t *trackWriter) WriteRTP(h *rtp.Header, payload []byte) error {
	return t.track.WriteRTP(&rtp.Packet{Header: *h, Payload: payload})
}

// WriteRTCP puts the SSRC that pion chose where the port's own stands.
func (t *trackWriter) WriteRTCP(packets []rtcp.Packet) error {
	own := uint32(t.sender.GetParameters().Encodings[0].SSRC)
	for _, p := range packets {
		switch p := p.(type) {
		case *rtcp.SenderReport:
			p.SSRC = own
		case *rtcp.ReceiverReport:
			p.SSRC = own
		}
	}
	return t.pc.WriteRTCP(packets)
}

// refresh keeps the token alive.
func (w *Web) refresh() {
	ticker := time.NewTicker(40 * time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-w.ended:
			return
		case <-ticker.C:
		}
		var fresh struct {
			Token string `json:"token"`
		}
		if err := w.post(context.Background(), "refresh_token", map[string]any{}, &fresh); err != nil {
			w.cfg.Log.Warn("token not refreshed", "caller", w.cfg.Name, "err", err)
			continue
		}
		w.mu.Lock()
		w.token = fresh.Token
		w.mu.Unlock()
	}
}

func (w *Web) post(ctx context.Context, path string, body, result any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.base+path, bytes.NewReader(data))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	w.mu.Lock()
	req.Header.Set("token", w.token)
	w.mu.Unlock()
	resp, err := w.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s: %.200s", path, resp.Status, answer)
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(answer, &struct{ Result any }{result})
}

// Stats returns the figures of the call's media.
func (w *Web) Stats() port.Stats { return w.port.Stats() }

// Done is closed when the call has ended, whoever ended it.
func (w *Web) Done() <-chan struct{} { return w.ended }

func (w *Web) end() { w.once.Do(func() { close(w.ended) }) }

// Close leaves the room and waits until everything has stopped.
func (w *Web) Close() error {
	w.end()
	if w.engine != nil {
		w.engine.close()
	}
	if w.token != "" {
		_ = w.post(context.Background(), "release_token", map[string]any{}, nil) // it would expire by itself
	}
	if w.port != nil {
		w.port.Close()
	}
	var err error
	if w.pc != nil {
		err = w.pc.Close()
	}
	w.wg.Wait()
	w.http.CloseIdleConnections()
	return err
}

func ssrc() uint32 {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return binary.BigEndian.Uint32(b[:])
}
