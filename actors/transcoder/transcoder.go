// Package transcoder is a conference's media on one node, as far as decisions
// go: it owns the bridge, attaches the participants of its node to it, and
// turns what the conference wants into the bridge's plan.
//
//	 OpenMedia         CloseMedia        last leg detached
//	──────────► open ─────────────► closing ─────────────► emptied, stopped by the node
//	             ▲ │ owner lost, Follow ▲ │ Follow
//	             └─┘                    └─┘ (open again)
//
// The owner of the conference may be on another node, and may be lost: the
// bridge goes on with its last plan, the node finds the next owner, and Follow
// makes the transcoder bring it the last roster. Participants hear nothing of
// it.
//
// Media never passes through here. The one thing the bridge tells is who
// speaks, and of that only the latest waits in the mailbox, which is bounded to
// 1,000 messages.
package transcoder

import (
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/skybridge-media/skybridge/actors"
	"github.com/skybridge-media/skybridge/actors/conference"
)

const (
	mailboxLimit = 1000

	// rejoinPatience is how long a new owner may take to answer.
	rejoinPatience = 3 * time.Second
)

// Config holds what differs between transcoders.
type Config struct {
	Room       string
	Conference *actor.PID // the owner to begin with
}

// Deps are a transcoder's collaborators. All are required.
type Deps struct {
	Log     *slog.Logger
	Metrics *Metrics
	Actors  *actors.Metrics

	// NewBridge makes the bridge of a room. The bridge calls notify from its
	// own goroutines; it does not block.
	NewBridge func(room string, notify func(event any)) Bridge
}

// Props describes a transcoder actor.
func Props(cfg Config, deps Deps) *actor.Props {
	deps.Log = deps.Log.With("room", cfg.Room)
	return actor.PropsFromProducer(func() actor.Actor {
		return &transcoder{Config: cfg, Deps: deps, legs: map[string]*actor.PID{}}
	}, actors.Mailbox("transcoder", mailboxLimit, deps.Log, deps.Actors))
}

type transcoder struct {
	Config
	Deps
	bridge  Bridge
	spoken  spoken
	last    *conference.Roster    // what the plan was made from, whoever sent it
	seen    stamp                 // of the last roster from the owner that is followed
	legs    map[string]*actor.PID // attached participants
	closing bool
}

func (t *transcoder) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		t.Metrics.active.Inc()
		t.bridge = t.NewBridge(t.Room, t.spoken.notify(c.ActorSystem().Root, c.Self()))
	case *actor.Stopped:
		t.release()
	case *actor.Terminated:
		t.terminated(c, m)
	case *conference.Roster:
		t.apply(c, m)
	case *conference.CloseMedia:
		t.close(c, m)
	case *Attach:
		t.attach(c, m)
	case *Detach:
		t.detach(c, m.ID)
		c.Respond(&Detached{})
	case *Follow:
		t.follow(c, m)
	case *Refresh:
		c.Request(t.Conference, &conference.GetRoster{})
	case *wake:
		if id, ok := t.spoken.take(); ok {
			c.Send(t.Conference, &conference.Spoke{Id: id})
		}
	default:
		actors.Ignore(c)
	}
}

func (t *transcoder) apply(c actor.Context, r *conference.Roster) {
	at := stamp{r.Epoch, r.Version}
	if !r.Conference.Same(conference.AddressOf(t.Conference)) || !at.after(t.seen) {
		t.Metrics.stale.Inc()
		return
	}
	if t.last == nil || t.last.Layout != r.Layout || t.last.SelfView != r.SelfView {
		c.Send(c.Parent(), &Arranged{t.Room, c.Self(), r.Layout, r.SelfView})
	}
	t.last, t.seen = r, at
	t.bridge.Apply(plan(r))
	t.Metrics.plans.Inc()
}

func (t *transcoder) attach(c actor.Context, m *Attach) {
	if m.Leg == nil {
		c.Respond(ErrNoLeg)
		return
	}
	if _, ok := t.legs[m.ID]; !ok {
		t.bridge.Attach(m.ID, m.Leg, m.Held)
		t.legs[m.ID] = m.Participant
		t.Metrics.legs.Inc()
		c.Watch(m.Participant)
	}
	c.Respond(&Attached{})
}

func (t *transcoder) detach(c actor.Context, id string) {
	pid, ok := t.legs[id]
	if !ok {
		return
	}
	c.Unwatch(pid)
	t.bridge.Detach(id) // waits for the tick at hand, 20 ms at most
	delete(t.legs, id)
	t.Metrics.legs.Dec()
	t.endIfEmpty(c)
}

func (t *transcoder) terminated(c actor.Context, m *actor.Terminated) {
	for id, pid := range t.legs {
		if pid.Equal(m.Who) {
			t.detach(c, id)
			return
		}
	}
}

// follow obeys another owner, and brings it what the former one knew.
func (t *transcoder) follow(c actor.Context, m *Follow) {
	t.Conference, t.closing = m.Conference, false
	t.seen = stamp{} // its versions begin anew
	if t.last == nil {
		c.Respond(&Following{}) // there is nothing to bring
		return
	}
	t.Metrics.follows.Inc()
	rejoin := &conference.Rejoin{Transcoder: conference.AddressOf(c.Self()), Last: t.last}
	actors.Request(c, m.Conference, rejoin, rejoinPatience, func(r *conference.Joined, err error) {
		if err != nil {
			t.Log.Warn("owner does not take the conference over", "err", err)
			c.Respond(err)
			return
		}
		t.Log.Info("following another owner", "epoch", r.Epoch)
		c.Respond(&Following{Epoch: r.Epoch})
	})
}

func (t *transcoder) close(c actor.Context, m *conference.CloseMedia) {
	if m.Epoch < t.seen.epoch || !m.Conference.Same(conference.AddressOf(t.Conference)) {
		return // from a former owner
	}
	t.closing = true
	c.Send(c.Parent(), &Closing{t.Room, c.Self()})
	t.endIfEmpty(c)
}

func (t *transcoder) endIfEmpty(c actor.Context) {
	if t.closing && len(t.legs) == 0 {
		c.Send(c.Parent(), &Emptied{t.Room, c.Self()})
	}
}

// release frees the bridge, however the actor stops. Participants that are
// still attached notice that it is gone.
func (t *transcoder) release() {
	if t.bridge != nil {
		t.bridge.Close()
	}
	t.Metrics.active.Dec()
	t.Metrics.legs.Sub(float64(len(t.legs)))
}
