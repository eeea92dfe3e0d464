package client

import (
	"strings"

	"github.com/pion/interceptor"
	"github.com/pion/webrtc/v4"
)

// NewPeerConnection returns one that leaves RTCP to its user.
func NewPeerConnection(settings webrtc.SettingEngine) (*webrtc.PeerConnection, error) {
	engine := &webrtc.MediaEngine{}
	if err := engine.RegisterDefaultCodecs(); err != nil {
		return nil, err
	}
	return webrtc.NewAPI(
		webrtc.WithMediaEngine(engine), webrtc.WithSettingEngine(settings),
		webrtc.WithInterceptorRegistry(&interceptor.Registry{}),
	).NewPeerConnection(webrtc.Configuration{})
}

// A Track is what one medium is sent by. Pion sets SSRC and payload type.
type Track struct {
	*webrtc.TrackLocalStaticRTP
	Sender *webrtc.RTPSender
	Type   uint8 // of the payload
}

// AddTrack adds one to pc, with its codec as the only one that is offered.
func AddTrack(pc *webrtc.PeerConnection, kind webrtc.RTPCodecType, codec string, clock int, stream string) (*Track, error) {
	c := webrtc.RTPCodecCapability{MimeType: kind.String() + "/" + codec, ClockRate: uint32(clock)}
	if strings.EqualFold(codec, "opus") {
		c.Channels = 2 // RFC 7587, section 7
	}
	local, err := webrtc.NewTrackLocalStaticRTP(c, kind.String(), stream)
	if err != nil {
		return nil, err
	}
	t := &Track{TrackLocalStaticRTP: local}
	if t.Sender, err = pc.AddTrack(local); err != nil {
		return nil, err
	}
	for _, tr := range pc.GetTransceivers() {
		if tr.Sender() != t.Sender {
			continue
		}
		for _, known := range t.Sender.GetParameters().Codecs {
			if strings.EqualFold(known.MimeType, c.MimeType) {
				_ = tr.SetCodecPreferences([]webrtc.RTPCodecParameters{known}) // it is one of its own
				t.Type = uint8(known.PayloadType)
				break
			}
		}
	}
	return t, nil
}
