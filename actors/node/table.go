package node

import (
	"net/netip"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/actors/participant"
)

// phase says what a node knows of the owner of a conference.
type phase int

const (
	unknown phase = iota
	finding       // asking the directory, or the owner's node
	open          // conference is who to talk to
	closing       // our own conference has stopped; its name is being released
)

// room is what this node knows of one conference: who owns it and what of it is
// here. It exists while the conference has something on this node, or somebody
// waits to know.
//
//	           found, told to transcoder and calls
//	finding ───────────────────────────────────────► open
//	   ▲                                              │ │ our conference ended
//	   │ owner lost, and something of it is here      │ ▼
//	   ├──────────────────────────────────────────────┘ closing
//	   └──────────────────────────────────────────────────┘ somebody waits
type room struct {
	key      string
	cfg      conference.Config
	phase    phase
	since    time.Time // of phase finding
	attempts int       // in it

	conference *actor.PID // last known owner
	mine       bool       // it is our child
	epoch      uint64     // of our claim; zero when we have none
	split      bool       // somebody else has the claim; ours goes on until it is empty

	transcoder *actor.PID
	mediaEpoch uint64                   // of who opened the transcoder
	calls      map[participant.ID]*call // that have an actor
	asked      int                      // calls that are asked for a PIN, and have no place yet
	demand     demand                   // for capacity, of all calls here
	units      Units                    // that it has leased

	waiting []waiter
}

// need is what somebody wants to have done for an answer.
type need int

const (
	toLook  need = iota // tell whether there is a conference
	toOwn               // tell whether it is here; claim its name
	toEnter             // make one
)

// waiter is somebody who waits for a room to be open. then runs in the actor,
// once, with nil or with the reason why it cannot be.
type waiter struct {
	need need
	then func(c actor.Context, err error)
}

// call is one call on this node.
type call struct {
	id    participant.ID
	role  string // as which it enters
	room  *room
	door  *room // before which it is asked for a PIN; nil: it is not
	from  netip.Addr
	pid   *actor.PID // nil until there is a conference to join
	asker *actor.PID // waits for the reply to Admit; nil once it has it
	admit *Admit
	owner *actor.PID // whom it was told to join last

	joined bool // the conference; before that, its end is not the call's

	leasedIn *room // whose demand it is part of
	leases   medium
	content  bool // and it leases for a stream of what is presented
	viewer   bool
}

// obey notes who owns the conference on another node, and watches it; nil when
// nobody does.
func (r *room) obey(c actor.Context, owner *actor.PID) {
	if r.conference != nil && !r.mine && !r.conference.Equal(owner) {
		c.Unwatch(r.conference)
	}
	r.conference, r.mine, r.epoch, r.split = owner, false, 0, false
	if owner != nil {
		c.Watch(owner)
	}
}

// here reports whether something of the conference is on this node that needs
// an owner.
func (r *room) here() bool { return r.transcoder != nil || len(r.calls) > 0 }

// wants reports whether anybody, or anything here, needs n or more.
func (r *room) wants(n need) bool {
	if r.here() && n <= toEnter {
		return true
	}
	for _, w := range r.waiting {
		if w.need >= n {
			return true
		}
	}
	return false
}

// take removes and returns the waiters that choose picks.
func (r *room) take(choose func(waiter) bool) (taken []waiter) {
	var rest []waiter
	for _, w := range r.waiting {
		if choose(w) {
			taken = append(taken, w)
		} else {
			rest = append(rest, w)
		}
	}
	r.waiting = rest
	return taken
}

func everybody(waiter) bool { return true }

// idle reports whether the node may forget the room.
func (r *room) idle() bool {
	return !r.mine && !r.here() && r.asked == 0 && len(r.waiting) == 0 && r.phase != finding && r.phase != closing
}
