package conference

import (
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/skybridge-media/skybridge/actors"
)

// Reasons for which a participant leaves without saying why itself.
const (
	reasonDisconnected = "disconnected"
	reasonNodeLost     = "node_lost"
	reasonFailed       = "failed"
	reasonEnded        = "conference_ended"
	reasonStopping     = "node_stopping"
	reasonEmpty        = "empty"
	reasonTimeout      = "timeout"
)

// left takes a participant out that says so itself.
func (x *conference) left(c actor.Context, m *Leave) {
	p := x.roster.leave(m.Id)
	if p == nil {
		p = x.forgetDismissed(func(p *Participant) bool { return p.Id == m.Id })
	}
	if p == nil {
		return // it was never admitted, or has left already
	}
	if !x.out.has(p.Address) {
		c.Unwatch(p.Address.PID())
	}
	x.Log.Info("participant left", "call", m.Id, "reason", m.Reason, "participants", len(x.roster.members))
	switch m.Reason {
	case reasonStopping, ReasonMoved:
		x.idle(c, m.Reason)
	default:
		x.idle(c, reasonEmpty)
	}
}

// gone takes a participant out that could not say so: its actor has ended in a
// panic, or with its node.
func (x *conference) gone(c actor.Context, who *Address, reason string) {
	there := func(p *Participant) bool { return p.Address.Same(who) }
	p := x.forgetDismissed(there)
	if i := slices.IndexFunc(x.roster.members, there); i >= 0 {
		p = x.roster.leave(x.roster.members[i].Id)
	}
	if p == nil {
		return
	}
	if reason == reasonNodeLost {
		x.roster.lost(p, time.Now())
	}
	x.Log.Info("participant gone", "call", p.Id, "reason", reason, "participants", len(x.roster.members))
	x.idle(c, reasonEmpty)
}

// terminated handles the end of an actor that the conference watches:
// participants, subscribers, the transcoder.
func (x *conference) terminated(c actor.Context, m *actor.Terminated) {
	reason := reasonFailed // it would have said Leave before an orderly end
	if m.Why == actor.TerminatedReason_AddressTerminated {
		reason = reasonNodeLost
	}
	who := AddressOf(m.Who)
	x.out.remove(who)
	x.gone(c, who, reason)
	if x.media.transcoder != nil && AddressOf(x.media.transcoder).Same(who) {
		x.lostMedia(reason)
	}
}

// idled is sent to self when the conference may have been empty for too long.
type idled struct{ reason string }

// idle starts the time that the conference may be empty, if it is.
func (x *conference) idle(c actor.Context, reason string) {
	if x.stopTimer != nil {
		x.stopTimer()
		x.stopTimer = nil
	}
	switch {
	case !x.empty() || x.closed:
	case x.ending != "":
		x.end(c, x.ending)
	default:
		linger := x.Linger
		if x.roster.started.IsZero() {
			linger = firstJoin // it was only just made; let the next one try
		}
		linger = max(linger, time.Until(x.expecting))
		x.stopTimer = actors.After(c, linger, &idled{reason})
	}
}

// empty reports whether nobody but viewers is here, nor on the way in or out.
func (x *conference) empty() bool {
	return x.roster.active() == 0 && len(x.joining) == 0 && len(x.dismissed) == 0
}

func (x *conference) endIfIdle(c actor.Context, reason string) {
	switch {
	case !x.empty(): // somebody joined while the timer was already firing
	case len(x.roster.members) == 0:
		x.end(c, reason)
	default:
		x.dismissAll(c, reason, "Nobody is in the conference any more")
	}
}

// end closes the door; the parent stops the actor.
func (x *conference) end(c actor.Context, reason string) {
	if x.closed {
		return
	}
	x.closed = true
	if reason != ReasonMoved { // it goes on under another owner
		x.roster.end(reason, time.Now())
	}
	x.closeMedia(c)
	x.Log.Info("conference ended", "reason", reason)
	c.Send(c.Parent(), &Ended{x.Name, x.roster.epoch, c.Self()})
}
