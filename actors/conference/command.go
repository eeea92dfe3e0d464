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
	who       *Address
	stopTimer func() bool
}

// overdue is sent to self when who has had the time to go.
type overdue struct{ who *Address }

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
	for len(x.roster.members) > 0 {
		x.dismiss(c, x.roster.members[0], reasonEnded, m.Reason)
	}
	x.reply(c, nil)
	x.end(c, reasonDisconnected)
}

func (x *conference) dismiss(c actor.Context, p *Participant, code, text string) {
	c.Send(p.Address.PID(), &Dismiss{Code: code, Text: text, Epoch: x.roster.epoch})
	x.leave(c, p.Id, code)
	c.Watch(p.Address.PID())
	stop := actors.After(c, dismissPatience, &overdue{p.Address})
	x.dismissed = append(x.dismissed, dismissed{p.Address, stop})
}

// overdue stops a participant that was dismissed and is still there: the
// message to it was lost, and Stop is not.
func (x *conference) overdue(c actor.Context, who *Address) {
	if x.forgetDismissed(who) {
		c.Unwatch(who.PID())
		c.Stop(who.PID())
	}
}

// forgetDismissed reports whether who had been told to go.
func (x *conference) forgetDismissed(who *Address) bool {
	i := slices.IndexFunc(x.dismissed, func(d dismissed) bool { return d.who.Same(who) })
	if i < 0 {
		return false
	}
	x.dismissed[i].stopTimer()
	x.dismissed = slices.Delete(x.dismissed, i, i+1)
	return true
}
