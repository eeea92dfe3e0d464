// Package participant is one call: where its signalling, its media and its
// place in the conference meet.
//
//	           Joined              Connect
//	joining ───────────► connecting ──────────► connected
//	   │ Elsewhere,        │ a minute,            │ Ended, Dismiss, End,
//	   │ Refused           │ Ended, Dismiss, End  │ Silent, Hangup failed
//	   ▼                   ▼                      ▼
//	stopped by the node   ended ◄─────────────────┘
//	                        └──► left, port closed: stopped
//
// Whoever is asked for a PIN has its media before it has a place: it hears a desk,
// and nothing of the conference, until the node says that the PIN is right
// ([Enter]). What it presses there is not published.
//
//	           Welcome             Joined
//	asked ─────────────► joining ─────────► connected
//	  │ wrong, quiet,       │ Elsewhere, Refused
//	  │ Ended, End          ▼
//	  └──────────────────► ended
//
// While the conference has no owner the participant stays what it is, with its
// media running, until the node names the next one ([Follow]) and it joins
// there. When its transcoder is lost it joins again and gets another.
//
// A panic ends this call only: whatever happens, the actor's end hangs up,
// takes the leg off the bridge and closes the port, each once; the conference
// watches the actor.
//
// The mailbox is bounded to 1,000 messages: a peer that floods its call with
// key presses loses keys, and nothing else.
package participant

import (
	"cmp"
	"context"
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/skybridge-media/skybridge/actors"
	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/bus"
	"github.com/skybridge-media/skybridge/media/port"
)

const (
	mailboxLimit = 1000

	// connectTimeout is how long a call may be admitted without media.
	connectTimeout = time.Minute

	joinPatience   = 4 * time.Second
	leavePatience  = 2 * time.Second
	attachPatience = 2 * time.Second

	// rejoinPause and maxRejoins bound how a call whose transcoder was lost
	// looks for another.
	rejoinPause = 200 * time.Millisecond
	maxRejoins  = 50
)

// Config is what is known of a call when it begins.
type Config struct {
	ID         ID
	Room       string     // name of the room, for events
	Conference *actor.PID // its owner
	Protocol   string
	Outgoing   bool
	Name       string
	Remote     string
	Audio      bool
	Video      bool
	API        bool // may stay without media for as long as it likes
	Role       string
	Ask        *Ask // who is asked for a PIN before it joins; nil: nobody
	Waits      bool // to be let into a locked conference
	DirectChat bool // takes messages that are for it alone

	// JoinTimeout bounds how long the call waits for its place. Zero means 8 s.
	JoinTimeout time.Duration
}

// Deps are a participant's collaborators. All are required, Reception with Ask.
type Deps struct {
	Node       string // name of the node, for events
	Log        *slog.Logger
	Events     bus.Publisher
	Metrics    *Metrics
	Actors     *actors.Metrics
	Signalling Signalling
	Reception  Reception
}

// Props describes a participant actor. Its name is "participant/" and its ID.
func Props(cfg Config, deps Deps) *actor.Props {
	if cfg.JoinTimeout == 0 {
		cfg.JoinTimeout = 8 * time.Second
	}
	deps.Log = deps.Log.With("call", cfg.ID, "room", cfg.Room)
	return actor.PropsFromProducer(func() actor.Actor {
		return &participant{Config: cfg, Deps: deps, began: time.Now()}
	}, actors.Mailbox("participant", mailboxLimit, deps.Log, deps.Actors))
}

type state int

const (
	joining state = iota
	asked
	connecting
	connected
	ended
)

type participant struct {
	Config
	Deps
	state state
	began time.Time
	held  bool

	camera  bool   // may be moved by others
	slides  bool   // has a stream for presentations
	waiting string // for what, when it was admitted

	epoch      uint64    // of the owner that admitted us last
	admitted   time.Time // by the first owner; zero: not yet
	transcoder *actor.PID
	rejoins    int
	attached   bool

	asking    asking
	port      Port
	keys      keys
	stopTimer func() bool // of joining or connecting
	ending    ending
	reason    Reason // why it ended
}

