package sip

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/emiago/sipgo/sip"

	"github.com/skybridge-media/skybridge/actors"
	"github.com/skybridge-media/skybridge/actors/node"
	"github.com/skybridge-media/skybridge/actors/participant"
	"github.com/skybridge-media/skybridge/media/sdp"
)

// admitPatience is how long a caller waits for the node. It is well above what
// a claim of the conference takes, and below the 32 s after which callers give
// up.
const admitPatience = 15 * time.Second

// invite begins an incoming call. It runs on the goroutine that read the
// INVITE and leaves the work to the call's.
func (s *Server) invite(tx *serverTx) {
	alias := unescapeUser(tx.req.Recipient.User)
	c := s.newCall(node.NewCall(), incoming, alias)
	c.log = c.log.With("call_id", printable(tx.req.callID, 120))
	c.invite = tx
	c.flow = tx.req.flow
	c.viaHost = tx.req.via.host
	c.dialog = uasDialog(tx.req, tx.tag)
	if why := s.register(c); why != nil {
		tx.refuse(why)
		s.metrics.ended(incoming, why.code)
		return
	}
	c.release = c.flow.hold()
	tx.whenCanceled(func() { c.inbox.post(c.canceledByPeer) })
	c.inbox.post(c.incoming)
	go c.run()
}

// incoming negotiates, and asks the node. Nothing is opened yet.
func (c *call) incoming() {
	req := c.invite.req
	c.newMedia(c.flow)
	c.features.learn(req)
	c.about = []any{
		"direction", incoming, "alias", printable(c.alias, 120), "from", printable(req.from.raw, 200), "peer", c.flow.peer(),
		"transport", c.flow.network(), "agent", printable(text(req, "User-Agent"), 80),
	}
	c.contact = c.s.contactFor(c.flow, c.alias, c.dialog.secure)
	if why := c.negotiate(req); why != nil {
		c.refuseInvite(why)
		return
	}
	// At once: sipgo would say it after 200 ms, but not if the INVITE is
	// repeated before.
	_ = c.invite.respond(newResponse(req.Request, sip.StatusTrying, "Trying", ""))
	name := cmp.Or(printable(req.from.display, 80), printable(unescapeUser(req.from.uri.User), 80), printable(req.from.raw, 80))
	c.admit(&node.Admit{
		Call:       c.id,
		Alias:      c.alias,
		Protocol:   "sip",
		PIN:        node.NoPIN, // nobody has been asked for one
		Asks:       true,
		Source:     c.flow.peer().Addr(),
		Name:       name,
		Remote:     printable(req.from.raw, 200),
		Audio:      c.media.wants(sdp.Audio),
		Video:      c.media.wants(sdp.Video),
		Signalling: c,
	}, c.admitted)
}

// admit asks the node to let the call in and runs then with what it says.
func (c *call) admit(ask *node.Admit, then func(*node.Admitted, *node.Redirect, error)) {
	s := c.s
	c.told, c.leased = participant.SetMedia{Audio: ask.Audio, Video: ask.Video}, ask.Video
	c.background(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, admitPatience)
		defer cancel()
		reply, err := actors.Ask[any](ctx, s.deps.System, s.deps.Node, ask)
		if err != nil {
			reply = err
		}
		taken := c.inbox.post(func() {
			switch r := reply.(type) {
			case *node.Admitted:
				then(r, nil, nil)
			case *node.Redirect:
				then(nil, r, nil)
			case error:
				then(nil, nil, r)
			case *actor.DeadLetterResponse:
				then(nil, nil, actors.ErrNobody)
			default:
				then(nil, nil, fmt.Errorf("sip: unexpected reply %T", reply))
			}
		})
		if in, ok := reply.(*node.Admitted); ok && !taken {
			s.unwanted(in)
		}
	})
}

// admittedAs notes the call's place.
func (c *call) admittedAs(in *node.Admitted) {
	c.peer, c.room, c.conference = in.Participant, in.Room, in.Conference
	c.log = c.log.With("room", in.Room)
	c.log.Info("dialog began", c.about...)
}

// unwanted gives a place back that came too late: the call has ended.
func (s *Server) unwanted(in *node.Admitted) {
	s.deps.System.Root.Send(in.Participant, &participant.Ended{Reason: participant.Reason{Code: reasonHangup}})
}

