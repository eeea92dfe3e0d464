// Package testcall is the far end of a test call. A test call is a conference
// with one caller and one member that this actor puts there: it gives back what
// the caller says and shows, a second later, tells in words and on the picture
// what the connection is like, and ends the call when its time is over.
//
//	joining ──Admitted──► waiting ──caller's media──► running ──time over──► parting
//	   │                     │                           │                     │ goodbye is said
//	   │ not admitted        └───────────────────────────┴──caller gone────────┤
//	   ▼                                                                       ▼
//	the caller is hung up on                                   member gone: stopped
//
// The member is an ordinary participant, a child of this actor, which is its
// signalling: hanging up on it means that the conference has no use for it any
// more, and so the caller goes too. What was measured goes out as one event when
// the caller has gone, however that came about.
//
// The mailbox is bounded to 100 messages: there are a few per second.
package testcall

import (
	"context"
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/skybridge-media/skybridge/actors"
	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/actors/participant"
	"github.com/skybridge-media/skybridge/bus"
	"github.com/skybridge-media/skybridge/codecs/pcm"
)

// DefaultDuration is how long a test call lasts.
const DefaultDuration = time.Minute

// MinDuration is the least in which everything can be said.
const MinDuration = 30 * time.Second

// Protocol is what rosters call the member.
const Protocol = "test"

const (
	mailboxLimit  = 100
	pollEvery     = time.Second
	pollPatience  = 900 * time.Millisecond
	resultsBefore = 20 * time.Second // the end; or half way, if that is later
	partingPause  = 300 * time.Millisecond
)

// What is said besides results.
const (
	welcome = "This is a test call. Please speak, and move. You will hear and see yourself a second later."
	goodbye = "The test call is over. Goodbye."
)

// Config is one test call.
type Config struct {
	Room       string
	Conference *actor.PID
	Call       participant.ID // of the caller
	Caller     *actor.PID
	Member     participant.ID // of the member that is put there
	Duration   time.Duration  // zero means DefaultDuration
}

// Media are the ports through which a test call echoes and speaks.
type Media struct {
	// Member returns a leg that echoes.
	Member func(room string) Member

	// Speak returns text as speech, at the rate of Member.Say. It may take a
	// second. nil: nothing is said.
	Speak func(text string) (pcm.Frame, error)
}

// Member is the leg of a test call; media/echo implements it.
type Member interface {
	participant.Port

	// Say says speech after what is being said, and returns how long it is
	// until that is over.
	Say(speech pcm.Frame) time.Duration

	// Show writes lines on the picture.
	Show(lines []string)
}

// Deps are a test call's collaborators. All are required.
type Deps struct {
	Node        string // name of the node, for events
	Log         *slog.Logger
	Events      bus.Publisher
	Metrics     *Metrics
	Actors      *actors.Metrics
	Participant *participant.Metrics
	Media       Media
}

// Props describes a test call actor.
func Props(cfg Config, deps Deps) *actor.Props {
	if cfg.Duration == 0 {
		cfg.Duration = DefaultDuration
	}
	log := deps.Log.With("call", cfg.Call, "room", cfg.Room)
	return actor.PropsFromProducer(func() actor.Actor {
		return &testcall{Config: cfg, Deps: deps, log: log}
	}, actors.Supervise(), actors.Mailbox("testcall", mailboxLimit, log, deps.Actors))
}

type testcall struct {
	Config
	Deps
	log     *slog.Logger
	began   time.Time
	child   *actor.PID // the member's actor
	member  Member     // nil before it was admitted
	greeted bool
	last    figures
	reason  string // why it ends; empty: it does not
	told    bool
	timers  []func() bool // to stop; the first one is of the next poll
}

// Messages to self.
type (
	poll     struct{}
	results  struct{}
	timeOver struct{}
	parted   struct{}

	// spoken is text as speech.
	spoken struct {
		text   string
		speech pcm.Frame
		err    error
	}

	// hungUp says that the conference has no use for the member any more.
	hungUp struct{}
)

func (t *testcall) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		t.start(c)
	case *actor.Stopped:
		t.stopped()
	case *actor.Terminated:
		t.terminated(c, m.Who)
	case *participant.Admitted:
		t.admitted(c)
	case *participant.Refused:
		c.Stop(t.child)
		t.fail(c, m.Err.Error())
	case *participant.Elsewhere:
		c.Stop(t.child)
		t.fail(c, "the conference is elsewhere")
	case *participant.Lost:
		t.fail(c, "the conference was lost")
	case *hungUp:
		t.fail(c, "the conference has ended")
	case *poll:
		t.poll(c)
	case *spoken:
		t.spoken(c, m)
	case *results:
		if t.reason == "" {
			t.speak(c, t.last.spoken())
		}
	case *timeOver:
		t.timeOver(c)
	case *parted:
		t.end(c, participant.Reason{Code: "conference_ended", Text: "The test call is over"})
	default:
		actors.Ignore(c)
	}
}

