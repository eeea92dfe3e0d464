package testcall_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"github.com/skybridge-media/skybridge/actors"
	"github.com/skybridge-media/skybridge/actors/actortest"
	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/actors/node"
	"github.com/skybridge-media/skybridge/actors/participant"
	"github.com/skybridge-media/skybridge/actors/testcall"
	"github.com/skybridge-media/skybridge/actors/transcoder"
	"github.com/skybridge-media/skybridge/bus"
	"github.com/skybridge-media/skybridge/codecs/pcm"
	"github.com/skybridge-media/skybridge/media/port"
)

// A stage is a node with a service for test calls, in fake time.
type stage struct {
	*actortest.Node
	pid     *actor.PID
	events  actortest.Events
	bridges actortest.Bridges

	mu      sync.Mutex // guards what follows
	members []*member
	mute    error // why nothing can be said
}

// A member records what is said, a second for every ten letters, and shown.
type member struct {
	actortest.Port
	mu    sync.Mutex // guards what follows
	said  []string
	until time.Time
	shown []string
}

func (m *member) Say(speech pcm.Frame) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	text := make([]rune, len(speech))
	for i, s := range speech {
		text[i] = rune(s)
	}
	m.said = append(m.said, string(text))
	if m.until.Before(time.Now()) {
		m.until = time.Now()
	}
	m.until = m.until.Add(time.Duration(len(text)) * time.Second / 10)
	return time.Until(m.until)
}

func (m *member) Show(lines []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.shown = slices.Clone(lines)
}

func (m *member) says() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.said)
}

func (m *member) shows() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return strings.Join(m.shown, "\n")
}

// A leg is the caller's media, with an account.
type leg struct {
	actortest.Port
	stats port.Stats
}

func (l *leg) Stats() port.Stats { return l.stats }

func run(t *testing.T, f func(s *stage)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var wire []proto.Message
		for _, m := range conference.Wire() {
			wire = append(wire, m)
		}
		s := &stage{Node: actortest.NewCluster(t, wire, &conference.Address{}, "node").Join("n1")}
		var err error
		s.pid, err = node.Start(s.System, node.Config{
			Name: "n1", Roles: []string{node.RoleMedia}, Rooms: []conference.Config{{Name: "Echo", Aliases: []string{"99"}, Test: time.Minute}},
		}, node.Deps{
			Log: slog.New(slog.DiscardHandler), Events: &s.events, Directory: s.Directory,
			Metrics: node.Collectors{
				Node: node.NewMetrics(nil), Actors: actors.NewMetrics(nil), Conference: conference.NewMetrics(nil),
				Transcoder: transcoder.NewMetrics(nil), Participant: participant.NewMetrics(nil), TestCall: testcall.NewMetrics(nil),
			},
			NewBridge: func(room string, notify func(any)) transcoder.Bridge { return s.bridges.New(room, notify) },
			TestCall:  testcall.Media{Member: s.member, Speak: s.speak},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			if err := node.Stop(ctx, s.System, s.pid); err != nil {
				t.Error(err)
			}
			if err := actors.Stop(ctx, s.System, s.Self); err != nil {
				t.Error(err)
			}
			s.System.Shutdown()
			time.Sleep(time.Minute) // let timers and the dead-letter throttle run out
			for _, m := range s.members {
				if m.Closed() != 1 || m.ClosedEarly() {
					t.Errorf("a member was closed %d times, early: %v", m.Closed(), m.ClosedEarly())
				}
			}
			if n := len(s.bridges.Open()); n != 0 {
				t.Errorf("%d bridges are still open", n)
			}
		}()
		synctest.Wait()
		f(s)
	})
}

func (s *stage) member(string) testcall.Member {
	m := &member{}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.members = append(s.members, m)
	return m
}

func (s *stage) speak(text string) (pcm.Frame, error) {
	var speech pcm.Frame
	for _, r := range text {
		speech = append(speech, int16(r))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return speech, s.mute
}

// A call is a caller's.
type call struct {
	admitted *node.Admitted
	leg      *leg
	mu       sync.Mutex // guards hungUp
	hungUp   []string
}

func (c *call) Hangup(r participant.Reason) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hungUp = append(c.hungUp, r.Code)
}

func (c *call) ended() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(c.hungUp, " ")
}

func (s *stage) call(id participant.ID, stats port.Stats) *call {
	s.Helper()
	c := &call{leg: &leg{stats: stats}}
	a, err := actortest.Ask[*node.Admitted](s.Bench, s.pid, &node.Admit{
		Call: id, Alias: "99", Protocol: "sip", Name: "Ada", Audio: true, Video: true, Signalling: c,
	})
	if err != nil {
		s.Fatal(err)
	}
	c.admitted = a
	s.Send(a.Participant, &participant.Connect{Port: c.leg})
	synctest.Wait()
	return c
}

func (s *stage) finished() (found []bus.TestCallFinished) {
	synctest.Wait()
	for _, e := range s.events.Take() {
		if e, ok := e.(bus.TestCallFinished); ok {
			found = append(found, e)
		}
	}
	return found
}

