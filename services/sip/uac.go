package sip

import (
	"context"
	"errors"
	"fmt"

	"github.com/emiago/sipgo/sip"

	"github.com/skybridge-media/skybridge/actors/node"
	"github.com/skybridge-media/skybridge/actors/participant"
	"github.com/skybridge-media/skybridge/media/rtp"
	"github.com/skybridge-media/skybridge/media/sdp"
)

// maxTargets is how many URIs are called at most when we are redirected.
const maxTargets = 5

// An attempt is the INVITE that is out, and what may be tried after it.
type attempt struct {
	to      nameAddr  // whom we want
	target  sip.Uri   // whom we call: at first the same
	targets []sip.Uri // to be called if that fails
	seen    int       // of them, the ones before included
	hops    []streamKey

	request     *sip.Request
	seq         uint32
	base        *dialog // what every answer starts from
	body        []byte
	answered    *sip.Request // the ACK, once there is an answer
	tag         string       // of who answered
	ringing     bool         // there was a provisional response
	authorized  bool         // the challenge was answered once
	lengthened  bool         // the interval was raised once
	modest      bool         // only sound and picture are offered, because the peer or our ports have refused more
	finished    bool         // there was a final response
	credentials []sip.Header
}

// Dial implements [node.Dialer].
func (s *Server) Dial(id participant.ID, d node.Dial) {
	c := s.newCall(id, outgoing, d.Alias)
	c.log = c.log.With("to", printable(d.URI, 200))
	uri, err := parseURI(d.URI)
	uri.Headers = nil
	to := nameAddr{raw: uri.Addr(), uri: uri}
	c.out = &attempt{to: to, targets: []sip.Uri{uri}}
	c.dialog = uacDialog(nameAddr{}, to, newTag()+"@skybridge")
	if why := s.register(c); why != nil {
		c.log.Warn("call not placed", "status", why.code, "text", why.reason)
		return
	}
	c.inbox.post(func() { c.dial(d, err) })
	go c.run()
}

// dial asks for the call's place in the conference.
func (c *call) dial(d node.Dial, bad error) {
	name := d.Name
	if name == "" {
		name = printable(unescapeUser(c.out.to.uri.User), 80)
	}
	c.about = []any{"direction", outgoing, "alias", printable(d.Alias, 120)}
	c.admit(&node.Admit{
		Call:       c.id,
		Alias:      d.Alias,
		Protocol:   "sip",
		Outgoing:   true,
		Name:       name,
		Role:       d.Role,
		Remote:     printable(d.URI, 200),
		Audio:      len(c.s.deps.Media.Audio) > 0,
		Video:      len(c.s.deps.Media.Video) > 0,
		Signalling: c,
	}, func(in *node.Admitted, elsewhere *node.Redirect, err error) {
		switch {
		case c.state == over:
			if in != nil {
				c.s.unwanted(in)
			}
			return
		case elsewhere != nil:
			err = errors.New("the conference is on node " + elsewhere.Node)
		}
		if err != nil {
			c.log.Warn("call not placed", "err", err)
			c.finish(participant.Reason{Code: reasonFailed, Text: err.Error()})
			return
		}
		c.admittedAs(in)
		c.state = calling
		c.after(&c.ringing, c.s.cfg.RingTimeout, func() {
			c.hangup(participant.Reason{Code: reasonTimeout, Text: "No answer"})
		})
		if bad != nil {
			c.fail(fmt.Errorf("sip: cannot call %q: %w", printable(d.URI, 120), bad))
			return
		}
		c.nextTarget(nil)
	})
}

// nextTarget calls the next URI. failed is why the one before did not work.
func (c *call) nextTarget(failed error) {
	if c.state != calling || len(c.out.targets) == 0 {
		c.fail(failed)
		return
	}
	uri := c.out.targets[0]
	c.out.target, c.out.targets = uri, c.out.targets[1:]
	s := c.s
	c.background(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, routePatience)
		defer cancel()
		hops, err := resolve(ctx, s.resolver, uri)
		c.inbox.post(func() {
			if err != nil {
				c.nextTarget(err)
				return
			}
			c.out.hops = hops
			c.nextHop(failed)
		})
	})
}

