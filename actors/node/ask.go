package node

import (
	"errors"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/actors/participant"
)

// asks reports whether a caller is asked for a PIN after its call is answered.
func (n *node) asks(cfg conference.Config, m *Admit) bool {
	return m.Asks && m.PIN == NoPIN && n.Reception.Open != nil &&
		cfg.HostPIN != "" && !m.Outgoing && !m.Referred && m.Role != conference.RoleViewer
}

// askCaller takes a call in that is asked for a PIN. It has its lease from now on,
// and is nobody the conference knows of. Who calls the wrong node is told before
// anything is asked: there is no other time.
func (n *node) askCaller(c actor.Context, k *call, cfg conference.Config) {
	m := k.admit
	k.from = m.Source
	if cfg.GuestsNeedPIN() && n.doors.blocked(cfg, k.from, time.Now()) {
		n.answer(c, k, ErrPINBlocked)
		return
	}
	n.calls[k.id] = k
	n.measure()
	r := n.room(cfg)
	if !n.lease(k, r, mediumOf(m.Audio, m.Video, false)) {
		n.overflow(c, r, k)
		return
	}
	k.door = r
	r.asked++
	n.lookUp(c, cfg, toLook, false, func(c actor.Context, f *Found, err error) {
		switch {
		case n.calls[k.id] != k: // the node is stopping
		case errors.Is(err, ErrUnavailable): // now; there is time to find it
			n.receive(c, k)
		case err != nil:
			n.drop(c, k, err)
		case n.draining && f.Conference == nil:
			n.drop(c, k, ErrDraining)
		case f.Here:
			n.receive(c, k)
		case f.Contacts == Contacts{}:
			n.drop(c, k, ErrCapacity)
		default:
			n.drop(c, k, &Redirect{Node: f.Node, Contacts: f.Contacts})
		}
	})
}

// receive starts the actor of a call, which asks for the PIN.
func (n *node) receive(c actor.Context, k *call) {
	cfg := k.door.cfg
	pid, err := c.SpawnNamed(n.participant(cfg.Name, nil, k, &participant.Ask{Guests: !cfg.GuestsNeedPIN()}), "participant/"+string(k.id))
	if err != nil {
		n.Log.Error("participant not started", "call", k.id, "err", err)
		n.drop(c, k, ErrCall)
		return
	}
	k.pid = pid
	n.answer(c, k, &Admitted{Participant: pid, Room: cfg.Name})
}

// enter judges a PIN that a caller has entered, and finds the conference for it if
// it may enter.
func (n *node) enter(c actor.Context, m *participant.Enter) {
	k := n.calls[m.ID]
	if k == nil || k.door == nil {
		c.Respond(ErrCall)
		return
	}
	pin := m.PIN
	if pin == "" {
		pin = NoPIN
	}
	r, v := k.door, n.doors.enter(k.door.cfg, &Admit{PIN: pin, Source: k.from}, time.Now())
	if v.err != nil {
		c.Respond(&participant.Turned{Blocked: errors.Is(v.err, ErrPINBlocked)})
		return
	}
	asker, need := c.Sender(), toEnter
	if n.draining {
		need = toLook
	}
	n.want(c, r, waiter{need, func(c actor.Context, err error) {
		switch {
		case n.calls[k.id] != k: // it has gone
		case errors.Is(err, errNoConference):
			n.reply(c, asker, ErrDraining)
		case err != nil:
			n.reply(c, asker, err)
		default:
			k.role, k.room, k.owner = v.role, r, r.conference
			r.calls[k.id] = k
			n.leaveDoor(c, k)
			n.reply(c, asker, &participant.Welcome{Role: k.role, Conference: r.conference})
		}
	}})
}

// leaveDoor notes that a call is not asked any more.
func (n *node) leaveDoor(c actor.Context, k *call) {
	r := k.door
	if r == nil {
		return
	}
	k.door = nil
	r.asked--
	n.tidy(c, r)
}
