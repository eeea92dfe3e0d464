package api

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/skybridge-media/skybridge/actors"
	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/actors/watcher"
)

// A room is a conference as its seats here see it: the newest roster, and what a
// roster does not say.
type room struct {
	name      string
	following *watcher.Following
	seats     int // guarded by Server.mu

	view atomic.Pointer[view] // nil until the first roster

	mu      sync.Mutex // guards what follows
	changes map[chan struct{}]struct{}
	muted   map[string]bool // who has muted itself, by its client
	stage   []string        // who spoke, most recent first; then who did not
	raised  map[string]time.Time
	lit     map[string]time.Time
	ready   chan struct{} // closed when there is a view
	notes   []note        // the last ones, oldest first
	noted   uint64        // how many there have been

	saying sync.Mutex // guards said
	said   *saying    // of the last view that a stream has told of
}

// A view is the state of a room at one time. Immutable.
type view struct {
	*conference.Roster
	muted  map[string]bool
	stage  []string
	raised map[string]time.Time // since when a hand is up
	lit    map[string]time.Time // since when in the spotlight

	room *room
	once sync.Once
	said *saying // see says
}

// enter returns the room of that name, for one more seat.
func (s *Server) enter(name string, owner *actor.PID) *room {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.rooms[name]
	if m == nil {
		m = newRoom(name)
		m.following = s.deps.Watchers.Follow(name, owner, watcher.Follower{Roster: m.take, Said: func(msg any) { s.hear(m, msg) }})
		s.rooms[name] = m
	}
	m.seats++
	return m
}

func newRoom(name string) *room {
	return &room{
		name:    name,
		changes: map[chan struct{}]struct{}{},
		muted:   map[string]bool{},
		raised:  map[string]time.Time{},
		lit:     map[string]time.Time{},
		ready:   make(chan struct{}),
	}
}

// leave is enter's opposite.
func (s *Server) leave(m *room) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.seats--; m.seats > 0 {
		return
	}
	delete(s.rooms, m.name)
	s.running.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), commandPatience)
		defer cancel()
		if err := m.following.Stop(ctx); err != nil {
			s.log.Warn("conference still followed", "room", m.name, "err", err)
		}
	})
}

// now returns the newest view, waiting for the first one.
func (m *room) now(ctx context.Context) (*view, error) {
	select {
	case <-m.ready:
		return m.view.Load(), nil
	default:
	}
	ctx, cancel := context.WithTimeout(ctx, commandPatience)
	defer cancel()
	select {
	case <-m.ready:
		return m.view.Load(), nil
	case <-ctx.Done():
		return nil, actors.ErrTimeout
	}
}

// subscribe returns a channel that is signalled after changes, several at once
// if nobody looks, until cancel is called.
func (m *room) subscribe() (changed <-chan struct{}, cancel func()) {
	c := make(chan struct{}, 1)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.changes[c] = struct{}{}
	return c, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.changes, c)
	}
}

// setMuted notes what a client says of its own microphone.
func (m *room) setMuted(id string, on bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.muted[id] == on {
		return
	}
	if on {
		m.muted[id] = true
	} else {
		delete(m.muted, id)
	}
	if v := m.view.Load(); v != nil {
		m.publish(v.Roster, time.Now())
	}
}

// take publishes a roster.
func (m *room) take(r *conference.Roster) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.publish(r, time.Now())
}

// publish makes a view of r. Callers hold mu.
func (m *room) publish(r *conference.Roster, now time.Time) {
	here := map[string]*conference.Participant{}
	staged := make(map[string]bool, len(m.stage))
	for _, id := range m.stage {
		staged[id] = true
	}
	for _, p := range r.Participants {
		here[p.Id] = p
		since(m.raised, p.Id, p.HandRaised, now)
		since(m.lit, p.Id, p.Spotlight, now)
		if !staged[p.Id] {
			m.stage = append(m.stage, p.Id)
		}
	}
	gone := func(id string) bool { return here[id] == nil }
	maps.DeleteFunc(m.raised, func(id string, _ time.Time) bool { return gone(id) })
	maps.DeleteFunc(m.lit, func(id string, _ time.Time) bool { return gone(id) })
	maps.DeleteFunc(m.muted, func(id string, _ bool) bool { return gone(id) })
	m.stage = slices.DeleteFunc(m.stage, gone)
	if i := slices.Index(m.stage, r.Speaker); i > 0 {
		m.stage = slices.Insert(slices.Delete(m.stage, i, i+1), 0, r.Speaker)
	}
	first := m.view.Load() == nil
	m.view.Store(&view{
		Roster: r,
		muted:  maps.Clone(m.muted),
		stage:  slices.Clone(m.stage),
		raised: maps.Clone(m.raised),
		lit:    maps.Clone(m.lit),
		room:   m,
	})
	if first {
		close(m.ready)
	}
	m.signal()
}

// signal tells the streams that there is something new. Callers hold mu.
func (m *room) signal() {
	for c := range m.changes {
		select {
		case c <- struct{}{}:
		default: // it has not looked at the last change yet
		}
	}
}

// since notes since when something is so.
func since(times map[string]time.Time, id string, is bool, now time.Time) {
	if _, was := times[id]; is && !was {
		times[id] = now
	} else if !is {
		delete(times, id)
	}
}

// owner returns the actor that takes commands for the conference.
func (v *view) owner() *actor.PID { return v.Conference.PID() }

// find returns a participant, nil if it is not here.
func (v *view) find(id string) *conference.Participant {
	for _, p := range v.Participants {
		if p.Id == id {
			return p
		}
	}
	return nil
}

// outside returns who waits.
func (v *view) outside() (ids []string) {
	for _, p := range v.Participants {
		if p.Waiting != "" {
			ids = append(ids, p.Id)
		}
	}
	return ids
}
