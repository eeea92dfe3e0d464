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
	subscribers []subscriber
	transcoder  *Address

	version   uint64 // that was sent last
	epoch     uint64
	sent      time.Time
	flushing  bool // a flush is on its way
	stopTimer func() bool
}

// subscriber is somebody who gets the roster, and what is said if it likes.
type subscriber struct {
	*Address
	rosterOnly bool
}

// flush is sent to self when changes have waited long enough.
type flush struct{}

// send sends the roster if it has changed: at once after a quiet time, else
// when rosterGap has passed since the last one. What changes in between is sent
// once.
func (x *conference) send(c actor.Context) {
	o := &x.out
	if o.version == x.roster.version && o.epoch == x.roster.epoch || o.flushing {
		return
	}
	if quiet := time.Since(o.sent); quiet < rosterGap {
		o.flushing = true
		o.stopTimer = actors.After(c, rosterGap-quiet, &flush{})
		return
	}
	x.sendNow(c)
}

// sendNow sends the roster, however lately one was sent.
func (x *conference) sendNow(c actor.Context) {
	o := &x.out
	o.version, o.epoch = x.roster.version, x.roster.epoch
	if len(o.subscribers) == 0 && o.transcoder == nil {
		return
	}
	o.sent = time.Now()
	roster := x.roster.snapshot(AddressOf(c.Self()))
	tell := func(a *Address) {
		c.Send(a.PID(), roster)
		x.Metrics.rosters.Inc()
	}
	for _, s := range o.subscribers {
		tell(s.Address)
	}
	if o.transcoder != nil {
		tell(o.transcoder)
	}
}

// passOn sends to the subscribers what is not in the roster, after the roster as
// it is now: who has just been let in is to hear it.
func (x *conference) passOn(c actor.Context, said any) {
	if x.out.version != x.roster.version || x.out.epoch != x.roster.epoch {
		x.sendNow(c)
	}
	for _, s := range x.out.subscribers {
		if !s.rosterOnly {
			c.Send(s.PID(), said)
		}
	}
}

func (x *conference) subscribe(c actor.Context, m *Subscribe) {
	pid := m.Subscriber.PID()
	if pid == nil {
		x.reply(c, ErrParticipant)
		return
	}
	if i := x.out.find(m.Subscriber); i >= 0 {
		x.out.subscribers[i].rosterOnly = m.RosterOnly
	} else {
		x.out.subscribers = append(x.out.subscribers, subscriber{m.Subscriber, m.RosterOnly})
		c.Watch(pid)
	}
	x.respond(c, c.Sender(), x.roster.snapshot(AddressOf(c.Self())))
}

func (x *conference) unsubscribe(c actor.Context, who *Address) {
	if x.out.remove(who) && !x.roster.has(who) {
		c.Unwatch(who.PID())
	}
}

// find returns the index of a subscriber, or -1.
func (o *outbox) find(who *Address) int {
	return slices.IndexFunc(o.subscribers, func(s subscriber) bool { return s.Same(who) })
}

func (o *outbox) has(who *Address) bool { return o.find(who) >= 0 }

// remove reports whether who was a subscriber.
func (o *outbox) remove(who *Address) bool {
	i := o.find(who)
	if i < 0 {
		return false
	}
	o.subscribers = slices.Delete(o.subscribers, i, i+1)
	return true
}

func (o *outbox) stop() {
	if o.stopTimer != nil {
		o.stopTimer()
	}
}
