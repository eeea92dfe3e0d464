package participant

import (
	"cmp"
	"errors"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"github.com/skybridge-media/skybridge/actors"
	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/actors/transcoder"
	"github.com/skybridge-media/skybridge/bus"
)

// join asks the conference for a place, for the first time or again. The
// conference may not exist any more, so each failure that may pass is told to
// the node, which finds the next one.
func (p *participant) join(c actor.Context) {
	if p.state == ended {
		return
	}
	owner := p.Conference
	ask := &conference.Join{Participant: p.entry(c), Epoch: p.epoch, Waits: p.Waits}
	if p.isAdmitted() && p.epoch == 0 {
		ask.Epoch = 1 // admitted by an owner without a claim
	}
	actors.Request(c, owner, ask, joinPatience, func(r proto.Message, err error) {
		if p.state == ended || !owner.Equal(p.Conference) {
			return
		}
		switch r := r.(type) {
		case *conference.Joined:
			p.joined(c, r)
		case *conference.Elsewhere:
			p.elsewhere(c, r.Node)
		default:
			p.notJoined(c, owner, err)
		}
	})
}

func (p *participant) joined(c actor.Context, r *conference.Joined) {
	p.epoch = r.Epoch
	if t := r.Transcoder.PID(); t != nil && (p.transcoder == nil || !t.Equal(p.transcoder)) {
		p.transcoder, p.attached = t, false
		c.Watch(t)
	}
	if p.state == joining {
		p.state, p.admitted, p.waiting = connecting, time.Now(), r.Waiting
		p.stopTimer()
		if !p.API && p.Ask == nil {
			p.stopTimer = actors.After(c, connectTimeout, &timedOut{connecting})
		}
		p.Log.Info("call admitted", "peer", p.Remote, "protocol", p.Protocol)
		p.publish(bus.ParticipantJoined{
			Room: p.Room, Participant: string(p.ID), Node: p.Node, Protocol: p.Protocol, Name: p.Name, Remote: p.Remote,
			Outgoing: p.Outgoing, Audio: p.Audio, Video: p.Video, Role: cmp.Or(p.Role, conference.RoleHost),
		})
		c.Send(c.Parent(), &Admitted{p.ID, r.Waiting})
		if p.Ask != nil {
			p.entered(c)
		}
		return
	}
	p.waiting = r.Waiting
	p.update(c) // it may know an older state of ours
	p.attach(c)
}

func (p *participant) elsewhere(c actor.Context, node string) {
	if p.state == joining && p.Ask != nil {
		p.turnAway(c, Reason{Code: "failed", Text: "The conference has moved to another node"})
		return
	}
	if p.state == joining {
		p.state = ended
		c.Send(c.Parent(), &Elsewhere{p.ID, node})
		return
	}
	p.end(c, Reason{Code: "failed", Text: "The conference has moved to another node"})
}

func (p *participant) notJoined(c actor.Context, owner *actor.PID, err error) {
	switch {
	case passing(err):
		p.Log.Debug("conference out of reach", "err", err)
		c.Send(c.Parent(), &Lost{p.ID, owner})
	case p.state == joining:
		p.refused(c, err)
	case errors.Is(err, conference.ErrNoMedia) && p.rejoins < maxRejoins:
		p.rejoins++
		actors.After(c, rejoinPause, &rejoin{})
	default:
		p.end(c, Reason{Code: "failed", Text: err.Error()})
	}
}

// passing reports whether another attempt, perhaps with another owner, may
// succeed.
func passing(err error) bool {
	return errors.Is(err, actors.ErrNobody) || errors.Is(err, actors.ErrTimeout) || errors.Is(err, conference.ErrEnded)
}

// refused tells the parent, who stops this actor. A conference that has
// admitted us without our knowing watches us, and so forgets us.
func (p *participant) refused(c actor.Context, err error) {
	if p.Ask != nil {
		p.turnAway(c, reasonOf(err))
		return
	}
	p.state = ended
	if bus.CodeOf(err) == bus.Internal {
		p.Log.Error("call not admitted", "err", err)
	}
	c.Send(c.Parent(), &Refused{p.ID, err})
}

// follow joins the conference at another owner. The former one, if it lives
// after all, need not wait for this call to end.
func (p *participant) follow(c actor.Context, owner *actor.PID) {
	if p.state != ended && p.isAdmitted() && !p.Conference.Equal(owner) {
		c.Send(p.Conference, &conference.Leave{Id: string(p.ID), Reason: conference.ReasonMoved})
	}
	p.Conference = owner
	if p.state != asked { // then the desk has yet to let go
		p.join(c)
	}
}

func (p *participant) attachTo(c actor.Context, t *actor.PID) {
	ask := &transcoder.Attach{ID: string(p.ID), Participant: c.Self(), Leg: p.port, Held: p.held || p.waiting != ""}
	actors.Request(c, t, ask, attachPatience, func(_ *transcoder.Attached, err error) {
		switch {
		case p.state == ended || p.transcoder == nil || !t.Equal(p.transcoder):
		case err == nil:
			p.rejoins = 0
		case errors.Is(err, actors.ErrNobody):
			p.lostTranscoder(c, t) // Terminated may be on its way; one of them counts
		default:
			p.Log.Error("media not attached", "err", err)
			p.end(c, Reason{Code: "failed", Text: "The media could not be attached"})
		}
	})
}

// lostTranscoder looks for another one, a little later, when the conference
// will have noticed as well.
func (p *participant) lostTranscoder(c actor.Context, who *actor.PID) {
	if p.transcoder == nil || !p.transcoder.Equal(who) || p.state == ended {
		return
	}
	p.transcoder, p.attached = nil, false
	p.rejoins++
	if p.rejoins > maxRejoins {
		p.end(c, Reason{Code: "failed", Text: "The media of the conference was lost"})
		return
	}
	actors.After(c, rejoinPause, &rejoin{})
}
