package node

import (
	"slices"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/skybridge-media/skybridge/actors"
	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/actors/participant"
	"github.com/skybridge-media/skybridge/actors/transcoder"
)

// openMedia gives a conference, ours or another node's, its transcoder here.
// One that is here already follows the conference from now on.
func (n *node) openMedia(c actor.Context, m *conference.OpenMedia) {
	owner := m.Conference.PID()
	switch {
	case owner == nil || keyOf(m.Room) == "":
		c.Respond(conference.Refuse(ErrNotFound))
		return
	case n.stopping.begun() || !slices.Contains(n.Roles, RoleMedia):
		c.Respond(conference.Refuse(conference.ErrNoMedia))
		return
	}
	cfg, err := n.rooms.resolve(m.Room)
	if err != nil {
		cfg = conference.Config{} // a room of another node's
	}
	cfg.Name = m.Room
	r := n.room(cfg)
	switch {
	case owner.Equal(r.conference):
	case m.Epoch < r.mediaEpoch, r.mine && m.Epoch <= r.epoch:
		c.Respond(conference.Refuse(ErrStale))
		n.tidy(c, r)
		return
	case r.phase == unknown, r.phase == open:
		// Ours, if there is one, was without a claim, or has lost it: what is
		// here of the conference becomes part of the other one.
		r.obey(c, owner)
		r.phase = open
	}
	if !n.takesMediaOf(r) {
		c.Respond(conference.Refuse(conference.ErrNoMedia))
		n.tidy(c, r)
		return
	}
	r.mediaEpoch = m.Epoch
	if r.transcoder == nil {
		n.startMedia(c, r, owner)
	} else {
		n.keepMedia(c, r, owner)
	}
}

func (n *node) startMedia(c actor.Context, r *room, owner *actor.PID) {
	n.seq++
	pid, err := c.SpawnNamed(transcoder.Props(transcoder.Config{Room: r.cfg.Name, Conference: owner},
		transcoder.Deps{Log: n.Log, Metrics: n.Metrics.Transcoder, Actors: n.Metrics.Actors, NewBridge: n.NewBridge},
	), childName("transcoder", r.key, n.seq))
	if err != nil {
		n.Log.Error("transcoder not started", "room", r.cfg.Name, "err", err)
		c.Respond(conference.Refuse(conference.ErrNoMedia))
		return
	}
	n.mediaHere(r, pid)
	c.Respond(&conference.MediaOpened{Transcoder: conference.AddressOf(pid)})
	n.followAll(c, r)
}

func (n *node) keepMedia(c actor.Context, r *room, owner *actor.PID) {
	pid := r.transcoder
	actors.Request(c, pid, &transcoder.Follow{Conference: owner}, followPatience,
		func(_ *transcoder.Following, err error) {
			if err != nil {
				c.Respond(conference.Refuse(err))
				if r.phase == open && owner.Equal(r.conference) && !r.mine {
					n.lost(c, r)
				}
				return
			}
			c.Respond(&conference.MediaOpened{Transcoder: conference.AddressOf(pid)})
			n.followAll(c, r)
		})
}

// mediaClosing handles the end of a conference, as its transcoder here was
// told: what is left of it needs no other owner.
func (n *node) mediaClosing(c actor.Context, m *transcoder.Closing) {
	r, ok := n.table[keyOf(m.Room)]
	if !ok || r.transcoder == nil || !r.transcoder.Equal(m.Transcoder) {
		return
	}
	n.mediaHere(r, nil)
	n.detach(c, r)
	if !r.mine {
		r.obey(c, nil)
		if r.phase == open {
			n.lost(c, r)
		}
	}
	n.tidy(c, r)
}

// detach ends the calls of a conference that has ended; those that were only
// about to join it stay.
func (n *node) detach(c actor.Context, r *room) {
	for id, k := range r.calls {
		if !k.joined {
			continue
		}
		c.Send(k.pid, &participant.End{Reason: participant.Reason{
			Code: "conference_ended", Text: "The conference has ended",
		}})
		k.room = nil
		delete(r.calls, id)
	}
}

// conferenceEnded stops a conference of ours that is over.
func (n *node) conferenceEnded(c actor.Context, m *conference.Ended) {
	r, ok := n.table[keyOf(m.Room)]
	if !ok || !r.mine || !r.conference.Equal(m.Conference) {
		c.Stop(m.Conference) // its calls follow another one
		return
	}
	n.detach(c, r)
	n.mediaHere(r, nil) // it ends by itself; see transcoder.Emptied
	r.phase = closing
	c.Stop(r.conference)
}

// conferenceGone handles the end of a conference actor, ours or another node's.
func (n *node) conferenceGone(c actor.Context, r *room, m *actor.Terminated) {
	switch {
	case r.mine:
		// After a panic, what is here goes on under a new claim.
		epoch := r.epoch
		r.conference, r.mine, r.epoch, r.split = nil, false, 0, false
		r.phase = closing
		n.measure()
		n.free(c, r.key, epoch)
		n.stopping.proceed(n, c)
	case m.Why != actor.TerminatedReason_Stopped:
		n.lost(c, r)
	default:
		actors.After(c, settlePause, &findAgain{key: r.key, phase: r.phase, owner: r.conference})
	}
}

// arranged notes how many are seen at once, as a host has just decided. Who is
// here already is not asked to leave for it.
func (n *node) arranged(m *transcoder.Arranged) {
	r, ok := n.table[keyOf(m.Room)]
	if !ok || r.transcoder == nil || !r.transcoder.Equal(m.Transcoder) {
		return
	}
	d := r.demand
	now := demandOf(conference.Config{Layout: m.Layout, SelfView: m.SelfView})
	d.seats, d.shared = now.seats, now.shared
	n.demand(r, d)
}
