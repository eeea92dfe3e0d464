package webrtc

import (
	"slices"
	"strings"

	"github.com/skybridge-media/skybridge/codecs"
)

// A choice is what we make of an offer: everything that the answer, pion and
// the port need to know. Immutable.
type choice struct {
	offer *description
	via   transport // the peer's, of the first section that we use (RFC 9143 section 7.3)
	roles []role    // one per section of the offer
	picks []*stream // likewise; nil for those that are refused
	audio *stream   // nil: not taken
	video *stream

	content *stream // what is presented
}

// slot is where the stream of a kind goes; nil for kinds that are not handled.
func (c *choice) slot(k kind) **stream {
	switch k {
	case audio:
		return &c.audio
	case video:
		return &c.video
	case content:
		return &c.content
	}
	return nil
}

// takes reports whether there is anything to talk of. What is presented is, in a
// connection of its own.
func (c *choice) takes() bool {
	return c.audio != nil || c.video != nil || c.offer.alone && c.content != nil
}

// A role is what becomes of a section.
type role int

const (
	refused role = iota // port 0
	parked              // answered inactive: a medium that we have already, such as a second camera, or have no room for
	taken
)

// A stream is one section that carries media, with the one codec it uses.
type stream struct {
	section *section
	format  *format
	codec   mapping
	audio   *codecs.Audio // one of these
	video   *codecs.Video

	event      uint8 // payload type of telephone events, 0: none
	eventClock int
	mode       int // H.264 packetization mode
	limits     limits
	feedback   []string   // both sides understand it
	simulcast  *simulcast // what pion is told of it; nil: one stream
	layered    bool       // it is offered now: not so on hold

	send, recv bool // as seen by us
}

// choose decides what to answer. The peer's order of codecs is its preference
// and decides, except between variants of H.264, where we know better. held are
// the streams that the call has or once had, when it is negotiated again: they
// keep their codecs, and their sections while these are offered.
func (e *Engine) choose(o *description, held map[kind]*stream) (*choice, error) {
	n := len(o.sections)
	c := &choice{offer: o, roles: make([]role, n), picks: make([]*stream, n)}
	for i, s := range o.sections {
		k := s.kind()
		slot := c.slot(k)
		if slot == nil || !o.usable(s) {
			continue
		}
		if !o.grouped && (c.takes() || o.alone && k != content) {
			continue // without a bundle there is a transport for one section only
		}
		old := held[k]
		if old != nil && old.section.mid != s.mid && o.uses(old.section.mid) {
			slot = nil
		}
		switch {
		case slot == nil || *slot != nil || k != audio && o.noVideo || k == content && !o.slides || k != content && o.alone:
			if c.picks[i] = e.pick(s, nil); c.picks[i] != nil {
				c.roles[i] = parked
			}
		default:
			if *slot = e.pick(s, old); *slot != nil {
				c.roles[i], c.picks[i] = taken, *slot
			} else if old != nil {
				return nil, errChanged
			}
		}
	}
	if !c.takes() {
		return nil, ErrNoCodec
	}
	if err := c.oneWay(); err != nil {
		return nil, err
	}
	c.via = c.transport()
	if err := c.via.check(); err != nil {
		return nil, err
	}
	if err := c.checkTypes(); err != nil {
		return nil, err
	}
	return c, nil
}

// checkTypes wants one meaning of each payload type (RFC 9143 section 9.1).
func (c *choice) checkTypes() error {
	for _, s := range []*stream{c.video, c.content} {
		if c.audio != nil && s != nil && slices.Contains(c.audio.types(), s.codec.pt) {
			return invalid("sdp: payload type %d has two meanings in one bundle", s.codec.pt)
		}
	}
	if v, s := c.video, c.content; v != nil && s != nil && v.codec.pt == s.codec.pt && v.format != s.format {
		return invalid("sdp: payload type %d has two meanings in one bundle", s.codec.pt)
	}
	return nil
}

