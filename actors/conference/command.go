package conference

import (
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/skybridge-media/skybridge/actors"
)

// dismissPatience is how long a participant may take to end its call.
const dismissPatience = 5 * time.Second

// dismissed is who has been told to go, and has not gone yet.
type dismissed struct {
	*Participant
	stopTimer func() bool
}

// overdue is sent to self when a call has had the time to go.
type overdue struct{ call string }

// command carries out what hosts may ask for, and reports whether c's message
// is such a thing.
func (x *conference) command(c actor.Context) bool {
	var err error
	switch m := c.Message().(type) {
	case *Mute:
		err = x.roster.mute(m.Id, m.On)
	case *MuteVideo:
		err = x.roster.muteVideo(m.Id, m.On)
	case *Lock:
		x.roster.lock(m.On)
	case *SetLayout:
		err = x.roster.setLayout(m.Layout)
	case *Spotlight:
		err = x.roster.spotlight(m.Id, m.On)
	case *RaiseHand:
		err = x.roster.raiseHand(m.Id, m.On)
	case *SetRole:
		err = x.roster.setRole(m.Id, m.Role)
	case *SetOverlayText:
		err = x.roster.setOverlayText(m.Id, m.Text)
	case *SetGuestsCanUnmute:
		x.roster.setGuestsCanUnmute(m.On)
	case *Transfer:
		if err = x.roster.transferable(m.Id); err == nil {
			x.passOn(c, m)
		}
	case *LetIn:
		err = x.roster.letIn(m.Id)
	case *Start:
		x.roster.begin()
	case *TakeFloor:
		err = x.roster.takeFloor(m.Id, m.Force)
	case *ReleaseFloor:
		err = x.roster.releaseFloor(m.Id)
	default:
		return false
	}
	x.reply(c, err)
	return true
}

// disconnect ends the call of one participant, or the conference.
func (x *conference) disconnect(c actor.Context, m *Disconnect) {
	if m.Id != "" {
		i := x.roster.find(m.Id)
		if i < 0 {
			x.reply(c, ErrNobody)
			return
		}
		x.dismiss(c, x.roster.members[i], reasonDisconnected, m.Reason)
		x.reply(c, nil)
		return
	}
	x.dismissAll(c, reasonDisconnected, m.Reason)
	x.reply(c, nil)
	x.idle(c, reasonDisconnected)
}

// dismissAll lets nobody in any more and tells everybody to go, so that the
// conference ends for that reason.
func (x *conference) dismissAll(c actor.Context, reason, text string) {
	x.ending = reason
	for _, j := range x.joining {
		x.refuse(c, j.sender, ErrEnded)
	}
	x.joining = nil
	for len(x.roster.members) > 0 {
		x.dismiss(c, x.roster.members[0], reasonEnded, text)
	}
}

// dismiss takes a participant out and tells it to go. The conference does not
// end before it has gone.
func (x *conference) dismiss(c actor.Context, p *Participant, code, text string) {
	c.Send(p.Address.PID(), &Dismiss{
		Code: code, Text: text, Epoch: x.roster.epoch, Conference: AddressOf(c.Self()),
	})
	x.roster.leave(p.Id)
	x.dismissed = append(x.dismissed, dismissed{p, actors.After(c, dismissPatience, &overdue{p.Id})})
	x.Log.Info("participant dismissed", "call", p.Id, "reason", code, "participants", len(x.roster.members))
}

// overdue stops a participant that was dismissed and is still there: the
// message to it was lost, and Stop is not.
func (x *conference) overdue(c actor.Context, call string) {
	if p := x.forgetDismissed(func(p *Participant) bool { return p.Id == call }); p != nil {
		c.Unwatch(p.Address.PID())
		c.Stop(p.Address.PID())
		x.idle(c, reasonEmpty)
	}
}

// forgetDismissed returns whom it no longer waits for; nil if nobody is such.
func (x *conference) forgetDismissed(such func(*Participant) bool) *Participant {
	i := slices.IndexFunc(x.dismissed, func(d dismissed) bool { return such(d.Participant) })
	if i < 0 {
		return nil
	}
	d := x.dismissed[i]
	d.stopTimer()
	x.dismissed = slices.Delete(x.dismissed, i, i+1)
	return d.Participant
}
