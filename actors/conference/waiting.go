package conference

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/skybridge-media/skybridge/actors"
	"github.com/skybridge-media/skybridge/bus"
)

// Who waits: in the roster, and cut off from the conference.
//
//	newcomer ─── locked ────────────► waits for the lock ─── let in, or unlocked ──┐
//	    │                                                                           ▼
//	    ├─────── guest, no host yet ► waits for a host ───── let in, or started ──► inside
//	    └───────────────────────────────────────────────────────────────────────────┘

// What a participant waits for, as the roster has it.
const (
	WaitLock = "lock" // until a host lets it in, or unlocks the conference
	WaitHost = "host" // until a host is there with media, or starts the conference
)

const (
	// waitLimit is how long somebody may wait.
	waitLimit = 15 * time.Minute

	// lobbyLimit is how many may wait, at least, in a room with a limit.
	lobbyLimit = 50

	// guestsLimit is how long guests may go on without a host, viewers while
	// everybody else waits for one, and a lock with nobody inside.
	guestsLimit = time.Minute
)

// What those hear whose time is over.
const (
	textWaited    = "Timeout waiting for conference host to join or permit access to locked conference"
	textHostsLeft = "All conference hosts departed hosted conference"
)

// hosted reports whether guests need a host.
func (r *roster) hosted() bool { return r.cfg.HostPIN != "" }

// waitsFor is what a newcomer has to wait for; nothing if empty. Who has proved
// to be a host passes every door.
func (r *roster) waitsFor(role string) string {
	host := role == RoleHost
	switch {
	case r.locked && !(host && r.hosted()):
		return WaitLock
	case r.hosted() && !r.begun && !host:
		return WaitHost
	}
	return ""
}

// full reports whether as many are inside as may be. Those who wait do not count,
// or strangers at the door would keep out who is invited.
func (r *roster) full() bool {
	n := 0
	for _, p := range r.members {
		if p.active() && p.Waiting == "" {
			n++
		}
	}
	return r.cfg.Limit > 0 && n >= r.cfg.Limit
}

// lobbyFull reports whether nobody else may wait.
func (r *roster) lobbyFull() bool {
	n := 0
	for _, p := range r.members {
		if p.Waiting != "" {
			n++
		}
	}
	return r.cfg.Limit > 0 && n >= max(r.cfg.Limit, lobbyLimit)
}

// letIn ends the wait of one participant.
func (r *roster) letIn(id string) error {
	i := r.find(id)
	switch {
	case i < 0:
		return ErrNobody
	case r.members[i].Waiting != "" && r.full():
		return ErrFull
	}
	r.wait(i, "")
	return nil
}

// begin lets those in who wait for a host.
func (r *roster) begin() {
	if r.begun || !r.hosted() {
		return
	}
	r.begun = true
	r.version++
	r.admitWaiting(WaitHost)
}

// admitWaiting decides again about those who wait for something. Where the room is
// full they go on waiting, until somebody leaves.
func (r *roster) admitWaiting(what string) {
	for i, p := range r.members {
		if p.Waiting != what {
			continue
		}
		if next := r.waitsFor(p.Role); next != "" || !r.full() {
			r.wait(i, next)
		}
	}
}

// wait changes what a member waits for.
func (r *roster) wait(i int, what string) {
	if r.change(i, func(p *Participant) { p.Waiting = what }) && what == "" {
		p := r.members[i]
		r.entered = append(r.entered, p)
		r.fact(bus.ParticipantEntered{Room: r.cfg.Name, Participant: p.Id, Node: r.here.nameOf(p.Address)})
	}
}

// inside reports whether such a member is there, who does not wait.
func (r *roster) inside(such func(*Participant) bool) bool {
	for _, p := range r.members {
		if p.Waiting == "" && such(p) {
			return true
		}
	}
	return false
}

