package node

import (
	"context"
	"slices"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/skybridge-media/skybridge/actors"
	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/actors/transcoder"
	"github.com/skybridge-media/skybridge/bus/claim"
)

// reclaimed is the directory's answer for a conference that runs here.
type reclaimed struct {
	key   string
	pid   *actor.PID
	owner claim.Owner
	err   error
}

// reconcile claims what runs here without the directory's word, as soon as
// that can be had, and all that runs here after it could not be had for a time.
func (n *node) reconcile(c actor.Context) {
	was := n.valid
	n.valid = n.Directory.Valid()
	switch {
	case !n.valid:
	case !was:
		n.reclaimAll(c)
	default:
		for _, r := range n.table {
			if r.unclaimed() {
				n.reclaim(c, r)
			}
		}
	}
}

// unclaimed reports whether the directory has yet to be told of r.
func (r *room) unclaimed() bool { return r.mine && r.phase == open && !r.split && r.epoch == 0 }

// reclaimAll claims everything that runs here, because epochs may have risen.
func (n *node) reclaimAll(c actor.Context) {
	for _, r := range n.table {
		if r.mine && r.phase == open && !r.split {
			n.reclaim(c, r)
		}
	}
}

// lostNames finds out who owns what was ours.
func (n *node) lostNames(c actor.Context, names []string) {
	for _, r := range n.table {
		if r.mine && r.phase == open && !r.split && slices.Contains(names, claimName(r.key)) {
			n.reclaim(c, r)
		}
	}
}

func (n *node) reclaim(c actor.Context, r *room) {
	directory, name, key, pid := n.Directory, claimName(r.key), r.key, r.conference
	actors.Go(c, func() any {
		ctx, cancel := context.WithTimeout(context.Background(), claimPatience)
		defer cancel()
		owner, err := directory.Claim(ctx, name)
		return &reclaimed{key, pid, owner, err}
	})
}

func (n *node) reclaimed(c actor.Context, m *reclaimed) {
	r, ok := n.table[m.key]
	if !ok || !r.mine || !r.conference.Equal(m.pid) || r.split {
		if m.err == nil && m.owner.Mine && !ok {
			n.free(c, m.key, m.owner.Epoch) // it has ended meanwhile
		}
		return
	}
	n.Metrics.Node.claims.WithLabelValues(claimResult(m.owner, m.err)).Inc()
	switch {
	case m.err != nil:
		r.epoch = 0 // the next tick tries again
	case m.owner.Mine && m.owner.Epoch != r.epoch:
		r.epoch = m.owner.Epoch
		c.Send(r.conference, &conference.Adopt{Epoch: r.epoch})
	case !m.owner.Mine:
		n.Log.Warn("conference is split: it goes on here until it is empty",
			"room", r.cfg.Name, "node", m.owner.Address)
		r.split, r.epoch = true, 0
		c.Send(r.conference, &conference.Supersede{})
	}
	n.measure()
}

// renewed announces everything again, after the others had given this node up:
// they have forgotten its calls, and may have claimed its conferences.
func (n *node) renewed(c actor.Context) {
	for _, r := range n.table {
		switch {
		case r.phase != open:
		case r.mine && !r.split:
			n.reclaim(c, r)
		case !r.mine:
			for _, k := range r.calls {
				k.owner = nil
			}
			n.lost(c, r)
		}
	}
}

// resync asks anew for what another node may have told in vain.
func (n *node) resync(c actor.Context, address string) {
	for _, r := range n.table {
		switch {
		case r.mine:
			c.Send(r.conference, &conference.Resync{Address: address})
		case r.transcoder != nil && r.conference != nil && r.conference.Address == address:
			c.Send(r.transcoder, &transcoder.Refresh{})
		}
	}
}
