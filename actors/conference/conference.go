// Package conference is the conference itself, once in the cluster: who is in
// it, who may enter, what its hosts have decided, and when it is over.
//
// # Life
//
//	 first Join        media is open          last one left, linger over
//	───────────► opening ──────────► running ──────────► ended, stopped by the node
//	               │ no media              ▲   │
//	               └──► ended              │   │ transcoder lost: opening again
//	                                       └───┘
//
// Whoever claims the room's name in the directory runs this actor, under the
// epoch of the claim. When it is lost, with its node or by a panic, the node
// that has the media claims the name again, and its transcoder brings the last
// [Roster] to the new owner ([Rejoin]): nobody is disconnected.
//
// # State goes out whole
//
// Transcoder and subscribers get the complete [Roster], the first change at
// once and further ones at most ten times per second. (Epoch, Version) orders
// them; an older one is ignored by the receiver. A lost message is repaired by
// the next one.
//
// # Viewers
//
// A participant with [RoleViewer] (WHEP) sees and hears, and that is all: it has
// no tile, cannot become host or guest, cannot present, and is not counted,
// neither towards the room's limit nor as somebody who keeps the conference
// going. It is let in only where somebody else is, inside and not waiting, and
// does not wait itself: a locked room, and one that waits for its host, takes no
// viewers. When only viewers are left they stay for as long as the conference
// would linger without them; then they are disconnected and it ends. Where guests
// are disconnected because their hosts have left, viewers are as well, and so they
// are when everybody else waits for a host.
//
// # Messages
//
// What participants write to each other is no state: it goes to the subscribers
// as it comes, once ([Message]), and is forgotten.
//
// # Mailbox
//
// Bounded to 10,000 messages; what does not fit is answered as if nobody were
// there. A participant that could not say that it left is noticed by its
// actor's end, which the conference watches.
package conference

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/skybridge-media/skybridge/actors"
	"github.com/skybridge-media/skybridge/bus"
	"github.com/skybridge-media/skybridge/media/compose"
)

// Reasons for which a participant leaves without saying why itself.
const (
	reasonDisconnected = "disconnected"
	reasonNodeLost     = "node_lost"
	reasonFailed       = "failed"
	reasonEnded        = "conference_ended"
	reasonStopping     = "node_stopping"
	reasonEmpty        = "empty"
	reasonTimeout      = "timeout"
)

const (
	mailboxLimit = 10_000

	// firstJoin is how long a new conference waits for its first participant,
	// and one that was taken over for those that its last roster did not name.
	firstJoin = 10 * time.Second

	// mediaPatience is how long a node may take to open media.
	mediaPatience = 3 * time.Second
)

// Config is a room: what differs between conferences. A conference is what a
// room becomes while somebody is in it.
type Config struct {
	// Name of the room, and what events and rosters call the conference.
	Name string

	// Aliases are what callers may dial besides the name; see [NormalizeAlias].
	Aliases []string

	// Limit is the most participants that are inside; as many may wait, and 50 in
	// any case. Zero means no limit.
	Limit int

	// Layout is the one to begin with. Empty means compose.Default.
	Layout string

	// SelfView lets participants see themselves, so that all share one view.
	SelfView bool

	// HostPIN makes its bearers hosts, and everybody else a guest, if they may
	// come at all. Empty means that everybody is a host. Guests need GuestPIN,
	// unless it is empty, where AllowGuests is set.
	HostPIN     string
	GuestPIN    string
	AllowGuests bool

	// OnlyHostsPresent keeps the floor from guests.
	OnlyHostsPresent bool

	// Linger is how long the conference outlives its last participant, so that
	// a dropped caller can come back to it as it was.
	Linger time.Duration

	// Test makes the room a service for test calls (package testcall): each
	// caller has a conference of its own, for so long. Zero: it is a room.
	Test time.Duration
}

// GuestsNeedPIN reports whether nobody enters without a PIN.
func (c Config) GuestsNeedPIN() bool { return c.HostPIN != "" && (!c.AllowGuests || c.GuestPIN != "") }

// Deps are a conference's collaborators. All are required.
type Deps struct {
	Node      string // name of the node, for events
	Log       *slog.Logger
	Events    bus.Publisher
	Metrics   *Metrics
	Actors    *actors.Metrics
	Placement Placement
}

