package sip

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/skybridge-media/skybridge/actors/participant"
	"github.com/skybridge-media/skybridge/media/sdp"
)

// reorderPatience is how long a request waits for one before it.
const reorderPatience = 100 * time.Millisecond

// arrive puts requests of the dialog in order. Over UDP the network may swap
// INFO requests, and the digits that they carry with them; each other request
// is handled when it comes.
func (c *call) arrive(tx *serverTx) {
	if c.state == over {
		tx.reply(sip.StatusCallTransactionDoesNotExists, "Call/Transaction Does Not Exist")
		return
	}
	c.waiting = append(c.waiting, tx)
	slices.SortStableFunc(c.waiting, func(a, b *serverTx) int { return cmp.Compare(a.req.seq, b.req.seq) })
	if tx.req.Method != sip.INFO || tx.req.flow.network() != "UDP" {
		c.handle(len(c.waiting))
		return
	}
	ready := 0
	for next := c.dialog.remoteSeq + 1; ready < len(c.waiting) && c.waiting[ready].req.seq <= next; ready++ {
		next = c.waiting[ready].req.seq + 1
	}
	c.handle(ready)
	if len(c.waiting) > 0 && !c.reordering.pending() {
		c.after(&c.reordering, reorderPatience, func() { c.handle(len(c.waiting)) })
	}
}

// handle serves the first n of the requests that wait.
func (c *call) handle(n int) {
	ready := slices.Clone(c.waiting[:n])
	c.waiting = slices.Delete(c.waiting, 0, n)
	for _, tx := range ready {
		c.serve(tx)
	}
}

// serve handles a request within the dialog (RFC 3261 section 12.2.2).
func (c *call) serve(tx *serverTx) {
	defer func() {
		if tx.final() == 0 {
			tx.reply(sip.StatusInternalServerError, "Server Internal Error") // it panicked
		}
	}()
	r := tx.req
	switch {
	case c.state == over:
		tx.reply(sip.StatusCallTransactionDoesNotExists, "Call/Transaction Does Not Exist")
		return
	case !c.dialog.sequence(r.seq):
		tx.reply(sip.StatusInternalServerError, "Request Out of Order")
		return
	}
	c.features.learn(r)
	switch r.Method {
	case sip.BYE:
		c.byeFromPeer(tx)
	case sip.INVITE, sip.UPDATE:
		c.modify(tx)
	case sip.INFO:
		c.info(tx)
	case sip.OPTIONS:
		tx.reply(sip.StatusOK, "OK", c.s.optionsHeaders()...)
	default:
		// PRACK: nothing that we send waits for one.
		tx.reply(sip.StatusCallTransactionDoesNotExists, "Call/Transaction Does Not Exist")
	}
}

func (c *call) byeFromPeer(tx *serverTx) {
	if c.state == admitting || c.state == calling {
		tx.reply(sip.StatusCallTransactionDoesNotExists, "Call/Transaction Does Not Exist")
		return
	}
	tx.reply(sip.StatusOK, "OK")
	c.finish(participant.Reason{Code: reasonHangup, Text: byeText(tx.req)})
}

// byeText is what the peer says about why it ends the call (RFC 3326).
func byeText(r *request) string {
	for _, v := range values(r, "Reason") {
		_, rest, _ := strings.Cut(v, ";")
		if ps, err := parseParams(";" + rest); err == nil && ps.get("text") != "" {
			return printable(strings.Trim(ps.get("text"), `"`), 80)
		}
	}
	return "Hung up"
}

// modify handles re-INVITE (RFC 3261 section 14) and UPDATE (RFC 3311).
func (c *call) modify(tx *serverTx) {
	r := tx.req
	switch {
	case c.state == leaving || c.state == canceled:
		tx.reply(sip.StatusCallTransactionDoesNotExists, "Call/Transaction Does Not Exist")
		return
	case c.ours != 0 || c.state == calling || c.media.offer != nil && len(r.Body()) > 0:
		// Both sides want to change something: each tries again later.
		tx.reply(sip.StatusRequestPending, "Request Pending")
		return
	case c.invite != nil && r.Method == sip.INVITE, c.state != up && r.Method == sip.UPDATE:
		// The one before is not acknowledged yet.
		tx.reply(sip.StatusInternalServerError, "Server Internal Error",
			sip.NewHeader("Retry-After", strconv.Itoa(rand.IntN(10))))
		return
	}
	e, ok := parseExpiry(r)
	if !ok {
		tx.reply(sip.StatusBadRequest, "Malformed Session-Expires or Min-SE header")
		return
	}
	session, why := answerExpiry(e, c.s.cfg.SessionExpires, c.s.cfg.MinSE)
	if why == nil {
		var body []byte
		if body, why = c.renegotiate(r); why == nil {
			c.dialog.retarget(r)
			res := c.ok(tx, session.answerHeaders(e)...)
			if body != nil {
				setSDP(res, body)
			}
			c.keep(session)
			c.accept(tx, res)
			return
		}
	}
	c.log.Info("change refused", "method", string(r.Method), "status", why.code, "text", why.reason)
	tx.refuse(why)
}

// accept sends the 2xx of a re-INVITE or UPDATE.
func (c *call) accept(tx *serverTx, res *sip.Response) {
	var err error
	if tx.req.Method == sip.INVITE {
		err = c.sendAnswer(tx, res)
	} else {
		err = tx.respond(res)
	}
	if err != nil {
		c.log.Warn("response not sent", "err", err)
	}
}

