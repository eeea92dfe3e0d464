package bridge

import (
	"time"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/pcm"
)

// Tick is the period of the audio clock.
const Tick = 20 * time.Millisecond

// A Leg is one participant's media as the bridge sees it; media/port implements
// it. The bridge calls the audio methods from its tick goroutine only, and each
// of the others from one goroutine at a time. No method blocks on the network.
type Leg interface {
	// NextAudio advances playout by one Tick and says what is due now.
	NextAudio() AudioTick

	// ReadAudio decodes what NextAudio found due into dst: one Tick, mono, of
	// the rate that NextAudio said, concealing losses. It is called at most
	// once after each NextAudio; a stream nobody hears is skipped without it.
	ReadAudio(dst pcm.Frame)

	// AudioOut says what the participant can receive. ok is false while it
	// receives no audio (on hold, or not negotiated).
	AudioOut() (spec AudioSpec, ok bool)

	// WriteAudio sends one encoded Tick. An empty payload advances the RTP
	// timestamp without sending (DTX). payload is borrowed for the call.
	WriteAudio(payload []byte)

	Video // of the camera, and of what is composed for the participant
}

// A Presenter is a [Leg] that may have a second video stream beside that of the
// camera, for what its participant or somebody else presents.
type Presenter interface {
	Leg

	// Content returns that stream, always the same value. While none is
	// negotiated it has no picture and receives nothing; who receives nothing
	// sees presentations in the composed picture.
	Content() Video
}

// Video is one video stream of a participant, in both directions. The bridge
// calls each method from one goroutine at a time.
type Video interface {
	// WantVideo tells the leg at which size somebody sees its picture, so that
	// it need not receive and decode a larger one; a zero size means that
	// nobody does, and decoding stops until somebody does again (a key frame is
	// then asked for). Pictures may be smaller or larger all the same, and
	// change their size from one to the next.
	WantVideo(width, height int)

	// Picture returns the latest decoded picture, nil while there is none. It
	// is immutable and may be kept until Release is called on it once.
	Picture() *SharedPicture

	// VideoOut says what the participant can receive now: it changes when the
	// peer's bandwidth estimate moves to another tier. ok is false while it
	// receives no video.
	VideoOut() (spec VideoSpec, ok bool)

	// WriteVideo sends one encoded picture. The frame is immutable and shared
	// between legs; it may be retained for retransmission.
	WriteVideo(f *VideoFrame)

	// TakeKeyFrameRequest reports, once, that the peer has asked for a key
	// frame (PLI, FIR, INFO) since the last call.
	TakeKeyFrameRequest() bool
}

// AudioTick is what one participant says in one Tick.
type AudioTick struct {
	// Voice is false when there is nothing to hear: nothing arrived and
	// nothing is to be concealed, or the peer is silent by DTX.
	Voice bool

	// Rate is the sampling rate of what ReadAudio decodes, in Hz: that of the
	// peer's codec, 8000, 16000 or 48000. Without Voice it means nothing.
	Rate int

	// Level is the loudness in -dBov, 0 (loudest) to 127 (silent), as RFC 6464
	// defines it. HasLevel is false when neither the header extension nor the
	// codec's payload tells; the bridge then decodes to find out.
	Level    uint8
	HasLevel bool

	// Quiet says, of a Tick without level, that the peer's encoder has found no
	// speech in it: the bridge looks at those who speak first.
	Quiet bool
}

// AudioSpec identifies an audio encoding; legs with equal specs that hear the
// same mix share one encode.
type AudioSpec struct {
	Codec   *codecs.Audio
	Options codecs.AudioOptions
	Ticks   int // Ticks per packet: 1 for 20 ms; the bridge encodes per Tick, the leg packs
}

// VideoSpec identifies a video encoding; legs with equal specs that see the
// same view share one encode and one packetization.
type VideoSpec struct {
	Codec   *codecs.Video
	Options codecs.VideoOptions // size, rate, and the bitrate of the tier
	Payload int                 // most bytes of RTP payload in a packet
	Mode    int                 // H.264 packetization mode, 0 or 1 (RFC 6184); 0 for VP8
}

// A VideoFrame is one encoded picture, packetized. Immutable.
type VideoFrame struct {
	Payloads  [][]byte // one RTP payload each; the last carries the marker bit
	Timestamp uint32   // 90 kHz, common to all bridges of a process; a leg adds its own offset
	Key       bool
	Captured  time.Time // when the composition began, for latency figures
}
