package actortest

import (
	"context"
	"slices"
	"sync"

	"github.com/skybridge-media/skybridge/bus"
)

// Events is a bus.Publisher that keeps what was published. The zero value is
// ready. Safe for concurrent use.
type Events struct {
	mu        sync.Mutex
	published []bus.Event
}

// Publish implements [bus.Publisher].
func (e *Events) Publish(_ context.Context, event bus.Event) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.published = append(e.published, event)
	return nil
}

// Take returns what was published since last asked, in order.
func (e *Events) Take() []bus.Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	taken := slices.Clone(e.published)
	e.published = e.published[:0]
	return taken
}

// All returns what was published and not taken, in order.
func (e *Events) All() []bus.Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.published)
}