// renegotiate answers the offer in r, or makes one if r is an INVITE that
// leaves it to us. On a refusal the media is as it was.
func (c *call) renegotiate(r *request) ([]byte, *refusal) {
	if !accepts(r) {
		return nil, refuse(sip.StatusNotAcceptable, "Not Acceptable")
	}
	defer c.giveBack() // what a change that fails has leased
	offer, why := description(r)
	switch {
	case why != nil:
		return nil, why
	case offer == nil && r.Method == sip.UPDATE:
		return nil, nil
	case offer == nil:
		return c.propose()
	}
	agreed, err := sdp.Answer(c.s.capabilities(c.flow, false), offer, c.media.agreed)
	if err != nil {
		return nil, notAcceptable(err, c.s.cfg.UserAgent)
	}
	if !agreed.Unchanged {
		if agreed, err = c.afford(agreed); err == nil {
			agreed, err = c.change(agreed)
		}
		if err != nil {
			return nil, c.why(err)
		}
	}
	return agreed.Describe(c.media.local()), nil
}

// propose makes an offer of ours in the midst of a call. Its answer may take
// what is in it without asking again, so video is in it only if there is room.
func (c *call) propose() ([]byte, *refusal) {
	caps := c.s.capabilities(c.flow, true)
	if len(caps.Video) > 0 && c.lease() != nil {
		caps.Video = nil
	}
	if c.media.has(sdp.Slides) {
		caps.Slides, caps.Floor = c.s.deps.Media.Slides, c.s.deps.Media.Floor
	}
	caps.Camera = c.media.agreed != nil && c.media.agreed.Camera != nil
	offer := sdp.NewOffer(caps, c.media.agreed)
	kinds, _ := offer.Kinds()
	if err := c.media.open(kinds...); err != nil {
		return nil, c.why(err)
	}
	c.media.offer = offer
	return c.media.offer.Describe(c.media.local()), nil
}

// change makes agreed the state of the call's media, as far as it can be, and
// tells the participant what has become of it.
func (c *call) change(agreed *sdp.Agreement) (*sdp.Agreement, error) {
	agreed, err := c.media.openAgreed(agreed)
	if err != nil {
		return nil, err
	}
	if err := c.media.apply(agreed); err != nil {
		return nil, err
	}
	if c.state == up { // connect tells otherwise
		c.noteMedia()
	}
	return agreed, nil
}

// refresh keeps the session alive: by UPDATE where the peer takes it, else by
// an INVITE that repeats what was agreed on (RFC 4028 section 7.4).
func (c *call) refresh() {
	if c.state != up {
		return
	}
	if c.ours != 0 || c.invite != nil {
		c.after(&c.refreshing, 2*time.Second, c.refresh)
		return
	}
	method := sip.INVITE
	if c.features.update {
		method = sip.UPDATE
	}
	req := c.dialog.request(method, 0)
	req.AppendHeader(sip.NewHeader("Contact", "<"+c.contact+">"))
	req.AppendHeader(allowHeader())
	req.AppendHeader(supportedHeader())
	for _, h := range askExpiry(c.session, c.s.cfg.MinSE, true) {
		req.AppendHeader(h)
	}
	if method == sip.INVITE {
		setSDP(req, c.media.agreed.Describe(c.media.local()))
	}
	seq := c.dialog.localSeq
	c.ours = seq
	c.request(req, func(res *sip.Response, err error) { c.refreshed(method, seq, res, err) })
}

// refreshed handles the responses to a refresh.
func (c *call) refreshed(method sip.RequestMethod, seq uint32, res *sip.Response, err error) {
	if res != nil && res.IsProvisional() || c.state == over {
		return
	}
	code := sip.StatusRequestTimeout
	if err == nil {
		code = res.StatusCode
	}
	if method == sip.INVITE && code < 300 {
		c.acknowledge(c.dialog.request(sip.ACK, seq)) // each time that it is asked for
	}
	if c.ours != seq || c.state != up {
		return
	}
	c.ours = 0
	switch {
	case code < 300:
		c.dialog.retarget(res)
		c.features.learn(res)
		e, _ := parseExpiry(res)
		c.keep(acceptExpiry(e, c.session.interval))
	case code == sip.StatusRequestTimeout, code == sip.StatusCallTransactionDoesNotExists:
		// The peer has gone, or has forgotten the call (RFC 5057).
		c.hangup(reasonExpired)
	case code == 422:
		if e, ok := parseExpiry(res); ok && e.least > c.session.interval {
			c.session.interval = e.least
			c.refresh()
		}
	case code == sip.StatusMethodNotAllowed || code == sip.StatusNotImplemented:
		if c.features.update && method == sip.UPDATE {
			c.features.update = false
			c.refresh()
		}
	case code == sip.StatusRequestPending:
		c.after(&c.refreshing, c.glarePause(), c.refresh)
	default:
		// Something else is wrong. There is time to try again before the
		// session expires.
		c.after(&c.refreshing, max(5*time.Second, c.session.interval/8), c.refresh)
	}
}

// glarePause is how long to wait after both sides have asked at once. Who made
// the Call-ID waits longer, so that they do not meet again (RFC 3261 section
// 14.1).
func (c *call) glarePause() time.Duration {
	if c.direction == outgoing {
		return 2100*time.Millisecond + rand.N(1900*time.Millisecond)
	}
	return rand.N(2 * time.Second)
}