// Props describes a conference actor. epoch is that of the claim to the room's
// name; zero while the directory is out of reach.
func Props(cfg Config, epoch uint64, deps Deps) *actor.Props {
	cfg.Layout = cmp.Or(cfg.Layout, compose.Default)
	deps.Log = deps.Log.With("room", cfg.Name)
	return actor.PropsFromProducer(func() actor.Actor {
		return &conference{Config: cfg, Deps: deps, epoch: epoch}
	}, actors.Mailbox("conference", mailboxLimit, deps.Log, deps.Actors))
}

// conference is the shell: it turns messages into calls on the roster, and the
// roster's answers into messages. Decisions are the roster's.
type conference struct {
	Config
	Deps
	epoch  uint64 // to begin with
	here   place
	roster *roster
	media  media
	out    outbox

	joining   []joining // wait for media
	expecting time.Time // until when participants of a former owner may come
	dismissed []dismissed
	counted   int // participants in the metrics
	stopTimer func() bool
	limits    limits
	ending    string // why everybody has been told to go; nobody comes in any more then
	closed    bool
}

// idled is sent to self when the conference may have been empty for too long.
type idled struct{ reason string }

func (x *conference) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		x.here = place{x.Node, c.ActorSystem().Address()}
		x.roster = newRoster(x.Config, x.epoch, x.here)
		x.Metrics.active.Inc()
		x.stopTimer = actors.After(c, firstJoin, &idled{reasonEmpty})
	case *actor.Stopped:
		x.release(c)
		return
	case *actor.Terminated:
		x.terminated(c, m)
	case *Join:
		x.join(c, m)
	case *Rejoin:
		x.rejoin(c, m)
	case *Update:
		if m.Participant != nil {
			x.roster.update(m.Participant)
		}
	case *Leave:
		x.left(c, m)
		x.reply(c, nil)
	case *Spoke:
		x.roster.spoke(m.Id)
	case *Disconnect:
		x.disconnect(c, m)
	case *GetRoster:
		c.Respond(x.roster.snapshot(AddressOf(c.Self())))
	case *SendMessage:
		x.message(c, m)
	case *MoveCamera:
		x.moveCamera(c, m)
	case *Subscribe:
		x.subscribe(c, m)
	case *Unsubscribe:
		x.unsubscribe(c, m.Subscriber)
	case *Adopt:
		x.roster.epoch = m.Epoch
		x.roster.version++
		x.Log.Info("conference adopted", "epoch", m.Epoch)
	case *Supersede:
		x.supersede(c)
	case *Resync:
		x.report(c, func(p *Participant) bool { return p.Address.Node == m.Address })
	case *EndIfEmpty:
		x.endIfIdle(c, reasonStopping)
	case *overdue:
		x.overdue(c, m.call)
	case *rung:
		x.rung(c)
	case *flush:
		x.out.flushing = false
	case *idled:
		x.endIfIdle(c, m.reason)
	default:
		if !x.command(c) {
			actors.Ignore(c)
		}
	}
	x.settle(c)
}

// settle tells the world what the message just handled has changed. Every way
// out of the actor's code ends here.
func (x *conference) settle(c actor.Context) {
	x.roster.review(time.Now())
	x.setClock(c)
	x.tellEntered(c)
	x.publish()
	if n := len(x.roster.members); n != x.counted {
		x.Metrics.participants.Add(float64(n - x.counted))
		x.counted = n
	}
	x.send(c)
}

func (x *conference) publish() {
	for _, e := range x.roster.take() {
		if err := x.Events.Publish(context.Background(), e); err != nil {
			// A conference outlives its bus.
			x.Log.Warn("event not published", "subject", e.Subject(), "err", err)
		}
	}
}

// respond answers whoever waits for it, after the facts that led to the answer:
// what it makes others publish comes after them.
func (x *conference) respond(c actor.Context, to *actor.PID, msg any) {
	x.publish()
	if to != nil {
		c.Send(to, msg)
	}
}

func (x *conference) reply(c actor.Context, err error) {
	if err != nil {
		x.respond(c, c.Sender(), Refuse(err))
		return
	}
	x.respond(c, c.Sender(), &Done{})
}

