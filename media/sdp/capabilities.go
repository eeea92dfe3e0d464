package sdp

import (
	"net/netip"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/media/rtp"
)

// Capabilities are what a node can and wants to do. One value serves all calls
// and is not changed while it does.
type Capabilities struct {
	Audio []*codecs.Audio // preferred first; empty: no audio
	Video []*codecs.Video // preferred first; empty: no video

	// Slides takes a second picture, for presentations, in the codecs of Video and
	// at up to 1920x1080 at 15. Floor are the roles that we take in floor control,
	// which comes only with slides; zero: none.
	Slides bool
	Floor  FloorRole

	// Camera takes and offers control of the far end's camera, beside video.
	Camera bool

	// Crypto says whether streams are encrypted. Keys travel in the SDP, so a
	// call whose signalling is not encrypted should not have them: pass
	// [CryptoOff] unless the policy asks for more.
	Crypto CryptoPolicy

	// Suites are those accepted, and offered in this order. Nil means
	// [DefaultSuites].
	Suites []rtp.Suite

	// The largest main picture to receive and to send, in pixels and pictures per
	// second. Zero means 1280x720 at 30.
	Width, Height, FrameRate int

	VideoBitrate int // most video to receive and to send, in bit/s; zero: no limit of ours
	Bandwidth    int // most media to receive in all, in bit/s; zero: no limit of ours
}

// A CryptoPolicy decides between RTP and SDES-SRTP.
type CryptoPolicy int

// The policies.
const (
	CryptoOff      CryptoPolicy = iota // plain RTP; keys that are offered beside RTP/AVP are ignored
	CryptoOptional                     // encrypted where the peer can
	CryptoRequired                     // encrypted, or no stream
)

// DefaultSuites are the crypto suites used unless told otherwise: the one that
// everybody has first.
var DefaultSuites = []rtp.Suite{rtp.AES128CM80, rtp.AES128GCM, rtp.AES256GCM, rtp.AES128CM32}

// Local is our side of the transport: what a description needs to become
// text.
type Local struct {
	Address netip.Addr // where peers reach us, in o= and c=
	Audio   Endpoint
	Video   Endpoint
	Slides  Endpoint
	Camera  Endpoint
	Floor   Endpoint // its Port only
}

// An Endpoint is our side of one stream.
type Endpoint struct {
	Port     int    // RTP
	RTCPPort int    // zero: the port above Port
	SSRC     uint32 // what we send with; zero: not announced
	CNAME    string // announced with SSRC
}

func (l *Local) endpoint(k Kind) Endpoint {
	switch k {
	case Audio:
		return l.Audio
	case Slides:
		return l.Slides
	case Camera:
		return l.Camera
	case control:
		return Endpoint{Port: l.Floor.Port}
	}
	return l.Video
}

func (c *Capabilities) suites() []rtp.Suite {
	if c.Suites == nil {
		return DefaultSuites
	}
	return c.Suites
}

// picture is the largest picture of a kind that we handle.
func (c *Capabilities) picture(k Kind) (width, height, rate int) {
	if k == Slides {
		return 1920, 1080, 15
	}
	if width, height = c.Width, c.Height; width <= 0 || height <= 0 {
		width, height = 1280, 720
	}
	if rate = c.FrameRate; rate <= 0 {
		rate = 30
	}
	return width, height, rate
}
