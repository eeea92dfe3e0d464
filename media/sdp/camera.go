package sdp

import (
	"slices"
	"strconv"

	"github.com/skybridge-media/skybridge/media/rtp"
)

// Far end camera control is an m-line of its own beside the picture (RFC 4573).
const (
	cameraName = "H224"
	cameraType = 100 // what everybody uses

	CameraClock = 4800 // Hz
)

// isCamera reports whether f is camera control.
func (f format) isCamera() bool { return f.is(cameraName) && f.clock == CameraClock }

// answerCamera takes the camera control that is offered with a picture.
func (c *Capabilities) answerCamera(a *Agreement, offer *Description, prev *Agreement) {
	if !c.Camera || a.Stream(Video) == nil {
		return
	}
	for i := range offer.Media {
		m := &offer.Media[i]
		if m.kind() != Camera || m.Port == 0 {
			continue
		}
		s := offer.stream(i, Camera)
		var before *Stream
		if prev != nil {
			before = prev.Camera
		}
		tag, refusal := c.answerCrypto(&s, m, protocols[m.Proto], before)
		if refusal != nil {
			continue
		}
		their, _ := find(m.formats(), format.isCamera)
		s.SendType, s.RecvType = their.pt, their.pt
		answer := cameraLine(m.Proto, their.pt)
		if s.Crypto != nil {
			answer.Attributes.add("crypto", cryptoLine{tag, s.Crypto.Suite, []rtp.Key{s.Crypto.Send}}.String())
		}
		if s.Mux {
			answer.Attributes.add("rtcp-mux", "")
		}
		answer.Attributes.add(directionName(s.Send, s.Recv), "")
		a.draft.lines[i] = line{kind: Camera, media: answer}
		a.Camera = &s
		return
	}
}

func cameraLine(proto string, pt uint8) Media {
	m := Media{Type: "application", Proto: proto}
	m.add(pt, cameraName+"/"+strconv.Itoa(CameraClock), "")
	return m
}

// offerCamera offers camera control; prev is what was agreed on, nil if nothing.
func (c *Capabilities) offerCamera(prev *Stream) line {
	proto, pt := "RTP/AVP", uint8(cameraType)
	if c.Crypto == CryptoRequired {
		proto = "RTP/SAVP"
	}
	if prev != nil {
		proto, pt = prev.Proto, prev.RecvType
	}
	m := cameraLine(proto, pt)
	c.offerCrypto(&m, prev)
	m.Attributes.add("sendrecv", "")
	return line{kind: Camera, media: m}
}

// acceptCamera reads the answer to the camera control that o offers.
func (o *Offer) acceptCamera(a *Agreement, answer *Description) {
	i := slices.IndexFunc(a.draft.lines, func(l line) bool { return l.kind == Camera })
	if i < 0 {
		return
	}
	l := &a.draft.lines[i]
	if a.Stream(Video) != nil && i < len(answer.Media) && answer.Media[i].kind() == Camera && answer.Media[i].Port != 0 {
		m := &answer.Media[i]
		s := answer.stream(i, Camera)
		if s.Mux { // which we do not offer
			s.Mux, s.RTCP = false, m.controlAddress(s.RTP)
		}
		their, _ := find(m.formats(), format.isCamera)
		our, _ := find(l.media.formats(), format.isCamera)
		s.SendType, s.RecvType = their.pt, our.pt
		if o.acceptCrypto(&s, l, m) == nil {
			a.Camera = &s
			return
		}
	}
	*l = line{media: refused(&l.media)}
}
