package port

import (
	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/media/bridge"
	media "github.com/skybridge-media/skybridge/media/rtp"
	"github.com/skybridge-media/skybridge/media/sdp"
)

// usualBitrate of audio, in bit/s: only a peer that wants less gets an encode for
// a limit of its own.
const usualBitrate = 32_000

// Local is what an RTP stream of ours has beside what was agreed on.
type Local struct {
	SSRC  uint32 // as the description says, if it does
	CNAME string
	Out   media.Writer
}

// AgreedAudio returns the audio stream that s describes.
func AgreedAudio(s *sdp.Stream, l Local) *Audio {
	a := s.Audio
	options := codecs.AudioOptions{DTX: a.DTX}
	if s.Bitrate > 0 && s.Bitrate < usualBitrate {
		options.Bitrate = s.Bitrate
	}
	return &Audio{
		Codec: a.Codec, Options: options, FEC: a.FEC, SendType: s.SendType, RecvType: s.RecvType,
		EventSendType: a.EventSendType, EventRecvType: a.EventRecvType, EventClock: a.EventClock,
		CNType: a.NoiseType, LevelExt: a.LevelExt, Ticks: int(a.Ptime / bridge.Tick),
		Send: s.Send, Recv: s.Recv, SSRC: l.SSRC, CNAME: l.CNAME, Out: l.Out,
	}
}

// AgreedVideo returns the video stream that s describes.
func AgreedVideo(s *sdp.Stream, l Local) *Video {
	v := s.Video
	var layers []Layer
	for _, l := range v.Layers {
		layers = append(layers, Layer(l))
	}
	return &Video{
		Codec: v.Codec, SendType: s.SendType, RecvType: s.RecvType,
		Mode: v.Mode, Width: v.Width, Height: v.Height, FrameRate: v.FrameRate, MaxBitrate: s.Bitrate,
		NACK: v.NACK, PLI: v.PLI, FIR: v.FIR, TMMBR: v.TMMBR, REMB: v.REMB, Parameters: v.Parameters,
		Layers: layers, LayerExt: v.LayerExt,
		Send: s.Send, Recv: s.Recv, SSRC: l.SSRC, CNAME: l.CNAME, Out: l.Out,
	}
}
