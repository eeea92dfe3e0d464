package node

import (
	"cmp"
	"errors"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/skybridge-media/skybridge/actors"
	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/actors/participant"
	"github.com/skybridge-media/skybridge/bus"
)

// followPause is how long a call waits before it asks a conference again that
// did not answer.
const followPause = 500 * time.Millisecond

// followLater is sent to self for a call whose conference did not answer.
type followLater struct{ call participant.ID }

// admit finds the conference for a call, and then starts its actor.
func (n *node) admit(c actor.Context, m *Admit) {
	k := &call{id: m.Call, asker: c.Sender(), admit: m, viewer: m.Role == conference.RoleViewer}
	if err := n.admissible(m); err != nil {
		n.answer(c, k, err)
		return
	}
	cfg, err := n.rooms.resolve(m.Alias)
	if err != nil {
		n.answer(c, k, err)
		return
	}
	if n.asks(cfg, m) {
		n.askCaller(c, k, cfg)
		return
	}
	v := n.doors.enter(cfg, m, time.Now())
	if v.err != nil {
		n.answer(c, k, v.err)
		return
	}
	k.role = cmp.Or(v.role, conference.RoleHost)
	if cfg.Test > 0 {
		cfg = testRoom(cfg, k.id)
	}
	n.calls[k.id] = k
	n.measure()

	r := n.room(cfg)
	if !n.lease(k, r, mediumOf(m.Audio, m.Video, k.viewer)) {
		n.overflow(c, r, k)
		return
	}
	need := toEnter
	if n.draining || k.viewer {
		need = toLook // into running conferences only
	}
	n.want(c, r, waiter{need, func(c actor.Context, err error) {
		switch {
		case n.calls[k.id] != k: // the node is stopping
		case errors.Is(err, errNoConference) && k.viewer && !n.draining:
			n.drop(c, k, conference.ErrNotLive)
		case errors.Is(err, errNoConference):
			n.drop(c, k, ErrDraining)
		case err != nil:
			n.drop(c, k, err)
		default:
			n.seat(c, r, k)
		}
	}})
}

// authorize answers whether somebody could enter a room.
func (n *node) authorize(c actor.Context, m *Authorize) {
	cfg, err := n.rooms.resolve(m.Alias)
	if err != nil {
		c.Respond(err)
		return
	}
	if v := n.doors.authorize(cfg, m, time.Now()); v.err != nil {
		c.Respond(v.err)
		return
	}
	c.Respond(&Authorized{})
}

func (n *node) admissible(m *Admit) error {
	switch {
	case n.stopping.begun():
		return ErrStopping
	case m.Call == "" || n.calls[m.Call] != nil:
		return ErrCall
	case n.MaxCalls > 0 && len(n.calls) >= n.MaxCalls:
		return ErrCapacity
	}
	return nil
}

// seat starts the actor of a call, which joins the conference.
func (n *node) seat(c actor.Context, r *room, k *call) {
	pid, err := c.SpawnNamed(n.participant(r.cfg.Name, r.conference, k, nil), "participant/"+string(k.id))
	if err != nil {
		n.Log.Error("participant not started", "call", k.id, "err", err)
		n.drop(c, k, ErrCall)
		return
	}
	k.room, k.pid, k.owner = r, pid, r.conference
	r.calls[k.id] = k
}

// participant describes the actor of a call.
func (n *node) participant(room string, owner *actor.PID, k *call, ask *participant.Ask) *actor.Props {
	m := k.admit
	return participant.Props(participant.Config{
		ID: k.id, Room: room, Conference: owner, Protocol: m.Protocol, Outgoing: m.Outgoing,
		Name: m.Name, Remote: m.Remote, Audio: m.Audio, Video: m.Video, API: m.API, Role: k.role,
		DirectChat: m.DirectChat, Ask: ask, Waits: m.Waits,
	}, participant.Deps{
		Node: n.Name, Log: n.Log, Events: n.Events, Metrics: n.Metrics.Participant, Actors: n.Metrics.Actors,
		Signalling: m.Signalling, Reception: n.Reception,
	})
}

