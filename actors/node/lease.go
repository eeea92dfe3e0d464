package node

import (
	"errors"
	"math"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/skybridge-media/skybridge/actors/conference"
)

// ledger is what the conferences here have leased of the node's capacity. What
// a conference leases follows from the calls that it has here ([demand]), so
// a lease ends with its call, however that ends.
type ledger struct {
	capacity Capacity
	leased   Units // by all rooms together
}

// medium is what a call leases for; the greater ones are more.
type medium int

const (
	nothing   medium = iota
	listening        // a viewer's
	watching
	audio
	video
)

func mediumOf(hasAudio, hasVideo, viewer bool) medium {
	switch {
	case viewer && hasVideo:
		return watching
	case viewer && hasAudio:
		return listening
	case hasVideo:
		return video
	case hasAudio:
		return audio
	}
	return nothing
}

func (d *demand) add(m medium, n int) {
	switch m {
	case video:
		d.video += n
	case audio:
		d.audio += n
	case watching:
		d.watching += n
	case listening:
		d.listening += n
	}
}

func (l *ledger) free() Units {
	if !l.capacity.limited() {
		return math.MaxInt64
	}
	return l.capacity.units() - l.leased
}

// lease changes what call k leases, in room r, to m. It reports false, and
// changes nothing, if that is more than is free. What is less than before is
// always granted.
func (n *node) lease(k *call, r *room, m medium) bool {
	d := r.demand
	if k.leasedIn == r {
		d.add(k.leases, -1)
	}
	d.add(m, 1)
	more := d.units(n.ledger.capacity) - r.units
	if more > 0 && more > n.ledger.free() {
		n.announce() // so that others do not send their callers here
		return false
	}
	k.leasedIn, k.leases = r, m
	n.demand(r, d)
	return true
}

// addContent counts calls with a stream for what is presented.
func (d *demand) addContent(has bool, n int) {
	if has {
		d.content += n
	}
}

// giveBack ends the lease of call k.
func (n *node) giveBack(k *call) {
	r := k.leasedIn
	if r == nil {
		return
	}
	d := r.demand
	d.add(k.leases, -1)
	d.addContent(k.content, -1)
	k.leasedIn, k.leases, k.content = nil, nothing, false
	n.demand(r, d)
}

// demand changes what there is of room r.
func (n *node) demand(r *room, d demand) {
	was := n.ledger.free() >= HDUnit
	n.ledger.leased -= r.units
	r.demand, r.units = d, d.units(n.ledger.capacity)
	n.ledger.leased += r.units
	if is := n.ledger.free() >= HDUnit; is != was {
		n.announce()
	}
	n.measureLeases()
}

// mediaHere notes whether the conference has media here.
func (n *node) mediaHere(r *room, pid *actor.PID) {
	r.transcoder = pid
	d := r.demand
	d.open = pid != nil
	n.demand(r, d)
}

// setCapacity takes what was measured. Admitted calls keep their places, even
// if there is less than was thought.
func (n *node) setCapacity(c Capacity) {
	n.Capacity = c
	c = n.capacity()
	n.ledger.capacity = c
	rooms := map[*room]bool{}
	for _, r := range n.table {
		rooms[r] = true
	}
	for _, k := range n.calls { // of rooms that are forgotten already, too
		if k.leasedIn != nil {
			rooms[k.leasedIn] = true
		}
	}
	n.ledger.leased = 0
	for r := range rooms {
		r.units = r.demand.units(c)
		n.ledger.leased += r.units
	}
	n.Log.Debug("capacity known", "hd", c.HD, "sd", c.SD, "audio", c.Audio, "full_hd", c.FullHD)
	n.announce()
	n.measureLeases()
}

// reserve changes what a call leases. Less than it has is always granted, also
// where a mix of its own costs more than its part of a picture for many did.
func (n *node) reserve(c actor.Context, m *Reserve) {
	k := n.calls[m.Call]
	want := mediumOf(m.Audio, m.Video, k != nil && k.viewer)
	var reply any = &Reserved{}
	switch {
	case k == nil || k.leasedIn == nil:
		reply = ErrCall
	case !n.renew(k, want, m.Content):
		n.Metrics.Node.admissions.WithLabelValues(resultCapacity).Inc()
		reply = ErrCapacity
	}
	n.reply(c, c.Sender(), reply)
}

// renew changes what call k leases where it leases already. Only more can be
// refused.
func (n *node) renew(k *call, m medium, content bool) bool {
	r, d := k.leasedIn, k.leasedIn.demand
	d.add(k.leases, -1)
	d.addContent(k.content, -1)
	d.add(m, 1)
	d.addContent(content, 1)
	if m > k.leases || content && !k.content {
		if more := d.units(n.ledger.capacity) - r.units; more > 0 && more > n.ledger.free() {
			n.announce()
			return false
		}
	}
	k.leases, k.content = m, content
	n.demand(r, d)
	return true
}

// overflow sends a call that does not fit here to the node that has the media
// of its conference, or could have it. Where that is this one, or there is no
// other, it is refused at once.
func (n *node) overflow(c actor.Context, r *room, k *call) {
	if r.transcoder != nil || n.placement.Media("", []string{n.placement.self.Address}) == nil {
		n.drop(c, k, ErrCapacity)
		n.tidy(c, r)
		return
	}
	need := toEnter
	if n.draining || k.viewer {
		need = toLook
	}
	n.lookUp(c, r.cfg, need, true, func(c actor.Context, f *Found, err error) {
		switch {
		case n.calls[k.id] != k: // the node is stopping
		case errors.Is(err, errNoConference) && k.viewer:
			n.drop(c, k, conference.ErrNotLive)
		case err != nil:
			n.drop(c, k, err)
		case f.Here || f.Contacts == Contacts{}:
			n.drop(c, k, ErrCapacity)
		default:
			n.drop(c, k, &Redirect{Node: f.Node, Contacts: f.Contacts})
		}
	})
}

// backplaneReserve is what the conferences here would set aside; see
// [Capacity.BackplaneReserve].
func (n *node) backplaneReserve() (u Units) {
	nodes := n.placement.mediaNodes()
	for _, r := range n.table {
		if r.transcoder == nil {
			continue
		}
		q := AudioOnly
		if r.demand.video > 0 {
			q = HDVideo // the canvas of a bridge
		}
		u += n.ledger.capacity.BackplaneReserve(q, nodes)
	}
	return u
}

// takesMediaOf reports whether there is room for the media of a conference
// that would come from elsewhere; whoever called here has leased already.
func (n *node) takesMediaOf(r *room) bool {
	return r.units > 0 || r.transcoder != nil || len(r.calls) > 0 || n.ledger.free() >= HDUnit
}
