package watcher

import (
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/skybridge-media/skybridge/actors"
	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/actors/node"
)

const (
	mailboxLimit = 1000

	subscribePatience = 4 * time.Second
	findPatience      = 10 * time.Second
	againPause        = 300 * time.Millisecond
)

// watcher is the actor of one room. A panic of one of its followers costs it the
// message that was passed on, and nothing else.
type watcher struct {
	node      *actor.PID
	room      string
	owner     *actor.PID         // nil while it is looked for
	seen      *conference.Roster // the last one, of whichever owner
	followers []*Following
}

// Messages of the set, and to self.
type (
	follow struct {
		*Following
		owner *actor.PID
	}
	unfollow   struct{ *Following } // the reply is *unfollowed
	unfollowed struct{}

	// again is sent to self when it is time to look for the owner again.
	again struct{}
)

func (w *watcher) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *follow:
		w.follow(c, m)
	case *unfollow:
		w.unfollow(c, m)
		c.Respond(&unfollowed{})
	case *actor.Stopping:
		w.leave(c)
	case *actor.Terminated:
		if m.Who.Equal(w.owner) {
			w.owner = nil
			w.find(c)
		}
	case *conference.Roster:
		w.see(m)
	case *conference.Message, *conference.MoveCamera, *conference.Transfer:
		for _, f := range w.followers {
			if f.Said != nil {
				f.Said(m)
			}
		}
	case *again:
		w.find(c)
	default:
		actors.Ignore(c)
	}
}

// follow tells another follower what is known. It may also be the first to know
// of another owner, or to want what is said.
func (w *watcher) follow(c actor.Context, m *follow) {
	listened, first := w.listens(), len(w.followers) == 0
	w.followers = append(w.followers, m.Following)
	if w.seen != nil {
		m.Roster(w.seen)
	}
	if first {
		w.owner = m.owner
		w.subscribe(c)
		return
	}
	if w.owner != nil && listened != w.listens() {
		w.subscribe(c)
	}
	if !m.owner.Equal(w.owner) {
		w.compare(c, m.owner)
	}
}

// compare asks another owner for its roster, and leaves ours for it if that is
// older. Who has come last may have known the other one for long: it may be lost,
// or superseded.
func (w *watcher) compare(c actor.Context, other *actor.PID) {
	actors.Request(c, other, &conference.GetRoster{}, subscribePatience, func(r *conference.Roster, err error) {
		if err == nil {
			w.prefer(c, other, r)
		}
	})
}

// prefer follows another owner, whose roster r is, if it is newer than what was
// seen last.
func (w *watcher) prefer(c actor.Context, other *actor.PID, r *conference.Roster) {
	if other.Equal(w.owner) || w.seen != nil && r.Epoch <= w.seen.Epoch {
		return
	}
	w.leave(c)
	w.owner = other
	w.subscribe(c)
	w.see(r)
}

func (w *watcher) unfollow(c actor.Context, m *unfollow) {
	listened := w.listens()
	w.followers = slices.DeleteFunc(w.followers, func(f *Following) bool { return f == m.Following })
	if w.owner != nil && listened != w.listens() {
		w.subscribe(c)
	}
}

// listens reports whether somebody wants more than rosters.
func (w *watcher) listens() bool {
	return slices.ContainsFunc(w.followers, func(f *Following) bool { return f.Said != nil })
}

// leave is told nothing more by the owner.
func (w *watcher) leave(c actor.Context) {
	if w.owner != nil {
		c.Unwatch(w.owner)
		c.Send(w.owner, &conference.Unsubscribe{Subscriber: conference.AddressOf(c.Self())})
	}
}

func (w *watcher) subscribe(c actor.Context) {
	owner := w.owner
	c.Watch(owner)
	msg := &conference.Subscribe{Subscriber: conference.AddressOf(c.Self()), RosterOnly: !w.listens()}
	actors.Request(c, owner, msg, subscribePatience, func(r *conference.Roster, err error) {
		switch {
		case !owner.Equal(w.owner): // it was lost meanwhile, or left before it could say how new it is
			if err == nil {
				w.prefer(c, owner, r)
			}
		case err != nil:
			c.Unwatch(owner)
			w.owner = nil
			actors.After(c, againPause, &again{})
		default:
			w.see(r)
		}
	})
}

// see passes on a roster of the owner, unless that one or a newer was seen.
func (w *watcher) see(r *conference.Roster) {
	if !r.Conference.Same(conference.AddressOf(w.owner)) || !r.Supersedes(w.seen) {
		return
	}
	w.seen = r
	for _, f := range w.followers {
		f.Roster(r)
	}
}

// find looks for the conference's next owner.
func (w *watcher) find(c actor.Context) {
	if w.owner != nil {
		return
	}
	actors.Request(c, w.node, &node.Find{Alias: w.room}, findPatience, func(f *node.Found, err error) {
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
