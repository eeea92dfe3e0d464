package remote

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/skybridge-media/skybridge/bus"
)

// The graves of dead peers are kept for a while, so that the dead stay dead.
const (
	keepDead = time.Hour
	maxDead  = 4096
)

// peer is all we know about one incarnation of another node. It outlives its
// place in Remote.peers, because PIDs remember their process.
type peer struct {
	address
	text   string // node@incarnation
	user   string // subjects
	system string

	dead atomic.Bool
	gone chan struct{} // closed when dead

	// Guarded by Remote.mu.
	heard   bool      // a heartbeat has come
	seen    time.Time // the last sign of life, or the first use
	diedAt  time.Time
	reason  string    // why it died
	buried  time.Time // when we last told it that it is dead
	watches watchers  // actors there that are watched from here
	watched watchers  // actors here that are watched from there

	link link
	ops  ops
}

// watchers is who watches whom: id of the watched, id of the watcher, and the
// watcher.
type watchers map[string]map[string]*actor.PID

func (w watchers) put(watched string, watcher *actor.PID) {
	if w[watched] == nil {
		w[watched] = map[string]*actor.PID{}
	}
	w[watched][watcher.Id] = watcher
}

// remove reports whether the entry was there.
func (w watchers) remove(watched, watcher string) bool {
	_, ok := w[watched][watcher]
	delete(w[watched], watcher)
	if len(w[watched]) == 0 {
		delete(w, watched)
	}
	return ok
}

// link is the numbering of user messages between this incarnation of ours and
// a peer.
type link struct {
	mu   sync.Mutex // guards the rest
	self *self      // the numbers are those of this incarnation; a new one starts again
	sent uint64     // number of the last message handed to NATS

	probed   uint64 // sent, when a probe went out last
	probing  bool   // a probe is in the queue
	received uint64 // number of the last message that came
	applied  uint64 // likewise on the system lane
}

// as makes sure that the numbers are those of s. It reports false when s is past
// already. The caller holds mu.
func (l *link) as(s *self) bool {
	if l.self == nil || l.self.number < s.number {
		l.self, l.sent, l.probed, l.received, l.applied = s, 0, 0, 0, 0
	}
	return l.self == s
}

// take accepts a user message's number and tells how many before it are
// missing. It reports false for one that has come before.
func (l *link) take(s *self, seq uint64) (lost uint64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.as(s) || seq <= l.received {
		return 0, false
	}
	lost = seq - l.received - 1
	l.received = seq
	return lost, true
}

// takeSystem does the same on the system lane, where nothing goes missing.
func (l *link) takeSystem(s *self, seq uint64) (ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.as(s) || seq <= l.applied {
		return false
	}
	l.applied = seq
	return true
}

// peer returns the peer with that address, and nil for what is none.
func (r *Remote) peer(text string) *peer {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.peers[text]; p != nil {
		return p
	}
	a, ok := parseAddress(text)
	if !ok || r.isOwn(text) {
		return nil
	}
	p := &peer{
		address: a, text: text,
		user:   bus.ActorSubject(a.node, a.incarnation, "u"),
		system: bus.ActorSubject(a.node, a.incarnation, "s"),
		gone:   make(chan struct{}), seen: time.Now(),
		watches: watchers{}, watched: watchers{},
	}
	r.peers[text] = p
	return p
}

// declareDead ends a peer for good and tells everybody who has to do with it.
func (r *Remote) declareDead(p *peer, reason string) {
	r.mu.Lock()
	if p.dead.Load() {
		r.mu.Unlock()
		return
	}
	p.dead.Store(true)
	close(p.gone)
	p.diedAt, p.reason = time.Now(), reason
	r.dead = append(r.dead, p)
	heard := p.heard
	if r.nodes[p.node] == p {
		delete(r.nodes, p.node)
	}
	watches, watched := p.watches, p.watched
	p.watches, p.watched = watchers{}, watchers{}
	r.cfg.Metrics.peers.Set(float64(len(r.nodes)))
	r.mu.Unlock()

	p.ops.clear()
	if heard {
		r.cfg.Metrics.dead.WithLabelValues(reason).Inc()
		r.cfg.Log.Info("peer down", "peer", p.text, "reason", reason)
		r.sys.EventStream.Publish(&PeerDown{Address: p.text, Reason: reason})
	}
	for id, ws := range watches {
		for _, w := range ws {
			r.terminated(w, p.text, id, actor.TerminatedReason_AddressTerminated)
		}
	}
	r.unwatchAll(watched)
}

// terminated tells a local watcher of the end of an actor elsewhere.
func (r *Remote) terminated(watcher *actor.PID, address, id string, why actor.TerminatedReason) {
	if proc, ok := r.sys.ProcessRegistry.GetLocal(watcher.Id); ok {
		proc.SendSystemMessage(watcher, &actor.Terminated{Who: actor.NewPID(address, id), Why: why})
	}
}

// unwatchAll lets our actors forget watchers that are no longer there.
func (r *Remote) unwatchAll(watched watchers) {
	for id, ws := range watched {
		if proc, ok := r.sys.ProcessRegistry.GetLocal(id); ok {
			for _, w := range ws {
				proc.SendSystemMessage(r.sys.NewLocalPID(id), &actor.Unwatch{Watcher: w})
			}
		}
	}
}

// forgetDead removes old graves.
func (r *Remote) forgetDead(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.dead) > 0 && (len(r.dead) > maxDead || now.Sub(r.dead[0].diedAt) > keepDead) {
		delete(r.peers, r.dead[0].text)
		r.dead[0] = nil
		r.dead = r.dead[1:]
	}
}