func (n *node) admitted(c actor.Context, m *participant.Admitted) {
	if k := n.calls[m.ID]; k != nil {
		k.joined = true
		n.test(c, k)
		n.answer(c, k, &Admitted{Participant: k.pid, Conference: k.room.conference, Room: k.room.cfg.Name, Role: k.role, Waiting: m.Waiting})
	}
}

func (n *node) refused(c actor.Context, m *participant.Refused) {
	if k := n.calls[m.ID]; k != nil {
		n.drop(c, k, m.Err)
	}
}

// elsewhere sends the caller to the node that has the media.
func (n *node) elsewhere(c actor.Context, m *participant.Elsewhere) {
	k := n.calls[m.ID]
	if k == nil {
		return
	}
	contacts, ok := n.placement.contacts(m.Node)
	if !ok || m.Node == n.Name {
		n.drop(c, k, ErrUnavailable)
		return
	}
	n.drop(c, k, &Redirect{Node: m.Node, Contacts: contacts})
}

// drop answers a call that is not admitted; nothing of it remains.
func (n *node) drop(c actor.Context, k *call, reply any) {
	n.answer(c, k, reply)
	if k.pid != nil {
		c.Stop(k.pid)
	}
	n.forget(c, k)
}

// forget takes a call off the books.
func (n *node) forget(c actor.Context, k *call) {
	delete(n.calls, k.id)
	n.giveBack(k)
	n.measure()
	n.leaveDoor(c, k)
	if r := k.room; r != nil {
		k.room = nil
		delete(r.calls, k.id)
		n.tidy(c, r)
	}
	n.stopping.proceed(n, c)
}

// callGone handles the end of a call's actor.
func (n *node) callGone(c actor.Context, k *call) {
	n.answer(c, k, ErrUnavailable) // if it ended before it was admitted
	n.forget(c, k)
}

// answer replies to Admit, once. Callers get to know what they can act on.
func (n *node) answer(c actor.Context, k *call, reply any) {
	if k.admit == nil {
		return
	}
	k.admit = nil
	err, isErr := reply.(error)
	switch {
	case !isErr:
	case errors.Is(err, conference.ErrNoMedia):
		err = ErrCapacity
	case errors.Is(err, actors.ErrNobody), errors.Is(err, actors.ErrTimeout), errors.Is(err, conference.ErrEnded):
		err = ErrUnavailable
	}
	if isErr {
		reply = err
		n.Log.Info("call not admitted", "call", k.id, "err", err)
	}
	n.Metrics.Node.admissions.WithLabelValues(resultOf(reply)).Inc()
	if k.asker != nil {
		c.Send(k.asker, reply)
		k.asker = nil
	}
}

func resultOf(reply any) string {
	switch r := reply.(type) {
	case *Redirect:
		return resultRedirected
	case error:
		if errors.Is(r, ErrCapacity) {
			return resultCapacity
		}
		switch code := bus.CodeOf(r); code {
		case bus.NotFound, bus.Forbidden, bus.Full, bus.Unavailable:
			return string(code)
		}
		return resultFailed
	}
	return resultAdmitted
}

// lostBy finds the next owner for a call that cannot reach the one it was told
// of.
func (n *node) lostBy(c actor.Context, m *participant.Lost) {
	k := n.calls[m.ID]
	if k == nil || k.room == nil {
		return
	}
	r := k.room
	switch {
	case r.phase != open: // it will be told
		k.owner = nil
	case !r.conference.Equal(m.Conference):
		n.follow(c, k)
	case r.mine:
		// It is slow, or about to end: what becomes of it will be heard.
		actors.After(c, followPause, &followLater{k.id})
	default:
		k.owner = nil
		n.lost(c, r)
	}
}

func (n *node) followLater(c actor.Context, m *followLater) {
	k := n.calls[m.call]
	switch {
	case k == nil || k.room == nil:
	case k.room.phase == open:
		n.follow(c, k)
	default:
		k.owner = nil
	}
}
