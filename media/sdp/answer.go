package sdp

import (
	"bytes"
	"strconv"

	"github.com/skybridge-media/skybridge/media/rtp"
)

// Answer decides what becomes of an offer. prev is the agreement of the dialog
// so far, nil for a first offer; it is not changed, so that an error leaves
// the call as it was. An error is a [*Refusal].
//
// A stream is taken in the codec that the peer prefers. Every m-line is
// answered in its place; those that are not understood, and a second of a kind,
// are refused with port zero.
func Answer(c *Capabilities, offer *Description, prev *Agreement) (*Agreement, error) {
	remote := offer.Marshal()
	if prev != nil && bytes.Equal(prev.remote, remote) {
		// An equal version of o= alone would say it (RFC 3264 section 8). But
		// some endpoints go on hold without stepping it.
		same := *prev
		same.Unchanged = true
		return &same, nil
	}
	a := &Agreement{remote: remote, draft: newDraft(c, prev)}
	var refusals []*Refusal
	offered := false
	for i := range offer.Media {
		m := &offer.Media[i]
		answer := line{media: refused(m)}
		if k := c.kind(offer, m, a); k != 0 && m.Port != 0 && a.Stream(k) == nil {
			offered = true
			s := offer.stream(i, k)
			media, refusal := c.answerStream(&s, m, prev)
			if refusal == nil {
				answer = line{kind: k, media: media}
				a.Streams = append(a.Streams, s)
			} else {
				refusals = append(refusals, refusal)
			}
		}
		a.draft.lines = append(a.draft.lines, answer)
	}
	// Later in a call a peer may switch everything off.
	if len(a.Streams) == 0 && (offered || prev == nil) {
		return nil, refuse(refusals)
	}
	offer.capBitrates(a.Streams)
	c.answerFloor(a, offer, prev)
	c.answerCamera(a, offer, prev)
	return a, nil
}

// kind is what an offered m-line is to us when a has been agreed on so far;
// zero for what we do not take.
func (c *Capabilities) kind(offer *Description, m *Media, a *Agreement) Kind {
	k := m.kind()
	if label, ok := m.Attributes.Get("label"); ok && k == Video && a.Stream(Video) != nil && offer.controls(label) {
		k = Slides // not every room says a=content
	}
	if k == control || k == Camera || k == Slides && !c.Slides {
		return 0
	}
	return k
}

// answerStream completes s and returns our side of it.
func (c *Capabilities) answerStream(s *Stream, m *Media, prev *Agreement) (Media, *Refusal) {
	secure, known := protocols[m.Proto]
	if !known {
		return Media{}, &Refusal{Warning: 302, Text: "Transport " + quotable(m.Proto) + " not supported", Reason: ErrTransport}
	}
	tag, refusal := c.answerCrypto(s, m, secure, prev.Stream(s.Kind))
	if refusal != nil {
		return Media{}, refusal
	}
	s.Bitrate = bitrate(m.Bandwidth, s.Kind)
	answer := Media{Type: m.Type, Proto: m.Proto}
	formats := m.formats()
	switch {
	case s.Kind == Audio && c.chooseAudio(s, m, formats, formats):
		answer.answerAudio(s)
	case s.Kind.moving() && c.chooseVideo(s, m, formats, formats):
		if s.Recv {
			s.Video.Layers, s.Video.LayerExt = m.Attributes.Layers(s.SendType)
		}
		c.answerVideo(&answer, s, formats)
	default:
		return Media{}, &Refusal{Warning: 305, Text: "No common " + s.Kind.String() + " codec", Reason: ErrNoCommonCodec}
	}
	if s.Crypto != nil {
		answer.Attributes.add("crypto", cryptoLine{tag, s.Crypto.Suite, []rtp.Key{s.Crypto.Send}}.String())
	}
	if s.Mux {
		answer.Attributes.add("rtcp-mux", "")
	}
	if s.Content != "" {
		answer.Attributes.add("content", s.Content)
	}
	if s.Kind == Slides {
		answer.addSlides(s)
	}
	answer.Attributes.add(directionName(s.Send, s.Recv), "")
	return answer, nil
}