// left takes a participant out that says so itself.
func (x *conference) left(c actor.Context, m *Leave) {
	p := x.roster.leave(m.Id)
	if p == nil {
		p = x.forgetDismissed(func(p *Participant) bool { return p.Id == m.Id })
	}
	if p == nil {
		return // it was never admitted, or has left already
	}
	if !x.out.has(p.Address) {
		c.Unwatch(p.Address.PID())
	}
	x.Log.Info("participant left", "call", m.Id, "reason", m.Reason, "participants", len(x.roster.members))
	switch m.Reason {
	case reasonStopping, ReasonMoved:
		x.idle(c, m.Reason)
	default:
		x.idle(c, reasonEmpty)
	}
}

// report asks participants how they are, and whom they follow.
func (x *conference) report(c actor.Context, such func(*Participant) bool) {
	for _, p := range x.roster.members {
		if such(p) {
			c.Send(p.Address.PID(), &Report{Conference: AddressOf(c.Self())})
		}
	}
}

// gone takes a participant out that could not say so: its actor has ended in a
// panic, or with its node.
func (x *conference) gone(c actor.Context, who *Address, reason string) {
	there := func(p *Participant) bool { return p.Address.Same(who) }
	p := x.forgetDismissed(there)
	if i := slices.IndexFunc(x.roster.members, there); i >= 0 {
		p = x.roster.leave(x.roster.members[i].Id)
	}
	if p == nil {
		return
	}
	if reason == reasonNodeLost {
		x.roster.lost(p, time.Now())
	}
	x.Log.Info("participant gone", "call", p.Id, "reason", reason, "participants", len(x.roster.members))
	x.idle(c, reasonEmpty)
}

// terminated handles the end of an actor that the conference watches:
// participants, subscribers, the transcoder.
func (x *conference) terminated(c actor.Context, m *actor.Terminated) {
	reason := reasonFailed // it would have said Leave before an orderly end
	if m.Why == actor.TerminatedReason_AddressTerminated {
		reason = reasonNodeLost
	}
	who := AddressOf(m.Who)
	x.out.remove(who)
	x.gone(c, who, reason)
	if x.media.transcoder != nil && AddressOf(x.media.transcoder).Same(who) {
		x.lostMedia(reason)
	}
}

// supersede makes room for another owner, as far as that is followed.
func (x *conference) supersede(c actor.Context) {
	x.Log.Warn("conference has another owner; this one goes on for who follows it", "epoch", x.roster.epoch)
	x.report(c, func(*Participant) bool { return true })
}

// idle starts the time that the conference may be empty, if it is.
func (x *conference) idle(c actor.Context, reason string) {
	if x.stopTimer != nil {
		x.stopTimer()
		x.stopTimer = nil
	}
	switch {
	case !x.empty() || x.closed:
	case x.ending != "":
		x.end(c, x.ending)
	default:
		linger := x.Linger
		if x.roster.started.IsZero() {
			linger = firstJoin // it was only just made; let the next one try
		}
		linger = max(linger, time.Until(x.expecting))
		x.stopTimer = actors.After(c, linger, &idled{reason})
	}
}

// empty reports whether nobody but viewers is here, nor on the way in or out.
func (x *conference) empty() bool {
	return x.roster.active() == 0 && len(x.joining) == 0 && len(x.dismissed) == 0
}

func (x *conference) endIfIdle(c actor.Context, reason string) {
	switch {
	case !x.empty(): // somebody joined while the timer was already firing
	case len(x.roster.members) == 0:
		x.end(c, reason)
	default:
		x.dismissAll(c, reason, "Nobody is in the conference any more")
	}
}

// end closes the door; the parent stops the actor.
func (x *conference) end(c actor.Context, reason string) {
	if x.closed {
		return
	}
	x.closed = true
	if reason != ReasonMoved { // it goes on under another owner
		x.roster.end(reason, time.Now())
	}
	x.closeMedia(c)
	x.Log.Info("conference ended", "reason", reason)
	c.Send(c.Parent(), &Ended{x.Name, x.roster.epoch, c.Self()})
}

// release gives back what outlives the actor, however it stops.
func (x *conference) release(c actor.Context) {
	for _, s := range x.out.subscribers {
		c.Unwatch(s.PID()) // or they remember us for as long as they live
	}
	if x.stopTimer != nil {
		x.stopTimer()
	}
	for _, d := range x.dismissed {
		d.stopTimer()
	}
	x.limits.stop()
	x.out.stop()
	x.Metrics.active.Dec()
	x.Metrics.participants.Sub(float64(x.counted))
}
