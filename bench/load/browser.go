package load

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/pion/webrtc/v4"

	"github.com/skybridge-media/skybridge/bench/client"
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
	return &browser{spec: spec, ended: ended, http: client.NewHTTP()}
}

func (b *browser) close() { b.http.CloseIdleConnections() }

// A tab is one call of a browser.
type tab struct {
	*browser
	seat *client.Seat
	pc   *webrtc.PeerConnection
	wg   sync.WaitGroup
}

func (b *browser) dial(ctx context.Context, m *member) (call, error) {
	t := &tab{browser: b}
	var err error
	if t.seat, err = client.Join(ctx, b.http, b.spec.Web, m.room, m.name); err != nil {
		return nil, err
	}
	if err := t.connect(ctx, m); err != nil {
		_ = t.hangUp() // the error that counts is there
		return nil, err
	}
	return t, nil
}

func (t *tab) connect(ctx context.Context, m *member) error {
	connected := make(chan struct{})
	if err := t.open(m, connected); err != nil {
		return err
	}
	if err := t.seat.Call(ctx, t.pc); err != nil {
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
	settings := webrtc.SettingEngine{}
	settings.SetIncludeLoopbackCandidate(true)
	settings.SetInterfaceFilter(func(name string) bool { return name == "lo" })
	var err error
	if t.pc, err = client.NewPeerConnection(settings); err != nil {
		return err
	}
	var once sync.Once
	t.pc.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		switch s {
		case webrtc.PeerConnectionStateConnected:
			once.Do(func() { close(connected) }) // it may lose its way and find it again
		case webrtc.PeerConnectionStateFailed:
			t.ended()
		}
	})
	audio := AudioCodec(m.spec.Audio)
	m.audio.stream = &sdp.Stream{Kind: sdp.Audio, Audio: &sdp.AudioStream{Codec: audio}}
	if err := t.add(m.audio, webrtc.RTPCodecTypeAudio, audio.Name, audio.Clock); err != nil || m.video == nil {
		t.receive(m)
		return err
	}
	video := VideoCodec(m.spec.Video.Codec)
	m.video.stream = &sdp.Stream{Kind: sdp.Video, Video: &sdp.VideoStream{Codec: video, Mode: 1}}
	err = t.add(m.video, webrtc.RTPCodecTypeVideo, video.Name, 90_000)
	t.receive(m)
	return err
}

// add makes the track that f is sent by.
func (t *tab) add(f *flow, kind webrtc.RTPCodecType, codec string, clock int) error {
	track, err := client.AddTrack(t.pc, kind, codec, clock, f.cname)
	if err != nil {
		return err
	}
	f.stream.RecvType = track.Type
	f.write = func(b []byte) bool {
		_, err := track.Write(b)
		return err == nil
	}
	t.wg.Go(func() {
		for {
			packets, _, err := track.Sender.ReadRTCP()
			if err != nil {
				return
			}
			f.obey(packets)
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

func (t *tab) hangUp() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	err := t.seat.Leave(ctx)
	if t.pc != nil {
		_ = t.pc.Close() // whatever it has to say, it is over
	}
	t.wg.Wait()
	return err
}