func (t *testcall) start(c actor.Context) {
	t.began = time.Now()
	t.Metrics.active.Inc()
	c.Watch(t.Caller)
	child, err := c.SpawnNamed(participant.Props(participant.Config{
		ID: t.Member, Room: t.Room, Conference: t.Conference, Protocol: Protocol, Name: "Test call",
		Audio: true, Video: true, Role: conference.RoleGuest,
	}, participant.Deps{
		Node: t.Node, Log: t.Log, Events: t.Events, Metrics: t.Participant, Actors: t.Actors,
		Signalling: signalling{c.ActorSystem(), c.Self()},
	}), "participant/"+string(t.Member))
	if err != nil {
		t.fail(c, err.Error())
		return
	}
	t.child = child
	t.log.Info("test call begun", "lasts", t.Duration)
}

// signalling is the member's.
type signalling struct {
	system *actor.ActorSystem
	self   *actor.PID
}

// Hangup implements [participant.Signalling].
func (s signalling) Hangup(participant.Reason) { s.system.Root.Send(s.self, &hungUp{}) }

func (t *testcall) admitted(c actor.Context) {
	t.member = t.Media.Member(t.Room)
	c.Send(t.child, &participant.Connect{Port: t.member})
	t.timers = []func() bool{func() bool { return false }}
	t.after(c, max(t.Duration/2, t.Duration-resultsBefore), &results{})
	t.after(c, t.Duration, &timeOver{})
	t.poll(c)
}

func (t *testcall) after(c actor.Context, d time.Duration, msg any) {
	t.timers = append(t.timers, actors.After(c, d, msg))
}

// poll asks the caller how its media is, shows it, and does so again a little
// later.
func (t *testcall) poll(c actor.Context) {
	if t.Caller == nil {
		return
	}
	actors.Request(c, t.Caller, &participant.GetStats{}, pollPatience, func(s *participant.Stats, err error) {
		if err == nil && s.Connected {
			t.last = figuresOf(s.Media)
			t.member.Show(t.last.lines(t.Duration - time.Since(t.began)))
			if !t.greeted {
				t.greeted = true
				t.speak(c, welcome)
			}
		}
	})
	t.timers[0] = actors.After(c, pollEvery, &poll{})
}

// speak says text when it has become speech.
func (t *testcall) speak(c actor.Context, text string) {
	if t.Media.Speak == nil {
		t.spoken(c, &spoken{text: text})
		return
	}
	speak := t.Media.Speak
	actors.Go(c, func() any {
		speech, err := speak(text)
		return &spoken{text, speech, err}
	})
}

func (t *testcall) spoken(c actor.Context, m *spoken) {
	if m.err != nil {
		t.log.Error("nothing said", "text", m.text, "err", m.err)
		m = &spoken{text: m.text} // said without a sound
	}
	lasts := t.member.Say(m.speech)
	if m.text == goodbye {
		t.after(c, lasts+partingPause, &parted{})
	}
}

func (t *testcall) timeOver(c actor.Context) {
	if t.reason == "" {
		t.reason = reasonFinished
		t.speak(c, goodbye)
	}
}

// fail ends the call because there is no test.
func (t *testcall) fail(c actor.Context, why string) {
	if t.reason != "" {
		return
	}
	t.reason = reasonFailed
	t.log.Warn("test call failed", "err", why)
	t.end(c, participant.Reason{Code: reasonFailed, Text: "The test call failed"})
}

// end hangs up on the caller.
func (t *testcall) end(c actor.Context, reason participant.Reason) {
	if t.Caller != nil {
		c.Send(t.Caller, &participant.End{Reason: reason})
	}
}

// terminated handles the end of the caller, and of the member.
func (t *testcall) terminated(c actor.Context, who *actor.PID) {
	switch {
	case t.child != nil && t.child.Equal(who):
		t.child = nil
		t.fail(c, "the member has ended") // unless it was told to
	case who.Equal(t.Caller):
		t.Caller = nil
		if t.reason == "" {
			t.reason = reasonHangup
		}
		t.tell()
		if t.child != nil {
			c.Send(t.child, &participant.Ended{})
		}
	}
	if t.child == nil && t.Caller == nil {
		c.Stop(c.Self())
	}
}

// tell publishes what was measured, once.
func (t *testcall) tell() {
	if t.told {
		return
	}
	t.told = true
	e := t.last.event()
	e.Room, e.Participant, e.Node, e.Reason = t.Room, string(t.Call), t.Node, t.reason
	e.Duration = bus.Seconds(time.Since(t.began))
	t.Metrics.over(t.reason, t.last)
	t.log.Info("test call over", "reason", t.reason, "duration", time.Since(t.began).Round(time.Millisecond),
		"mos_from", e.MOSFrom, "mos_to", e.MOSTo, "loss_from", e.LossFrom, "loss_to", e.LossTo,
		"video_loss_from", e.VideoLossFrom, "video_loss_to", e.VideoLossTo, "jitter", e.Jitter, "round_trip", e.RoundTrip,
		"audio", e.AudioCodec, "video", e.VideoCodec, "width", e.Width, "height", e.Height)
	if err := t.Events.Publish(context.Background(), e); err != nil {
		t.log.Warn("event not published", "subject", e.Subject(), "err", err)
	}
}

// stopped gives back what is left, however the actor came to stop.
func (t *testcall) stopped() {
	for _, stop := range t.timers {
		stop()
	}
	if t.reason == "" {
		t.reason = reasonFailed
	}
	t.tell()
}
