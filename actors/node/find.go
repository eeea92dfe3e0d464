package node

import (
	"context"
	"errors"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/skybridge-media/skybridge/actors"
	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/actors/participant"
	"github.com/skybridge-media/skybridge/actors/transcoder"
	"github.com/skybridge-media/skybridge/bus"
	"github.com/skybridge-media/skybridge/bus/claim"
)

const (
	claimPatience  = 3 * time.Second
	locatePatience = 2 * time.Second
	followPatience = 4 * time.Second

	// findPatience is how long somebody waits for a conference to be found. An
	// owner that has died holds its name until its session expires, which is
	// some seconds less.
	findPatience = 8 * time.Second

	// findPause is the time between the first two attempts, maxFindPause that
	// between the last ones.
	findPause    = 300 * time.Millisecond
	maxFindPause = time.Second

	// settlePause is how long after an owner's orderly end it is looked for
	// again: it says goodbye to its transcoder, by a slower way than the news
	// of its end takes.
	settlePause = 500 * time.Millisecond
)

// Messages to self.
type (
	// claimed is the directory's answer.
	claimed struct {
		key   string
		owner claim.Owner
		err   error
		asked need
	}

	// released says that the name of a conference of ours is free.
	released struct{ key string }

	// findAgain says that it is time for another attempt.
	findAgain struct {
		key   string
		phase phase // that the room must be in
		owner *actor.PID
	}
)

// room returns what is known of a room, making it known if need be.
func (n *node) room(cfg conference.Config) *room {
	key := keyOf(cfg.Name)
	r, ok := n.table[key]
	if !ok {
		r = &room{key: key, cfg: cfg, calls: map[participant.ID]*call{}, demand: demandOf(cfg)}
		n.table[key] = r
	}
	return r
}

// want runs w when r is open, or cannot be opened.
func (n *node) want(c actor.Context, r *room, w waiter) {
	if r.phase == open {
		w.then(c, nil)
		n.tidy(c, r)
		return
	}
	r.waiting = append(r.waiting, w)
	if r.phase == unknown {
		n.find(c, r)
	}
}

// find begins to look for the owner of r's conference.
func (n *node) find(c actor.Context, r *room) {
	r.phase, r.since, r.attempts = finding, time.Now(), 0
	n.ask(c, r)
}

// ask asks the directory: only to look, if nobody needs more.
func (n *node) ask(c actor.Context, r *room) {
	asked := toLook
	if r.wants(toOwn) {
		asked = toEnter
	}
	directory, name, key := n.Directory, claimName(r.key), r.key
	actors.Go(c, func() any {
		ctx, cancel := context.WithTimeout(context.Background(), claimPatience)
		defer cancel()
		query := directory.Claim
		if asked == toLook {
			query = directory.Lookup
		}
		owner, err := query(ctx, name)
		return &claimed{key: key, owner: owner, err: err, asked: asked}
	})
}

// claimName is a conference's name in the directory.
func claimName(key string) string { return "conference." + key }

func (n *node) claimed(c actor.Context, m *claimed) {
	r, ok := n.table[m.key]
	if !ok || r.phase != finding {
		if m.err == nil && m.owner.Mine && (!ok || r.phase == unknown) {
			n.free(c, m.key, m.owner.Epoch) // nobody wants it any more
		}
		return
	}
	n.Metrics.Node.claims.WithLabelValues(claimResult(m.owner, m.err)).Inc()
	switch code := bus.CodeOf(m.err); {
	case m.err == nil && m.owner.Mine:
		n.own(c, r, m.owner.Epoch)
	case m.err == nil:
		n.settle(c, r, toOwn, ErrUnavailable)
		n.locate(c, r, m.owner)
	case code == bus.NotFound && m.asked == toLook:
		n.settle(c, r, toLook, errNoConference)
		if r.wants(toOwn) {
			n.ask(c, r)
			return
		}
		n.abandon(c, r)
	case code == bus.Unavailable || errors.Is(m.err, context.DeadlineExceeded):
		n.settle(c, r, toLook, errNoConference) // as far as this node knows
		n.settle(c, r, toOwn, ErrUnavailable)
		if !r.wants(toEnter) {
			n.abandon(c, r)
			return
		}
		n.Log.Warn("directory out of reach; conference runs without its word", "room", r.cfg.Name, "err", m.err)
		n.own(c, r, 0)
	default:
		n.Log.Error("conference not claimed", "room", r.cfg.Name, "err", m.err)
		n.giveUp(c, r, ErrUnavailable)
	}
}

// settle tells those who need just that.
func (n *node) settle(c actor.Context, r *room, need need, err error) {
	for _, w := range r.take(func(w waiter) bool { return w.need == need }) {
		w.then(c, err)
	}
}

// abandon ends the search for an owner that nobody needs any more.
func (n *node) abandon(c actor.Context, r *room) {
	r.phase = unknown
	n.tidy(c, r)
}

func claimResult(owner claim.Owner, err error) string {
	switch {
	case bus.CodeOf(err) == bus.NotFound:
		return claimNone
	case err != nil:
		return claimFailed
	case owner.Mine:
		return claimMine
	}
	return claimOther
}

