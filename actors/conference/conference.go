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
)

const (
	mailboxLimit = 10_000

	// firstJoin is how long a new conference waits for its first participant.
	firstJoin = 10 * time.Second

	// dismissPatience is how long a participant may take to end its call.
	dismissPatience = 5 * time.Second

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

	// Limit is the most participants that are admitted. Zero means no limit.
	Limit int

	// Layout is the one to begin with. Empty means compose.Default.
	Layout string

	// SelfView lets participants see themselves, so that all share one view.
	SelfView bool

	// Linger is how long the conference outlives its last participant, so that
	// a dropped caller can come back to it as it was.
	Linger time.Duration
}

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
	}, actors.Supervise(), actors.Mailbox("conference", mailboxLimit, deps.Log, deps.Actors))
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

	joining    []joining  // wait for media
	dismissed  []*Address // have been told to go
	counted    int        // participants in the metrics
	stopTimer  func() bool
	superseded bool // another owner goes on with the conference
	closed     bool
}

// joining is a Join that cannot be answered yet.
type joining struct {
	*Join
	sender *actor.PID
}

// idled is sent to self when the conference may have been empty for too long.
type idled struct{ reason string }

// overdue is sent to self when who has had the time to go.
type overdue struct{ who *Address }

func (x *conference) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		x.here = place{x.Node, c.ActorSystem().Address()}
		x.roster = newRoster(x.Config, x.epoch, x.here)
		x.Metrics.active.Inc()
		x.stopTimer = actors.After(c, firstJoin, &idled{reasonEmpty})
	case *actor.Stopped:
		x.release()
		return
	case *actor.Terminated:
		x.terminated(c, m)
	case *Join:
		x.join(c, m)
	case *Rejoin:
		x.rejoin(c, m)
	case *Update:
		if m.Participant != nil {
			x.roster.update(m.Participant, time.Now())
		}
	case *Leave:
		x.leave(c, m.Id, m.Reason)
		x.reply(c, nil)
	case *Spoke:
		x.roster.spoke(m.Id)
	case *Disconnect:
		x.disconnect(c, m)
	case *GetRoster:
		c.Respond(x.roster.snapshot(AddressOf(c.Self())))
	case *Subscribe:
		x.subscribe(c, m.Subscriber)
	case *Unsubscribe:
		x.unsubscribe(c, m.Subscriber)
	case *Adopt:
		x.roster.epoch = m.Epoch
		x.roster.version++
		x.Log.Info("conference adopted", "epoch", m.Epoch)
	case *Supersede:
		x.supersede(c)
	case *Resync:
		for _, p := range x.roster.members {
			if p.Address.Node == m.Address {
				c.Send(p.Address.PID(), &Report{})
			}
		}
	case *EndIfEmpty:
		x.endIfIdle(c, reasonStopping)
	case *overdue:
		x.overdue(c, m.who)
	case *flush:
		x.out.waiting = false
	case *idled:
		x.endIfIdle(c, m.reason)
	default:
		if !x.command(c) {
			actors.Ignore(c)
		}
	}
	x.settle(c)
}

// command carries out what hosts may ask for, and reports whether c's message
// is such a thing.
func (x *conference) command(c actor.Context) bool {
	var err error
	switch m := c.Message().(type) {
	case *Mute:
		err = x.roster.mute(m.Id, m.On)
	case *MuteVideo:
		err = x.roster.muteVideo(m.Id, m.On)
	case *Lock:
		x.roster.lock(m.On)
	case *SetLayout:
		err = x.roster.setLayout(m.Layout)
	case *Spotlight:
		err = x.roster.spotlight(m.Id, m.On)
	case *RaiseHand:
		err = x.roster.raiseHand(m.Id, m.On)
	case *SetRole:
		err = x.roster.setRole(m.Id, m.Role)
	default:
		return false
	}
	x.reply(c, err)
	return true
}

// settle tells the world what the message just handled has changed. Every way
// out of the actor's code ends here.
func (x *conference) settle(c actor.Context) {
	for _, e := range x.roster.take() {
		if err := x.Events.Publish(context.Background(), e); err != nil {
			// A conference outlives its bus.
			x.Log.Warn("event not published", "subject", e.Subject(), "err", err)
		}
	}
	if n := len(x.roster.members); n != x.counted {
		x.Metrics.participants.Add(float64(n - x.counted))
		x.counted = n
	}
	x.send(c)
}

func (x *conference) reply(c actor.Context, err error) {
	if c.Sender() == nil {
		return
	}
	if err != nil {
		c.Respond(Refuse(err))
		return
	}
	c.Respond(&Done{})
}

func (x *conference) join(c actor.Context, m *Join) {
	p := m.GetParticipant()
	switch {
	case p.GetId() == "" || p.GetAddress().GetId() == "":
		x.refuse(c, c.Sender(), ErrParticipant)
		return
	case x.closed:
		x.refuse(c, c.Sender(), ErrEnded)
		return
	}
	if err := x.roster.admissible(p.Id); err != nil && m.Epoch == 0 {
		x.refuse(c, c.Sender(), err)
		return
	}
	x.joining = append(x.joining, joining{m, c.Sender()})
	x.place(c, p.Address.Node)
}

