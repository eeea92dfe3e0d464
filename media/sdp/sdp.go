// Package sdp negotiates media for SIP calls: the offer/answer model of RFC
// 3264 over a tolerant reading of SDP (RFC 8866).
//
// The functions are pure. They open no socket and know no port, so that a call
// that cannot work is refused before anything was spent on it:
//
//	offer, err := sdp.Parse(body)             // err: 400
//	agreed, err := sdp.Answer(caps, offer, nil) // err is a *Refusal: 488 and its Warning
//	... open an rtp.Session for each of agreed.Streams ...
//	body = agreed.Describe(local)             // the answer, with ports
//
// When the peer leaves the offer to us (an INVITE without a body), or when we
// call:
//
//	offer := sdp.NewOffer(caps, nil)
//	body := offer.Describe(local)
//	agreed, err := offer.Accept(answer)
//
// Later offers in the same dialog pass the last [Agreement] on: it keeps the
// order of the m-lines, payload types, keys and the version of o=.
//
// Presentations are a second video line, [Slides], with the right to send on it
// handed out over a [Floor] (BFCP, RFC 8856). Both are refused unless
// [Capabilities] ask for them.
//
// Peers that offer their picture in several encodings side by side (simulcast,
// RFC 8853) are answered so; we never offer it.
//
// Not every endpoint writes SDP as the RFC orders it, and an m-line that we do
// not understand must be mirrored and not refused with the whole description.
// So [Parse] reads what can be read: session lines in any order, any media
// type, transport and bandwidth modifier.
package sdp

import (
	"net/netip"
	"strings"
)

// A Description is one session description.
type Description struct {
	Origin     Origin
	Name       string // s=
	Connection string // host of the session's c= line; empty: none
	Bandwidth  []Bandwidth
	Attributes Attributes
	Media      []Media
}

// Origin is the o= line. All its parts together name one version of one
// session description.
type Origin struct {
	User, ID, Version string
	Address           string
}

// A Media is one m-line with what belongs to it.
type Media struct {
	Type       string // "audio", "video", "application", ...
	Port       int
	Proto      string // such as "RTP/AVP", as it was written
	Formats    []string
	Connection string // host of its own c= line; empty: that of the session
	Bandwidth  []Bandwidth
	Attributes Attributes
}

// A Bandwidth is one b= line.
type Bandwidth struct {
	Type  string // "AS" (kbit/s), "TIAS" (bit/s), ...
	Value int
}

// An Attribute is one a= line: "key" or "key:value".
type Attribute struct{ Key, Value string }

// Attributes are the a= lines of a session or of an m-line, in order.
type Attributes []Attribute

// Get returns the value of the first attribute with that key.
func (a Attributes) Get(key string) (value string, ok bool) {
	for v := range a.all(key) {
		return v, true
	}
	return "", false
}

// Has reports whether an attribute is there.
func (a Attributes) Has(key string) bool {
	_, ok := a.Get(key)
	return ok
}

// all yields the value of every attribute with that key.
func (a Attributes) all(key string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for _, attr := range a {
			if attr.Key == key && !yield(attr.Value) {
				return
			}
		}
	}
}

// add appends an attribute.
func (a *Attributes) add(key, value string) { *a = append(*a, Attribute{key, value}) }

// A Kind tells the streams of a call apart.
type Kind int

// The kinds of streams that are negotiated.
const (
	Audio  Kind = iota + 1
	Video       // the main picture
	Slides      // a second picture, for presentations (RFC 4796); refused unless [Capabilities] say otherwise

	Camera  // control of the far end's camera (H.224), which is no stream of media
	control // the m-line of a [Floor]
)

func (k Kind) String() string {
	switch k {
	case Audio:
		return "audio"
	case Video:
		return "video"
	case Slides:
		return "slides"
	case Camera:
		return "camera"
	}
	return "other"
}

// stream reports whether k is audio or a picture.
func (k Kind) stream() bool { return k == Audio || k.moving() }

// moving reports whether a stream of that kind is a picture.
func (k Kind) moving() bool { return k == Video || k == Slides }

// mediaType is the type of the m-lines of that kind.
func (k Kind) mediaType() string {
	if k.moving() {
		return "video"
	}
	return "audio"
}

// kind says what an m-line is to us; zero for what we do not do.
func (m *Media) kind() Kind {
	switch m.Type {
	case "audio":
		return Audio
	case "video":
		if content, _ := m.Attributes.Get("content"); strings.Contains(content, "slides") {
			return Slides
		}
		return Video
	case "application":
		if _, known := floorProtocols[strings.ToUpper(m.Proto)]; known {
			return control
		}
		if _, known := protocols[m.Proto]; known {
			if _, ok := find(m.formats(), format.isCamera); ok {
				return Camera
			}
		}
	}
	return 0
}

// address is where the media of m goes: its own c= line, else the session's.
// It is invalid if there is none, or a name, which nobody here resolves:
// learning finds such a peer. held is true for 0.0.0.0, the hold of RFC 2543.
func (d *Description) address(m *Media) (addr netip.Addr, held bool) {
	host := m.Connection
	if host == "" {
		host = d.Connection
	}
	addr, err := netip.ParseAddr(host)
	if err != nil || addr.IsMulticast() || addr.Zone() != "" {
		return netip.Addr{}, false
	}
	if addr.IsUnspecified() {
		return netip.Addr{}, true
	}
	return addr.Unmap(), false
}
