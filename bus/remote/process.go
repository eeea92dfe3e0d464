package remote

import (
	"errors"
	"fmt"

	"github.com/asynkron/protoactor-go/actor"
)

// process stands for every actor of one peer. Protoactor calls it from the
// sender's goroutine.
type process struct {
	r *Remote
	p *peer
}

var _ actor.Process = process{}

var errQueueFull = errors.New("remote: queue is full")

// SendUserMessage implements [actor.Process].
func (pr process) SendUserMessage(pid *actor.PID, message any) {
	r := pr.r
	header, msg, sender := actor.UnwrapEnvelope(message)
	if r.state.Load() != running || pr.p.dead.Load() {
		r.deadLetter(pid, msg, sender)
		return
	}
	e := envelope{target: pid.Id}
	if sender != nil {
		e.sender = sender.Id
		if !r.isOwn(sender.Address) {
			e.address = sender.Address
		}
	}
	if header != nil && header.Length() > 0 {
		e.header = header.ToMap()
	}
	buf := getBuffer()
	b, err := r.reg.encode(*buf, &e, msg)
	switch {
	case err != nil:
	case !r.out.put(outgoing{peer: pr.p, buf: buf, body: b, pid: pid, message: msg, sender: sender}):
		r.cfg.Metrics.overflows.Inc()
		err = errQueueFull
	default:
		return
	}
	putBuffer(buf)
	r.cfg.Log.Debug("message not sent", "target", pid.Id, "peer", pr.p.text, "type", fmt.Sprintf("%T", msg), "err", err)
	r.deadLetter(pid, msg, sender)
}

// SendSystemMessage implements [actor.Process].
func (pr process) SendSystemMessage(pid *actor.PID, message any) {
	r, p := pr.r, pr.p
	switch m := message.(type) {
	case *actor.Watch:
		if !r.remember(p, pid.Id, m.Watcher) {
			r.terminated(m.Watcher, p.text, pid.Id, actor.TerminatedReason_AddressTerminated)
			return
		}
		r.watch(p, pid.Id, m.Watcher.Id)
	case *actor.Unwatch:
		r.unwatch(p, pid.Id, m.Watcher.Id)
	case *actor.Terminated:
		r.mu.Lock()
		p.watched.remove(m.Who.Id, pid.Id)
		r.mu.Unlock()
		r.tell(p, op{target: pid.Id, message: &actor.Terminated{Who: actor.NewPID(local, m.Who.Id), Why: m.Why}})
	case *actor.Stop:
		pr.Stop(pid)
	default: // Failure, Restart and the like: supervision never crosses nodes
		r.cfg.Log.Error("system message may not leave the node", "type", fmt.Sprintf("%T", message), "target", pid.Id)
	}
}

// Stop implements [actor.Process].
func (pr process) Stop(pid *actor.PID) {
	pr.r.tell(pr.p, op{target: pid.Id, message: &actor.Stop{}, survives: true})
}

func (r *Remote) watch(p *peer, id, watcher string) {
	r.tell(p, op{target: id, message: &actor.Watch{Watcher: actor.NewPID(local, watcher)}})
}

// unwatch withdraws a watch, if there is one.
func (r *Remote) unwatch(p *peer, id, watcher string) {
	r.mu.Lock()
	known := p.watches.remove(id, watcher)
	r.mu.Unlock()
	if known {
		r.tell(p, op{target: id, message: &actor.Unwatch{Watcher: actor.NewPID(local, watcher)}})
	}
}

// remember notes a watch. It reports false when the peer is dead.
func (r *Remote) remember(p *peer, id string, watcher *actor.PID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p.dead.Load() || r.state.Load() != running {
		return false
	}
	p.watches.put(id, watcher)
	return true
}
