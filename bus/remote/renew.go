package remote

import (
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// bury tells a peer that it has been declared dead, but goes on: it was frozen,
// or cut off. If a younger incarnation has its place, it is told which.
func (r *Remote) bury(p *peer) {
	now := time.Now()
	r.mu.Lock()
	if p.reason == "version" || now.Sub(p.buried) < r.cfg.Heartbeat/2 {
		r.mu.Unlock()
		return // it would not understand, or has just been told
	}
	p.buried = now
	successor := ""
	if other := r.nodes[p.node]; other != nil {
		successor = other.text
	}
	r.mu.Unlock()
	r.sendBuried(p, successor)
}

func (r *Remote) sendBuried(p *peer, successor string) {
	body := appendString(nil, fieldTarget, p.text)
	body = appendPayload(body, numBuried, appendString(nil, 1, successor))
	_ = r.nc.Publish(p.system, seal(body, 0, r.Address())) // repeated with every sign of life
}

// onBuried learns that a peer has declared this node dead.
func (r *Remote) onBuried(s *self, e *envelope) {
	var successor string
	err := eachField(e.payload, func(field protowire.Number, _ uint64, v []byte) error {
		if field == 1 {
			successor = string(v)
		}
		return nil
	})
	if err != nil || e.target != s.text || r.state.Load() != running {
		return
	}
	if a, ok := parseAddress(successor); ok && a.node == s.node &&
		!sameProcess(a.incarnation, s.incarnation) && compareIncarnations(a.incarnation, s.incarnation) > 0 {
		r.replace(successor)
		return
	}
	r.cfg.Log.Warn("taken for dead, renewing", "address", s.text, "by", e.source)
	select {
	case r.renewed <- s.text:
	default: // it is under way
	}
}

// Renew gives up address, if it is still this node's: actors, and what they
// watch, stay; the node has another address. The Remote does so by itself when
// other nodes have given this one up; whoever else finds the address dead, as
// bus/claim may, calls it. It returns the present address. The event is
// [Renewed].
func (r *Remote) Renew(address string) string {
	r.renewMu.Lock()
	defer r.renewMu.Unlock()
	old := r.self.Load()
	if old.text != address || r.state.Load() != running {
		return old.text
	}
	next, err := r.incarnate(old.number + 1)
	if err != nil { // the connection is closed
		r.cfg.Log.Error("cannot renew", "err", err)
		return old.text
	}
	r.become(next)
	if err := old.unsubscribe(); err != nil {
		r.cfg.Log.Warn("old incarnation not unsubscribed", "err", err)
	}
	r.moveWatches()
	r.cfg.Metrics.renewals.Inc()
	r.cfg.Log.Warn("renewed", "old", old.text, "address", next.text)
	_ = r.nc.Publish(next.pulseSubject(), pulse{}.encode())
	r.sys.EventStream.Publish(&Renewed{Old: old.text, Address: next.text})
	return next.text
}

// moveWatches makes the watches of the old incarnation those of the new one.
// The others have forgotten them, and believe that ours ended.
func (r *Remote) moveWatches() {
	r.mu.Lock()
	theirs := make([]watchers, 0, len(r.peers))
	for _, p := range r.peers {
		theirs = append(theirs, p.watched)
		p.watched = watchers{}
	}
	r.mu.Unlock()
	for _, w := range theirs {
		r.unwatchAll(w)
	}
	for _, w := range r.allWatches() {
		r.watch(w.peer, w.id, w.watcher)
	}
}

// watch is one entry of the table of watches.
type watch struct {
	peer        *peer
	id, watcher string
}

func (r *Remote) allWatches() (all []watch) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.peers {
		for id, ws := range p.watches {
			for w := range ws {
				all = append(all, watch{p, id, w})
			}
		}
	}
	return all
}

// onOwnName takes heartbeats under this node's own name. Its own show that NATS
// works. Those of another process are a mistake, or come from what replaced us
// while we slept: the younger process stays.
func (r *Remote) onOwnName(inc, text string) {
	s := r.self.Load()
	switch {
	case sameProcess(inc, s.incarnation):
		r.mu.Lock()
		r.echoed = time.Now()
		r.mu.Unlock()
	case compareIncarnations(inc, s.incarnation) > 0:
		r.replace(text)
	default:
		if p := r.peer(text); p != nil {
			r.sendBuried(p, s.text)
		}
	}
}

// replace cuts this process off for good.
func (r *Remote) replace(by string) {
	if !r.state.CompareAndSwap(running, replaced) {
		return
	}
	r.cfg.Log.Error("another process uses this node's name", "address", r.Address(), "by", by)
	r.mu.Lock()
	var alive []*peer
	for _, p := range r.peers {
		if !p.dead.Load() {
			alive = append(alive, p)
		}
	}
	r.mu.Unlock()
	for _, p := range alive {
		r.declareDead(p, "replaced")
	}
	r.sys.EventStream.Publish(&Replaced{By: by})
}