// nextHop tries the next address of the URI.
func (c *call) nextHop(failed error) {
	if c.state != calling {
		c.fail(failed)
		return
	}
	if len(c.out.hops) == 0 {
		c.nextTarget(failed)
		return
	}
	key := c.out.hops[0]
	c.out.hops = c.out.hops[1:]
	s := c.s
	c.background(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, routePatience)
		defer cancel()
		f, err := s.transport.flowTo(ctx, key, s.dialTLS())
		c.inbox.post(func() {
			if err != nil {
				c.nextHop(err)
				return
			}
			c.callOver(f)
		})
	})
}

// callOver sends the INVITE on a flow.
func (c *call) callOver(f flow) {
	if c.state != calling {
		c.fail(nil)
		return
	}
	c.release()
	c.flow, c.release = f, f.hold()
	if err := c.prepare(); err != nil {
		c.fail(err)
		return
	}
	c.invitePeer()
}

// prepare makes the offer and the dialog for the target, on the flow.
func (c *call) prepare() error {
	o := c.out
	if c.media != nil {
		c.media.close()
	}
	c.newMedia(c.flow)
	caps := c.s.capabilities(c.flow, true)
	c.leased = len(caps.Video) > 0 // what the node has let us in with
	if d := &c.s.deps.Media; !o.modest {
		caps.Camera = d.Camera
		if c.leased && d.Slides && c.leaseSlides() == nil {
			caps.Slides, caps.Floor = true, d.Floor
		}
	}
	c.media.offer = sdp.NewOffer(caps, nil)
	body, err := c.describe()
	if errors.Is(err, rtp.ErrNoPorts) && (caps.Slides || caps.Camera) {
		c.log.Info("no ports for all, tried with less")
		return c.prepareLess()
	}
	if err != nil {
		return err
	}
	secure := o.target.IsEncrypted()
	c.contact = c.s.contactFor(c.flow, c.alias, secure)
	self := "sip:" + escapeUser(c.alias) + "@" + bracketed(c.s.address(c.flow).String())
	d := *c.dialog
	d.local = tagged(nameAddr{raw: self}, d.local.tag())
	d.remote, d.target, d.secure = o.to, o.target, secure
	c.s.confirm(c, &d)
	o.base, o.body = &d, body
	c.session = lifetime{interval: c.s.cfg.SessionExpires, refresh: true}
	return nil
}

// invitePeer sends the INVITE, for the first time or with credentials.
func (c *call) invitePeer() {
	o := c.out
	req := o.base.request(sip.INVITE, 0)
	o.seq, o.request, o.ringing, o.finished = o.base.localSeq, req, false, false
	req.AppendHeader(sip.NewHeader("Contact", "<"+c.contact+">"))
	req.AppendHeader(allowHeader())
	req.AppendHeader(supportedHeader())
	req.AppendHeader(sip.NewHeader("User-Agent", c.s.cfg.UserAgent))
	for _, h := range append(askExpiry(c.session, c.s.cfg.MinSE, false), o.credentials...) {
		req.AppendHeader(h)
	}
	setSDP(req, o.body)
	c.s.stampVia(req, c.flow, newBranch())
	base, f, seq := o.base, c.flow, o.seq
	err := c.s.tx.send(req, f, func(res *sip.Response, err error) {
		if !c.inbox.post(func() { c.response(seq, res, err) }) && err == nil && res.IsSuccess() {
			c.s.dismiss(base, res, seq, f)
		}
	})
	if err != nil {
		c.nextHop(err)
	}
}