// negotiate decides what to answer to an INVITE, or what to offer if it leaves
// that to us. It touches nothing outside the call.
func (c *call) negotiate(req *request) *refusal {
	if !accepts(req) {
		return refuse(sip.StatusNotAcceptable, "Not Acceptable")
	}
	e, ok := parseExpiry(req)
	if !ok {
		return refuse(sip.StatusBadRequest, "Malformed Session-Expires or Min-SE header")
	}
	var why *refusal
	if c.session, why = answerExpiry(e, c.s.cfg.SessionExpires, c.s.cfg.MinSE); why != nil {
		return why
	}
	offer, why := description(req)
	if why != nil {
		return why
	}
	if offer == nil {
		c.media.offer = sdp.NewOffer(c.s.capabilities(c.flow, true), nil)
		return nil
	}
	agreed, err := sdp.Answer(c.s.capabilities(c.flow, false), offer, nil)
	if err != nil {
		return notAcceptable(err, c.s.cfg.UserAgent)
	}
	c.media.agreed = agreed
	return nil
}

// admitted is what the node says.
func (c *call) admitted(in *node.Admitted, elsewhere *node.Redirect, err error) {
	switch {
	case c.state == over:
		if in != nil {
			c.s.unwanted(in)
		}
		return
	case elsewhere != nil:
		c.refuseInvite(c.redirect(elsewhere))
		return
	case err != nil:
		c.refuseInvite(c.why(err))
		return
	}
	c.admittedAs(in)
	body, err := c.describe()
	if err != nil {
		c.refuseInvite(c.why(err))
		return
	}
	c.answerInvite(body)
}

// why maps an error to a response, and logs those that are nobody's business.
func (c *call) why(err error) *refusal {
	r := refusalFor(err)
	if r.code == sip.StatusInternalServerError {
		c.log.Error("call failed", "err", err)
	}
	return r
}

// refuseInvite ends a call that never was.
func (c *call) refuseInvite(why *refusal) {
	// Those who try all doors fill no disk.
	c.s.refused.Do(func() { c.log.Info("dialog refused", append(c.about, "status", why.code, "text", why.reason)...) })
	c.invite.refuse(why)
	c.s.metrics.ended(c.direction, c.invite.final())
	c.finish(participant.Reason{Code: reasonFailed, Text: why.reason})
}

// redirect sends the caller to the node that has the conference's media.
func (c *call) redirect(r *node.Redirect) *refusal {
	where, transport := r.Contacts.SIP, ""
	switch c.flow.network() {
	case "TLS":
		where, transport = r.Contacts.SIPS, ";transport=tls"
	case "TCP":
		transport = ";transport=tcp"
	}
	host, port, err := net.SplitHostPort(where)
	n, bad := strconv.ParseUint(port, 10, 16)
	if err != nil || bad != nil {
		c.log.Error("conference is on a node that cannot be called", "node", r.Node, "contact", where)
		return refusalFor(node.ErrUnavailable)
	}
	if c.dialog.secure {
		transport = ""
	}
	uri := contactURI(c.alias, host, int(n), "", c.dialog.secure) + transport
	return refuse(sip.StatusMovedTemporarily, "Moved Temporarily", sip.NewHeader("Contact", "<"+uri+">"))
}

// answerInvite sends the 200.
func (c *call) answerInvite(body []byte) {
	e, _ := parseExpiry(c.invite.req)
	res := c.ok(c.invite, c.session.answerHeaders(e)...)
	setSDP(res, body)
	c.state = answered
	c.connected()
	if err := c.sendAnswer(c.invite, res); err != nil {
		// The connection has gone while the call was let in. Nothing is
		// dialled to tell somebody who cannot be there any more.
		c.log.Warn("answer not sent", "err", err)
		c.finish(participant.Reason{Code: reasonFailed, Text: "Connection lost"})
	}
}

// describe opens the sockets that an answer or offer needs and writes it.
func (c *call) describe() ([]byte, error) {
	m := c.media
	if m.offer != nil {
		// What the answer does not take is closed again.
		kinds, controlled := m.offer.Kinds()
		if err := m.open(kinds...); err != nil {
			return nil, err
		}
		if controlled {
			m.offerFloorSocket()
		}
		return m.offer.Describe(m.local()), nil
	}
	agreed, err := m.openAgreed(c.affordSlides(m.agreed))
	if err != nil {
		return nil, err
	}
	m.agreed = agreed
	return m.agreed.Describe(m.local()), nil
}

