package sdp

import (
	"net/netip"
	"slices"
	"time"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/media/rtp"
)

// An Agreement is the outcome of an offer and its answer. Its exported fields
// are not changed once it is made. Describe belongs to one goroutine at a time,
// with all agreements and offers of the same dialog.
type Agreement struct {
	// Streams are those that both sides want, in the order of the m-lines, at
	// most one of each [Kind]. A stream on hold is among them.
	Streams []Stream

	// Floor is the floor control of the [Slides]; nil: none.
	Floor *Floor

	// Camera is control of the far end's camera (RFC 4573), beside the picture, an
	// RTP stream of H.224 frames; nil: none.
	Camera *Stream

	// Unchanged is true when the peer repeated the description that the
	// previous agreement came from: nothing needs to be done to the media.
	Unchanged bool

	remote []byte // the description it came from
	draft  *draft
}

// Stream returns the stream of a kind, nil if there is none.
func (a *Agreement) Stream(k Kind) *Stream {
	if a == nil {
		return nil
	}
	for i := range a.Streams {
		if a.Streams[i].Kind == k {
			return &a.Streams[i]
		}
	}
	return nil
}

// Describe returns our side as a body of application/sdp: the answer, and
// afterwards, word for word, the offer that refreshes the session without
// changing it. The version of o= steps when the text differs from what was
// last described in this dialog (RFC 3264 section 8).
func (a *Agreement) Describe(l Local) []byte { return a.draft.describe(l) }

// Without returns a as it is without its stream of kind k: that m-line is
// refused with port zero (RFC 3264 section 6), and the floor goes with the
// slides, control of the camera with the picture. It may be left with no
// stream. A peer that repeats its offer afterwards is answered anew.
func (a *Agreement) Without(k Kind) *Agreement {
	left := a.refusing(func(l Kind) bool { return l == k || l == control && k == Slides || l == Camera && k == Video })
	left.Streams = slices.DeleteFunc(slices.Clone(a.Streams), func(s Stream) bool { return s.Kind == k })
	if k != Slides {
		left.Floor = a.Floor
	}
	if k != Video && k != Camera {
		left.Camera = a.Camera
	}
	return left
}

// WithoutFloor does the same to the floor control alone.
func (a *Agreement) WithoutFloor() *Agreement {
	left := a.refusing(func(l Kind) bool { return l == control })
	left.Streams, left.Camera = a.Streams, a.Camera
	return left
}

// refusing is a draft like that of a, without some of its lines.
func (a *Agreement) refusing(refuse func(Kind) bool) *Agreement {
	d := *a.draft
	d.lines = slices.Clone(d.lines)
	for i := range d.lines {
		if l := &d.lines[i]; refuse(l.kind) {
			*l = line{media: refused(&l.media)}
		}
	}
	return &Agreement{draft: &d}
}

// A Stream is one m-line that is in use.
type Stream struct {
	Kind  Kind
	Index int    // position of the m-line
	Proto string // as negotiated, such as "RTP/SAVP"

	// RTP and RTCP are where the peer says it receives. Invalid while it does
	// not say: on hold by 0.0.0.0, or a host name.
	RTP, RTCP netip.AddrPort
	Mux       bool // RTCP on the port of RTP

	Send, Recv bool // what we may do
	Held       bool // the peer does not want to receive: it has put us on hold

	// Payload types of the codec: those the peer gave it for what we send, and
	// ours for what it sends.
	SendType, RecvType uint8

	// Crypto keys the stream; nil means plain RTP.
	Crypto *rtp.Crypto

	// Bitrate is the most media the peer wants, in bit/s; zero: it did not say.
	Bitrate int

	Content string // a=content (RFC 4796), such as "main"
	Label   string // a=label (RFC 4574)

	Audio *AudioStream // set if Kind is Audio
	Video *VideoStream // set if Kind is Video or Slides
}

// AudioStream is what only audio has.
type AudioStream struct {
	Codec *codecs.Audio

	// Ptime is how much to put in one packet: a multiple of 20 ms.
	Ptime time.Duration

	// Telephone events (RFC 4733). EventClock, in Hz, is zero if there are none.
	EventSendType, EventRecvType uint8
	EventClock                   int

	// NoiseType is the payload type of comfort noise (RFC 3389), in both
	// directions; zero: none.
	NoiseType uint8

	// LevelExt is the identifier of the RFC 6464 header extension; zero: none.
	LevelExt uint8

	// What the peer prefers to receive of Opus (RFC 7587).
	FEC, DTX bool
}

// VideoStream is what only video has.
type VideoStream struct {
	Codec *codecs.Video

	// The most the peer decodes, and we want to send: a 16:9 size.
	Width, Height, FrameRate int

	// Mode is the packetization mode of H.264, in both directions; 0 for
	// other codecs.
	Mode int

	// Parameters are the parameter sets that the peer sent in its SDP, as
	// Annex B. Nil if it did not.
	Parameters []byte

	// Layers are what the peer sends side by side (simulcast, RFC 8853), in its
	// order; none: one stream. LayerExt is the identifier of the header
	// extension that tells them apart (RFC 8852).
	Layers   []Layer
	LayerExt uint8

	// RTCP feedback that both sides can do, in both directions.
	NACK, PLI, FIR, TMMBR, REMB bool
}

// Types are the payload types that the peer may send on this stream.
func (s *Stream) Types() []uint8 {
	types := []uint8{s.RecvType}
	if a := s.Audio; a != nil {
		if a.EventClock != 0 {
			types = append(types, a.EventRecvType)
		}
		if a.NoiseType != 0 {
			types = append(types, a.NoiseType)
		}
	}
	return types
}

// Remote is the stream as an [rtp.Session] needs it.
func (s *Stream) Remote() rtp.Remote {
	return rtp.Remote{RTP: s.RTP, RTCP: s.RTCP, Mux: s.Mux, Types: s.Types(), Crypto: s.Crypto}
}
