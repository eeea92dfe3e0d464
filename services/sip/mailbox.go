package sip

import "sync"

// maxForeign is how much of what a peer sends may wait in one mailbox. A call
// is never that far behind, unless its connection takes nothing and somebody
// keeps asking.
const maxForeign = 64

// A mailbox is a queue of things to do, in order, on one goroutine. What the
// service posts is never refused; what peers send is, beyond maxForeign. Safe
// for concurrent use.
type mailbox struct {
	mu      sync.Mutex // guards what follows
	queue   []letter
	foreign int
	closed  bool
	wake    chan struct{} // holds one; nobody waits to post
}

type letter struct {
	do      func()
	foreign bool
}

func newMailbox() *mailbox { return &mailbox{wake: make(chan struct{}, 1)} }

// post queues f and reports whether it will be run.
func (m *mailbox) post(f func()) bool { return m.put(letter{do: f}) }

// postForeign is post for what a peer has caused.
func (m *mailbox) postForeign(f func()) bool { return m.put(letter{do: f, foreign: true}) }

func (m *mailbox) put(l letter) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed || l.foreign && m.foreign >= maxForeign {
		return false
	}
	if l.foreign {
		m.foreign++
	}
	m.queue = append(m.queue, l)
	select {
	case m.wake <- struct{}{}:
	default:
	}
	return true
}

// take waits for the next thing to do.
func (m *mailbox) take() func() {
	for {
		if f := m.next(); f != nil {
			return f
		}
		<-m.wake
	}
}

// next returns nil when there is nothing to do.
func (m *mailbox) next() func() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.queue) == 0 {
		m.queue = nil
		return nil
	}
	l := m.queue[0]
	m.queue[0] = letter{}
	m.queue = m.queue[1:]
	if l.foreign {
		m.foreign--
	}
	return l.do
}

// close refuses what comes from now on. What was posted before can still be
// taken with next.
func (m *mailbox) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
}