// response handles what comes back for INVITE number seq.
func (c *call) response(seq uint32, res *sip.Response, err error) {
	o := c.out
	switch {
	case err == nil && res.IsSuccess():
		c.answeredBy(seq, res)
		return
	case seq != o.seq || o.finished || c.state != calling && c.state != canceled:
		return
	case err == nil && res.IsProvisional():
		c.provisional(res)
		return
	}
	o.finished = true
	if c.state == canceled {
		c.finish(participant.Reason{Code: reasonDisconnected})
		return
	}
	if err != nil {
		c.nextHop(&callError{code: sip.StatusRequestTimeout, reason: "No response", err: err})
		return
	}
	c.refused(res)
}

// refused decides what to try after a final response that is no 2xx.
func (c *call) refused(res *sip.Response) {
	o := c.out
	why := &callError{code: res.StatusCode, reason: printable(res.Reason, 80)}
	switch code := res.StatusCode; {
	case code < 400:
		o.redirectedTo(res)
		c.nextTarget(why)
	case (code == sip.StatusUnauthorized || code == sip.StatusProxyAuthRequired) && !o.authorized:
		h, err := authorize(c.s.cfg.Credentials, o.request, res, c.flow)
		if err != nil {
			c.log.Warn("challenge not answered", "err", err)
			c.nextTarget(why)
			return
		}
		o.authorized = true
		o.credentials = []sip.Header{h}
		c.invitePeer()
	case code == 422 && !o.lengthened:
		e, ok := parseExpiry(res)
		if !ok || e.least <= c.session.interval {
			c.nextTarget(why)
			return
		}
		o.lengthened = true
		c.session.interval = e.least
		c.invitePeer()
	case overasked(code) && !o.modest && (c.slides || c.s.deps.Media.Camera):
		c.log.Info("call refused, tried with less", "status", code)
		c.askForLess()
	case code == sip.StatusServiceUnavailable || code == sip.StatusRequestTimeout:
		c.nextHop(why) // RFC 3263 section 4.3
	case code >= 600:
		c.fail(why) // nobody else wants to be asked either
	default:
		c.nextTarget(why)
	}
}

// overasked reports whether a status may mean that the peer does not understand
// what we have offered.
func overasked(code int) bool {
	switch code {
	case sip.StatusBadRequest, sip.StatusUnsupportedMediaType, 488, 513, sip.StatusGlobalNotAcceptable:
		return true
	}
	return false
}

// prepareLess prepares a call without slides and cameras.
func (c *call) prepareLess() error {
	c.out.modest = true
	c.leaseWithoutSlides()
	return c.prepare()
}

// askForLess calls the same peer again without slides and cameras. Some refuse
// the whole call for an m-line that they do not know, where RFC 3264 has them
// refuse the line.
func (c *call) askForLess() {
	o, interval, last := c.out, c.session.interval, c.out.base.localSeq
	if err := c.prepareLess(); err != nil {
		c.fail(err)
		return
	}
	o.base.localSeq, c.session.interval = last, interval
	o.authorized, o.credentials = false, nil
	c.invitePeer()
}

// redirectedTo adds the targets of a 3xx (RFC 3261 section 8.1.3.4).
func (o *attempt) redirectedTo(res *sip.Response) {
	for _, h := range res.GetHeaders("Contact") {
		to, err := parseNameAddr(h.Value())
		if err != nil || o.seen >= maxTargets {
			continue
		}
		o.seen++
		to.uri.Headers = nil
		o.targets = append(o.targets, to.uri)
	}
}

// fail ends a call that could not be placed.
func (c *call) fail(err error) {
	if c.state == over {
		return
	}
	if c.state == canceled || err == nil {
		c.finish(participant.Reason{Code: reasonDisconnected})
		return
	}
	e, ok := errors.AsType[*callError](err)
	switch {
	case ok && e.err == nil:
		c.s.metrics.ended(c.direction, e.code)
	case ok:
		c.s.metrics.abandoned(c.direction, resultTimeout)
	default:
		c.s.metrics.abandoned(c.direction, resultFailed)
	}
	c.log.Info("dialog failed", "err", err)
	c.finish(endedBy(err))
}
