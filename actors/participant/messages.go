package participant

import (
	"github.com/asynkron/protoactor-go/actor"

	"github.com/skybridge-media/skybridge/media/bridge"
	"github.com/skybridge-media/skybridge/media/port"
)

// ID identifies a participant for its lifetime. It is unique in the cluster
// and is the "one id per call" of logs, events and APIs.
type ID string

// Signalling is the port through which a participant ends its call. A
// signalling service implements it once per call.
type Signalling interface {
	// Hangup ends the call towards the peer, telling it why where the protocol
	// can. It does not block, is called at most once, and does nothing for a
	// call that has ended.
	Hangup(reason Reason)
}

// Reason says why a call ends.
type Reason struct {
	Code string // a token: "hangup", "disconnected", "conference_ended", "media_lost", "node_stopping", "timeout", "failed", [ReasonRejected]
	Text string // for people, such as "Disconnected by host"
}

// ReasonRejected is the code of a call that was answered and not let in: it had no
// PIN that is right, or the conference takes nobody.
const ReasonRejected = "rejected"

// Port is one participant's media; media/port implements it. Its owner is told
// of port.Digit and port.Silent by messages: whoever makes the port sends to
// the participant what Config.Notify receives.
type Port interface {
	bridge.Leg

	// Close stops everything, and waits for it. The participant calls it once,
	// after the bridge has let go of the leg.
	Close()
}

// Commands that a signalling service sends to the participant of its call.
type (
	// Connect says that the call is established and hands over its media: the
	// participant attaches it to the conference and closes it at the end. No
	// reply. A second Connect replaces nothing and is ignored, its port closed.
	Connect struct{ Port Port }

	// Hold says that the peer has put us on hold, or has come back. No reply.
	Hold struct{ On bool }

	// SetMedia says which media the call has after a renegotiation. With Slides the
	// peer sees presentations in a stream of their own. No reply.
	SetMedia struct{ Audio, Video, Slides bool }

	// SetCamera says whether the peer lets others move its camera. No reply.
	SetCamera struct{ On bool }

	// Pressed says that the peer pressed a key, told by signalling (SIP INFO);
	// keys in RTP come from the port itself. No reply.
	Pressed struct{ Digit byte }

	// Rename changes the displayed name. No reply.
	Rename struct{ Name string }

	// Ended says that signalling has ended the call (BYE, DELETE, expired
	// token). The participant leaves the conference and stops. A Reason without
	// a code means "hangup". No reply.
	Ended struct{ Reason Reason }
)

// Queries.
type (
	// GetStats asks what the call's media has been through. The reply is *Stats.
	GetStats struct{}

	// Stats is the reply to GetStats. Media is zero for a call that is not
	// Connected, and for media that keeps no account.
	Stats struct {
		Connected bool
		Media     port.Stats
	}
)

// Commands of the node, the participant's parent. A conference sends
// conference.Dismiss.
type (
	// Follow names the owner of the conference from now on: the participant
	// joins there, as one that has been admitted already. No reply.
	Follow struct{ Conference *actor.PID }

	// End ends the call: it hangs up, leaves and stops. No reply.
	End struct{ Reason Reason }
)

// Queries to the parent.
type (
	// Enter asks whether a caller who was asked for a PIN comes in with that one,
	// or with an empty one as a guest without. The reply is *Welcome, *Turned, or
	// an error if the conference cannot be joined.
	Enter struct {
		ID  ID
		PIN string
	}

	// Welcome says as what a caller joins which conference.
	Welcome struct {
		Role       string
		Conference *actor.PID
	}

	// Turned says that the PIN is wrong; or, if Blocked, that none is looked at.
	Turned struct{ Blocked bool }
)

// Events for the parent. After Refused and Elsewhere nothing remains of the
// call, and the parent stops the participant.
type (
	// Admitted says that the call has its place in the conference.
	Admitted struct {
		ID      ID
		Waiting string // what it has to wait for there, such as conference.WaitLock; empty: nothing
	}

	// Elsewhere says that the conference has its media on another node.
	Elsewhere struct {
		ID   ID
		Node string // its name
	}

	// Refused says why the call was not admitted.
	Refused struct {
		ID  ID
		Err error
	}

	// Lost says that Conference cannot be reached: the participant waits for
	// Follow.
	Lost struct {
		ID         ID
		Conference *actor.PID
	}
)