// admit answers the Joins that have been waiting for media, now that it is open.
func (x *conference) admit(c actor.Context) {
	waiting := x.joining
	x.joining = nil
	for _, j := range waiting {
		p := j.Participant
		if p.Address.Node != x.media.node {
			x.respond(c, j.sender, &Elsewhere{Node: x.roster.mediaNode})
			continue
		}
		again := j.Epoch > 0
		added, err := x.roster.admit(p, again, time.Now())
		if err != nil {
			x.refuse(c, j.sender, err)
			continue
		}
		c.Watch(p.Address.PID())
		if added && !again {
			x.Metrics.joins.Inc()
			x.Log.Info("participant joined", "call", p.Id, "peer", p.Remote, "participants", len(x.roster.members))
		}
		x.respond(c, j.sender, &Joined{Epoch: x.roster.epoch, Transcoder: AddressOf(x.media.transcoder)})
	}
	x.idle(c, reasonEmpty)
}

func (x *conference) refuse(c actor.Context, to *actor.PID, err error) {
	x.Metrics.refused.WithLabelValues(string(bus.CodeOf(err))).Inc()
	x.respond(c, to, Refuse(err))
}

func (x *conference) respond(c actor.Context, to *actor.PID, msg any) {
	if to != nil {
		c.Send(to, msg)
	}
}

func (x *conference) leave(c actor.Context, id, reason string) {
	p := x.roster.leave(id, reason, time.Now())
	if p == nil {
		return // it was never admitted, or has left already
	}
	if pid := p.Address.PID(); !x.out.has(p.Address) {
		c.Unwatch(pid)
	}
	x.Log.Info("participant left", "call", id, "reason", reason, "participants", len(x.roster.members))
	if reason != reasonStopping {
		reason = reasonEmpty
	}
	x.idle(c, reason)
}

// disconnect ends the call of one participant, or the conference.
func (x *conference) disconnect(c actor.Context, m *Disconnect) {
	if m.Id != "" {
		i := x.roster.find(m.Id)
		if i < 0 {
			x.reply(c, ErrNobody)
			return
		}
		x.dismiss(c, x.roster.members[i], reasonDisconnected, m.Reason)
		x.reply(c, nil)
		return
	}
	for len(x.roster.members) > 0 {
		x.dismiss(c, x.roster.members[0], reasonEnded, m.Reason)
	}
	x.reply(c, nil)
	x.end(c, reasonDisconnected)
}

func (x *conference) dismiss(c actor.Context, p *Participant, code, text string) {
	c.Send(p.Address.PID(), &Dismiss{Code: code, Text: text, Epoch: x.roster.epoch})
	x.leave(c, p.Id, code)
	c.Watch(p.Address.PID())
	x.dismissed = append(x.dismissed, p.Address)
	actors.After(c, dismissPatience, &overdue{p.Address})
}

// overdue stops a participant that was dismissed and is still there: the
// message to it was lost, and Stop is not.
func (x *conference) overdue(c actor.Context, who *Address) {
	if x.forgetDismissed(who) {
		c.Unwatch(who.PID())
		c.Stop(who.PID())
	}
}

func (x *conference) forgetDismissed(who *Address) bool {
	n := len(x.dismissed)
	x.dismissed = slices.DeleteFunc(x.dismissed, who.Same)
	return len(x.dismissed) != n
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
	x.forgetDismissed(who)
	for _, p := range x.roster.members {
		if p.Address.Same(who) {
			x.leave(c, p.Id, reason)
			break
		}
	}
	if x.media.transcoder != nil && AddressOf(x.media.transcoder).Same(who) {
		x.lostMedia(reason)
	}
}

// supersede makes room for another owner.
func (x *conference) supersede(c actor.Context) {
	x.superseded = true
	x.Log.Warn("conference has another owner; this one goes on for its own node", "epoch", x.roster.epoch)
	x.roster.forget(func(p *Participant) bool { return p.Address.Node != x.here.address })
	x.idle(c, reasonEmpty)
}

// idle starts the time that the conference may be empty, if it is.
func (x *conference) idle(c actor.Context, reason string) {
	if x.stopTimer != nil {
		x.stopTimer()
		x.stopTimer = nil
	}
	if len(x.roster.members) == 0 && len(x.joining) == 0 && !x.closed {
		linger := x.Linger
		if x.roster.started.IsZero() {
			linger = firstJoin // it was only just made; let the next one try
		}
		x.stopTimer = actors.After(c, linger, &idled{reason})
	}
}

func (x *conference) endIfIdle(c actor.Context, reason string) {
	if len(x.roster.members) == 0 && len(x.joining) == 0 {
		x.end(c, reason)
	} // else somebody joined while the timer was already firing
}

// end closes the door; the parent stops the actor.
func (x *conference) end(c actor.Context, reason string) {
	if x.closed {
		return
	}
	x.closed = true
	for _, j := range x.joining {
		x.refuse(c, j.sender, ErrEnded)
	}
	x.joining = nil
	if !x.superseded {
		x.roster.end(reason, time.Now())
	}
	x.closeMedia(c)
	x.Log.Info("conference ended", "reason", reason)
	c.Send(c.Parent(), &Ended{Room: x.Name, Epoch: x.roster.epoch})
}

// release gives back what outlives the actor, however it stops.
func (x *conference) release() {
	if x.stopTimer != nil {
		x.stopTimer()
	}
	x.out.stop()
	x.Metrics.active.Dec()
	x.Metrics.participants.Sub(float64(x.counted))
}
