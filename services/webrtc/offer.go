package webrtc

import (
	"slices"
	"strconv"
	"strings"

	"github.com/pion/ice/v4"
	"github.com/pion/sdp/v3"

	sd "github.com/skybridge-media/skybridge/media/sdp"
)

// Bounds of what one description may hold. Browsers stay far below them.
const (
	maxSDP        = 256 << 10 // bytes
	maxSections   = 32
	maxCandidates = 64 // per call
	maxList       = 32 // of a kind of attribute in one section, or of one payload type
)

// A description is what an offer, or pion's answer, says as far as we act
// upon it.
type description struct {
	sections []*section // one per m-line, in its order
	grouped  bool       // there is a BUNDLE group
	noVideo  bool       // we take none of it; see [Call.Update]
	way      way        // whether the peer is one that only sends, or only watches
	slides   bool       // we take what is presented, in a stream of its own
	alone    bool       // and nothing else, see [Offer.Slides]
}

// transport is how to reach a peer. All sections of a call share one.
type transport struct {
	ufrag, pwd  string
	fingerprint string // algorithm and value, as in SDP
	setup       string // "actpass", "active", "passive" or empty
	lite        bool
	candidates  []string // values of a=candidate, without its name
}

// A section is one m-line with its attributes.
type section struct {
	media   string // "audio", "video", "application" or anything else
	protos  []string
	formats []string // as they stand

	transport transport // with what the session says

	mid      string
	content  string // "main" or "slides" (RFC 4796); empty: not said
	alone    bool   // its pictures are what is presented, whatever it says
	offered  bool   // the port is not zero, or the section only lives in its bundle
	bundled  bool
	mux      bool // rtcp-mux
	rsize    bool // rtcp-rsize
	sends    bool // direction as seen by the peer
	receives bool

	codecs   []mapping     // in order of preference, telephone events left out
	events   map[int]uint8 // payload type of telephone events by clock
	levelExt uint8         // id of the audio level extension, 0: none
	midExt   uint8         // id of the extension that names the section (RFC 9143 section 15), 0: none
	ridExt   uint8         // id of the extension that names layers (RFC 8852), 0: none
	several  sd.Attributes // what is said of simulcast
	bps      int           // b=TIAS or b=AS, 0: none
	sources  []string      // values of a=ssrc, of the first source only
	ssrc     uint32        // of the first source; 0: not declared
	stream   string        // value of a=msid
}

// kind is what the section is for; one that we do not handle is not of ours.
func (s *section) kind() kind {
	if k := kind(s.media); k != video || s.content != string(content) && !s.alone {
		return k
	}
	return content
}

// A mapping is one payload type of a section.
type mapping struct {
	pt       uint8
	name     string
	clock    int
	channels int
	params   map[string]string // of fmtp, keys in lower case
	feedback []string
}

// parse reads an SDP offer. It is lenient about what we do not use.
func parse(text string) (*description, error) {
	if len(text) > maxSDP {
		return nil, invalid("sdp: longer than %d bytes", maxSDP)
	}
	var s sdp.SessionDescription
	if err := s.UnmarshalString(text); err != nil {
		return nil, invalid("sdp: %v", err)
	}
	switch n := len(s.MediaDescriptions); {
	case n == 0:
		return nil, invalid("sdp: no media")
	case n > maxSections:
		return nil, invalid("sdp: more than %d media", maxSections)
	}
	group, grouped := bundle(&s)
	d := &description{grouped: grouped}
	for i, m := range s.MediaDescriptions {
		sec := read(m, s.Attributes)
		if sec.mid == "" || strings.ContainsAny(sec.mid, " \t") {
			return nil, invalid("sdp: media %d has no mid", i)
		}
		if slices.ContainsFunc(d.sections, func(other *section) bool { return other.mid == sec.mid }) {
			return nil, invalid("sdp: mid %q is not unique", sec.mid)
		}
		sec.bundled = slices.Contains(group, sec.mid)
		d.sections = append(d.sections, sec)
	}
	return d, nil
}

// begin notes what sort of call the offer is for.
func (d *description) begin(o *Offer) {
	d.way, d.slides, d.alone = wayOf(o.Publisher, o.Viewer), o.Content != nil || o.Slides, o.Slides
	for _, s := range d.sections {
		s.alone = o.Slides
	}
}

