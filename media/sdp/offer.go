package sdp

import (
	"slices"
	"strconv"
	"strings"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/media/rtp"
)

// An Offer is what we propose. It belongs to one goroutine at a time, with all
// agreements and offers of the same dialog.
type Offer struct {
	caps  *Capabilities
	draft *draft
}

// NewOffer offers everything of c. prev is the agreement of the dialog so far,
// nil for a first offer: its m-lines keep their places, payload types and keys.
func NewOffer(c *Capabilities, prev *Agreement) *Offer {
	o := &Offer{caps: c, draft: newDraft(c, prev)}
	done := map[Kind]bool{Audio: len(c.Audio) == 0, Video: len(c.Video) == 0, Slides: !c.Slides || len(c.Video) == 0}
	if prev != nil && prev.Stream(Slides) == nil {
		// A peer that refused them, or did not offer them, is not asked again:
		// each time would add an m-line.
		done[Slides] = true
	}
	floor, camera := !done[Slides] && c.Floor != 0, c.Camera && !done[Video]
	if prev != nil {
		for i, l := range prev.draft.lines {
			k := l.media.kind()
			if f := prev.Floor; f != nil && f.Index == i && floor {
				o.draft.lines = append(o.draft.lines, c.offerFloor(f, prev.Stream(Slides).Label))
				continue
			}
			if s := prev.Camera; s != nil && s.Index == i && camera {
				o.draft.lines = append(o.draft.lines, c.offerCamera(s))
				continue
			}
			s := prev.Stream(k)
			if k == 0 || !k.stream() || done[k] || s != nil && s.Index != i {
				o.draft.lines = append(o.draft.lines, line{media: refused(&l.media)})
				continue
			}
			done[k] = true
			o.draft.lines = append(o.draft.lines, c.offerLine(k, s))
		}
	}
	for _, k := range []Kind{Audio, Video, Slides} {
		if !done[k] {
			o.draft.lines = append(o.draft.lines, c.offerLine(k, nil))
			if k == Slides && floor {
				o.draft.lines = append(o.draft.lines, c.offerFloor(nil, ""))
			}
		}
	}
	if camera && prev == nil {
		o.draft.lines = append(o.draft.lines, c.offerCamera(nil))
	}
	return o
}

// Kinds are what is offered that needs a port, and controlled whether floor control
// is.
func (o *Offer) Kinds() (kinds []Kind, controlled bool) {
	for _, l := range o.draft.lines {
		switch {
		case l.kind.stream() || l.kind == Camera:
			kinds = append(kinds, l.kind)
		case l.kind == control:
			controlled = true
		}
	}
	return kinds, controlled
}

// Describe returns the offer as a body of application/sdp. The version of o=
// steps when the text differs from what was last described in this dialog.
func (o *Offer) Describe(l Local) []byte { return o.draft.describe(l) }

// Accept takes the peer's answer. An error is a [*Refusal]: the peer answered
// with nothing that we offered.
func (o *Offer) Accept(answer *Description) (*Agreement, error) {
	d := *o.draft
	d.lines = slices.Clone(d.lines)
	a := &Agreement{remote: answer.Marshal(), draft: &d}
	var refusals []*Refusal
	for i := range d.lines {
		l := &d.lines[i]
		if !l.kind.stream() {
			continue
		}
		s, refusal := o.acceptStream(l, answer, i)
		if s == nil {
			// The line stays, refused, for as long as the dialog.
			*l = line{media: refused(&l.media)}
			if refusal != nil {
				refusals = append(refusals, refusal)
			}
			continue
		}
		a.Streams = append(a.Streams, *s)
	}
	if len(a.Streams) == 0 {
		return nil, refuse(refusals)
	}
	answer.capBitrates(a.Streams)
	o.acceptFloor(a, answer)
	o.acceptCamera(a, answer)
	return a, nil
}

// acceptStream reads the answer to one line. Both results are nil when the
// peer refused it.
func (o *Offer) acceptStream(l *line, answer *Description, i int) (*Stream, *Refusal) {
	if i >= len(answer.Media) {
		return nil, nil
	}
	m := &answer.Media[i]
	if m.Port == 0 || m.Type != l.media.Type {
		return nil, nil
	}
	if _, known := protocols[m.Proto]; !known {
		return nil, &Refusal{Warning: 302, Text: "Transport " + quotable(m.Proto) + " was not offered", Reason: ErrTransport}
	}
	s := answer.stream(i, l.kind)
	if s.Mux {
		// We never offer to share the port.
		s.Mux = false
		s.RTCP = m.controlAddress(s.RTP)
	}
	if refusal := o.acceptCrypto(&s, l, m); refusal != nil {
		return nil, refusal
	}
	s.Bitrate = bitrate(m.Bandwidth, s.Kind)
	theirs, ours := m.formats(), l.media.formats()
	ok := false
	if s.Kind == Audio {
		ok = o.caps.chooseAudio(&s, m, theirs, ours)
	} else {
		ok = o.caps.chooseVideo(&s, m, theirs, ours)
	}
	if !ok {
		return nil, &Refusal{Warning: 305, Text: "No common " + s.Kind.String() + " codec", Reason: ErrNoCommonCodec}
	}
	return &s, nil
}