// ok is a 2xx within the dialog.
func (c *call) ok(tx *serverTx, headers ...sip.Header) *sip.Response {
	res := newResponse(tx.req.Request, sip.StatusOK, "OK", c.dialog.local.tag())
	for _, h := range tx.req.GetHeaders("Record-Route") {
		res.AppendHeader(sip.NewHeader("Record-Route", h.Value()))
	}
	if tx.req.Method == sip.INVITE || tx.req.Method == sip.UPDATE {
		res.AppendHeader(sip.NewHeader("Contact", "<"+c.contact+">"))
	}
	res.AppendHeader(allowHeader())
	res.AppendHeader(supportedHeader())
	res.AppendHeader(sip.NewHeader("Server", c.s.cfg.UserAgent))
	for _, h := range headers {
		res.AppendHeader(h)
	}
	return res
}

// unproven is how often a 200 is sent again to a caller that has never shown
// that it is where it says. A forged INVITE makes us send that much to a
// stranger, and no more.
const unproven = 3

// sendAnswer sends a 2xx to an INVITE, again and again until the ACK comes:
// sipgo leaves that to us (RFC 3261 section 13.3.1.4).
func (c *call) sendAnswer(tx *serverTx, res *sip.Response) error {
	c.invite, c.answer, c.sends, c.resend = tx, res, 0, sip.T1
	if err := tx.respond(res); err != nil {
		return err
	}
	deadline := time.Now().Add(64 * sip.T1)
	c.after(&c.retransmitting, c.resend, func() { c.retransmit(deadline) })
	return nil
}

func (c *call) retransmit(deadline time.Time) {
	if !time.Now().Before(deadline) {
		c.unacknowledged()
		return
	}
	c.sends++
	if c.sends <= unproven || c.proven() {
		_ = c.invite.respond(c.answer)
	}
	c.resend = min(2*c.resend, sip.T2)
	c.after(&c.retransmitting, min(c.resend, time.Until(deadline)), func() { c.retransmit(deadline) })
}

// proven reports whether the peer is known to be at its address.
func (c *call) proven() bool {
	return c.state == up || c.flow.network() != "UDP" || c.s.transport.guard.vouched(c.flow.peer().Addr(), time.Now())
}

// unacknowledged ends a call whose 200 was never acknowledged.
func (c *call) unacknowledged() {
	r := participant.Reason{Code: reasonTimeout, Text: "No ACK"}
	c.log.Warn("no ACK came")
	if c.proven() {
		c.bye(r)
	} // else it is nobody who waits for one
	c.finish(r)
}

// acknowledged handles an ACK.
func (c *call) acknowledged(req *request) {
	if c.invite == nil || req.seq != c.invite.req.seq || c.answer == nil {
		return // of a 200 that was acknowledged before
	}
	c.retransmitting.stop()
	c.invite, c.answer = nil, nil
	c.s.transport.guard.vouch(req.flow.peer().Addr(), time.Now())
	switch c.state {
	case leaving:
		c.state = up
		c.hangup(participant.Reason{Code: reasonDisconnected})
	case answered, up:
		if why := c.takeAnswer(req); why != nil {
			c.log.Warn("answer in ACK not acceptable", "text", why.reason)
			c.state = up
			c.hangup(participant.Reason{Code: reasonFailed, Text: why.reason})
			return
		}
		if c.state == up {
			return
		}
		if err := c.connect(); err != nil {
			c.log.Error("media could not be started", "err", err)
			c.state = up
			c.hangup(participant.Reason{Code: reasonFailed, Text: "media failed"})
			return
		}
		c.keep(c.session)
	}
}

// takeAnswer takes the answer to an offer of ours, which is in an ACK, or in
// the response to our INVITE.
func (c *call) takeAnswer(m sip.Message) *refusal {
	offer := c.media.offer
	if offer == nil {
		return nil
	}
	c.media.offer = nil
	answer, why := description(m)
	if why != nil {
		return why
	}
	if answer == nil {
		return refuse(sip.StatusBadRequest, "No answer to our offer")
	}
	agreed, err := offer.Accept(answer)
	if err != nil {
		return notAcceptable(err, c.s.cfg.UserAgent)
	}
	if _, err := c.change(agreed); err != nil {
		c.log.Error("media could not be changed", "err", err)
		return refuse(sip.StatusInternalServerError, "Server Internal Error")
	}
	return nil
}

// canceledByPeer handles a CANCEL (RFC 3261 section 9.2).
func (c *call) canceledByPeer() {
	if c.state != admitting || c.invite == nil || c.invite.final() != 0 {
		return
	}
	c.log.Info("dialog canceled")
	c.invite.reply(sip.StatusRequestTerminated, "Request Terminated")
	c.s.metrics.abandoned(c.direction, resultCanceled)
	c.finish(participant.Reason{Code: reasonHangup, Text: "Canceled"})
}
