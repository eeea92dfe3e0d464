package conference

import (
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/skybridge-media/skybridge/actors"
)

// rosterGap is the shortest time between two rosters.
const rosterGap = 100 * time.Millisecond

// outbox remembers who gets the roster and when they got it last.
type outbox struct {
	subscribers []*Address
	transcoder  *Address

	version   uint64 // that was sent last
	epoch     uint64
	sent      time.Time
	waiting   bool // a flush is on its way
	stopTimer func() bool
}

// flush is sent to self when changes have waited long enough.
type flush struct{}

// send sends the roster if it has changed: at once after a quiet time, else
// when rosterGap has passed since the last one. What changes in between is sent
// once.
func (x *conference) send(c actor.Context) {
	o := &x.out
	if o.version == x.roster.version && o.epoch == x.roster.epoch || o.waiting {
		return
	}
	if quiet := time.Since(o.sent); quiet < rosterGap {
		o.waiting = true
		o.stopTimer = actors.After(c, rosterGap-quiet, &flush{})
		return
	}
	x.sendNow(c)
}

// sendNow sends the roster, however lately one was sent.
func (x *conference) sendNow(c actor.Context) {
	o := &x.out
	o.version, o.epoch = x.roster.version, x.roster.epoch
	to := o.subscribers
	if o.transcoder != nil {
		to = append(slices.Clip(to), o.transcoder)
	}
	if len(to) == 0 {
		return
	}
	o.sent = time.Now()
	roster := x.roster.snapshot(AddressOf(c.Self()))
	for _, a := range to {
		c.Send(a.PID(), roster)
		x.Metrics.rosters.Inc()
	}
}

func (x *conference) subscribe(c actor.Context, who *Address) {
	pid := who.PID()
	if pid == nil {
		x.reply(c, ErrParticipant)
		return
	}
	if !x.out.has(who) {
		x.out.subscribers = append(x.out.subscribers, who)
		c.Watch(pid)
	}
	x.respond(c, c.Sender(), x.roster.snapshot(AddressOf(c.Self())))
}

func (x *conference) unsubscribe(c actor.Context, who *Address) {
	if x.out.remove(who) && !x.roster.has(who) {
		c.Unwatch(who.PID())
	}
}

func (o *outbox) has(who *Address) bool {
	for _, a := range o.subscribers {
		if a.Same(who) {
			return true
		}
	}
	return false
}

// remove reports whether who was a subscriber.
func (o *outbox) remove(who *Address) bool {
	for i, a := range o.subscribers {
		if a.Same(who) {
			// A new slice, because the old one may be on its way out.
			o.subscribers = append(o.subscribers[:i:i], o.subscribers[i+1:]...)
			return true
		}
	}
	return false
}

func (o *outbox) stop() {
	if o.stopTimer != nil {
		o.stopTimer()
	}
}