// Messages to self.
type (
	timedOut struct{ in state }
	rejoin   struct{}
)

func (p *participant) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		p.Metrics.began(p.Protocol)
		if p.Ask != nil {
			p.state = asked
			p.stopTimer = actors.After(c, connectTimeout, &timedOut{asked})
			return
		}
		p.stopTimer = actors.After(c, p.JoinTimeout, &timedOut{joining})
		p.join(c)
	case *actor.Stopped:
		p.stopped(c)
	case *actor.Terminated:
		p.lostTranscoder(c, m.Who)
	case *Connect:
		p.connect(c, m.Port)
	case *Hold:
		p.hold(c, m.On)
	case *SetMedia:
		p.setMedia(c, m)
	case *SetCamera:
		p.camera = m.On
		p.update(c)
	case *Rename:
		p.rename(c, m.Name)
	case *Pressed:
		p.pressed(c, m.Digit, sourceSignalling)
	case port.Digit:
		p.pressed(c, m.Digit, sourceMedia)
	case *port.Digit:
		p.pressed(c, m.Digit, sourceMedia)
	case port.Silent:
		p.silent(c, m.For)
	case *port.Silent:
		p.silent(c, m.For)
	case *Follow:
		p.follow(c, m.Conference)
	case *conference.Entered:
		if m.Conference.Same(conference.AddressOf(p.Conference)) {
			p.waiting = ""
		}
	case *conference.Report:
		p.report(c, m)
	case *conference.Dismiss:
		p.dismissed(c, m)
	case *Ended:
		p.endedBySignalling(c, m.Reason)
	case *End:
		p.end(c, m.Reason)
	case *GetStats:
		c.Respond(p.stats())
	case *timedOut:
		p.timedOut(c, m.in)
	case *rejoin:
		p.join(c)
	case *released, *left:
		p.ended(c)
	default:
		p.whileAsked(c)
	}
}

// whileAsked handles what concerns asking for a PIN.
func (p *participant) whileAsked(c actor.Context) {
	switch m := c.Message().(type) {
	case *spoken:
		p.spoken(c, m)
	case *greeted:
		p.greeted(c)
	case *quietFor:
		p.quietFor(c, m.quiet)
	case *askedFor:
		p.askedFor(c)
	case *parted:
		p.parted(c)
	case *deskLeft:
		p.deskLeft(c)
	default:
		actors.Ignore(c)
	}
}

// entry is what the roster is to say of this call.
func (p *participant) entry(c actor.Context) *conference.Participant {
	s := conference.StateConnecting
	if p.state == connected {
		s = conference.StateConnected
	}
	return &conference.Participant{
		Id: string(p.ID), Name: p.Name, Protocol: p.Protocol, Remote: p.Remote, Outgoing: p.Outgoing,
		State: s, Audio: p.Audio, Video: p.Video, Held: p.held, Role: p.Role, Api: p.API,
		Address: conference.AddressOf(c.Self()), JoinedUnixMs: p.began.UnixMilli(),
		DirectChat: p.DirectChat, Camera: p.camera, Waiting: p.waiting, Slides: p.slides,
	}
}

func (p *participant) update(c actor.Context) {
	if p.isAdmitted() && p.state != ended {
		c.Send(p.Conference, &conference.Update{Participant: p.entry(c)})
	}
}

// report tells a conference how this call is, or that it follows another one.
func (p *participant) report(c actor.Context, m *conference.Report) {
	if asker := m.Conference.PID(); asker != nil && !asker.Equal(p.Conference) {
		c.Send(asker, &conference.Leave{Id: string(p.ID), Reason: conference.ReasonMoved})
		return
	}
	p.update(c)
}

