package conference

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/skybridge-media/skybridge/actors"
)

// media is where the conference's media is: on one node.
type media struct {
	node       string     // address of the chosen node; empty while there is none
	transcoder *actor.PID // nil while it opens
	failed     []string   // nodes that could not, since it was last open
}

// needMedia sees to it that media is open, and then answers the Joins. It prefers
// the node where the participants are, then the newcomer's.
func (x *conference) needMedia(c actor.Context, newcomer string) {
	switch {
	case x.media.transcoder != nil:
		x.admit(c)
	case x.media.node == "":
		prefer := newcomer
		if len(x.roster.members) > 0 {
			prefer = x.roster.members[0].Address.Node
		}
		x.open(c, prefer)
	}
}

// open asks nodes for a transcoder, one after the other, until one has it.
func (x *conference) open(c actor.Context, prefer string) {
	target := x.Placement.Media(prefer, x.media.failed)
	if target == nil {
		x.media = media{}
		for _, j := range x.joining {
			x.refuse(c, j.sender, ErrNoMedia)
		}
		x.joining = nil
		x.idle(c, reasonFailed)
		return
	}
	x.media.node = target.Address
	ask := &OpenMedia{Room: x.Name, Epoch: x.roster.epoch, Conference: AddressOf(c.Self())}
	actors.Request(c, target, ask, mediaPatience, func(r *MediaOpened, err error) {
		switch {
		case x.media.node != target.Address || x.media.transcoder != nil:
			// A transcoder has rejoined meanwhile.
		case err == nil && r.Transcoder.PID() != nil && !x.closed:
			x.opened(c, r.Transcoder.PID())
			x.admit(c)
		default:
			x.Log.Warn("node cannot take the media", "node", x.here.nameOf(AddressOf(target)), "err", err)
			x.media.failed = append(x.media.failed, target.Address)
			x.media.node = ""
			x.open(c, prefer)
		}
		x.settle(c)
	})
}

func (x *conference) opened(c actor.Context, transcoder *actor.PID) {
	x.media = media{node: transcoder.Address, transcoder: transcoder}
	c.Watch(transcoder)
	x.out.transcoder = AddressOf(transcoder)
	x.roster.mediaNode = x.here.nameOf(x.out.transcoder)
	x.roster.version++
	x.Log.Info("media opened", "node", x.roster.mediaNode, "epoch", x.roster.epoch)
}

// rejoin takes over a conference whose owner was lost, from its transcoder.
func (x *conference) rejoin(c actor.Context, m *Rejoin) {
	transcoder := m.Transcoder.PID()
	switch {
	case transcoder == nil || m.Last == nil || m.Last.Room != x.Name:
		x.reply(c, ErrParticipant)
		return
	case x.closed || x.ending != "":
		x.reply(c, ErrEnded)
		return
	case x.media.node != "" && x.media.node != transcoder.Address:
		x.reply(c, ErrMediaElse)
		return
	}
	x.expecting = time.Now().Add(firstJoin)
	if x.media.transcoder == nil || !AddressOf(x.media.transcoder).Same(m.Transcoder) {
		x.opened(c, transcoder)
	}
	for _, p := range x.roster.restore(m.Last, time.Now()) {
		c.Watch(p.Address.PID())
	}
	x.Metrics.moves.Inc()
	x.Log.Info("conference taken over", "from", x.here.nameOf(m.Last.Conference),
		"participants", len(x.roster.members), "epoch", x.roster.epoch)
	x.respond(c, c.Sender(), &Joined{Epoch: x.roster.epoch})
	x.admit(c)
}

// lostMedia forgets a transcoder that has gone. Its participants have gone with
// it, or join again.
func (x *conference) lostMedia(reason string) {
	x.Log.Warn("media lost", "node", x.roster.mediaNode, "reason", reason)
	x.media = media{}
	x.roster.mediaNode = ""
	x.roster.version++
	x.out.transcoder = nil
}

func (x *conference) closeMedia(c actor.Context) {
	if x.media.transcoder == nil {
		return
	}
	c.Unwatch(x.media.transcoder)
	c.Send(x.media.transcoder, &CloseMedia{Epoch: x.roster.epoch, Conference: AddressOf(c.Self())})
	x.media = media{}
	x.out.transcoder = nil
}
