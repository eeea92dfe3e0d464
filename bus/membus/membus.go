// Package membus is a bus inside one process, for tests: it keeps everything
// that was published.
package membus

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/skybridge-media/skybridge/bus"
)

// Bus keeps every event it is given. The zero value is ready for use and safe
// for concurrent use.
type Bus struct {
	mu      sync.Mutex
	all     []published
	taken   int           // how many of all were returned by Events
	changed chan struct{} // closed by the next Publish; nil when nobody waits
}

type published struct {
	event bus.Event
	stamp bus.Stamp
}

var _ bus.Publisher = (*Bus)(nil)

// Publish implements [bus.Publisher]. It fails for what has no JSON.
func (b *Bus) Publish(_ context.Context, e bus.Event) error {
	stamp := bus.NewStamp()
	if _, err := bus.Encode(e, stamp); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all = append(b.all, published{e, stamp})
	if b.changed != nil {
		close(b.changed)
		b.changed = nil
	}
	return nil
}

// Events returns what was published since the last call, oldest first.
func (b *Bus) Events() []bus.Event {
	b.mu.Lock()
	defer b.mu.Unlock()
	var events []bus.Event
	for _, p := range b.all[b.taken:] {
		events = append(events, p.event)
	}
	b.taken = len(b.all)
	return events
}

// Subscribe calls f for every event whose subject matches filter and that was
// published at since or later, one at a time and in order, until ctx is done.
// The zero time asks for everything.
func (b *Bus) Subscribe(ctx context.Context, filter string, since time.Time, f func(bus.Received)) error {
	for next := 0; ; {
		batch, changed := b.after(next)
		next += len(batch)
		for _, p := range batch {
			subject := p.event.Subject()
			if p.stamp.Time.Before(since.Truncate(time.Millisecond)) || !match(filter, subject) {
				continue
			}
			r, err := received(p)
			if err != nil {
				return err
			}
			if ctx.Err() == nil {
				f(r)
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}

// after returns the events from index n on, and a channel that is closed when
// there are more.
func (b *Bus) after(n int) ([]published, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.changed == nil {
		b.changed = make(chan struct{})
	}
	return b.all[n:len(b.all):len(b.all)], b.changed
}

// received takes an event through its encoding, as the network would.
func received(p published) (bus.Received, error) {
	data, err := bus.Encode(p.event, p.stamp)
	if err != nil {
		return bus.Received{}, err
	}
	return bus.Decode(p.event.Subject(), data)
}

// match reports whether subject matches filter by the rules of NATS: "*" is
// any token, a last ">" is one or more.
func match(filter, subject string) bool {
	for {
		want, restWant, moreWant := strings.Cut(filter, ".")
		got, restGot, moreGot := strings.Cut(subject, ".")
		switch {
		case want == ">" && !moreWant:
			return true
		case want != "*" && want != got, moreWant != moreGot:
			return false
		case !moreWant:
			return true
		}
		filter, subject = restWant, restGot
	}
}
