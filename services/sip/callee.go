package sip

import (
	"context"
	"strings"

	"github.com/emiago/sipgo/sip"

	"github.com/skybridge-media/skybridge/actors/participant"
)

// provisional handles 100 to 199.
func (c *call) provisional(res *sip.Response) {
	o := c.out
	first := !o.ringing
	o.ringing = true
	if c.state == canceled && first {
		c.sendCancel()
	}
	if res.StatusCode > 100 && lists(res, "Require", "100rel") && text(res, "RSeq") != "" {
		c.prack(res)
	}
}

// prack acknowledges a provisional response that is sent until it is
// (RFC 3262).
func (c *call) prack(res *sip.Response) {
	o := c.out
	early, ok := o.base.answered(res)
	if !ok {
		return
	}
	o.base.localSeq++
	req := early.request(sip.PRACK, o.base.localSeq)
	req.AppendHeader(header("RAck", "%s %d %s", strings.TrimSpace(text(res, "RSeq")), o.seq, sip.INVITE))
	c.requestIn(early, req, nil)
}

// answeredBy handles a 2xx to our INVITE. There may be several: of one
// answerer again, until it has our ACK, or of others that a proxy has called
// as well (RFC 3261 section 13.2.2.4).
func (c *call) answeredBy(seq uint32, res *sip.Response) {
	o := c.out
	d, ok := o.base.answered(res)
	if !ok {
		return
	}
	switch {
	case o.answered != nil && d.remote.tag() == o.tag:
		f := c.flowOfACK()
		countSent(c.s.metrics, f, o.answered, true)
		_ = f.WriteMsg(o.answered)
		return
	case o.answered != nil || c.state != calling && c.state != canceled:
		c.s.dismiss(o.base, res, seq, c.flow)
		return
	}
	o.finished, o.tag = true, d.remote.tag()
	d.localSeq = o.base.localSeq
	c.s.confirm(c, d)
	c.ringing.stop()
	o.answered = d.request(sip.ACK, seq)
	c.acknowledge(o.answered)
	c.features.learn(res)
	if c.state == canceled {
		c.bye(participant.Reason{Code: reasonDisconnected})
		c.finish(participant.Reason{Code: reasonDisconnected})
		return
	}
	c.connected()
	c.established(res)
}

// established lets media flow after the 200.
func (c *call) established(res *sip.Response) {
	e, _ := parseExpiry(res)
	why := c.takeAnswer(res)
	c.state = up
	if why != nil {
		c.hangup(participant.Reason{Code: reasonFailed, Text: why.reason})
		return
	}
	if err := c.connect(); err != nil {
		c.log.Error("media could not be started", "err", err)
		c.hangup(participant.Reason{Code: reasonFailed, Text: "media failed"})
		return
	}
	c.keep(acceptExpiry(e, c.session.interval))
}

// flowOfACK is the flow that the ACK has taken.
func (c *call) flowOfACK() flow {
	if p := c.path(c.dialog); p.flow != nil {
		return p.flow
	}
	return c.flow
}

// cancelInvite gives up on our INVITE.
func (c *call) cancelInvite() {
	switch o := c.out; {
	case o.request == nil:
		c.finish(participant.Reason{Code: reasonDisconnected})
		return
	case o.ringing:
		c.sendCancel()
	} // else the CANCEL waits for a first response (RFC 3261 section 9.1)
	c.after(&c.ringing, 64*sip.T1, func() { c.finish(participant.Reason{Code: reasonDisconnected}) })
}

func (c *call) sendCancel() {
	invite := c.out.request
	req := sip.NewRequest(sip.CANCEL, invite.Recipient)
	for _, name := range []string{"Via", "Route", "Max-Forwards", "From", "To", "Call-ID"} {
		for _, h := range invite.GetHeaders(name) {
			req.AppendHeader(sip.NewHeader(name, h.Value()))
		}
	}
	req.AppendHeader(header("CSeq", "%d CANCEL", c.out.seq))
	req.SetBody(nil)
	req.SetTransport(c.flow.network())
	_ = c.s.tx.send(req, c.flow, func(*sip.Response, error) {})
}

// dismiss ends a call that nobody wants: the answer of one phone too many, or
// one that comes after we gave up.
func (s *Server) dismiss(base *dialog, res *sip.Response, seq uint32, f flow) {
	d, ok := base.answered(res)
	if !ok {
		return
	}
	d.localSeq = seq + 100 // beyond what was used for this INVITE
	ack, bye := d.request(sip.ACK, seq), d.request(sip.BYE, 0)
	if len(d.routes) == 0 && f.network() == "UDP" {
		s.running.Go(func() {
			ctx, cancel := context.WithTimeout(s.life, routePatience)
			defer cancel()
			if direct, err := s.reach(ctx, d.target); err == nil {
				s.sendPair(ack, bye, direct)
			}
		})
		return
	}
	s.sendPair(ack, bye, f)
}

func (s *Server) sendPair(ack, bye *sip.Request, f flow) {
	s.stampVia(ack, f, newBranch())
	countSent(s.metrics, f, ack, false)
	if f.WriteMsg(ack) != nil {
		return
	}
	s.stampVia(bye, f, newBranch())
	_ = s.tx.send(bye, f, func(*sip.Response, error) {})
}
