package sdp

import (
	"strconv"

	"github.com/skybridge-media/skybridge/codecs"
)

// The functions here choose formats in both roles. theirs are the peer's
// formats, ours those that we gave a payload type. In an answer the two are
// the same list, because the answerer takes over the numbers of the offer.

// chooseAudio completes s with the first of theirs that both know.
func (c *Capabilities) chooseAudio(s *Stream, m *Media, theirs, ours []format) bool {
	for _, their := range theirs {
		codec := c.audio(their)
		if codec == nil {
			continue
		}
		our, ok := find(ours, func(f format) bool { return c.audio(f) == codec })
		if !ok {
			continue
		}
		a := &AudioStream{Codec: codec, Ptime: m.packetTime(), LevelExt: m.Attributes.extension(levelURI)}
		a.chooseEvents(theirs, ours)
		a.chooseNoise(theirs, ours)
		if their.is("opus") {
			a.FEC, a.DTX = their.number("useinbandfec") == 1, their.number("usedtx") == 1
			s.Bitrate = least(s.Bitrate, their.number("maxaveragebitrate"))
		}
		s.SendType, s.RecvType, s.Audio = their.pt, our.pt, a
		return true
	}
	return false
}

// chooseEvents takes telephone events on the clock of the codec (RFC 4733
// section 2.1), else on 8000 Hz: many send that with Opus.
func (a *AudioStream) chooseEvents(theirs, ours []format) {
	for _, clock := range []int{a.Codec.Clock, 8000} {
		same := func(f format) bool { return f.is(eventName) && f.clock == clock }
		their, ok := find(theirs, same)
		our, both := find(ours, same)
		if ok && both {
			a.EventSendType, a.EventRecvType, a.EventClock = their.pt, our.pt, clock
			return
		}
	}
}

// chooseNoise takes comfort noise, which has a static type for 8000 Hz only.
func (a *AudioStream) chooseNoise(theirs, ours []format) {
	const staticType = 13
	same := func(f format) bool { return f.pt == staticType && f.is("CN") }
	_, ok := find(theirs, same)
	_, both := find(ours, same)
	if ok && both && a.Codec.Clock == 8000 {
		a.NoiseType = staticType
	}
}

// chooseVideo completes s with the first codec of theirs that both know, in
// its best flavour.
func (c *Capabilities) chooseVideo(s *Stream, m *Media, theirs, ours []format) bool {
	their, our, codec := c.matchVideo(theirs, ours)
	if codec == nil {
		return false
	}
	v := &VideoStream{
		Codec: codec,
		NACK:  m.feedback(their.pt, "nack"),
		PLI:   m.feedback(their.pt, "nack pli"),
		FIR:   m.feedback(their.pt, "ccm fir"),
		TMMBR: m.feedback(their.pt, "ccm tmmbr"),
		REMB:  m.feedback(their.pt, "goog-remb"),
	}
	if their.is("H264") {
		l := their.h264.limits()
		v.Mode, v.Parameters = their.h264.mode, parameterSets(their)
		v.Width, v.Height, v.FrameRate = c.fit(s.Kind, l.maxFS, l.maxMBPS, m.frameRate())
		s.Bitrate = least(s.Bitrate, l.maxBR*1000)
	} else {
		rate := least(m.frameRate(), their.number("max-fr"))
		v.Width, v.Height, v.FrameRate = c.fit(s.Kind, their.number("max-fs"), 0, rate)
	}
	s.Bitrate = least(s.Bitrate, c.VideoBitrate)
	s.SendType, s.RecvType, s.Video = their.pt, our.pt, v
	return true
}

// matchVideo finds the format to send, the one to receive, and their codec; a
// nil codec means that there is none.
func (c *Capabilities) matchVideo(theirs, ours []format) (their, our format, codec *codecs.Video) {
	best := -1
	for _, t := range theirs {
		found := c.video(t)
		if found == nil || codec != nil && found != codec {
			continue
		}
		rank := 0
		if t.is("H264") {
			rank = t.h264.rank()
		}
		if rank <= best {
			continue
		}
		if o, ok := find(ours, func(o format) bool { return c.video(o) == found && sameFlavour(o, t) }); ok {
			their, our, codec, best = t, o, found, rank
		}
	}
	return their, our, codec
}

// sameFlavour compares what of H.264 must be the same in both directions: the
// mode, and the profile without its level (RFC 6184 section 8.2.2).
func sameFlavour(a, b format) bool {
	return a.h264.mode == b.h264.mode && a.h264.profile == b.h264.profile
}

// add writes a format into our m-line.
func (m *Media) add(pt uint8, rtpmap, fmtp string) {
	n := strconv.Itoa(int(pt))
	m.Formats = append(m.Formats, n)
	m.Attributes.add("rtpmap", n+" "+rtpmap)
	if fmtp != "" {
		m.Attributes.add("fmtp", n+" "+fmtp)
	}
}

// addAudio writes an audio codec into our m-line.
func (m *Media) addAudio(pt uint8, a *codecs.Audio) {
	rtpmap := a.Name + "/" + strconv.Itoa(a.Clock)
	fmtp := ""
	if a.Name == "opus" {
		// Always two channels in the name (RFC 7587 section 7).
		rtpmap, fmtp = rtpmap+"/2", "useinbandfec=1"
	}
	m.add(pt, rtpmap, fmtp)
}

// addEvents writes telephone events into our m-line.
func (m *Media) addEvents(pt uint8, clock int) {
	m.add(pt, eventName+"/"+strconv.Itoa(clock), "0-15")
}

// addVideo writes a video codec into our m-line.
func (m *Media) addVideo(pt uint8, v *codecs.Video, fmtp string) {
	m.add(pt, v.Name+"/90000", fmtp)
}

// vp8Parameters say how large a picture we take (RFC 7741 section 6.1).
func (c *Capabilities) vp8Parameters(k Kind) string {
	w, h, rate := c.picture(k)
	return "max-fr=" + strconv.Itoa(rate) + ";max-fs=" + strconv.Itoa(macroblocks(w, h))
}

// addVideoLimits writes how much video we take.
func (c *Capabilities) addVideoLimits(m *Media) {
	if c.VideoBitrate > 0 {
		m.Bandwidth = []Bandwidth{{"AS", int(float64(c.VideoBitrate)/videoShare) / 1000}, {"TIAS", c.VideoBitrate}}
	}
}