// own starts the conference here, unless it runs already.
func (n *node) own(c actor.Context, r *room, epoch uint64) {
	if !r.mine {
		n.seq++
		props := conference.Props(r.cfg, epoch, conference.Deps{
			Node: n.Name, Log: n.Log, Events: n.Events, Metrics: n.Metrics.Conference, Actors: n.Metrics.Actors,
			Placement: n.placement,
		})
		pid, err := c.SpawnNamed(props, childName("conference", r.key, n.seq))
		if err != nil {
			n.Log.Error("conference not started", "room", r.cfg.Name, "err", err)
			n.giveUp(c, r, ErrUnavailable)
			return
		}
		r.obey(c, nil)
		r.conference, r.mine = pid, true
		n.Log.Info("conference started", "room", r.cfg.Name, "epoch", epoch)
	}
	r.epoch = epoch
	n.tell(c, r)
}

// locate asks the owner's node for the conference actor.
func (n *node) locate(c actor.Context, r *room, owner claim.Owner) {
	target := actor.NewPID(owner.Address, ActorName)
	actors.Request(c, target, &Locate{Room: r.cfg.Name}, locatePatience, func(l *Located, err error) {
		pid := l.GetConference().PID()
		switch {
		case r.phase != finding:
		case err == nil && pid != nil:
			r.obey(c, pid)
			n.tell(c, r)
		case bus.CodeOf(err) == bus.NotFound:
			n.giveUp(c, r, ErrNotFound)
		default:
			n.Log.Debug("owner out of reach", "room", r.cfg.Name, "node", owner.Address, "err", err)
			n.again(c, r)
		}
	})
}

// again makes another attempt a little later, for those who still wait. What is
// here waits for as long as it takes: its media goes on.
func (n *node) again(c actor.Context, r *room) {
	if time.Since(r.since) > findPatience {
		for _, w := range r.take(everybody) {
			w.then(c, ErrUnavailable)
		}
		if !r.here() {
			n.abandon(c, r)
			return
		}
	}
	r.attempts++
	pause := min(findPause*time.Duration(r.attempts), maxFindPause)
	actors.After(c, pause, &findAgain{key: r.key, phase: finding})
}

func (n *node) findAgain(c actor.Context, m *findAgain) {
	r, ok := n.table[m.key]
	switch {
	case !ok || r.phase != m.phase:
	case m.phase == finding:
		n.ask(c, r)
	case m.owner.Equal(r.conference):
		n.lost(c, r)
	}
}

// giveUp tells everybody who waits, and whatever of the conference is here,
// that there will be none.
func (n *node) giveUp(c actor.Context, r *room, err error) {
	for _, w := range r.take(everybody) {
		w.then(c, err)
	}
	if r.here() {
		n.again(c, r)
		return
	}
	n.abandon(c, r)
}

// tell makes the transcoder follow the owner that was found, then the calls,
// and then lets in who waits.
func (n *node) tell(c actor.Context, r *room) {
	owner := r.conference
	if r.transcoder == nil {
		n.opened(c, r)
		return
	}
	actors.Request(c, r.transcoder, &transcoder.Follow{Conference: owner}, followPatience,
		func(_ *transcoder.Following, err error) {
			switch {
			case r.phase != finding || !owner.Equal(r.conference):
			case errors.Is(err, conference.ErrMediaElse) && !r.mine:
				// It began anew elsewhere before its media could be brought there.
				n.Log.Warn("conference is split: it goes on here until it is empty", "room", r.cfg.Name)
				n.own(c, r, 0)
				r.split = true
			case err != nil && r.transcoder != nil:
				n.again(c, r)
			default:
				n.opened(c, r)
			}
		})
}

// opened lets calls and waiters at the owner that was found.
func (n *node) opened(c actor.Context, r *room) {
	r.phase = open
	n.followAll(c, r)
	for _, w := range r.take(everybody) {
		w.then(c, nil)
	}
	n.tidy(c, r)
}

// followAll sends the calls of a room to its owner, if they follow another.
func (n *node) followAll(c actor.Context, r *room) {
	for _, call := range r.calls {
		if r.phase == open && !r.conference.Equal(call.owner) {
			n.follow(c, call)
		}
	}
}

func (n *node) follow(c actor.Context, call *call) {
	call.owner = call.room.conference
	c.Send(call.pid, &participant.Follow{Conference: call.owner})
}

// lost looks for another owner, if something of the conference is here.
func (n *node) lost(c actor.Context, r *room) {
	if r.here() {
		n.Metrics.Node.lost.Inc()
		n.Log.Warn("conference has lost its owner", "room", r.cfg.Name, "calls", len(r.calls))
	}
	r.phase = unknown
	switch {
	case n.stopping.begun():
		for _, w := range r.take(everybody) {
			w.then(c, ErrStopping)
		}
	case r.here() || len(r.waiting) > 0:
		n.find(c, r)
	}
	n.tidy(c, r)
}

// tidy forgets a room that has nothing to do with this node any more.
func (n *node) tidy(c actor.Context, r *room) {
	if !r.idle() || n.table[r.key] != r {
		return
	}
	r.obey(c, nil)
	delete(n.table, r.key)
}

// free gives the name of a conference back.
func (n *node) free(c actor.Context, key string, epoch uint64) {
	directory, name, log := n.Directory, claimName(key), n.Log
	actors.Go(c, func() any {
		if epoch > 0 {
			ctx, cancel := context.WithTimeout(context.Background(), claimPatience)
			defer cancel()
			if err := directory.Release(ctx, name, epoch); err != nil {
				// It is free as well when our session ends or another takes it.
				log.Warn("name not released", "name", name, "err", err)
			}
		}
		return &released{key}
	})
}

func (n *node) released(c actor.Context, m *released) {
	if r, ok := n.table[m.key]; ok && r.phase == closing {
		n.lost(c, r)
	}
	n.stopping.proceed(n, c)
}
