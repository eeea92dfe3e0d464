package sip

import (
	"cmp"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/google/uuid"

	"github.com/skybridge-media/skybridge/actors"
	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/actors/node"
)

const (
	watchPatience = 5 * time.Second
	againPause    = time.Second
)

// ActorPrefix begins the name of every actor of this package. Conferences on
// other nodes send them rosters.
const ActorPrefix = "sip/"

// A watcher follows the roster of a call's conference, whoever owns it.
type watcher struct {
	take  func(*conference.Roster)
	node  *actor.PID
	room  string
	owner *actor.PID // nil while it is looked for
	seen  *conference.Roster
}

// again is what a watcher tells itself when it is time to look again.
type again struct{}

// watchRoster gives c each roster of its conference, until the watcher is stopped.
func (s *Server) watchRoster(c *call) *actor.PID {
	props := actor.PropsFromProducer(func() actor.Actor {
		return &watcher{node: s.deps.Node, room: c.room, owner: c.conference, take: func(r *conference.Roster) {
			c.inbox.post(func() {
				if c.floor != nil {
					c.floor.see(r)
				}
			})
		}}
	}, actors.Supervise())
	pid, _ := s.deps.System.Root.SpawnNamed(props, ActorPrefix+"floor/"+uuid.NewString()) // the name is not taken
	return pid
}

// Receive implements [actor.Actor].
func (w *watcher) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		w.subscribe(c)
	case *actor.Stopping:
		if w.owner != nil {
			c.Send(w.owner, &conference.Unsubscribe{Subscriber: conference.AddressOf(c.Self())})
		}
	case *actor.Terminated:
		if w.owner != nil && w.owner.Equal(m.Who) {
			w.owner = nil
			w.find(c)
		}
	case *conference.Roster:
		w.see(m)
	case *again:
		w.find(c)
	default:
		actors.Ignore(c)
	}
}

func (w *watcher) subscribe(c actor.Context) {
	owner := w.owner
	c.Watch(owner)
	msg := &conference.Subscribe{Subscriber: conference.AddressOf(c.Self())}
	actors.Request(c, owner, msg, watchPatience, func(r *conference.Roster, err error) {
		switch {
		case w.owner == nil || !w.owner.Equal(owner): // it was lost meanwhile
		case err != nil:
			c.Unwatch(owner)
			w.owner = nil
			actors.After(c, againPause, &again{})
		default:
			if w.seen != nil && !w.seen.Conference.Same(r.Conference) {
				w.seen = nil // another owner counts anew
			}
			w.see(r)
		}
	})
}

// see passes a roster on unless a newer one was seen.
func (w *watcher) see(r *conference.Roster) {
	if w.seen != nil && older(r, w.seen) {
		return
	}
	w.seen = r
	w.take(r)
}

// older reports whether r was said before s, by the same owner.
func older(r, s *conference.Roster) bool {
	return cmp.Or(cmp.Compare(r.Epoch, s.Epoch), cmp.Compare(r.Version, s.Version)) < 0
}

// find looks for the conference's next owner.
func (w *watcher) find(c actor.Context) {
	actors.Request(c, w.node, &node.Find{Alias: w.room}, watchPatience, func(f *node.Found, err error) {
		switch {
		case w.owner != nil:
		case err != nil || f.Conference == nil:
			actors.After(c, againPause, &again{})
		default:
			w.owner = f.Conference
			w.subscribe(c)
		}
	})
}