// bundle returns the mids of the BUNDLE group (RFC 9143).
func bundle(s *sdp.SessionDescription) (mids []string, ok bool) {
	for _, a := range s.Attributes {
		if f := strings.Fields(a.Value); a.Key == "group" && len(f) > 0 && f[0] == "BUNDLE" {
			return f[1:], true
		}
	}
	return nil, false
}

// read takes what a section, or the session before it, says of the transport.
func (t *transport) read(attrs []sdp.Attribute) {
	for _, a := range attrs {
		switch a.Key {
		case "ice-ufrag":
			t.ufrag = a.Value
		case "ice-pwd":
			t.pwd = a.Value
		case "fingerprint":
			// One is enough, and SHA-256 is what everybody has.
			if t.fingerprint == "" || strings.HasPrefix(strings.ToLower(a.Value), "sha-256 ") {
				t.fingerprint = a.Value
			}
		case "setup":
			t.setup = a.Value
		case "ice-lite":
			t.lite = true
		case "candidate":
			if len(t.candidates) < maxCandidates && usable(a.Value) && !slices.Contains(t.candidates, a.Value) {
				t.candidates = append(t.candidates, a.Value)
			}
		}
	}
}

// usable reports whether a candidate is one that pion understands, of the only
// component there is: RTCP is multiplexed. Others are left out, as RFC 8839
// section 5.1 wants it.
func usable(candidate string) bool {
	c, err := ice.UnmarshalCandidate(candidate)
	return err == nil && c.Component() == ice.ComponentRTP
}

// check wants what a peer cannot be reached without, in the form that RFC 8839
// section 5.4 and RFC 8122 section 5 give it.
func (t *transport) check() error {
	if err := checkCredentials(t.ufrag, t.pwd); err != nil {
		return err
	}
	algorithm, value, _ := strings.Cut(t.fingerprint, " ")
	if algorithm == "" || value == "" || strings.ContainsAny(value, " \r\n") {
		return invalid("sdp: no fingerprint")
	}
	switch t.setup {
	case "", "actpass", "active", "passive":
		return nil
	}
	return invalid("sdp: setup %q", t.setup)
}

func checkCredentials(ufrag, pwd string) error {
	switch {
	case len(ufrag) < 4 || len(ufrag) > 256 || !iceChars(ufrag):
		return invalid("sdp: ice-ufrag")
	case len(pwd) < 22 || len(pwd) > 256 || !iceChars(pwd):
		return invalid("sdp: ice-pwd")
	}
	return nil
}

func iceChars(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '+' || r == '/')
	})
}