// connect takes over the port and enters the conference with it.
func (p *participant) connect(c actor.Context, media Port) {
	if p.state == asked && p.port == nil && media != nil {
		p.greet(c, media)
		return
	}
	if p.state != connecting || p.port != nil {
		if media != nil {
			p.Log.Warn("second connect ignored")
			go closePort(p.Log, p.Metrics, media)
		}
		return
	}
	p.stopTimer()
	p.established(c, media)
}

func (p *participant) established(c actor.Context, media Port) {
	p.port, p.state = media, connected
	setup := time.Since(p.began)
	p.Metrics.connected(p.Protocol, setup)
	p.Log.Info("call connected", "setup", setup)
	p.publish(bus.ParticipantConnected{
		Room: p.Room, Participant: string(p.ID), Node: p.Node, Audio: p.Audio, Video: p.Video, Setup: bus.Seconds(setup),
	})
	p.update(c)
	p.attach(c)
}

func (p *participant) setMedia(c actor.Context, m *SetMedia) {
	p.Audio, p.Video, p.slides = m.Audio, m.Video, m.Slides
	p.update(c)
}

func (p *participant) hold(c actor.Context, on bool) {
	if p.held == on {
		return
	}
	p.held = on
	if on {
		p.publishHeld()
	} else {
		p.publish(bus.ParticipantResumed{Room: p.Room, Participant: string(p.ID), Node: p.Node})
	}
	p.update(c)
}

func (p *participant) publishHeld() {
	p.publish(bus.ParticipantHeld{Room: p.Room, Participant: string(p.ID), Node: p.Node})
}

func (p *participant) rename(c actor.Context, name string) {
	if p.Name == name {
		return
	}
	p.Name = name
	p.publish(bus.ParticipantRenamed{Room: p.Room, Participant: string(p.ID), Node: p.Node, Name: name})
	p.update(c)
}

// stats is how the media of the call is.
func (p *participant) stats() *Stats {
	s := &Stats{Connected: p.state == connected}
	if media, ok := p.port.(interface{ Stats() port.Stats }); ok && s.Connected {
		s.Media = media.Stats()
	}
	return s
}

func (p *participant) isAdmitted() bool { return !p.admitted.IsZero() }

// publish tells what this actor is the first to know, as it will not be asked
// again: owners of the conference come and go, the call stays. Nothing is
// published of a call that was not admitted, or has left.
func (p *participant) publish(e bus.Event) {
	if !p.isAdmitted() || p.ending.told {
		return
	}
	if err := p.Events.Publish(context.Background(), e); err != nil {
		// A call outlives its bus.
		p.Log.Warn("event not published", "subject", e.Subject(), "err", err)
	}
}

// attach gives the port to the transcoder, as soon as there are both.
func (p *participant) attach(c actor.Context) {
	if p.port == nil || p.transcoder == nil || p.attached {
		return
	}
	p.attached = true
	p.attachTo(c, p.transcoder)
}

func (p *participant) endedBySignalling(c actor.Context, reason Reason) {
	reason.Code = cmp.Or(reason.Code, "hangup")
	p.ending.hungUp = true // there is nobody left to tell
	p.end(c, reason)
}

func (p *participant) silent(c actor.Context, d time.Duration) {
	p.end(c, Reason{Code: "media_lost", Text: "No media for " + d.String()})
}

func (p *participant) timedOut(c actor.Context, in state) {
	if p.state != in || in == asked && p.port != nil {
		return // it was already firing when the state changed
	}
	if in == joining {
		p.refused(c, actors.ErrTimeout)
		return
	}
	p.end(c, Reason{Code: "timeout", Text: "The call was not connected in time"})
}

func (p *participant) dismissed(c actor.Context, m *conference.Dismiss) {
	if m.Epoch < p.epoch || !m.Conference.Same(conference.AddressOf(p.Conference)) {
		p.Log.Warn("dismissal by a former owner ignored", "epoch", m.Epoch)
		return
	}
	p.end(c, Reason{Code: m.Code, Text: m.Text})
}
