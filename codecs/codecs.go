// Package codecs turns bytes into raw frames and back.
//
// This package holds only the contract. Each subpackage binds one codec (g711,
// opus, h264, ...) or one raw format (pcm, yuv). A codec owns no clock, no
// goroutine and no socket, which is what makes it testable with a file.
package codecs

import (
	"errors"
	"fmt"
	"io"

	"github.com/skybridge-media/skybridge/codecs/pcm"
	"github.com/skybridge-media/skybridge/codecs/yuv"
)

// Errors of decoders and encoders.
var (
	// ErrCorrupt is wrapped by every decoder error that the bitstream caused.
	// The caller conceals the loss, asks for a key frame and carries on; any
	// other error is fatal for the instance.
	ErrCorrupt = errors.New("codecs: corrupt bitstream")

	// ErrClosed is returned by every method of an instance after Close.
	ErrClosed = errors.New("codecs: used after Close")
)

// An AudioEncoder compresses one frame at a time. It is not safe for
// concurrent use: one stream, one encoder, one goroutine at a time.
type AudioEncoder interface {
	// Encode appends the encoding of src to dst and returns the extended
	// slice, like append does. It does not retain src or dst, and does not
	// allocate while dst has capacity. An empty result means that nothing
	// needs to be sent (DTX).
	Encode(dst []byte, src pcm.Frame) ([]byte, error)
	io.Closer
}

// An AudioDecoder is the inverse of an AudioEncoder. Not safe for concurrent use.
type AudioDecoder interface {
	// Decode appends the samples carried by packet to dst. A nil packet means
	// that 20 ms were lost: the decoder conceals them. An empty packet that is
	// not nil is ErrCorrupt, as is everything else that cannot be decoded.
	Decode(dst pcm.Frame, packet []byte) (pcm.Frame, error)
	io.Closer
}

// A Cutter is an AudioEncoder whose packets depend on those before, and who can
// make one that does not: with it a decoder that comes from another encoder of
// the same sound goes on without a gap.
type Cutter interface {
	// Cut makes the next packet independent of what was encoded before, at
	// some loss of quality.
	Cut() error
}

// A Recoverer is an AudioDecoder whose packets carry redundancy about the one
// before (Opus in-band FEC, RFC 6716 section 2.1.7).
type Recoverer interface {
	// Recover appends the 20 ms that preceded next and were lost. It conceals
	// when next carries no redundancy. Decode(next) follows as usual.
	Recover(dst pcm.Frame, next []byte) (pcm.Frame, error)
}

// A Resetter is an AudioDecoder that can forget all it has heard. Where making
// a decoder is expensive (libopus: as much as decoding 80 ms), that is how one
// continues with something else.
type Resetter interface {
	// Reset makes the decoder as good as new.
	Reset() error
}

// AudioOptions tune an encoder. The zero value asks for the codec's defaults.
// It is comparable: equal options on equal codecs give interchangeable streams.
type AudioOptions struct {
	Bitrate    int  // bit/s; zero means the codec's default
	Complexity int  // 1 to 10; zero means the codec's default
	Loss       int  // expected packet loss in percent; above zero turns FEC on where there is one
	DTX        bool // send nothing during silence
}

// Audio describes an audio codec and makes instances of it. Values are
// immutable and shared.
type Audio struct {
	Name   string     // encoding name as registered for SDP, such as "opus" or "PCMU"
	Format pcm.Format // the raw format it consumes and produces
	Clock  int        // RTP clock rate in Hz; not always Format.Rate (G.722, RFC 3551 section 4.5.2)
	Type   int        // static RTP payload type (RFC 3551), or -1 for a dynamic one

	NewEncoder func(AudioOptions) (AudioEncoder, error)
	NewDecoder func() (AudioDecoder, error)
}

// A VideoEncoder compresses pictures of one size. Not safe for concurrent use.
type VideoEncoder interface {
	// Encode appends one access unit to dst: Annex B for H.264, one frame for
	// VP8. key asks for a key frame and is always honoured. The first picture
	// is one in any case. An empty result with a nil error means that the rate
	// control dropped the picture. pic is borrowed for the call.
	Encode(dst []byte, pic *yuv.Picture, key bool) (unit []byte, isKey bool, err error)

	// SetBitrate changes the target, in bit/s, from the next picture on.
	SetBitrate(bps int) error
	io.Closer
}

