package webrtc

import (
	"fmt"
	"strings"

	"github.com/pion/sdp/v3"
)

// canonical is the offer that pion gets to see: the sections that we take,
// each with one codec in the form that pion has registered, sendrecv, over the
// peer's transport.
func (c *choice) canonical() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\r\n", args...) }
	t := c.via
	streams := c.streams()
	b.WriteString("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n")
	b.WriteString("a=group:BUNDLE")
	for _, s := range streams {
		b.WriteString(" " + s.section.mid)
	}
	b.WriteString("\r\n")
	if t.lite {
		line("a=ice-lite")
	}
	line("a=ice-ufrag:%s", t.ufrag)
	line("a=ice-pwd:%s", t.pwd)
	line("a=ice-options:trickle")
	line("a=fingerprint:%s", t.fingerprint)
	for i, s := range streams {
		line("m=%s 9 UDP/TLS/RTP/SAVPF %s", s.section.media, join(s.types()))
		line("c=IN IP4 0.0.0.0")
		line("a=mid:%s", s.section.mid)
		if t.setup != "" {
			line("a=setup:%s", t.setup)
		}
		line("a=rtcp-mux")
		line("a=sendrecv")
		s.codecLines(line, s.format.fmtp)
		if s.section.levelExt != 0 && s.audio != nil {
			line("a=extmap:%d %s", s.section.levelExt, sdp.AudioLevelURI)
		}
		c.midLine(line, s.section)
		switch {
		case s.simulcast != nil:
			s.simulcast.offerLines(line)
		case s.section.stream != "" && s.recv:
			line("a=msid:%s", s.section.stream)
		}
		if s.recv && s.simulcast == nil {
			for _, v := range s.section.sources {
				line("a=ssrc:%s", v)
			}
		}
		if i == 0 {
			for _, v := range t.candidates {
				line("a=candidate:%s", v)
			}
		}
	}
	return b.String()
}

// An identity is what our side of a call calls its streams.
type identity struct {
	session uint64
	version int    // grows with every answer (RFC 3264 section 8)
	stream  string // of sound and picture, so that peers play them in sync
	sources map[kind]uint32

	// Sources that answers have named, by mid. They stay there when nothing is
	// sent: Chromium shows nothing of one that goes and comes back.
	named map[string]uint32
}

// streamOf names the stream of a track. What is presented is none of the others'.
func (id identity) streamOf(k kind) string {
	if k == content {
		return id.stream + "-slides"
	}
	return id.stream
}

// answer writes our answer over the transport that pion has made for it.
func (c *choice) answer(t transport, id identity) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\r\n", args...) }
	line("v=0")
	line("o=- %d %d IN IP4 0.0.0.0", id.session, id.version)
	line("s=-")
	line("t=0 0")
	if c.offer.grouped {
		b.WriteString("a=group:BUNDLE")
		for i, s := range c.offer.sections {
			if c.roles[i] != refused {
				b.WriteString(" " + s.mid)
			}
		}
		b.WriteString("\r\n")
	}
	if t.lite {
		line("a=ice-lite")
	}
	line("a=ice-options:trickle")
	line("a=msid-semantic: WMS *")
	candidates := t.candidates // in the first section that is not refused (RFC 9143 section 7.3.1)
	for i, s := range c.offer.sections {
		st, at, types := c.picks[i], 9, strings.Join(s.formats, " ")
		if st == nil {
			at = 0
		} else {
			types = join(st.types())
		}
		line("m=%s %d %s %s", s.media, at, strings.Join(s.protos, "/"), types)
		line("c=IN IP4 0.0.0.0")
		line("a=mid:%s", s.mid)
		line("a=ice-ufrag:%s", t.ufrag)
		line("a=ice-pwd:%s", t.pwd)
		line("a=fingerprint:%s", t.fingerprint)
		line("a=setup:%s", t.setup)
		line("a=rtcp-mux")
		if c.offer.way != bothWays {
			line("a=rtcp-mux-only") // RFC 9725 section 4.4.1
		}
		if st == nil {
			// aiortc does not read an answer in which a section that is refused
			// lacks what was said of the transport; the others do not care.
			line("a=inactive")
			continue
		}
		line("a=rtcp:9 IN IP4 0.0.0.0")
		for _, v := range candidates {
			line("a=candidate:%s", v)
		}
		if candidates != nil {
			line("a=end-of-candidates")
			candidates = nil
		}
		if s.rsize {
			line("a=rtcp-rsize")
		}
		st.codecLines(line, st.parameters())
		if s.levelExt != 0 && st.audio != nil {
			line("a=extmap:%d %s", s.levelExt, sdp.AudioLevelURI)
		}
		if s.content != "" {
			// Applications tell their pictures apart by it, in the answer too.
			line("a=content:%s", s.content)
		}
		named := id.named[s.mid]
		if c.roles[i] == taken && st.send {
			named = id.sources[s.kind()]
		}
		if c.roles[i] == parked {
			line("a=inactive")
		} else {
			c.midLine(line, s)
			st.simulcastLines(line)
			line("a=%s", st.direction())
			if st.send && named != 0 {
				line("a=msid:%s %s", id.streamOf(s.kind()), s.kind()) // pion wants it before the source
			}
		}
		if named != 0 {
			line("a=ssrc:%d cname:%s", named, id.stream)
		}
	}
	return b.String()
}

