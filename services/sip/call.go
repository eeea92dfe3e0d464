package sip

import (
	"context"
	"crypto/rand"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/emiago/sipgo/sip"

	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/actors/participant"
	"github.com/skybridge-media/skybridge/media/port"
	"github.com/skybridge-media/skybridge/media/rtp"
	"github.com/skybridge-media/skybridge/media/sdp"
)

// state is how far a call has come.
//
//	incoming:  admitting ── 200 ──► answered ── ACK ──► up ──► over
//	outgoing:  admitting ─ INVITE ► calling ─── 200 ──► up ──► over
//
// Every state may be followed by over. A call that ends in calling stays, as
// canceled, until its INVITE has a final response; one that we end in answered
// stays, as leaving, until there is an ACK to send a BYE after.
type state int

const (
	admitting state = iota // the node has been asked
	calling                // our INVITE is out
	canceled               // and we do not want it any more
	answered               // our 200 is out
	leaving                // and we do not want the call any more
	up
	over
)

// A call is one dialog with what it carries. It implements
// [participant.Signalling]. Except for Hangup all of it belongs to its
// goroutine.
type call struct {
	s         *Server
	log       *slog.Logger
	id        participant.ID
	direction string // incoming or outgoing
	alias     string
	began     time.Time
	about     []any // attributes for the line that says what became of it
	inbox     *mailbox

	state   state
	key     inviteKey // of an incoming call
	dialog  *dialog
	flow    flow   // that the dialog was made on; nil until we have called
	release func() // lets go of it
	contact string // our URI, as the peer knows it
	media   *media
	peer    *actor.PID           // the participant; nil until admitted
	told    participant.SetMedia // which media it believes that there is
	leased  bool                 // the node keeps room for video, besides sound
	slides  bool                 // and for what is presented, in a stream of its own
	handed  bool                 // it has got the media
	hungUp  bool                 // it was the participant who hung up, and need not be told

	invite *serverTx     // incoming INVITE whose 200 has no ACK yet
	answer *sip.Response // that 200
	resend time.Duration // until it is sent again; see retransmit
	sends  int           // how often it has been
	ours   uint32        // the number of our re-INVITE or UPDATE that is out; 0: none

	room       string     // of the conference
	conference *actor.PID // its owner, as the call knows; nil while the caller is asked for a PIN
	floor      *floor     // nil: the peer does not control its presentation
	camera     *camera    // nil: the peer does not control cameras

	out      *attempt // our INVITE; nil for an incoming call
	last     hop      // how the peer was reached last
	viaHost  string   // where an incoming call says that it comes from
	session  lifetime
	features features
	held     bool
	waiting  []*serverTx // requests that came before their turn
	asked    time.Time   // when a key frame was asked for last, by us
	deaf     bool        // the peer does not know picture_fast_update

	retransmitting, refreshing, expiring, ringing, reordering, asking alarm
}

// features are what the peer says of itself.
type features struct {
	update bool // it takes UPDATE
	info   bool // it takes INFO, or does not say
}

// learn reads Allow of what the peer sent. A message without it changes
// nothing.
func (f *features) learn(m sip.Message) {
	if len(m.GetHeaders("Allow")) > 0 {
		f.update, f.info = lists(m, "Allow", "UPDATE"), lists(m, "Allow", "INFO")
	}
}

// newCall makes a call that does not run yet.
func (s *Server) newCall(id participant.ID, direction, alias string) *call {
	c := &call{
		s:         s,
		id:        id,
		direction: direction,
		alias:     alias,
		began:     time.Now(),
		inbox:     newMailbox(),
		features:  features{info: true},
		release:   func() {},
	}
	c.log = s.log.With("call", string(id))
	return c
}