// A VideoDecoder turns access units into pictures. Not safe for concurrent use.
type VideoDecoder interface {
	// Decode takes one access unit and returns its picture, or nil if it has
	// none to show (parameter sets alone, a hidden frame). The picture is
	// borrowed until the next call. A picture of odd size loses its last column
	// or row.
	//
	// unit is checked in Go before C sees it: sizes above [MaxVideoWidth] by
	// [MaxVideoHeight], unsupported profiles, and a size change without a key
	// frame are ErrCorrupt. In the beginning and after ErrCorrupt everything is,
	// cheaply, until the next key frame: nothing is shown that refers to what
	// is missing.
	Decode(unit []byte) (*yuv.Picture, error)
	io.Closer
}

// The largest picture a decoder accepts, in pixels: browsers share screens in the
// size that they have. A picture may also be upright: the limits apply to the long
// and the short side.
const (
	MaxVideoWidth  = 3840
	MaxVideoHeight = 2400
)

// The largest picture an encoder makes.
const (
	maxEncodedWidth  = 1920
	maxEncodedHeight = 1088
)

// Decodable reports whether decoders accept pictures of this size. The least
// is the one macroblock that H.264 and VP8 are made of.
func Decodable(width, height int) bool { return within(width, height, MaxVideoWidth, MaxVideoHeight) }

// HighDefinition reports whether a picture is no larger than 1920x1080, rounded up to
// whole macroblocks: what a camera sends.
func HighDefinition(width, height int) bool {
	return within(width, height, maxEncodedWidth, maxEncodedHeight)
}

func within(width, height, mostLong, mostShort int) bool {
	long, short := max(width, height), min(width, height)
	return short >= 16 && long <= mostLong && short <= mostShort
}

// VideoOptions say what an encoder produces. It is comparable.
type VideoOptions struct {
	Width, Height int // pixels, even
	FrameRate     int // pictures per second
	Bitrate       int // target in bit/s

	// MaxSlice bounds every NAL unit of H.264, in bytes; zero means unbounded.
	// Packetization mode 0 needs it (RFC 6184 section 6.2). VP8 ignores it.
	MaxSlice int

	// KeepAll forbids the rate control to drop pictures; when the quantizer is
	// at its end the stream exceeds Bitrate instead. For recording, not for
	// networks.
	KeepAll bool
}

// Validate says what about o no encoder can do.
func (o VideoOptions) Validate() error {
	switch {
	case o.Width%2 != 0 || o.Height%2 != 0 || !HighDefinition(o.Width, o.Height):
		return fmt.Errorf("codecs: picture size %dx%d", o.Width, o.Height)
	case o.FrameRate < 1 || o.FrameRate > 60:
		return fmt.Errorf("codecs: %d pictures per second", o.FrameRate)
	case o.Bitrate < 1000:
		return fmt.Errorf("codecs: video bitrate of %d bit/s", o.Bitrate)
	case o.MaxSlice < 0:
		return fmt.Errorf("codecs: slices of %d bytes", o.MaxSlice)
	}
	return nil
}

// Video describes a video codec and makes instances of it. Values are
// immutable and shared. The RTP clock of every video codec is 90 kHz.
type Video struct {
	Name string // encoding name as registered for SDP: "VP8" or "H264"

	NewEncoder func(VideoOptions) (VideoEncoder, error)
	NewDecoder func() (VideoDecoder, error)

	// KeyFrame reports whether unit, an access unit, can be decoded without
	// any before it. It reads headers only and never panics.
	KeyFrame func(unit []byte) bool

	// Size reads the size of a key frame, in pixels, from its beginning: as
	// much of an access unit as fits the first packet. Zero means that this does
	// not say. It never panics; nil if no header of the codec tells.
	Size func(start []byte) (width, height int)
}
