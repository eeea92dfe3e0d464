package caller

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"github.com/skybridge-media/skybridge/bench/client"
	"github.com/skybridge-media/skybridge/media/port"
)

// Web is a participant that joined as a browser does: by the client API, with
// ICE, DTLS and SRTP. Safe for concurrent use.
type Web struct {
	cfg    Config
	http   *http.Client
	seat   *client.Seat
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
	w := &Web{cfg: cfg, http: client.NewHTTP(), ended: make(chan struct{})}
	if err := w.dial(ctx, origin, room); err != nil {
		_ = w.Close()
		return nil, fmt.Errorf("dial %s by web: %w", room, err)
	}
	return w, nil
}

func (w *Web) dial(ctx context.Context, origin, room string) error {
	var err error
	if w.seat, err = client.Join(ctx, w.http, origin, room, w.cfg.Name); err != nil {
		return err
	}
	w.wg.Go(w.refresh)
	if err := w.connect(ctx); err != nil {
		return err
	}
	w.engine = start(w.cfg, w.port)
	return nil
}

func (w *Web) connect(ctx context.Context) error {
	pc, err := client.NewPeerConnection(webrtc.SettingEngine{})
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
	if err := w.seat.Call(ctx, pc); err != nil {
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
	track, err := client.AddTrack(w.pc, webrtc.RTPCodecTypeAudio, codec.Name, codec.Clock, w.cfg.Name)
	if err != nil {
		return err
	}
	w.port.SetAudio(&port.Audio{
		Codec: codec, Send: true, Recv: true, SSRC: ssrc(), CNAME: w.cfg.Name,
		RecvType: track.Type, Out: &trackWriter{w.pc, track},
	})
	w.wg.Go(func() { readRTCP(track.Sender, w.port.AudioRTCP) })
	return nil
}

func (w *Web) addVideo() error {
	codec := w.cfg.Video
	track, err := client.AddTrack(w.pc, webrtc.RTPCodecTypeVideo, codec.Name, 90_000, w.cfg.Name)
	if err != nil {
		return err
	}
	w.port.SetVideo(&port.Video{
		Codec: codec, Mode: 1, MaxPayload: 1180, Width: w.cfg.Width, Height: w.cfg.Height, FrameRate: w.cfg.FrameRate,
		NACK: true, PLI: true, FIR: true, REMB: true, Send: w.cfg.sendsVideo(), Recv: true, SSRC: ssrc(), CNAME: w.cfg.Name,
		RecvType: track.Type, Out: &trackWriter{w.pc, track},
	})
	w.wg.Go(func() { readRTCP(track.Sender, w.port.VideoRTCP) })
	return nil
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

// trackWriter is the port's way out.
type trackWriter struct {
	pc    *webrtc.PeerConnection
	track *client.Track
}

func (t *trackWriter) WriteRTP(h *rtp.Header, payload []byte) error {
	return t.track.WriteRTP(&rtp.Packet{Header: *h, Payload: payload})
}

// WriteRTCP puts the SSRC that pion chose where the port's own stands.
func (t *trackWriter) WriteRTCP(packets []rtcp.Packet) error {
	own := uint32(t.track.Sender.GetParameters().Encodings[0].SSRC)
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

// refresh keeps the seat.
func (w *Web) refresh() {
	ticker := time.NewTicker(40 * time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-w.ended:
			return
		case <-ticker.C:
		}
		if err := w.seat.Refresh(context.Background()); err != nil {
			w.cfg.Log.Warn("token not refreshed", "caller", w.cfg.Name, "err", err)
		}
	}
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
	if w.seat != nil {
		_ = w.seat.Leave(context.Background()) // it would expire by itself
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