// newMedia prepares the call's media without opening anything. f is the flow
// that the call is made on.
func (c *call) newMedia(f flow) {
	c.media = &media{
		log:     c.log,
		address: c.s.address(f),
		peer:    f.peer().Addr().Unmap(),
		cname:   strings.ToLower(rand.Text()),
		lines:   make(map[sdp.Kind]*line),
		ports:   c.s.deps.Ports,
		bind:    c.s.cfg.Bind,
		listen: func() (session, error) {
			return c.s.listenRTP(rtp.Config{Bind: c.s.cfg.Bind, Ports: c.s.deps.Ports, Log: c.log, Metrics: c.s.deps.RTPMetrics})
		},
		keyFrame: func() { c.inbox.post(c.askKeyFrame) },
		camera:   c.hearCamera(),
	}
	c.media.config = port.Config{
		Log:     c.log,
		Metrics: c.s.deps.PortMetrics,
		Workers: c.s.deps.Workers,
		Notify:  func(event any) { c.inbox.post(func() { c.tell(event) }) },
	}
}

// run is the goroutine of a call that was registered.
func (c *call) run() {
	defer c.s.running.Done()
	for c.state != over {
		c.contained(c.inbox.take())
	}
	c.s.forget(c)
	// Requests that came meanwhile are answered by their handlers, which see
	// that the call is over.
	c.inbox.close()
	for f := c.inbox.next(); f != nil; f = c.inbox.next() {
		c.contained(f)
	}
}

// contained runs f. A panic in it ends this call, and no other notices.
func (c *call) contained(f func()) {
	defer c.contain(c.broken)
	f()
}

// background runs f, which waits for the network, on a goroutine of its own. It
// must not touch the call but through its mailbox.
func (c *call) background(f func(ctx context.Context)) {
	c.s.running.Go(func() {
		defer c.contain(func() { c.inbox.post(c.broken) })
		f(c.s.life)
	})
}

// contain is deferred where a panic is to be handled by then.
func (c *call) contain(then func()) {
	if p := recover(); p != nil {
		c.s.metrics.panics.Inc()
		c.log.Error("panic in a call", "panic", p, "stack", string(debug.Stack()))
		then()
	}
}

// broken ends the call after a panic.
func (c *call) broken() {
	if c.invite != nil {
		c.invite.reply(sip.StatusInternalServerError, "Server Internal Error")
	}
	if c.state == up {
		c.bye(participant.Reason{Code: reasonFailed})
	}
	c.finish(participant.Reason{Code: reasonFailed, Text: "Internal error"})
}

// An alarm is one timer of a call.
type alarm struct {
	timer *time.Timer
	set   int // counts, so that one which had fired already when it was set anew is known
}

// after runs f on the call's goroutine once d has passed, unless a is set or
// stopped before, or the call is over.
func (c *call) after(a *alarm, d time.Duration, f func()) {
	a.stop()
	set := a.set
	a.timer = time.AfterFunc(d, func() {
		c.inbox.post(func() {
			if a.set == set && c.state != over {
				a.timer = nil
				f()
			}
		})
	})
}

func (a *alarm) stop() {
	a.set++
	if a.timer != nil {
		a.timer.Stop()
		a.timer = nil
	}
}

// pending reports whether a has been set and has not run.
func (a *alarm) pending() bool { return a.timer != nil }

// tell sends a message to the participant, if there is one.
func (c *call) tell(msg any) {
	if c.peer != nil {
		c.s.deps.System.Root.Send(c.peer, msg)
	}
}

// connect hands the media over: the call is established.
func (c *call) connect() error {
	l, err := c.media.start()
	if err != nil {
		return err
	}
	c.handed = true
	c.state = up
	c.tell(&participant.Connect{Port: l})
	c.noteMedia()
	c.log.Info("dialog established", "audio", c.media.codec(sdp.Audio), "video", c.media.codec(sdp.Video), "presentation", c.media.codec(sdp.Slides),
		"encrypted", c.media.encrypted(), "setup", time.Since(c.began).Round(time.Millisecond))
	return nil
}