var measured = port.Stats{
	AudioIn:  port.Stream{Codec: "opus", Packets: 950, Lost: 50, Bitrate: 32_000, Jitter: 7 * time.Millisecond, RTT: 80 * time.Millisecond},
	AudioOut: port.Stream{Codec: "opus", Packets: 1000, Lost: 10, Bitrate: 33_000},
	VideoIn:  port.Stream{Codec: "VP8", Packets: 3000, Bitrate: 1_500_000, Width: 1280, Height: 720},
	VideoOut: port.Stream{Codec: "VP8", Packets: 3000, Lost: 30, Bitrate: 900_000},
}

func TestTestCall(t *testing.T) {
	run(t, func(s *stage) {
		c := s.call("a1b2-x", measured)
		if c.admitted.Room != "Echo-a1b2" {
			s.Errorf("the room is %q", c.admitted.Room)
		}
		time.Sleep(3500 * time.Millisecond)
		m := s.members[0]
		if said := m.says(); len(said) != 1 || !strings.HasPrefix(said[0], "This is a test call.") {
			s.Errorf("first it says %q", said)
		}
		const want = `Test call, 57 s left
Sound from you: 5.0 % lost, 32 kbit/s, jitter 7 ms, MOS 3.9 (fair)
Sound to you: 1.0 % lost, 33 kbit/s, MOS 4.3 (good)
Picture from you: 1280x720, 0.0 % lost, 1.5 Mbit/s
Picture to you: 1.0 % lost, 900 kbit/s
Round trip: 80 ms
Codecs: opus, VP8`
		if got := m.shows(); got != want {
			s.Errorf("it shows\n%s\nwant\n%s", got, want)
		}
		time.Sleep(38 * time.Second)
		const results = "Your results. Sound from you: 5 percent lost, quality fair. Sound to you: 1 percent lost, quality good. " +
			"Picture from you: 1280 by 720, nothing lost. Round trip: 80 milliseconds."
		if said := m.says(); len(said) != 2 || said[1] != results {
			s.Errorf("then it says %q", said)
		}
		time.Sleep(18 * time.Second)
		if c.ended() != "" {
			s.Errorf("hung up on before the time is over: %s", c.ended())
		}
		time.Sleep(10 * time.Second)
		if said := m.says(); len(said) != 3 || !strings.HasSuffix(said[2], "Goodbye.") {
			s.Errorf("at last it says %q", said)
		}
		if c.ended() != "conference_ended" {
			s.Errorf("hung up on: %q", c.ended())
		}
		found := s.finished()
		if len(found) != 1 {
			s.Fatalf("events %+v", found)
		}
		e := found[0]
		if e.Reason != "finished" || e.Participant != "a1b2-x" || e.Room != "Echo-a1b2" || e.LossFrom != 0.05 || e.LossTo != 0.01 ||
			e.VideoLossTo != 0.01 || time.Duration(e.RoundTrip) != 80*time.Millisecond || e.Width != 1280 {
			s.Errorf("event %+v", e)
		}
	})
}

// Two callers do not meet.
func TestApart(t *testing.T) {
	run(t, func(s *stage) {
		a, b := s.call("a-1", measured), s.call("b-1", port.Stats{})
		time.Sleep(2 * time.Second)
		if a.admitted.Room == b.admitted.Room || len(s.bridges.Open()) != 2 {
			s.Errorf("rooms %s and %s, %d bridges", a.admitted.Room, b.admitted.Room, len(s.bridges.Open()))
		}
		for _, br := range s.bridges.Open() {
			if legs := br.Legs(); len(legs) != 2 {
				s.Errorf("legs %v", legs)
			}
			if p := br.Plan(); p.Layout != "1+0" || p.SelfView || len(p.Members) != 2 || p.Members[0].NoTile || p.Members[1].NoTile {
				s.Errorf("plan %+v", p)
			}
		}
	})
}

// A caller who hangs up leaves nothing behind but the event.
func TestHangup(t *testing.T) {
	run(t, func(s *stage) {
		c := s.call("a-1", measured)
		time.Sleep(5 * time.Second)
		s.Send(c.admitted.Participant, &participant.Ended{})
		found := s.finished()
		if len(found) != 1 || found[0].Reason != "hangup" || found[0].LossFrom != 0.05 {
			s.Errorf("events %+v", found)
		}
		if n := len(s.bridges.Open()); n != 0 {
			s.Errorf("%d bridges are still open", n)
		}
	})
}

// When the conference is over for another reason, so is the call.
func TestDisconnected(t *testing.T) {
	run(t, func(s *stage) {
		c := s.call("a-1", measured)
		time.Sleep(5 * time.Second)
		if _, err := actortest.Ask[*conference.Done](s.Bench, c.admitted.Conference, &conference.Disconnect{}); err != nil {
			s.Fatal(err)
		}
		if found := s.finished(); len(found) != 1 {
			s.Errorf("events %+v", found)
		}
		if c.ended() != "conference_ended" {
			s.Errorf("hung up on: %q", c.ended())
		}
	})
}

// Who has lost its voice still shows, and says goodbye in time.
func TestSpeechless(t *testing.T) {
	run(t, func(s *stage) {
		s.mu.Lock()
		s.mute = errors.New("no voice")
		s.mu.Unlock()
		c := s.call("a-1", port.Stats{})
		time.Sleep(61 * time.Second)
		if c.ended() != "conference_ended" {
			s.Errorf("hung up on: %q", c.ended())
		}
		if got := s.members[0].shows(); !strings.Contains(got, "Round trip: not known yet") {
			s.Errorf("it shows %s", got)
		}
	})
}
