// Package watcher tells the services of a process what happens in conferences,
// whoever owns them: one actor per room follows the conference for all who want
// to know, as long as there are any. When its owner is lost, it looks for the
// next one.
//
// The mailbox is bounded to 1,000 messages: rosters are complete, so who has lost
// one gets the next.
package watcher

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/skybridge-media/skybridge/actors"
	"github.com/skybridge-media/skybridge/actors/conference"
)

// ActorPrefix begins the name of every watcher. Conferences on other nodes send
// them rosters.
const ActorPrefix = "watcher/"

// Deps are what a Set works with. All are required.
type Deps struct {
	Log     *slog.Logger
	Metrics *actors.Metrics
	System  *actor.ActorSystem
	Node    *actor.PID // the node actor of this process
}

// A Set has the watchers of a process. It is safe for concurrent use.
type Set struct {
	deps Deps

	mu     sync.Mutex // guards what follows, and orders what watchers are sent
	rooms  map[string]*watched
	serial int
}

// watched is a room that somebody follows.
type watched struct {
	name      string
	watcher   *actor.PID
	followers int
}

// NewSet returns a Set without watchers.
func NewSet(deps Deps) *Set { return &Set{deps: deps, rooms: map[string]*watched{}} }

// A Follower is told what happens in a conference. Its functions are called by
// one goroutine at a time, and do not block.
type Follower struct {
	// Roster gets the roster as it is, and after every change: those of one owner
	// in order. It is shared, and not to be changed.
	Roster func(*conference.Roster)

	// Said gets what is in no roster, once: *conference.Message,
	// *conference.MoveCamera, *conference.Transfer. nil: that is not wanted.
	Said func(msg any)
}

// A Following is a Follower of a room.
type Following struct {
	Follower
	set  *Set
	room *watched
}

// Follow tells f of a room's conference until Stop is called. owner is who owns
// the conference, as far as the caller knows.
func (s *Set) Follow(room string, owner *actor.PID, f Follower) *Following {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.rooms[room]
	if r == nil {
		r = &watched{name: room}
		w := &watcher{node: s.deps.Node, room: room}
		props := actor.PropsFromProducer(func() actor.Actor { return w },
			actors.Survive(), actors.Mailbox("watcher", mailboxLimit, s.deps.Log, s.deps.Metrics))
		s.serial++
		r.watcher, _ = s.deps.System.Root.SpawnNamed(props, fmt.Sprint(ActorPrefix, s.serial)) // the name is not taken
		s.rooms[room] = r
	}
	r.followers++
	made := &Following{Follower: f, set: s, room: r}
	s.deps.System.Root.Send(r.watcher, &follow{made, owner})
	return made
}

// Stop returns when nothing more is told, or with an error when ctx is done
// before. It is called once, and not by the Follower's functions.
func (f *Following) Stop(ctx context.Context) error {
	s := f.set
	if s.release(f.room) {
		return actors.Stop(ctx, s.deps.System, f.room.watcher)
	}
	_, err := actors.Ask[*unfollowed](ctx, s.deps.System, f.room.watcher, &unfollow{f})
	if errors.Is(err, actors.ErrNobody) {
		return nil // the last follower was faster
	}
	return err
}

// release reports whether that was the last follower of a room.
func (s *Set) release(r *watched) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.followers--; r.followers > 0 {
		return false
	}
	delete(s.rooms, r.name)
	return true
}
