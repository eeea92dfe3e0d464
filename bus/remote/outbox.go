package remote

import (
	"sync"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/nats-io/nats.go"

	"github.com/skybridge-media/skybridge/bus"
)

// outgoing is a user message on its way to NATS, or a probe.
type outgoing struct {
	peer    *peer
	buf     *[]byte // where body came from; nil for a probe
	body    []byte  // envelope without sequence number and source
	probe   bool
	pid     *actor.PID // with message and sender, for a dead letter
	message any
	sender  *actor.PID
}

// outbox is the queue between the actors of this node and the connection. One
// goroutine empties it, so that a connection that blocks does not block actors
// and numbers are given out in the order of the queue.
type outbox struct {
	queue    chan outgoing
	maxBytes int64
	bytes    atomic.Int64
}

func (o *outbox) init(cfg Config) {
	o.queue = make(chan outgoing, cfg.QueueMessages)
	o.maxBytes = int64(cfg.QueueBytes)
	cfg.Metrics.queue.Store(o)
}

// put reports false when the queue is full.
func (o *outbox) put(m outgoing) bool {
	size := int64(len(m.body))
	if o.bytes.Add(size) > o.maxBytes {
		o.bytes.Add(-size)
		return false
	}
	select {
	case o.queue <- m:
		return true
	default:
		o.bytes.Add(-size)
		return false
	}
}

// write hands messages to NATS until the Remote is closed, and what is still in
// the queue after that.
func (r *Remote) write() {
	for {
		select {
		case m := <-r.out.queue:
			r.writeOne(m)
			continue
		case <-r.stop:
		}
		for {
			select {
			case m := <-r.out.queue:
				r.writeOne(m)
			default:
				return
			}
		}
	}
}

func (r *Remote) writeOne(m outgoing) {
	r.out.bytes.Add(-int64(len(m.body)))
	err := r.publish(&m) // which fails at once while the connection is down
	if m.buf != nil {
		*m.buf = m.body
		putBuffer(m.buf)
	}
	switch {
	case m.probe:
	case err != nil:
		r.cfg.Log.Debug("message not sent", "target", m.pid.Id, "peer", m.peer.text, "err", err)
		r.deadLetter(m.pid, m.message, m.sender)
	default:
		r.cfg.Metrics.sent.Inc()
	}
}

// publish numbers a message and hands it to NATS. A number is used up only when
// that works, so that the receiver misses only what was lost on the way. It is
// called by one goroutine.
func (r *Remote) publish(m *outgoing) error {
	if m.peer.dead.Load() || r.state.Load() == replaced {
		return nats.ErrNoResponders
	}
	s, seq := r.nextNumber(m)
	m.body = seal(m.body, seq, s.text)
	var err error
	if m.sender != nil {
		// Somebody waits: if the server has nobody to deliver to, it says so
		// to the reply subject, which carries all that is needed then.
		reply := bus.ActorSubject(s.node, s.incarnation, "n", m.peer.node, m.peer.incarnation, m.sender.Id)
		err = r.nc.PublishRequest(m.peer.user, reply, m.body)
	} else {
		err = r.nc.Publish(m.peer.user, m.body)
	}
	if err == nil {
		m.peer.link.used(s, seq, m.probe)
	}
	return err
}

func (r *Remote) nextNumber(m *outgoing) (*self, uint64) {
	l := &m.peer.link
	l.mu.Lock()
	defer l.mu.Unlock()
	s := r.self.Load()
	l.as(s)
	if m.probe {
		l.probing = false
	}
	return s, l.sent + 1
}

// used notes that a message has gone out.
func (l *link) used(s *self, seq uint64, probe bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.as(s) {
		return
	}
	l.sent = seq
	if probe {
		l.probed = seq
	}
}

// A probe is a numbered message for the link itself: a receiver that has missed
// the last messages before it finds out. Echo asks for one in return.
func (r *Remote) probe(p *peer, echo bool) {
	l := &p.link
	l.mu.Lock()
	defer l.mu.Unlock()
	l.as(r.self.Load())
	if l.probing && !echo {
		return
	}
	var payload []byte
	if echo {
		payload = appendVarint(nil, 1, 1)
	}
	l.probing = r.out.put(outgoing{peer: p, probe: true, body: appendPayload(nil, numProbe, payload)})
}

// wantsProbe reports whether messages have gone out since the last probe, and none
// is on its way.
func (l *link) wantsProbe(s *self) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.self == s && l.sent != l.probed && !l.probing
}

// maxPooledBytes keeps rare large messages from staying in memory.
const maxPooledBytes = 64 << 10

var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 1024); return &b }}

func getBuffer() *[]byte {
	b := buffers.Get().(*[]byte)
	*b = (*b)[:0]
	return b
}

func putBuffer(b *[]byte) {
	if cap(*b) <= maxPooledBytes {
		buffers.Put(b)
	}
}
