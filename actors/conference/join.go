package conference

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/skybridge-media/skybridge/bus"
)

// joining is a Join that cannot be answered yet.
type joining struct {
	*Join
	sender *actor.PID
}

func (x *conference) join(c actor.Context, m *Join) {
	p := m.GetParticipant()
	switch {
	case p.GetId() == "" || p.GetAddress().GetId() == "":
		x.refuse(c, c.Sender(), ErrParticipant)
		return
	case x.closed || x.ending != "":
		x.refuse(c, c.Sender(), ErrEnded)
		return
	}
	if err := x.roster.admissible(p, m.Waits); err != nil && m.Epoch == 0 {
		x.refuse(c, c.Sender(), err)
		return
	}
	x.joining = append(x.joining, joining{m, c.Sender()})
	x.needMedia(c, p.Address.Node)
}

// admit answers the Joins that have been waiting for media, now that it is open.
func (x *conference) admit(c actor.Context) {
	pending := x.joining
	x.joining = nil
	for _, j := range pending {
		p := j.Participant
		if p.Address.Node != x.media.node {
			x.respond(c, j.sender, &Elsewhere{Node: x.roster.mediaNode})
			continue
		}
		again := j.Epoch > 0
		added, err := x.roster.admit(p, again, j.Waits, time.Now())
		if err != nil {
			x.refuse(c, j.sender, err)
			continue
		}
		c.Watch(p.Address.PID())
		if added && !again {
			x.Metrics.joins.Inc()
			x.Log.Info("participant joined", "call", p.Id, "peer", p.Remote, "participants", len(x.roster.members))
		}
		x.respond(c, j.sender, &Joined{
			Epoch: x.roster.epoch, Transcoder: AddressOf(x.media.transcoder), Waiting: x.roster.members[x.roster.find(p.Id)].Waiting,
		})
	}
	x.idle(c, reasonEmpty)
}

func (x *conference) refuse(c actor.Context, to *actor.PID, err error) {
	x.Metrics.refused.WithLabelValues(string(bus.CodeOf(err))).Inc()
	x.respond(c, to, Refuse(err))
}
