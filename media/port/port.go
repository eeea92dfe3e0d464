// Package port carries one participant's media in both directions, between a
// transport (package media/rtp, or services/webrtc) and a bridge.
package port

import (
	"errors"
	"log/slog"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/pcm"
	"github.com/skybridge-media/skybridge/media/bridge"
	media "github.com/skybridge-media/skybridge/media/rtp"
)

var _ bridge.Leg = (*Port)(nil)

// Config is what a Port needs from the process. The zero value works.
type Config struct {
	Log     *slog.Logger // nil: discard
	Metrics *Metrics     // nil: unregistered

	// Notify receives [Digit] and [Silent], from the port's own goroutine or
	// the network's. It must not block. nil: nobody cares.
	Notify func(event any)

	// Timeout is how long a port may receive nothing before it says [Silent].
	// Zero means 30 s.
	Timeout time.Duration
}

// Audio is the negotiated state of the audio stream. Immutable once given to
// [Port.SetAudio].
type Audio struct {
	Codec   *codecs.Audio
	Options codecs.AudioOptions // of the encoder towards the peer

	SendType, RecvType           uint8 // RTP payload types: the peer's, and ours
	EventSendType, EventRecvType uint8 // telephone-event (RFC 4733); 0: not negotiated
	EventClock                   int   // Hz of telephone-event, 8000 or the codec's; 0: the codec's

	CNType   uint8 // comfort noise (RFC 3389), 13; 0: not negotiated
	LevelExt uint8 // id of the audio level header extension (RFC 6464) in what we receive; 0: none
	Ticks    int   // 20 ms Ticks per packet that the peer wants; 0: 1

	Send, Recv bool // direction as seen by us

	SSRC  uint32 // of what we send
	CNAME string // RFC 3550 section 6.5.1
	Out   media.Writer
}

// Video is the negotiated state of the video stream. Immutable once given to
// [Port.SetVideo].
type Video struct {
	Codec              *codecs.Video
	SendType, RecvType uint8 // RTP payload types: the peer's, and ours

	// Limits that the peer gave (fmtp, b=, imageattr): what we may send. Zero
	// means that it gave none.
	Mode                     int // H.264 packetization mode, 0 or 1
	MaxPayload               int // bytes of RTP payload
	Width, Height, FrameRate int
	MaxBitrate               int // bit/s

	NACK, PLI, FIR, REMB bool // rtcp-fb that was negotiated (RFC 4585, RFC 5104, goog-remb)

	// KeyFrame asks for a key frame by signalling (SIP INFO, RFC 5168). It is
	// called at most every 500 ms, without locks held, and must not block.
	KeyFrame func()

	// Parameters are the parameter sets of sprop-parameter-sets, Annex B.
	Parameters []byte

	Send, Recv bool // direction as seen by us

	SSRC  uint32 // of what we send
	CNAME string
	Out   media.Writer
}

// Events that Config.Notify receives.
type (
	// Digit is one key press (RFC 4733), told once, when the key goes down.
	Digit struct{ Digit byte }

	// Silent says, once, that no RTP and no RTCP at all came for so long. It
	// is not said while the call is on hold.
	Silent struct{ For time.Duration }
)

// ErrNoEvents is returned by [Port.SendDigit] when the peer cannot receive
// telephone events.
var ErrNoEvents = errors.New("port: telephone-event not negotiated")

// A Port is safe for concurrent use as package bridge and the network use it.
type Port struct{}

// New returns a Port without streams.
func New(cfg Config) *Port { return &Port{} }

// SetAudio installs or replaces the audio stream: initial answer, re-INVITE.
// nil removes it.
func (p *Port) SetAudio(a *Audio) {}

// SetVideo installs or replaces the video stream. nil removes it.
func (p *Port) SetVideo(v *Video) {}

// AudioRTP takes a packet of the audio stream, borrowed for the call.
func (p *Port) AudioRTP(pkt *rtp.Packet) {}

// VideoRTP takes a packet of the video stream, borrowed for the call.
func (p *Port) VideoRTP(pkt *rtp.Packet) {}

// AudioRTCP takes what one RTCP datagram of the audio stream held.
func (p *Port) AudioRTCP(pkts []rtcp.Packet) {}

// VideoRTCP takes what one RTCP datagram of the video stream held.
func (p *Port) VideoRTCP(pkts []rtcp.Packet) {}

// PeerWantsKeyFrame says that the peer asked for a key frame by signalling.
func (p *Port) PeerWantsKeyFrame() {}

// SendDigit sends a key press of the given length as telephone events.
func (p *Port) SendDigit(d byte, dur time.Duration) error { return ErrNoEvents }

// Stats returns what has happened so far.
func (p *Port) Stats() Stats { return Stats{} }

// Close says BYE, stops everything, waits for it and frees the codecs.
func (p *Port) Close() {}

func (p *Port) NextAudio() bridge.AudioTick        { return bridge.AudioTick{} }
func (p *Port) ReadAudio(dst pcm.Frame)            {}
func (p *Port) AudioOut() (bridge.AudioSpec, bool) { return bridge.AudioSpec{}, false }
func (p *Port) WriteAudio(payload []byte)          {}
func (p *Port) WantVideo(width, height int)        {}
func (p *Port) Picture() *bridge.SharedPicture     { return nil }
func (p *Port) VideoOut() (bridge.VideoSpec, bool) { return bridge.VideoSpec{}, false }
func (p *Port) WriteVideo(f *bridge.VideoFrame)    {}
func (p *Port) TakeKeyFrameRequest() bool          { return false }