// codecLines writes the payload types of a stream.
func (s *stream) codecLines(line func(string, ...any), params string) {
	pt := s.codec.pt
	name := fmt.Sprintf("%s/%d", s.format.name, s.format.clock)
	if s.format.channels > 0 {
		name += fmt.Sprintf("/%d", s.format.channels)
	}
	line("a=rtpmap:%d %s", pt, name)
	if params != "" {
		line("a=fmtp:%d %s", pt, params)
	}
	for _, fb := range s.feedback {
		line("a=rtcp-fb:%d %s", pt, fb)
	}
	if s.event != 0 {
		line("a=rtpmap:%d %s/%d", s.event, events, s.eventClock)
	}
}

// parameters is the fmtp of our answer: what we can receive.
func (s *stream) parameters() string {
	if s.format.name != "H264" {
		return s.format.fmtp
	}
	// The profile is the offer's; the level is ours where the peer allows the
	// directions to differ, and no more than the offer's otherwise (RFC 6184
	// section 8.2.2).
	ours := uint8(31) // 1280x720 at 30 Hz: no tile is larger
	if s.section.kind() == content {
		ours = 40 // 1920x1080
	}
	p, asymmetric := parseH264(s.codec.params["profile-level-id"]), s.codec.params["level-asymmetry-allowed"] == "1"
	if asymmetric || p.level > ours {
		p.level = ours
	}
	params := fmt.Sprintf("packetization-mode=%d;profile-level-id=%02x%02x%02x", s.mode, p.profile, p.constraints, p.level)
	if asymmetric {
		params = "level-asymmetry-allowed=1;" + params
	}
	return params
}

// direction is ours, in SDP.
func (s *stream) direction() string {
	switch {
	case s.send && s.recv:
		return "sendrecv"
	case s.send:
		return "sendonly"
	case s.recv:
		return "recvonly"
	}
	return "inactive"
}

// streams are those that the choice takes, in the order of their sections.
func (c *choice) streams() []*stream {
	var streams []*stream
	for i, st := range c.picks {
		if c.roles[i] == taken {
			streams = append(streams, st)
		}
	}
	return streams
}

func join(types []uint8) string {
	var b strings.Builder
	for i, pt := range types {
		if i > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprint(&b, pt)
	}
	return b.String()
}

// restarted returns a copy of the offer with other ICE credentials and
// candidates, for peers that restart ICE without a new offer (RFC 9725 section
// 4.3.3).
func (d *description) restarted(ufrag, pwd string, candidates []string) *description {
	again := &description{grouped: d.grouped, noVideo: d.noVideo, way: d.way, slides: d.slides, alone: d.alone}
	for _, s := range d.sections {
		s := *s
		s.transport.ufrag, s.transport.pwd, s.transport.candidates = ufrag, pwd, candidates
		again.sections = append(again.sections, &s)
	}
	return again
}
