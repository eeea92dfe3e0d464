package remote

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"
)

// op is a system message for an actor of a peer.
type op struct {
	target  string
	message proto.Message

	// self is the incarnation that wanted it. When we have another one, the
	// peer has forgotten what the old one said; only what survives is said
	// again.
	self     *self
	survives bool
}

// ops are the system messages for one peer, in order. One goroutine delivers
// them, one by one, while there are any.
type ops struct {
	mu      sync.Mutex // guards the rest
	waiting []op
	busy    bool // the goroutine runs

	as  *self  // the incarnation that seq belongs to
	seq uint64 // of the last op that was acknowledged
}

// tell sends a system message, again and again until it is acknowledged or the
// peer is dead.
func (r *Remote) tell(p *peer, o op) {
	o.self = r.self.Load()
	p.ops.mu.Lock()
	defer p.ops.mu.Unlock()
	if p.dead.Load() || r.state.Load() != running {
		return
	}
	p.ops.waiting = append(p.ops.waiting, o)
	if !p.ops.busy {
		p.ops.busy = r.spawn(func() { r.deliverOps(p) })
	}
}

func (r *Remote) deliverOps(p *peer) {
	for {
		o, ok := p.ops.next()
		if !ok {
			return
		}
		if s := r.self.Load(); o.self == s || o.survives {
			switch err := r.deliverOp(p, s, o); {
			case errors.Is(err, errRenewed):
				continue // with what survives
			case errors.Is(err, errGone):
				p.ops.clear()
				continue
			case err != nil:
				r.cfg.Log.Error("system message not sent", "target", o.target, "err", err)
			}
		}
		p.ops.done(o)
	}
}

var (
	errGone    = errors.New("remote: peer or remote is gone")
	errRenewed = errors.New("remote: renewed meanwhile")
)

// unheardTries is how often a system message is sent to a node that has never
// been heard and does not listen.
const unheardTries = 3

// deliverOp returns once the peer has acknowledged o.
func (r *Remote) deliverOp(p *peer, s *self, o op) error {
	body, err := r.reg.encode(nil, &envelope{target: o.target}, o.message)
	if err != nil {
		return err
	}
	seq := p.ops.nextSeq(s)
	body = seal(body, seq, s.text)
	for try := 1; ; try++ {
		switch {
		case p.dead.Load() || r.state.Load() != running:
			return errGone
		case r.self.Load() != s:
			return errRenewed
		}
		ctx, cancel := context.WithTimeout(context.Background(), r.cfg.Heartbeat)
		began := time.Now()
		_, err := r.nc.RequestWithContext(ctx, p.system, body)
		cancel()
		if err == nil {
			r.cfg.Metrics.ack.Observe(time.Since(began).Seconds())
			p.ops.acknowledged(s, seq)
			return nil
		}
		r.cfg.Metrics.repeats.Inc()
		if errors.Is(err, nats.ErrNoResponders) && try >= unheardTries && !r.hasHeard(p) {
			r.declareDead(p, "unreachable")
		}
		select {
		case <-time.After(r.cfg.Heartbeat / 4):
		case <-p.gone:
		case <-r.stop:
			return errGone
		}
	}
}

func (r *Remote) hasHeard(p *peer) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return p.heard
}

// next returns the oldest op without removing it. Without any, the goroutine
// that asks must end.
func (q *ops) next() (op, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		q.waiting, q.busy = nil, false
		return op{}, false
	}
	return q.waiting[0], true
}

// done removes the oldest op, unless it has been cleared meanwhile.
func (q *ops) done(o op) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) > 0 && q.waiting[0].message == o.message {
		q.waiting[0] = op{}
		q.waiting = q.waiting[1:]
	}
}

// clear forgets what waits.
func (q *ops) clear() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = nil
}

func (q *ops) nextSeq(s *self) uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.as != s {
		q.as, q.seq = s, 0
	}
	return q.seq + 1
}

func (q *ops) acknowledged(s *self, seq uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.as == s {
		q.seq = seq
	}
}
