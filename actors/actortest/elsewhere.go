package actortest

import (
	"sync"

	"github.com/asynkron/protoactor-go/actor"
)

// Elsewhere is another node as far as actors can tell: messages to it are kept,
// and it can be lost. Safe for concurrent use.
type Elsewhere struct {
	Address string

	sys      *actor.ActorSystem
	receive  func(to *actor.PID, msg any, sender *actor.PID)
	mu       sync.Mutex
	watchers []watch
	lost     bool
}

type watch struct{ watcher, watched *actor.PID }

// NewElsewhere adds a node to the bench. receive is called with what is sent to
// its actors.
func (b *Bench) NewElsewhere(address string, receive func(to *actor.PID, msg any, sender *actor.PID)) *Elsewhere {
	e := &Elsewhere{Address: address, sys: b.System, receive: receive}
	b.System.ProcessRegistry.RegisterAddressResolver(func(pid *actor.PID) (actor.Process, bool) {
		return e, pid.Address == address
	})
	return e
}

// PID returns the PID of an actor there.
func (e *Elsewhere) PID(id string) *actor.PID { return actor.NewPID(e.Address, id) }

// Lose ends the node: whoever watches an actor there is told.
func (e *Elsewhere) Lose() {
	e.mu.Lock()
	e.lost = true
	watchers := e.watchers
	e.watchers = nil
	e.mu.Unlock()
	for _, w := range watchers {
		e.terminated(w, actor.TerminatedReason_AddressTerminated)
	}
}

// Terminate ends one actor there.
func (e *Elsewhere) Terminate(id string) {
	e.mu.Lock()
	var gone, rest []watch
	for _, w := range e.watchers {
		if w.watched.Id == id {
			gone = append(gone, w)
		} else {
			rest = append(rest, w)
		}
	}
	e.watchers = rest
	e.mu.Unlock()
	for _, w := range gone {
		e.terminated(w, actor.TerminatedReason_Stopped)
	}
}

func (e *Elsewhere) terminated(w watch, why actor.TerminatedReason) {
	if p, ok := e.sys.ProcessRegistry.Get(w.watcher); ok {
		p.SendSystemMessage(w.watcher, &actor.Terminated{Who: w.watched, Why: why})
	}
}

func (e *Elsewhere) isLost() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.lost
}

// SendUserMessage implements [actor.Process].
func (e *Elsewhere) SendUserMessage(pid *actor.PID, message any) {
	if e.isLost() {
		e.sys.DeadLetter.SendUserMessage(pid, message)
		return
	}
	_, msg, sender := actor.UnwrapEnvelope(message)
	e.receive(pid, msg, sender)
}

// SendSystemMessage implements [actor.Process].
func (e *Elsewhere) SendSystemMessage(pid *actor.PID, message any) {
	if m, ok := message.(*actor.Watch); ok && e.isLost() {
		e.terminated(watch{m.Watcher, pid}, actor.TerminatedReason_AddressTerminated)
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	switch m := message.(type) {
	case *actor.Watch:
		e.watchers = append(e.watchers, watch{m.Watcher, pid})
	case *actor.Unwatch:
		for i, w := range e.watchers {
			if w.watcher.Equal(m.Watcher) && w.watched.Equal(pid) {
				e.watchers = append(e.watchers[:i:i], e.watchers[i+1:]...)
				break
			}
		}
	}
}

// Stop implements [actor.Process].
func (e *Elsewhere) Stop(pid *actor.PID) { e.Terminate(pid.Id) }
