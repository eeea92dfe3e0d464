package webrtc

import (
	"strconv"
	"strings"

	pion "github.com/pion/webrtc/v4"
)

// A kind is what a stream is for. A call has one of each at most.
type kind string

const (
	audio   kind = "audio"
	video   kind = "video"  // of the camera, and what is composed for the peer
	content kind = "slides" // video as well: what somebody presents (RFC 4796)
)

// medium is what the kind is in SDP and for pion.
func (k kind) medium() kind {
	if k == content {
		return video
	}
	return k
}

func (k kind) pion() pion.RTPCodecType { return pion.NewRTPCodecType(string(k.medium())) }

// A format is one that pion is told of. fmtp is the only one of its kind that
// it will ever see: the canonical offer repeats it, the answer does not.
type format struct {
	kind     kind
	name     string
	clock    int
	channels int // in SDP: 2 for Opus, else 0
	fmtp     string
	pt       uint8 // any; pion takes those of the offer
}

// events is the name of telephone-event (RFC 4733) in SDP.
const events = "telephone-event"

// formats is everything we can negotiate. What a node offers of it depends on
// its [Config].
var formats = []format{
	{kind: audio, name: "opus", clock: 48000, channels: 2, fmtp: "minptime=10;useinbandfec=1", pt: 111},
	{kind: audio, name: "G722", clock: 8000, pt: 9},
	{kind: audio, name: "PCMU", clock: 8000, pt: 0},
	{kind: audio, name: "PCMA", clock: 8000, pt: 8},
	{kind: audio, name: events, clock: 48000, pt: 110},
	{kind: audio, name: events, clock: 8000, pt: 126},
	{kind: video, name: "VP8", clock: 90000, pt: 96},
	{kind: video, name: "H264", clock: 90000, fmtp: canonicalH264 + "1", pt: 102},
	{kind: video, name: "H264", clock: 90000, fmtp: canonicalH264 + "0", pt: 103},
}

const canonicalH264 = "level-asymmetry-allowed=1;profile-level-id=42e01f;packetization-mode="

// feedback is what we understand on video (RFC 4585, RFC 5104, and Google's
// receiver estimated maximum bitrate).
var feedback = []string{"nack", "nack pli", "ccm fir", "goog-remb"}

func (f format) parameters() pion.RTPCodecParameters {
	p := pion.RTPCodecParameters{PayloadType: pion.PayloadType(f.pt)}
	p.MimeType = string(f.kind) + "/" + f.name
	p.ClockRate, p.Channels, p.SDPFmtpLine = uint32(f.clock), uint16(f.channels), f.fmtp
	if f.kind == video {
		for _, fb := range feedback {
			typ, parameter, _ := strings.Cut(fb, " ")
			p.RTCPFeedback = append(p.RTCPFeedback, pion.RTCPFeedback{Type: typ, Parameter: parameter})
		}
	}
	return p
}

// find returns the format for a name as it was offered, nil for one we do not
// know. mode is the packetization mode of H.264.
func find(k kind, name string, clock, mode int) *format {
	for i := range formats {
		f := &formats[i]
		if f.kind == k && strings.EqualFold(f.name, name) && f.clock == clock &&
			(f.name != "H264" || strings.HasSuffix(f.fmtp, strconv.Itoa(mode))) {
			return f
		}
	}
	return nil
}

// static are the payload types that need no rtpmap (RFC 3551 section 6).
var static = map[uint8]mapping{
	0: {name: "PCMU", clock: 8000},
	8: {name: "PCMA", clock: 8000},
	9: {name: "G722", clock: 8000},
}

// h264 is a profile-level-id (RFC 6184 section 8.1).
type h264 struct{ profile, constraints, level uint8 }

// parseH264 reads a profile-level-id. Absent or broken ones mean the default,
// baseline level 1.
func parseH264(s string) h264 {
	v, err := strconv.ParseUint(s, 16, 24)
	if err != nil || len(s) != 6 {
		return h264{0x42, 0, 10}
	}
	return h264{uint8(v >> 16), uint8(v >> 8), uint8(v)}
}

// rank orders the profiles by how well they suit us: constrained baseline is
// what we send, and a part of all others. Zero means unusable.
func (p h264) rank() int {
	switch {
	case p.profile == 0x42 && p.constraints&0x40 != 0:
		return 3
	case p.profile == 0x42:
		return 2
	case p.profile == 0x4d || p.profile == 0x64:
		return 1
	}
	return 0
}

// levels are the limits of H.264 levels (table A-1): macroblocks per second
// and per frame, and bit/s.
var levels = []struct {
	level           uint8
	rate, size, bps int
}{
	{10, 1485, 99, 64e3},
	{11, 3000, 396, 192e3},
	{12, 6000, 396, 384e3},
	{13, 11880, 396, 768e3},
	{20, 11880, 396, 2e6},
	{21, 19800, 792, 4e6},
	{22, 20250, 1620, 4e6},
	{30, 40500, 1620, 10e6},
	{31, 108000, 3600, 14e6},
	{32, 216000, 5120, 20e6},
	{40, 245760, 8192, 20e6},
}

// limits are what a peer says it can receive. Zero means no limit given.
type limits struct {
	width, height, rate int // pixels, pictures per second
	bps                 int
}

// within returns the limits of a decoder that takes size macroblocks per
// picture and rate macroblocks per second; zero for any.
func within(size, rate int) limits {
	var l limits
	if size > 0 {
		for _, s := range []limits{{width: 1920, height: 1080}, {width: 1280, height: 720}, {width: 960, height: 540}, {width: 640, height: 360}, {width: 480, height: 270}, {width: 320, height: 180}, {width: 160, height: 90}} {
			l = s
			if blocks(s.width, s.height) <= size {
				break
			}
		}
	}
	if rate > 0 && l.width > 0 {
		l.rate = max(1, rate/blocks(l.width, l.height))
	}
	return l
}

// blocks counts the macroblocks of a picture.
func blocks(width, height int) int { return (width + 15) / 16 * ((height + 15) / 16) }

// level returns the limits of an H.264 level as a peer may have widened them
// (RFC 6184 section 8.1: max-fs, max-mbps, max-br).
func (p h264) limits(params map[string]string) limits {
	row := levels[0]
	for _, l := range levels {
		if l.level <= p.level {
			row = l
		}
	}
	l := within(max(row.size, number(params["max-fs"])), max(row.rate, number(params["max-mbps"])))
	l.bps = max(row.bps, 1000*number(params["max-br"]))
	if p.level > levels[len(levels)-1].level {
		return limits{} // more than we ever send
	}
	return l
}

// number reads a small count; anything else is 0.
func number(s string) int {
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return 0
	}
	return int(n)
}