// read reads one section. defaults are the attributes of the session.
func read(m *sdp.MediaDescription, defaults []sdp.Attribute) *section {
	s := &section{
		media:   m.MediaName.Media,
		protos:  m.MediaName.Protos,
		formats: m.MediaName.Formats,
		offered: m.MediaName.Port.Value != 0,
		sends:   true, receives: true,
		events: map[int]uint8{},
	}
	for _, a := range defaults {
		s.direct(a.Key)
	}
	s.transport.read(defaults)
	s.transport.read(m.Attributes)
	maps := map[uint8]*mapping{}
	at := func(value string) (*mapping, string) {
		pt, rest, _ := strings.Cut(value, " ")
		n, err := strconv.ParseUint(pt, 10, 7)
		if err != nil {
			return &mapping{}, rest // read, and thrown away
		}
		if maps[uint8(n)] == nil {
			maps[uint8(n)] = &mapping{pt: uint8(n)}
		}
		return maps[uint8(n)], rest
	}
	var wildcard []string // a=rtcp-fb:*
	var second []string   // sources that repair or repeat the first one
	for _, a := range m.Attributes {
		s.direct(a.Key)
		switch a.Key {
		case "mid":
			s.mid = a.Value
		case "content":
			for _, c := range []string{"main", "slides"} {
				if strings.Contains(a.Value, c) {
					s.content = c
				}
			}
		case "bundle-only":
			s.offered = true
		case "rtcp-mux":
			s.mux = true
		case "rtcp-rsize":
			s.rsize = true
		case "rtpmap":
			m, rest := at(a.Value)
			m.rtpmap(rest)
		case "fmtp":
			m, rest := at(a.Value)
			m.params = fmtp(rest)
		case "rtcp-fb":
			if fb, ok := strings.CutPrefix(a.Value, "* "); ok {
				wildcard = add(wildcard, fb)
				continue
			}
			m, rest := at(a.Value)
			m.feedback = add(m.feedback, rest)
		case "extmap":
			id, uri, _ := strings.Cut(a.Value, " ")
			id, _, _ = strings.Cut(id, "/")
			// One-byte headers only (RFC 8285 section 4.2).
			switch n := number(id); {
			case n < 1 || n > 14:
			case uri == sdp.AudioLevelURI:
				s.levelExt = uint8(n)
			case uri == sdp.SDESMidURI:
				s.midExt = uint8(n)
			case uri == sd.LayerURI:
				s.ridExt = uint8(n)
				s.several = add(s.several, sd.Attribute{Key: a.Key, Value: a.Value})
			}
		case "rid", "simulcast":
			s.several = add(s.several, sd.Attribute{Key: a.Key, Value: a.Value})
		case "ssrc-group":
			if f := strings.Fields(a.Value); len(f) > 2 {
				second = add(second, f[2:]...)
			}
		case "ssrc":
			s.source(a.Value, second)
		case "msid":
			s.stream = a.Value
		}
	}
	for _, b := range m.Bandwidth {
		switch {
		case b.Type == "TIAS":
			s.bps = bounded(b.Bandwidth)
		case b.Type == "AS" && s.bps == 0:
			s.bps = bounded(b.Bandwidth) * 1000
		}
	}
	seen := map[uint64]bool{}
	for _, f := range m.MediaName.Formats {
		n, err := strconv.ParseUint(f, 10, 7)
		if err != nil || seen[n] {
			continue
		}
		seen[n] = true
		m := maps[uint8(n)]
		if m == nil || m.name == "" {
			fixed, ok := static[uint8(n)]
			if !ok {
				continue
			}
			fixed.pt = uint8(n)
			m = &fixed
		}
		if strings.EqualFold(m.name, events) {
			if _, ok := s.events[m.clock]; !ok {
				s.events[m.clock] = m.pt
			}
			continue
		}
		m.feedback = add(m.feedback, wildcard...)
		s.codecs = append(s.codecs, *m)
	}
	return s
}

// bounded makes a number of kbit/s or bit/s safe to calculate with.
func bounded(n uint64) int { return int(min(n, 1e9)) }

func (s *section) direct(attr string) {
	switch attr {
	case "sendrecv":
		s.sends, s.receives = true, true
	case "sendonly":
		s.sends, s.receives = true, false
	case "recvonly":
		s.sends, s.receives = false, true
	case "inactive":
		s.sends, s.receives = false, false
	}
}

// source keeps the lines of the first source. Browsers send one per section;
// the others are its repair flows or smaller copies of it.
func (s *section) source(value string, second []string) {
	id, _, _ := strings.Cut(value, " ")
	n, err := strconv.ParseUint(id, 10, 32)
	if err != nil || n == 0 || slices.Contains(second, id) {
		return
	}
	if s.ssrc == 0 {
		s.ssrc = uint32(n)
	}
	if s.ssrc == uint32(n) {
		s.sources = add(s.sources, value)
	}
}

// add appends to a list that a peer must not make long.
func add[T any](list []T, more ...T) []T {
	return append(list, more[:min(len(more), maxList-len(list))]...)
}

// rtpmap reads "opus/48000/2".
func (m *mapping) rtpmap(value string) {
	f := strings.Split(value, "/")
	if len(f) < 2 {
		return
	}
	m.name, m.clock = f[0], number(f[1])
	if len(f) > 2 {
		m.channels = number(f[2])
	}
}

// fmtp reads "key=value;key=value".
func fmtp(value string) map[string]string {
	params := map[string]string{}
	for p := range strings.SplitSeq(value, ";") {
		k, v, _ := strings.Cut(strings.TrimSpace(p), "=")
		if k != "" {
			params[strings.ToLower(k)] = strings.TrimSpace(v)
		}
	}
	return params
}
