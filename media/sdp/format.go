package sdp

import (
	"strconv"
	"strings"

	"github.com/skybridge-media/skybridge/codecs"
)

// A format is one payload type of an m-line with all that is said about it.
type format struct {
	pt    uint8
	name  string // encoding name as written
	clock int    // Hz
	fmtp  string // all parameters, without the payload type
	h264  h264   // the parameters of H.264
}

// is compares encoding names, which have no case.
func (f format) is(name string) bool { return strings.EqualFold(f.name, name) }

// number returns an integer parameter of fmtp; zero if it is missing or wrong.
func (f format) number(key string) int {
	v, _ := f.param(key)
	n, err := strconv.ParseUint(v, 10, 31)
	if err != nil {
		return 0
	}
	return int(n)
}

// param returns a parameter of fmtp. Keys have no case.
func (f format) param(key string) (value string, ok bool) {
	for p := range strings.SplitSeq(f.fmtp, ";") {
		k, v, _ := strings.Cut(strings.TrimSpace(p), "=")
		if strings.EqualFold(strings.TrimSpace(k), key) {
			return strings.TrimSpace(v), true
		}
	}
	return "", false
}

// static are the payload types that need no rtpmap (RFC 3551 section 6).
var static = map[uint8]format{
	0:  {name: "PCMU", clock: 8000},
	8:  {name: "PCMA", clock: 8000},
	9:  {name: "G722", clock: 8000},
	13: {name: "CN", clock: 8000},
}

// What is looked at of an m-line. Browsers list about 40 payload types, and the
// longest fmtp are those with parameter sets. Without a bound, a body of 64 kB
// could keep us busy for seconds.
const (
	maxFormats = 64
	maxFMTP    = 4096 // bytes
)

// formats are the payload types of m in order of preference. Those without a
// meaning are left out.
func (m *Media) formats() []format {
	var fs []format
	for _, text := range m.Formats[:min(len(m.Formats), maxFormats)] {
		pt, err := strconv.ParseUint(text, 10, 7)
		if err != nil {
			continue
		}
		f := static[uint8(pt)]
		f.pt = uint8(pt)
		if v, ok := m.forType("rtpmap", text); ok {
			name, rest, _ := strings.Cut(v, "/")
			clock, _, _ := strings.Cut(rest, "/")
			n, err := strconv.ParseUint(clock, 10, 31)
			if err != nil {
				continue
			}
			f.name, f.clock = name, int(n)
		}
		if f.name == "" {
			continue
		}
		if v, ok := m.forType("fmtp", text); ok && len(v) <= maxFMTP {
			f.fmtp = v
		}
		if f.is("H264") {
			f.h264 = parseH264(f)
		}
		fs = append(fs, f)
	}
	return fs
}

// forType returns the value of the attribute "key:pt value".
func (m *Media) forType(key, pt string) (string, bool) {
	for v := range m.Attributes.all(key) {
		t, rest, _ := strings.Cut(v, " ")
		if t == pt {
			return strings.TrimSpace(rest), true
		}
	}
	return "", false
}

// feedback reports whether the peer takes this RTCP feedback for the payload
// type (RFC 4585 section 4.2). Codec control messages may have parameters (RFC
// 5104 section 7.1).
func (m *Media) feedback(pt uint8, what string) bool {
	for v := range m.Attributes.all("rtcp-fb") {
		t, rest, _ := strings.Cut(v, " ")
		f := strings.Fields(rest)
		if len(f) > 2 && f[0] == "ccm" {
			f = f[:2]
		}
		if (t == "*" || t == strconv.Itoa(int(pt))) && strings.Join(f, " ") == what {
			return true
		}
	}
	return false
}

const (
	levelURI  = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
	eventName = "telephone-event"
)

// extension is the identifier of a header extension (RFC 8285); zero if it is
// not there or cannot be used.
func (a Attributes) extension(uri string) uint8 {
	for v := range a.all("extmap") {
		f := strings.Fields(v)
		if len(f) < 2 || f[1] != uri {
			continue
		}
		id, _, _ := strings.Cut(f[0], "/")
		// 1 to 14 fit the one-byte form (RFC 8285 section 4.2).
		if n, err := strconv.ParseUint(id, 10, 8); err == nil && n >= 1 && n <= 14 {
			return uint8(n)
		}
	}
	return 0
}

// audio returns our codec for a format; nil if we have none.
func (c *Capabilities) audio(f format) *codecs.Audio {
	for _, a := range c.Audio {
		if f.is(a.Name) && f.clock == a.Clock {
			return a
		}
	}
	return nil
}

// video returns our codec for a format; nil if we have none, or not in this
// flavour.
func (c *Capabilities) video(f format) *codecs.Video {
	for _, v := range c.Video {
		if !f.is(v.Name) || f.clock != 90000 {
			continue
		}
		if f.is("H264") && !f.h264.usable() {
			return nil
		}
		return v
	}
	return nil
}

// find returns the first format that satisfies ok.
func find(fs []format, ok func(format) bool) (format, bool) {
	for _, f := range fs {
		if ok(f) {
			return f, true
		}
	}
	return format{}, false
}
