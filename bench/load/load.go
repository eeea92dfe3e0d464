// Package load plays the participants of a measurement: hundreds of SIP calls
// from one process, as cheap as possible, because generator and server share
// the machine. Media is encoded once beforehand; what comes back is counted
// while the measurement runs, and decoded, listened to and looked at only
// afterwards.
//
// A generator is a process of its own, so that its cost is not the server's.
// [Run] is its life: it is driven by lines on standard input and answers with
// lines of JSON.
package load

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/g711"
	"github.com/skybridge-media/skybridge/codecs/g722"
	"github.com/skybridge-media/skybridge/codecs/h264"
	"github.com/skybridge-media/skybridge/codecs/opus"
	"github.com/skybridge-media/skybridge/codecs/vp8"
)

// A Spec says who calls, and what they send.
type Spec struct {
	Server   netip.AddrPort `json:"server"` // SIP over UDP
	Web      string         `json:"web"`    // origin of the client API, to join as browsers do; empty: by SIP
	Prefix   string         `json:"prefix"` // of the rooms' names
	Rooms    int            `json:"rooms"`
	RoomSize int            `json:"room_size"`
	Pace     float64        `json:"pace"` // calls per second

	Audio  string `json:"audio"`  // SDP name of the codec
	Levels bool   `json:"levels"` // offer and send RFC 6464 levels
	Secure bool   `json:"secure"` // SDES-SRTP

	// Talkers of each room speak all the time, and each has a tone of its own;
	// the others send quiet noise, without DTX.
	Talkers int `json:"talkers"`

	Video *Video `json:"video,omitempty"`

	// Fill is which share of all processors is to be busy: what calls do not use
	// of it is wasted. 0 wastes nothing.
	Fill float64 `json:"fill,omitempty"`

	// Watched is how many receivers' video is kept, to be decoded and looked at.
	Watched int `json:"watched"`
}

// Video is what a Spec says about pictures.
type Video struct {
	Codec     string `json:"codec"` // SDP name
	Width     int    `json:"width"` // of what is received at most
	Height    int    `json:"height"`
	FrameRate int    `json:"frame_rate"`
	Bitrate   int    `json:"bitrate"` // bit/s that is offered to receive
	Layout    string `json:"layout"`  // of the rooms, to know where tiles are
	SelfView  bool   `json:"self_view"`

	// Senders is how bitrates are chosen: [Fixed], [TMMBR] or [Simulcast].
	Senders string `json:"senders"`

	// Layers are the encodings of what is sent, the one with the least bitrate
	// first: one by those who are Fixed, all side by side in a simulcast, one at a
	// time by those who obey TMMBR.
	Layers []Layer `json:"layers"`
}

// What senders of video do about how much of it is of use.
const (
	Fixed     = "fixed"     // nothing: they send the same all the time
	TMMBR     = "tmmbr"     // they send no more than they are asked for (RFC 5104 section 4.2.1)
	Simulcast = "simulcast" // they send several sizes, of which the server takes one (RFC 8853)
)

// A Layer is one encoding of what is sent.
type Layer struct {
	File   string `json:"file"` // of access units; see [WriteUnits]
	Width  int    `json:"width"`
	Height int    `json:"height"`
}

var (
	audioCodecs = []*codecs.Audio{&opus.Mono, &g722.G722, &g711.PCMU, &g711.PCMA}
	videoCodecs = []*codecs.Video{&h264.H264, &vp8.VP8}
)

// AudioCodec returns the codec of an SDP name, nil if there is none.
func AudioCodec(name string) *codecs.Audio {
	for _, c := range audioCodecs {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// VideoCodec returns the codec of an SDP name, nil if there is none.
func VideoCodec(name string) *codecs.Video {
	for _, c := range videoCodecs {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// validate says what is wrong with s, naming the field.
func (s *Spec) validate() error {
	switch {
	case !s.Server.IsValid() || !s.Server.Addr().IsLoopback():
		return fmt.Errorf("load: server: %v is not an address of this machine's loopback", s.Server)
	case s.Rooms < 1 || s.RoomSize < 1:
		return fmt.Errorf("load: rooms: %d of %d participants", s.Rooms, s.RoomSize)
	case s.Talkers < 0 || s.Talkers > s.RoomSize || s.Talkers > MaxTalkers:
		return fmt.Errorf("load: talkers: %d of %d, at most %d", s.Talkers, s.RoomSize, MaxTalkers)
	case s.Pace <= 0:
		return errors.New("load: pace: must be positive")
	case s.Fill < 0 || s.Fill > 1:
		return fmt.Errorf("load: fill: %v is not a share of the processors", s.Fill)
	case AudioCodec(s.Audio) == nil:
		return fmt.Errorf("load: audio: no codec %q", s.Audio)
	case s.Video != nil && s.Web != "" && s.Video.Senders != Fixed:
		return fmt.Errorf("load: senders: %q is for callers by SIP only", s.Video.Senders)
	case s.Video != nil:
		return s.Video.validate()
	}
	return nil
}

func (v *Video) validate() error {
	if VideoCodec(v.Codec) == nil || len(v.Layers) == 0 {
		return fmt.Errorf("load: video: codec %q with %d files", v.Codec, len(v.Layers))
	}
	most := len(v.Layers)
	switch v.Senders {
	case Fixed:
		most = 1
	case Simulcast:
		most = len(rids)
	case TMMBR:
	default:
		return fmt.Errorf("load: senders: %q is none of %s, %s, %s", v.Senders, Fixed, TMMBR, Simulcast)
	}
	if len(v.Layers) > most {
		return fmt.Errorf("load: layers: %d, at most %d with senders %s", len(v.Layers), most, v.Senders)
	}
	return nil
}