// review draws the conclusions from who is here now: whether the conference
// begins, whether guests are left alone, and whether a lock has nobody inside
// any more who could open it.
func (r *roster) review(now time.Time) {
	if r.unsure(now) {
		return
	}
	isHost := func(p *Participant) bool { return p.Role == RoleHost }
	anybody := (*Participant).active
	if r.active() > 0 && !r.inside(anybody) {
		if r.begun {
			r.begun = false // the next host begins anew
			r.version++
		}
		r.desert(now)
	} else {
		r.deserted = time.Time{}
	}
	if !r.locked {
		r.admitWaiting(WaitLock) // those for whom there was no place
	}
	if !r.hosted() {
		return
	}
	if r.begun {
		r.admitWaiting(WaitHost)
	}
	if !r.begun && r.inside(func(p *Participant) bool { return isHost(p) && p.State == StateConnected }) {
		r.begin()
	}
	guests := r.begun && r.inside(anybody) && !r.inside(isHost)
	viewers := len(r.members) > r.active() && r.active() > 0 && !r.inside(anybody) // of a conference that others wait for
	switch {
	case !guests && !viewers:
		r.alone = time.Time{}
	case r.alone.IsZero():
		r.alone = now
	}
}

// desert opens a lock that nobody inside can open. Where hosts have a PIN they pass
// it, so it stays for a while: one who reloads the page is back before the strangers.
func (r *roster) desert(now time.Time) {
	if r.deserted.IsZero() {
		r.deserted = now
	}
	if !r.hosted() || now.Sub(r.deserted) >= guestsLimit {
		r.lock(false)
	}
}

// unsure reports whether all that is known of those who are here is what they
// say themselves, after an owner was lost; its last roster is on its way.
func (r *roster) unsure(now time.Time) bool {
	return !r.fresh && !r.moved && now.Sub(r.started) < firstJoin
}

// deadline is when somebody's time is over; zero for never.
func (r *roster) deadline() (at time.Time) {
	earlier := func(t time.Time) {
		if at.IsZero() || t.Before(at) {
			at = t
		}
	}
	if !r.alone.IsZero() {
		earlier(r.alone.Add(guestsLimit))
	}
	if r.locked && !r.deserted.IsZero() {
		earlier(r.deserted.Add(guestsLimit))
	}
	for _, p := range r.members {
		if p.Waiting != "" {
			earlier(time.UnixMilli(p.JoinedUnixMs).Add(waitLimit))
		}
	}
	if sure := r.started.Add(firstJoin); !at.IsZero() && !r.fresh && !r.moved && at.Before(sure) {
		return sure
	}
	return at
}

// overstayed returns a member whose time is over, and why; nil if there is none.
func (r *roster) overstayed(now time.Time) (p *Participant, code, text string) {
	if r.unsure(now) {
		return nil, "", ""
	}
	left := !r.alone.IsZero() && now.Sub(r.alone) >= guestsLimit
	for _, p := range r.members {
		switch {
		case p.Waiting != "" && now.Sub(time.UnixMilli(p.JoinedUnixMs)) >= waitLimit:
			return p, reasonTimeout, textWaited
		case p.Waiting == "" && left:
			return p, reasonEnded, textHostsLeft
		}
	}
	return nil, "", ""
}

// clock rings at the next of those deadlines.
type clock struct {
	at        time.Time // when it rings; zero: not set
	stopTimer func() bool
}

// rung is sent to self when somebody's time may be over.
type rung struct{}

// setClock sets it to the next deadline.
func (x *conference) setClock(c actor.Context) {
	at := x.roster.deadline()
	if x.closed {
		at = time.Time{}
	}
	if at.Equal(x.clock.at) {
		return
	}
	x.clock.stop()
	x.clock.at = at
	if !at.IsZero() {
		x.clock.stopTimer = actors.After(c, max(0, time.Until(at)), &rung{})
	}
}

// rung ends the calls of those whose time is over.
func (x *conference) rung(c actor.Context) {
	x.clock.at = time.Time{}
	now := time.Now()
	for {
		p, code, text := x.roster.overstayed(now)
		if p == nil {
			break
		}
		x.dismiss(c, p, code, text)
	}
	x.idle(c, reasonEmpty)
}

// tellEntered lets those know who need not wait any more, so that the next
// owner hears it from them.
func (x *conference) tellEntered(c actor.Context) {
	for _, p := range x.roster.entered {
		c.Send(p.Address.PID(), &Entered{Conference: AddressOf(c.Self())})
	}
	x.roster.entered = nil
}

func (k *clock) stop() {
	if k.stopTimer != nil {
		k.stopTimer()
		k.stopTimer = nil
	}
}
