package transcoder

import (
	"github.com/asynkron/protoactor-go/actor"

	"github.com/skybridge-media/skybridge/bus"
	"github.com/skybridge-media/skybridge/media/bridge"
)

// Commands of the participants and of the node, all on the same node. What the
// conference sends is in package conference: Roster and CloseMedia.
type (
	// Attach gives the media of a participant to the bridge. The reply is
	// *Attached. The leg is detached when the participant stops or says so.
	Attach struct {
		ID          string
		Participant *actor.PID
		Leg         bridge.Leg

		// Held says that the participant is on hold, or waits, for as long as no
		// roster names it: it may attach before the first one does.
		Held bool
	}

	// Detach takes it back. The reply is *Detached, once the bridge no longer
	// touches the leg; also for one that was not attached.
	Detach struct{ ID string }

	// Follow names a new owner of the conference. The transcoder brings it the
	// last roster and obeys it from now on. The reply is *Following, or an
	// error if the owner refuses or does not answer; it is obeyed all the same.
	Follow struct{ Conference *actor.PID }

	// Refresh says that a roster may have been lost: the transcoder asks its
	// owner for one. No reply.
	Refresh struct{}
)

// Replies.
type (
	Attached  struct{}
	Detached  struct{}
	Following struct{ Epoch uint64 }
)

// Events for the parent.
type (
	// Arranged says how many are seen at once from now on, and by whom.
	Arranged struct {
		Room       string
		Transcoder *actor.PID
		Layout     string
		SelfView   bool
	}

	// Closing says that the conference has ended: no other owner is wanted.
	Closing struct {
		Room       string
		Transcoder *actor.PID
	}

	// Emptied says that the last leg is detached after that. The parent stops
	// the transcoder.
	Emptied struct {
		Room       string
		Transcoder *actor.PID
	}
)

// ErrNoLeg is the reply to an Attach without a leg.
var ErrNoLeg = &bus.Error{Code: bus.Invalid, Text: "transcoder: no leg"}

var _ Bridge = (*bridge.Bridge)(nil)

// Bridge is the port to the conference's media on this node; media/bridge
// implements it. All methods are safe for concurrent use.
type Bridge interface {
	// Apply replaces what is desired. It does not block.
	Apply(p *bridge.Plan)

	// Attach adds a leg, held or not until a plan lists it. It does not block.
	Attach(id string, l bridge.Leg, held bool)

	// Detach returns when the bridge no longer touches the leg: within a tick.
	Detach(id string)

	// Close ends the bridge, and waits for it.
	Close()
}
