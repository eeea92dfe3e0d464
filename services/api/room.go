package api

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/skybridge-media/skybridge/actors"
	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/actors/node"
)

// A room is a conference as its seats here see it: the newest roster, which a
// watcher keeps new, and what a roster does not say.
type room struct {
	name    string
	watcher *actor.PID
	seats   int // guarded by Server.mu

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
		m.watcher = s.spawnWatcher(m, owner)
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
		if err := actors.Stop(ctx, s.deps.System, m.watcher); err != nil {
			s.log.Warn("watcher not stopped", "room", m.name, "err", err)
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

// A watcher is the actor that a conference sends its rosters to, one per room
// and process. When the conference's owner is lost it looks for the next one,
// as long as the room has seats. Its mailbox is bounded to 1,000 rosters.
type watcher struct {
	room  *room
	refer func(*room, *conference.Transfer)
	node  *actor.PID
	owner *actor.PID // nil while it is looked for
	seen  *conference.Roster
}

// again is sent to self when it is time to try again.
type again struct{}

const (
	watchPatience = 4 * time.Second
	findPatience  = 10 * time.Second
	againPause    = 300 * time.Millisecond
)

// spawnWatcher starts one. Callers hold s.mu.
func (s *Server) spawnWatcher(m *room, owner *actor.PID) *actor.PID {
	props := actor.PropsFromProducer(func() actor.Actor {
		return &watcher{room: m, refer: s.refer, node: s.deps.Node, owner: owner}
	}, actors.Supervise(), actors.Mailbox("api", 1000, s.log, s.deps.Actors))
	s.serial++
	name := ActorPrefix + "roster/" + strconv.FormatUint(s.serial, 10)
	pid, _ := s.deps.System.Root.SpawnNamed(props, name) // the name is not taken
	return pid
}

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
		w.take(m)
	case *conference.Message, *conference.MoveCamera:
		w.room.hear(m)
	case *conference.Transfer:
		w.refer(w.room, m)
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
		if w.owner == nil || !w.owner.Equal(owner) {
			return // it was lost meanwhile
		}
		if err != nil {
			c.Unwatch(owner)
			w.owner = nil
			actors.After(c, againPause, &again{})
			return
		}
		if w.seen != nil && !w.seen.Conference.Same(r.Conference) {
			w.seen = nil // another owner counts anew
		}
		w.take(r)
	})
}

// take publishes a roster unless a newer one was seen.
func (w *watcher) take(r *conference.Roster) {
	if w.seen != nil && cmp.Or(cmp.Compare(r.Epoch, w.seen.Epoch), cmp.Compare(r.Version, w.seen.Version)) < 0 {
		return
	}
	w.seen = r
	w.room.take(r)
}

// find looks for the conference's next owner.
func (w *watcher) find(c actor.Context) {
	actors.Request(c, w.node, &node.Find{Alias: w.room.name}, findPatience, func(f *node.Found, err error) {
		if w.owner != nil {
			return
		}
		if err != nil || f.Conference == nil {
			actors.After(c, againPause, &again{})
			return
		}
		w.owner = f.Conference
		w.subscribe(c)
	})
}
