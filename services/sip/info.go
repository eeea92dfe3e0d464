package sip

import (
	"bytes"
	"encoding/xml"
	"mime"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/skybridge-media/skybridge/actors/participant"
	"github.com/skybridge-media/skybridge/media/dtmf"
)

const mediaControl = "application/media_control+xml"

// infoBody is what an INFO asks for.
type infoBody struct {
	digit   byte // 0: none
	picture bool // a key frame
}

// parseInfo reads the body of an INFO (RFC 2976): keys, and the request for a
// key frame (RFC 5168). One without a body asks whether the call is alive.
func parseInfo(contentType string, body []byte) (infoBody, *refusal) {
	if len(body) == 0 {
		return infoBody{}, nil
	}
	kind, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return infoBody{}, refuse(sip.StatusBadRequest, "Malformed Content-Type header")
	}
	switch kind {
	case "application/dtmf-relay", "application/dtmf":
		digit, _, err := dtmf.ParseInfo(kind, body)
		if err != nil {
			return infoBody{}, refuse(sip.StatusBadRequest, "Malformed DTMF body")
		}
		return infoBody{digit: digit}, nil
	case mediaControl:
		wanted, err := pictureFastUpdate(body)
		if err != nil {
			return infoBody{}, refuse(sip.StatusBadRequest, "Malformed media control body")
		}
		return infoBody{picture: wanted}, nil
	}
	return infoBody{}, unsupportedBody(strings.TrimPrefix(acceptBodies, "application/sdp, "))
}

// pictureFastUpdate reports whether media control asks for a key frame. The
// rest of RFC 5168 is ignored, as it says.
func pictureFastUpdate(body []byte) (bool, error) {
	d := xml.NewDecoder(bytes.NewReader(body))
	d.Strict = false
	elements := 0
	for {
		t, err := d.Token()
		switch {
		case err != nil && elements == 0:
			return false, err
		case err != nil:
			return false, nil
		}
		start, ok := t.(xml.StartElement)
		if !ok {
			continue
		}
		if elements++; start.Name.Local == "picture_fast_update" {
			return true, nil
		}
	}
}

// info handles an INFO of the peer.
func (c *call) info(tx *serverTx) {
	if c.state != up && c.state != answered {
		tx.reply(sip.StatusCallTransactionDoesNotExists, "Call/Transaction Does Not Exist")
		return
	}
	in, why := parseInfo(text(tx.req, "Content-Type"), tx.req.Body())
	if why != nil {
		tx.refuse(why)
		return
	}
	tx.reply(sip.StatusOK, "OK")
	if in.digit != 0 {
		c.tell(&participant.Pressed{Digit: in.digit})
	}
	// The port coalesces what comes too often.
	if in.picture {
		c.media.wantsKeyFrame()
	}
}

// keyFramePause is the shortest time between two requests of ours.
const keyFramePause = 500 * time.Millisecond

// askKeyFrame asks the peer for a key frame. One that comes too early is sent
// later; more of them become one.
func (c *call) askKeyFrame() {
	if c.state != up || !c.features.info || c.deaf || c.asking.pending() {
		return
	}
	if wait := keyFramePause - time.Since(c.asked); wait > 0 {
		c.after(&c.asking, wait, c.askKeyFrame)
		return
	}
	c.asked = time.Now()
	req := c.dialog.request(sip.INFO, 0)
	req.AppendHeader(sip.NewHeader("Content-Type", mediaControl))
	req.SetBody([]byte(`<?xml version="1.0" encoding="utf-8"?>` +
		`<media_control><vc_primitive><to_encoder><picture_fast_update/></to_encoder></vc_primitive></media_control>` + "\r\n"))
	c.request(req, func(res *sip.Response, err error) {
		switch {
		case err != nil || res.StatusCode < 400 || c.state != up:
		case res.StatusCode == sip.StatusCallTransactionDoesNotExists:
			c.hangup(reasonExpired) // the peer has forgotten the call (RFC 5057)
		default:
			c.deaf = true
		}
	})
}