// noteMedia tells the participant what has become of its media: which there is,
// and whether the peer has put us on hold, or is back.
func (c *call) noteMedia() {
	if now := (participant.SetMedia{Audio: c.media.has(sdp.Audio), Video: c.media.has(sdp.Video), Slides: c.media.has(sdp.Slides)}); now != c.told {
		c.told = now
		c.tell(&now)
	}
	c.giveBack()
	c.controlFloor()
	c.controlCamera()
	if held := c.media.held(); held != c.held {
		c.held = held
		c.tell(&participant.Hold{On: held})
	}
}

// Hangup implements [participant.Signalling].
func (c *call) Hangup(r participant.Reason) {
	c.inbox.post(func() {
		c.hungUp = true
		c.hangup(r)
	})
}

// Entered implements [participant.Enterer].
func (c *call) Entered(owner *actor.PID) {
	c.inbox.post(func() {
		if c.state == over {
			return
		}
		c.conference = owner
		if c.state == up {
			c.controlFloor()
			c.controlCamera()
		}
	})
}

// follow notes who owns the conference now.
func (c *call) follow(r *conference.Roster) {
	if owner := r.Conference.PID(); owner != nil {
		c.conference = owner
	}
}

// hangup ends the call towards the peer, in the way that its state allows
// (RFC 3261 section 15).
func (c *call) hangup(r participant.Reason) {
	switch c.state {
	case admitting:
		if c.invite != nil {
			c.invite.refuse(hangupStatus(r))
			c.s.metrics.ended(c.direction, c.invite.final())
		}
		c.finish(r)
	case calling:
		c.state = canceled
		if r.Code == reasonTimeout {
			c.s.metrics.abandoned(c.direction, resultTimeout)
		} else {
			c.s.metrics.abandoned(c.direction, resultCanceled)
		}
		c.end(r)
		c.cancelInvite()
	case answered:
		// A callee may not say BYE before the ACK.
		c.state = leaving
		c.end(r)
	case up:
		c.bye(r)
		c.finish(r)
	}
}

// bye tells the peer that the call has ended. Nobody waits for the answer.
func (c *call) bye(r participant.Reason) {
	req := c.dialog.request(sip.BYE, 0)
	req.AppendHeader(reasonHeader(r))
	c.request(req, nil)
}

// end frees what the call holds and tells the participant, once. The dialog
// may go on for a moment, until it can be ended politely.
func (c *call) end(r participant.Reason) {
	for _, a := range []*alarm{&c.refreshing, &c.expiring, &c.ringing, &c.reordering, &c.asking} {
		a.stop()
	}
	c.closeFloor()
	c.closeCamera()
	if c.media != nil && !c.handed {
		c.media.close()
	}
	if c.media != nil && c.handed {
		// The participant closes what it was given. If it died before it
		// could, nobody else will.
		c.handed = false
		c.media.abandon(closePatience)
	}
	if c.peer != nil {
		if !c.hungUp {
			c.tell(&participant.Ended{Reason: r})
		}
		c.peer = nil
		c.log.Info("dialog ended", "reason", r.Code, "text", r.Text, "duration", time.Since(c.began).Round(time.Millisecond))
	}
}

// closePatience is how long a participant may take to close its port; it has
// its own limits, which are shorter.
const closePatience = 5 * time.Second

// finish is the end of the call.
func (c *call) finish(r participant.Reason) {
	if c.state == over {
		return
	}
	c.state = over
	c.end(r)
	c.retransmitting.stop()
	for _, tx := range c.waiting {
		tx.reply(sip.StatusCallTransactionDoesNotExists, "Call/Transaction Does Not Exist")
	}
	c.waiting = nil
	c.release()
}

// connected notes that the call's INVITE was answered with 200.
func (c *call) connected() {
	c.s.metrics.ended(c.direction, sip.StatusOK)
	c.s.metrics.setup.WithLabelValues(c.direction).Observe(time.Since(c.began).Seconds())
}
