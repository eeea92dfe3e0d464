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
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/skybridge-media/skybridge/actors"
	"github.com/skybridge-media/skybridge/bus"
	"github.com/skybridge-media/skybridge/media/compose"
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
	clock     clock
	ending    string // why everybody has been told to go; nobody comes in any more then
	closed    bool
}

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
	for _, e := range x.roster.takeFacts() {
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

// report asks participants how they are, and whom they follow.
func (x *conference) report(c actor.Context, such func(*Participant) bool) {
	for _, p := range x.roster.members {
		if such(p) {
			c.Send(p.Address.PID(), &Report{Conference: AddressOf(c.Self())})
		}
	}
}

// supersede makes room for another owner, as far as that is followed.
func (x *conference) supersede(c actor.Context) {
	x.Log.Warn("conference has another owner; this one goes on for who follows it", "epoch", x.roster.epoch)
	x.report(c, func(*Participant) bool { return true })
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
	x.clock.stop()
	x.out.stop()
	x.Metrics.active.Dec()
	x.Metrics.participants.Sub(float64(x.counted))
}
