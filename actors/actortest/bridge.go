package actortest

import (
	"slices"
	"sync"

	"github.com/skybridge-media/skybridge/media/bridge"
)

// A Bridge is a transcoder.Bridge without media. It notes what it is told, and
// finds mistakes that a real one would suffer from. Safe for concurrent use.
type Bridge struct {
	Room   string
	Notify func(event any)

	mu     sync.Mutex
	legs   map[string]bridge.Leg
	plan   *bridge.Plan
	closed bool
}

// Bridges makes bridges and remembers them. The zero value is ready; New is
// what transcoder.Deps wants, but for its type.
type Bridges struct {
	mu   sync.Mutex
	made []*Bridge
}

// New makes a bridge.
func (bs *Bridges) New(room string, notify func(event any)) *Bridge {
	b := &Bridge{Room: room, Notify: notify, legs: map[string]bridge.Leg{}, plan: &bridge.Plan{}}
	bs.mu.Lock()
	defer bs.mu.Unlock()
	bs.made = append(bs.made, b)
	return b
}

// Open returns the bridges that are not closed.
func (bs *Bridges) Open() (open []*Bridge) {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	for _, b := range bs.made {
		if !b.Closed() {
			open = append(open, b)
		}
	}
	return open
}

// Apply implements transcoder.Bridge.
func (b *Bridge) Apply(p *bridge.Plan) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.plan = p
}

// Attach implements transcoder.Bridge.
func (b *Bridge) Attach(id string, l bridge.Leg, _ bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.legs[id] = l
	if p, ok := l.(*Port); ok {
		p.attached.Store(true)
	}
}

// Detach implements transcoder.Bridge.
func (b *Bridge) Detach(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.detach(id)
}

func (b *Bridge) detach(id string) {
	if p, ok := b.legs[id].(*Port); ok {
		p.attached.Store(false)
	}
	delete(b.legs, id)
}

// Close implements transcoder.Bridge.
func (b *Bridge) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for id := range b.legs {
		b.detach(id)
	}
	b.closed = true
}

// Closed reports whether the bridge has been closed.
func (b *Bridge) Closed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closed
}

// Legs returns the ids of the attached legs, sorted.
func (b *Bridge) Legs() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	ids := make([]string, 0, len(b.legs))
	for id := range b.legs {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// Plan returns the plan that was applied last.
func (b *Bridge) Plan() *bridge.Plan {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.plan
}