// transport is that of the first section that we use. Sections that only live
// in a bundle may leave it to the others.
func (c *choice) transport() transport {
	for i, s := range c.offer.sections {
		if c.roles[i] != refused && s.transport.ufrag != "" {
			return s.transport
		}
	}
	for _, s := range c.offer.sections {
		if c.offer.usable(s) && s.transport.ufrag != "" {
			return s.transport
		}
	}
	return transport{}
}

// usable reports whether a section can carry media over the one transport
// that we give to a call.
func (d *description) usable(s *section) bool {
	return s.offered && s.mux && (s.bundled || !d.grouped)
}

// uses reports whether the section with that mid is usable.
func (d *description) uses(mid string) bool {
	return slices.ContainsFunc(d.sections, func(s *section) bool { return s.mid == mid && d.usable(s) })
}

// pick chooses the codec of a section, nil when none is common. With old, it
// is the one that is in use or none.
func (e *Engine) pick(s *section, old *stream) *stream {
	var best *stream
	for _, m := range s.codecs {
		st := e.match(s, m)
		if st == nil {
			continue
		}
		if old != nil && (st.format != old.format || m.pt != old.codec.pt) {
			continue
		}
		if best == nil || best.video != nil && best.video == st.video && st.variant() > best.variant() {
			best = st
		}
	}
	if best == nil {
		return nil
	}
	best.section = s
	best.send, best.recv = s.receives, s.sends
	best.addLayers(old)
	if best.audio != nil {
		best.addEvents()
	} else {
		for _, fb := range feedback {
			if slices.ContainsFunc(best.codec.feedback, func(o string) bool { return strings.EqualFold(o, fb) }) {
				best.feedback = append(best.feedback, fb)
			}
		}
		if s.bps > 0 && (best.limits.bps == 0 || s.bps < best.limits.bps) {
			best.limits.bps = s.bps
		}
	}
	return best
}

// match makes a stream of an offered codec that we have, or nil.
func (e *Engine) match(s *section, m mapping) *stream {
	k, mode := s.kind().medium(), number(m.params["packetization-mode"])
	f := find(k, m.name, m.clock, mode)
	if f == nil {
		return nil
	}
	st := &stream{format: f, codec: m}
	if k == audio {
		i := slices.IndexFunc(e.cfg.Audio, func(c *codecs.Audio) bool {
			return strings.EqualFold(c.Name, f.name) && c.Clock == f.clock
		})
		if i < 0 {
			return nil
		}
		st.audio = e.cfg.Audio[i]
		return st
	}
	i := slices.IndexFunc(e.cfg.Video, func(c *codecs.Video) bool { return strings.EqualFold(c.Name, f.name) })
	if i < 0 {
		return nil
	}
	st.video = e.cfg.Video[i]
	switch f.name {
	case "H264":
		p := parseH264(m.params["profile-level-id"])
		if p.rank() == 0 {
			return nil
		}
		st.mode = mode
		st.limits = p.limits(m.params)
	case "VP8": // RFC 7741 section 6.1
		st.limits = within(number(m.params["max-fs"]), 0)
		st.limits.rate = number(m.params["max-fr"])
	}
	return st
}

// variant ranks the variants of one codec; more is better. Packetization mode
// 0 costs a slice per packet (RFC 6184 section 6.2).
func (s *stream) variant() int {
	if s.format.name != "H264" {
		return 0
	}
	return 10*s.mode + parseH264(s.codec.params["profile-level-id"]).rank()
}

// addEvents picks the telephone events that share the codec's clock, which
// keeps RTP timestamps in step (RFC 4733 section 2.1), or else any we know.
func (s *stream) addEvents() {
	for _, clock := range []int{s.codec.clock, 8000, 48000} {
		if pt, ok := s.section.events[clock]; ok && find(audio, events, clock, 0) != nil {
			s.event, s.eventClock = pt, clock
			return
		}
	}
}

// types are the payload types of a stream.
func (s *stream) types() []uint8 {
	if s.event == 0 {
		return []uint8{s.codec.pt}
	}
	return []uint8{s.codec.pt, s.event}
}

// fec reports whether the peer can use Opus in-band FEC (RFC 7587 section 6.1).
// Browsers can.
func (s *stream) fec() bool {
	return s.format.name == "opus" && s.codec.params["useinbandfec"] == "1"
}