// acceptCrypto keys s with the line that the peer took.
func (o *Offer) acceptCrypto(s *Stream, l *line, m *Media) *Refusal {
	ours := l.media.cryptoLines()
	for _, their := range m.cryptoLines() {
		for _, our := range ours {
			if their.tag == our.tag && their.suite == our.suite {
				s.Crypto = &rtp.Crypto{Suite: our.suite, Send: our.keys[0], Recv: their.keys}
				return nil
			}
		}
	}
	switch {
	case protocols[m.Proto]:
		return &Refusal{Warning: 302, Text: "No SRTP key that was offered", Reason: ErrCryptoRefused}
	case o.caps.Crypto == CryptoRequired:
		return &Refusal{Warning: 302, Text: "SRTP is required", Reason: ErrCryptoRequired}
	}
	return nil
}

// offerLine offers one stream; prev is what was agreed on for it, nil if
// nothing.
func (c *Capabilities) offerLine(k Kind, prev *Stream) line {
	m := Media{Type: k.mediaType(), Proto: "RTP/AVP"}
	if c.Crypto == CryptoRequired {
		m.Proto = "RTP/SAVP"
	}
	if prev != nil && (protocols[prev.Proto] || c.Crypto != CryptoRequired) {
		m.Proto = prev.Proto
	}
	types := newTypes(prev)
	if k == Audio {
		c.offerAudio(&m, types)
	} else {
		c.offerVideo(k, &m, types)
	}
	c.offerCrypto(&m, prev)
	switch {
	case prev != nil && prev.Content != "":
		m.Attributes.add("content", prev.Content)
	case k == Slides:
		m.Attributes.add("content", "slides")
	case k == Video && c.Slides && prev == nil:
		m.Attributes.add("content", "main")
	}
	if k == Slides {
		m.addSlides(prev)
	}
	m.Attributes.add("sendrecv", "")
	return line{kind: k, media: m}
}

// offerCrypto offers keys; that of prev stays.
func (c *Capabilities) offerCrypto(m *Media, prev *Stream) {
	if c.Crypto == CryptoOff {
		return
	}
	for i, suite := range c.suites() {
		key := suite.NewKey()
		if prev != nil && prev.Crypto != nil && prev.Crypto.Suite == suite {
			key = prev.Crypto.Send
		}
		m.Attributes.add("crypto", cryptoLine{i + 1, suite, []rtp.Key{key}}.String())
	}
}

func (c *Capabilities) offerAudio(m *Media, types *types) {
	narrow, wide := false, false
	for _, a := range c.Audio {
		m.addAudio(types.audio(a), a)
		narrow, wide = narrow || a.Clock == 8000, wide || a.Clock == 48000
	}
	if wide {
		m.addEvents(types.events(48000), 48000)
	}
	m.addEvents(types.events(8000), 8000)
	if narrow {
		m.add(13, "CN/8000", "")
	}
	m.Attributes.add("ptime", strconv.Itoa(int(tick.Milliseconds())))
	m.Attributes.add("extmap", "1 "+levelURI)
}

func (c *Capabilities) offerVideo(k Kind, m *Media, types *types) {
	for _, v := range c.Video {
		switch {
		case strings.EqualFold(v.Name, "H264"):
			// Constrained Baseline, which everybody has.
			h := h264{profile: profileBaseline, flags: 0xe0, level: levelFor(c.picture(k)), asymmetry: true}
			for _, h.mode = range []int{1, 0} {
				m.addVideo(types.video(v, h.mode), v, h.fmtp())
			}
		case strings.EqualFold(v.Name, "VP8"):
			m.addVideo(types.video(v, 0), v, c.vp8Parameters(k))
		default:
			m.addVideo(types.video(v, 0), v, "")
		}
	}
	for _, fb := range []string{"nack", "nack pli", "ccm fir", "ccm tmmbr", "goog-remb"} {
		m.Attributes.add("rtcp-fb", "* "+fb)
	}
	c.addVideoLimits(m)
}

// types hands out payload types. Those in use keep their meaning: a number may
// not be given another one within a session (RFC 3264 section 8.3.2).
type types struct {
	prev *Stream
	used map[uint8]bool
}

func newTypes(prev *Stream) *types {
	// 101 is what everybody expects of telephone events at 8000 Hz.
	t := &types{prev: prev, used: map[uint8]bool{101: true}}
	if prev != nil {
		for _, pt := range prev.Types() {
			t.used[pt] = true
		}
	}
	return t
}

func (t *types) audio(a *codecs.Audio) uint8 {
	switch {
	case a.Type >= 0:
		return uint8(a.Type)
	case t.prev != nil && t.prev.Audio.Codec == a:
		return t.prev.RecvType
	}
	return t.dynamic()
}

func (t *types) events(clock int) uint8 {
	switch {
	case t.prev != nil && t.prev.Audio.EventClock == clock:
		return t.prev.Audio.EventRecvType
	case clock == 8000 && (t.prev == nil || t.prev.RecvType != 101 && t.prev.Audio.EventRecvType != 101):
		return 101
	}
	return t.dynamic()
}

func (t *types) video(v *codecs.Video, mode int) uint8 {
	if t.prev != nil && t.prev.Video.Codec == v && t.prev.Video.Mode == mode {
		return t.prev.RecvType
	}
	return t.dynamic()
}

// dynamic returns the next free dynamic payload type (RFC 3551 section 6).
func (t *types) dynamic() uint8 {
	pt := uint8(96)
	for t.used[pt] {
		pt++
	}
	t.used[pt] = true
	return pt
}
