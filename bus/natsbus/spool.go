package natsbus

import (
	"context"
	"sync"

	"github.com/skybridge-media/skybridge/bus"
)

var (
	errSpoolFull = &bus.Error{Code: bus.Unavailable, Text: "natsbus: spool is full"}
	errClosed    = &bus.Error{Code: bus.Unavailable, Text: "natsbus: closed"}
)

// maxSpoolBytes bounds the memory that a long outage can take.
const maxSpoolBytes = 32 << 20

// item is an event ready to be sent.
type item struct {
	subject, kind, id string
	data              []byte
}

// spool is a bounded queue with one consumer. A full spool refuses what comes,
// rather than forgetting what it has promised to deliver.
type spool struct {
	limit   int
	metrics *Metrics

	mu     sync.Mutex // guards the rest
	items  []item
	bytes  int
	closed bool
	wake   chan struct{} // has a value when the consumer should look
	empty  chan struct{} // closed when closed and empty
}

func newSpool(limit int, m *Metrics) *spool {
	return &spool{limit: limit, metrics: m, wake: make(chan struct{}, 1), empty: make(chan struct{})}
}

func (s *spool) push(it item) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return errClosed
	case len(s.items) >= s.limit || s.bytes+len(it.data) > maxSpoolBytes:
		s.metrics.dropped.WithLabelValues(droppedFull).Inc()
		return errSpoolFull
	}
	s.items = append(s.items, it)
	s.bytes += len(it.data)
	s.metrics.spooled.Set(float64(len(s.items)))
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return nil
}

// head waits for the oldest item, and leaves it in place.
func (s *spool) head(ctx context.Context) (item, error) {
	for {
		s.mu.Lock()
		if len(s.items) > 0 {
			it := s.items[0]
			s.mu.Unlock()
			return it, nil
		}
		s.mu.Unlock()
		select {
		case <-s.wake:
		case <-ctx.Done():
			return item{}, ctx.Err()
		}
	}
}

// pop removes the oldest item.
func (s *spool) pop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bytes -= len(s.items[0].data)
	s.items[0] = item{}
	if s.items = s.items[1:]; len(s.items) == 0 {
		s.items = nil // let go of what an outage made large
		if s.closed {
			close(s.empty)
		}
	}
	s.metrics.spooled.Set(float64(len(s.items)))
}

// close refuses further items. A second call does nothing.
func (s *spool) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		if len(s.items) == 0 {
			close(s.empty)
		}
	}
}

// drained waits until a closed spool is empty or ctx is done, and returns how
// many items are left.
func (s *spool) drained(ctx context.Context) (left int) {
	select {
	case <-s.empty:
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.metrics.dropped.WithLabelValues(droppedStopped).Add(float64(len(s.items)))
	return len(s.items)
}
