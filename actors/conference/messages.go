package conference

import (
	"cmp"
	"errors"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/skybridge-media/skybridge/bus"
)

// Commands of the node that a conference runs on. Everything that may come from
// another node is in conference.proto.
type (
	// Adopt gives a conference that began without the directory the epoch under
	// which this node owns it now. No reply.
	Adopt struct{ Epoch uint64 }

	// Supersede says that another owner has the conference's name: it asks its
	// participants whom they follow, and goes on for those that follow it until
	// the last of them has left. No reply.
	Supersede struct{}

	// Resync says that messages from a node, by its protoactor address, were
	// lost: its participants are asked how they are. No reply.
	Resync struct{ Address string }

	// EndIfEmpty ends a conference that only lingers, because its node stops.
	// No reply but Ended.
	EndIfEmpty struct{}
)

// Ended is what a conference tells its parent when it is over. It admits nobody
// from then on; the parent stops it.
type Ended struct {
	Room       string
	Epoch      uint64
	Conference *actor.PID
}

// Placement is the port that says where media can be. It is called inside the
// actor and does not block.
type Placement interface {
	// Media returns the node actor of a node that can take a conference's media:
	// the node with address prefer if it can, else the one with the most room.
	// It returns nil when there is none besides those in except.
	Media(prefer string, except []string) *actor.PID
}

// ReasonMoved is the reason of a Leave by a participant that follows another
// owner. It has not left the conference.
const ReasonMoved = "moved"

// Reasons not to be admitted, and not to be obeyed.
var (
	ErrLocked      = &bus.Error{Code: bus.Forbidden, Text: "conference: locked"}
	ErrFull        = &bus.Error{Code: bus.Full, Text: "conference: full"}
	ErrEnded       = &bus.Error{Code: bus.Unavailable, Text: "conference: ended"}
	ErrNoMedia     = &bus.Error{Code: bus.Unavailable, Text: "conference: no node with media"}
	ErrMediaElse   = &bus.Error{Code: bus.Conflict, Text: "conference: media is on another node"}
	ErrNobody      = &bus.Error{Code: bus.NotFound, Text: "conference: no such participant"}
	ErrLayout      = &bus.Error{Code: bus.Invalid, Text: "conference: unknown layout"}
	ErrNotLive     = &bus.Error{Code: bus.Conflict, Text: "conference: nobody to watch"}
	ErrViewer      = &bus.Error{Code: bus.Conflict, Text: "conference: a viewer only watches"}
	ErrRole        = &bus.Error{Code: bus.Invalid, Text: "conference: unknown role"}
	ErrFloor       = &bus.Error{Code: bus.Forbidden, Text: "conference: somebody else presents"}
	ErrPresent     = &bus.Error{Code: bus.Forbidden, Text: "conference: guests may not present"}
	ErrTransfer    = &bus.Error{Code: bus.Forbidden, Text: "conference: participant cannot be transferred"}
	ErrText        = &bus.Error{Code: bus.Invalid, Text: "conference: text is too long"}
	ErrWaiting     = &bus.Error{Code: bus.Forbidden, Text: "conference: participant waits to be let in"}
	ErrNoChat      = &bus.Error{Code: bus.Forbidden, Text: "conference: participant takes no messages of its own"}
	ErrMovement    = &bus.Error{Code: bus.Invalid, Text: "conference: unknown movement of a camera"}
	ErrNoCamera    = &bus.Error{Code: bus.Forbidden, Text: "conference: participant has no camera that others may move"}
	ErrParticipant = &bus.Error{Code: bus.Invalid, Text: "conference: participant without id or address"}
)

// Supersedes reports whether r says more than s to who has seen s last: it is
// newer, or of another owner. s may be nil.
func (r *Roster) Supersedes(s *Roster) bool {
	return s == nil || !s.Conference.Same(r.Conference) ||
		cmp.Or(cmp.Compare(r.Epoch, s.Epoch), cmp.Compare(r.Version, s.Version)) > 0
}

// Error makes a Refused an error, so that actors.Ask returns it as one.
func (r *Refused) Error() string { return r.GetText() }

// Unwrap returns the *[bus.Error] inside, so that [errors.Is] finds the
// sentinel that was sent, and [bus.CodeOf] its code.
func (r *Refused) Unwrap() error {
	return &bus.Error{Code: bus.Code(r.GetCode()), Text: r.GetText()}
}

// Refuse puts err into the form that crosses nodes.
func Refuse(err error) *Refused {
	if r, ok := errors.AsType[*Refused](err); ok {
		return r
	}
	if e, ok := errors.AsType[*bus.Error](err); ok {
		return &Refused{Code: string(e.Code), Text: e.Text}
	}
	return &Refused{Code: string(bus.Internal), Text: "internal error"}
}
