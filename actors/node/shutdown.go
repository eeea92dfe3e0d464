package node

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/skybridge-media/skybridge/actors"
	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/actors/participant"
	"github.com/skybridge-media/skybridge/bus"
)

const (
	// callsPatience is how long calls may take to end when the node stops,
	// conferencesPatience how long conferences may take after that.
	callsPatience       = 2 * time.Second
	conferencesPatience = 500 * time.Millisecond
)

// stopping is how far the node has got with stopping.
//
//	calls ──all gone, or late──► conferences ──all gone, or late──► stopped
type stopping struct {
	step   step
	askers []*actor.PID
}

type step int

const (
	running step = iota
	stoppingCalls
	stoppingConferences
	stopped
)

// expired says that a step has taken too long.
type expired struct{ step step }

func (s *stopping) begun() bool { return s.step != running }

// shutdown begins with ending the calls.
func (n *node) shutdown(c actor.Context) {
	s := &n.stopping
	s.askers = append(s.askers, c.Sender())
	if s.begun() {
		s.proceed(n, c)
		return
	}
	s.step = stoppingCalls
	n.announce()
	n.Log.Info("node stopping", "calls", len(n.calls), "conferences", n.owned())
	actors.After(c, callsPatience, &expired{stoppingCalls})
	for _, k := range n.calls {
		if k.pid == nil || k.admit != nil {
			n.drop(c, k, ErrStopping)
			continue
		}
		c.Send(k.pid, &participant.End{Reason: participant.Reason{
			Code: "node_stopping", Text: "The node is stopping",
		}})
	}
	s.proceed(n, c)
}

// proceed takes the next step if this one is done.
func (s *stopping) proceed(n *node, c actor.Context) {
	if s.step == stoppingCalls && len(n.calls) == 0 {
		n.stopConferences(c)
	}
	if s.step == stoppingConferences && n.owned() == 0 && n.closing() == 0 {
		s.step = stopped
		n.publish(bus.NodeStopped{Node: n.Name, Address: n.address(), Reason: n.whyStopped()})
	}
	if s.step == stopped {
		for _, a := range s.askers {
			if a != nil {
				c.Send(a, n.status())
			}
		}
		s.askers = nil
	}
}

// stopConferences lets those end that only linger. Those with participants on
// other nodes are claimed there when this node has given them up.
func (n *node) stopConferences(c actor.Context) {
	n.stopping.step = stoppingConferences
	actors.After(c, conferencesPatience, &expired{stoppingConferences})
	for _, r := range n.table {
		if r.mine && r.phase == open {
			c.Send(r.conference, &conference.EndIfEmpty{})
		}
	}
}

func (n *node) expired(c actor.Context, m *expired) {
	if n.stopping.step != m.step {
		return
	}
	switch m.step {
	case stoppingCalls:
		n.Log.Warn("calls did not end in time", "calls", len(n.calls))
		for _, k := range n.calls {
			c.Stop(k.pid)
		}
		n.stopConferences(c)
	case stoppingConferences:
		// The last step has no time limit of its own: who asked has.
		for _, r := range n.table {
			if r.mine && r.phase == open {
				r.phase = closing
				c.Stop(r.conference)
			}
		}
	}
	n.stopping.proceed(n, c)
}

func (n *node) whyStopped() string {
	if n.draining {
		return "drained"
	}
	return "signal"
}

// closing counts the names that are being given back.
func (n *node) closing() (count int) {
	for _, r := range n.table {
		if r.phase == closing {
			count++
		}
	}
	return count
}