// answerCrypto keys s from what the peer offers, and returns the tag of the
// line it took. Our key stays the same while the suite does: a peer that
// repeats its offer must not find us with a new one.
func (c *Capabilities) answerCrypto(s *Stream, m *Media, secure bool, prev *Stream) (tag int, refusal *Refusal) {
	if c.Crypto == CryptoOff {
		if secure {
			return 0, &Refusal{Warning: 302, Text: "SRTP is switched off", Reason: ErrCryptoRefused}
		}
		return 0, nil
	}
	chosen, ok := chooseCrypto(m.cryptoLines(), c.suites())
	switch {
	case !ok && secure:
		return 0, &Refusal{Warning: 302, Text: "No common SRTP crypto suite", Reason: ErrCryptoRefused}
	case !ok && c.Crypto == CryptoRequired:
		return 0, &Refusal{Warning: 302, Text: "SRTP is required", Reason: ErrCryptoRequired}
	case !ok:
		return 0, nil
	}
	s.Crypto = &rtp.Crypto{Suite: chosen.suite, Recv: chosen.keys}
	if prev != nil && prev.Crypto != nil && prev.Crypto.Suite == chosen.suite {
		s.Crypto.Send = prev.Crypto.Send
	} else {
		s.Crypto.Send = chosen.suite.NewKey()
	}
	return chosen.tag, nil
}

// answerAudio writes the formats of s.
func (m *Media) answerAudio(s *Stream) {
	a := s.Audio
	m.addAudio(s.RecvType, a.Codec)
	if a.EventClock != 0 {
		m.addEvents(a.EventRecvType, a.EventClock)
	}
	if a.NoiseType != 0 {
		m.add(a.NoiseType, "CN/8000", "")
	}
	m.Attributes.add("ptime", strconv.Itoa(int(tick.Milliseconds())))
	if a.LevelExt != 0 {
		m.Attributes.add("extmap", strconv.Itoa(int(a.LevelExt))+" "+levelURI)
	}
}

// answerVideo writes the format of s.
func (c *Capabilities) answerVideo(answer *Media, s *Stream, formats []format) {
	v := s.Video
	fmtp := ""
	their, _ := find(formats, func(f format) bool { return f.pt == s.SendType })
	switch {
	case their.is("H264"):
		fmtp = c.answerH264(s.Kind, their.h264).fmtp()
	case their.is("VP8"):
		fmtp = c.vp8Parameters(s.Kind)
	}
	answer.addVideo(s.RecvType, v.Codec, fmtp)
	pt := strconv.Itoa(int(s.RecvType))
	for _, f := range []struct {
		name string
		on   bool
	}{{"nack", v.NACK}, {"nack pli", v.PLI}, {"ccm fir", v.FIR}, {"ccm tmmbr", v.TMMBR}, {"goog-remb", v.REMB}} {
		if f.on {
			answer.Attributes.add("rtcp-fb", pt+" "+f.name)
		}
	}
	c.addVideoLimits(answer)
	answer.Attributes.AnswerLayers(v.Layers, v.LayerExt)
}

// answerH264 turns what the peer takes into what we take.
func (c *Capabilities) answerH264(k Kind, h h264) h264 {
	ours := levelFor(c.picture(k))
	answer := h264{profile: h.profile, flags: h.flags, level: ours, mode: h.mode, asymmetry: h.asymmetry}
	if !h.asymmetry && lower(h.level, ours) != ours {
		// One level for both directions, and an answer may only lower it (RFC
		// 6184 section 8.2.2). What we take beyond it is said beside it, as
		// rooms do.
		answer.level = h.level
		l := levels[levelIndex(ours)]
		answer.maxMBPS, answer.maxFS = l.maxMBPS, l.maxFS
	}
	return answer
}

// refused mirrors an m-line that we do not take (RFC 3264 section 6).
func refused(m *Media) Media {
	return Media{Type: m.Type, Proto: m.Proto, Formats: m.Formats}
}
