package participant_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/skybridge-media/skybridge/actors"
	"github.com/skybridge-media/skybridge/actors/actortest"
	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/actors/participant"
	"github.com/skybridge-media/skybridge/actors/transcoder"
	"github.com/skybridge-media/skybridge/bus"
	"github.com/skybridge-media/skybridge/media/port"
)

func TestLife(t *testing.T) {
	actortest.Run(t, func(b *actortest.Bench) {
		s := newStage(b)
		pid := s.call(participant.Config{ID: "a", Name: "Anna", Audio: true})
		s.want("conference: join a connecting epoch 0", "parent: admitted a")

		media := &actortest.Port{}
		b.Send(pid, &participant.Connect{Port: media})
		s.want("conference: update Anna connected audio", "transcoder: attach a")
		s.published("participant.joined", "participant.connected")
		if !media.Attached() {
			b.Error("the port is not attached")
		}
		b.Send(pid, &participant.Hold{On: true})
		b.Send(pid, &participant.Hold{On: true})
		b.Send(pid, &participant.Rename{Name: "Anne"})
		b.Send(pid, &participant.Rename{Name: "Anne"})
		b.Send(pid, &participant.SetMedia{Audio: true, Video: true})
		b.Send(pid, &participant.Hold{On: false})
		b.Send(pid, &conference.Report{Conference: conference.AddressOf(s.conference)})
		s.want(
			"conference: update Anna connected audio held", "conference: update Anne connected audio held",
			"conference: update Anne connected audio video held", "conference: update Anne connected audio video",
			"conference: update Anne connected audio video")
		s.published("participant.held", "participant.renamed", "participant.resumed")

		b.Send(pid, &participant.Ended{Reason: participant.Reason{Code: "hangup"}})
		b.Send(pid, &participant.Hold{On: true})
		s.want("conference: leave a hangup", "transcoder: detach a", "stopped")
		s.published("participant.left")
		s.wantPort(media)
	})
}

// Who waits tells the next owner of the conference, which may not know it yet:
// nobody gets in because an owner was lost.
func TestWaiting(t *testing.T) {
	actortest.Run(t, func(b *actortest.Bench) {
		s := newStage(b)
		s.onJoin(func() any {
			return &conference.Joined{Epoch: 5, Transcoder: conference.AddressOf(s.transcoder), Waiting: conference.WaitLock}
		})
		pid := s.call(participant.Config{ID: "a", Name: "Anna", Waits: true})
		s.want("conference: join a connecting epoch 0 willing to wait", "parent: admitted a, waits for lock")
		b.Send(pid, &participant.SetCamera{On: true})
		s.want("conference: update Anna connecting camera")
		b.Send(pid, &conference.Entered{Conference: &conference.Address{Node: "x", Id: "another"}})
		b.Send(pid, &participant.Follow{Conference: s.conference})
		s.want("conference: join a connecting epoch 5 willing to wait waiting for lock", "conference: update Anna connecting camera")
		b.Send(pid, &conference.Entered{Conference: conference.AddressOf(s.conference)})
		s.onJoin(s.joined)
		b.Send(pid, &participant.Follow{Conference: s.conference})
		s.want("conference: join a connecting epoch 5 willing to wait", "conference: update Anna connecting camera")
	})
}

// TestEnds ends a connected call in each way in which somebody else than the
// peer does. The peer is hung up on once, with the reason.
func TestEnds(t *testing.T) {
	tests := []struct {
		name string
		msg  any
		code string
	}{
		{"disconnected by a host", &conference.Dismiss{Code: "disconnected", Text: "bye", Epoch: 5}, "disconnected"},
		{"conference over", &conference.Dismiss{Code: "conference_ended", Epoch: 6}, "conference_ended"},
		{"node stops", &participant.End{Reason: participant.Reason{Code: "node_stopping"}}, "node_stopping"},
		{"media lost", port.Silent{For: 30 * time.Second}, "media_lost"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			actortest.Run(t, func(b *actortest.Bench) {
				s := newStage(b)
				pid := s.call(participant.Config{ID: "a"})
				media := &actortest.Port{}
				b.Send(pid, &participant.Connect{Port: media})
				s.flush()
				if m, ok := tt.msg.(*conference.Dismiss); ok {
					m.Conference = conference.AddressOf(s.conference)
				}
				b.Send(pid, tt.msg)
				b.Send(pid, tt.msg)
				s.want("conference: leave a "+tt.code, "hang up: "+tt.code, "transcoder: detach a", "stopped")
				s.wantPort(media)
				s.published("participant.joined", "participant.connected", "participant.left")
			})
		})
	}
}

func TestFormerOwnerIsIgnored(t *testing.T) {
	actortest.Run(t, func(b *actortest.Bench) {
		s := newStage(b)
		pid := s.call(participant.Config{ID: "a"})
		s.flush()
		b.Send(pid, &conference.Dismiss{Code: "disconnected", Epoch: 4, Conference: conference.AddressOf(s.conference)})
		b.Send(pid, &conference.Dismiss{Code: "disconnected", Epoch: 6, Conference: &conference.Address{Node: "n2@x", Id: "other"}})
		s.want()
	})
}

func TestNoConnect(t *testing.T) {
	actortest.Run(t, func(b *actortest.Bench) {
		s := newStage(b)
		s.call(participant.Config{ID: "a"})
		s.flush()
		time.Sleep(59 * time.Second)
		s.want()
		time.Sleep(2 * time.Second)
		s.want("conference: leave a timeout", "hang up: timeout", "stopped")
	})
}

// TestAPI is somebody who only uses the API, for hours, and then calls.
func TestAPI(t *testing.T) {
	actortest.Run(t, func(b *actortest.Bench) {
		s := newStage(b)
		pid := s.call(participant.Config{ID: "a", API: true})
		s.flush()
		time.Sleep(5 * time.Hour)
		s.want()
		b.Send(pid, &participant.Connect{Port: &actortest.Port{}})
		s.want("conference: update  connected", "transcoder: attach a")
	})
}

func TestSecondConnect(t *testing.T) {
	actortest.Run(t, func(b *actortest.Bench) {
		s := newStage(b)
		pid := s.call(participant.Config{ID: "a"})
		first, second := &actortest.Port{}, &actortest.Port{}
		b.Send(pid, &participant.Connect{Port: first})
		b.Send(pid, &participant.Connect{Port: second})
		b.Settle()
		if !first.Attached() || first.Closed() != 0 || second.Attached() || second.Closed() != 1 {
			b.Errorf("first attached %v, closed %d; second attached %v, closed %d",
				first.Attached(), first.Closed(), second.Attached(), second.Closed())
		}
	})
}

// TestNotAdmitted leaves nothing behind: the parent stops the actor, the peer
// is answered by who asked.
func TestNotAdmitted(t *testing.T) {
	tests := []struct {
		name  string
		reply any
		want  string
	}{
		{"locked", conference.Refuse(conference.ErrLocked), "parent: refused a: conference: locked"},
		{"no media", conference.Refuse(conference.ErrNoMedia), "parent: refused a: conference: no node with media"},
		{"elsewhere", &conference.Elsewhere{Node: "n2"}, "parent: a elsewhere, n2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			actortest.Run(t, func(b *actortest.Bench) {
				s := newStage(b)
				s.onJoin(func() any { return tt.reply })
				pid := s.call(participant.Config{ID: "a"})
				s.want("conference: join a connecting epoch 0", tt.want)
				b.System.Root.Stop(pid)
				s.want("stopped")
				s.published()
			})
		})
	}
}

// TestConferenceLost follows a conference from owner to owner, and gives up
// only before it was admitted.
func TestConferenceLost(t *testing.T) {
	actortest.Run(t, func(b *actortest.Bench) {
		s := newStage(b)
		s.onJoin(func() any { return conference.Refuse(conference.ErrEnded) })
		pid := s.call(participant.Config{ID: "a"})
		s.want("conference: join a connecting epoch 0", "parent: a lost its conference")
		s.onJoin(s.joined)
		b.Send(pid, &participant.Follow{Conference: s.conference})
		s.want("conference: join a connecting epoch 0", "parent: admitted a")

		media := &actortest.Port{}
		b.Send(pid, &participant.Connect{Port: media})
		s.flush()
		b.Send(pid, &participant.Follow{Conference: b.System.NewLocalPID("nobody")})
		s.want("conference: leave a moved", "parent: a lost its conference")
		time.Sleep(time.Hour)
		b.Send(pid, &participant.Follow{Conference: s.conference})
		s.want("conference: join a connected epoch 5", "conference: update  connected")
		if !media.Attached() || media.Closed() != 0 {
			b.Error("the media was touched")
		}
	})
}

func TestJoinTimesOut(t *testing.T) {
	actortest.Run(t, func(b *actortest.Bench) {
		s := newStage(b)
		s.onJoin(func() any { return nil })
		pid := s.call(participant.Config{ID: "a"})
		time.Sleep(9 * time.Second)
		s.want("conference: join a connecting epoch 0", "parent: a lost its conference",
			"parent: refused a: actors: no answer")
		b.System.Root.Stop(pid)
		s.want("stopped")
	})
}

// TestTranscoderLost joins again for another transcoder, and gives up in the
// end.
func TestTranscoderLost(t *testing.T) {
	actortest.Run(t, func(b *actortest.Bench) {
		s := newStage(b)
		pid := s.call(participant.Config{ID: "a"})
		media := &actortest.Port{}
		b.Send(pid, &participant.Connect{Port: media})
		s.flush()

		b.System.Root.Stop(s.transcoder)
		b.Settle()
		s.newTranscoder("second")
		time.Sleep(time.Second)
		s.want("conference: join a connected epoch 5", "conference: update  connected", "second: attach a")
		if !media.Attached() {
			b.Error("the port is not attached to the second transcoder")
		}

		b.System.Root.Stop(s.transcoder)
		time.Sleep(time.Minute)
		if got := s.flush(); len(got) == 0 || got[len(got)-1] != "stopped" || !slices.Contains(got, "hang up: failed") {
			b.Errorf("without media for a minute: %q", got)
		}
		s.wantPort(media)
	})
}

// TestPanics lets what the actor calls panic. The call ends: the peer is hung
// up on once, or was about to be, and the port closed once.
func TestPanics(t *testing.T) {
	tests := []struct {
		name  string
		setup func(s *stage, media *actortest.Port)
		do    any
	}{
		{
			"hanging up", func(s *stage, _ *actortest.Port) { s.onHangup = func() { panic("hangup") } },
			&participant.End{Reason: participant.Reason{Code: "disconnected"}},
		},
		{
			"closing the port", func(_ *stage, media *actortest.Port) { media.OnClose = func() { panic("close") } },
			&participant.End{Reason: participant.Reason{Code: "disconnected"}},
		},
		{
			"publishing", func(s *stage, _ *actortest.Port) { s.publish = func() { s.publish = nil; panic("publish") } },
			&participant.Pressed{Digit: '1'},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			actortest.Run(t, func(b *actortest.Bench) {
				s := newStage(b)
				media := &actortest.Port{}
				pid := s.call(participant.Config{ID: "a"})
				b.Send(pid, &participant.Connect{Port: media})
				s.flush()
				s.events.Take()
				tt.setup(s, media)
				b.Send(pid, tt.do)
				time.Sleep(5 * time.Second)
				got := s.flush()
				if n := count(got, "hang up: "); n != 1 {
					b.Errorf("hung up %d times: %q", n, got)
				}
				s.published("participant.left")
				if n := count(got, "stopped"); n != 1 {
					b.Errorf("stopped %d times: %q", n, got)
				}
				s.wantPort(media)
				if n := s.panics(); n != 1 {
					b.Errorf("%v panics were counted, want 1", n)
				}
			})
		})
	}
}

func TestKeys(t *testing.T) {
	type press struct {
		after time.Duration
		msg   any
	}
	rtp := func(d byte) any { return port.Digit{Digit: d} }
	info := func(d byte) any { return &participant.Pressed{Digit: d} }
	tests := []struct {
		name    string
		presses []press
		want    string
	}{
		{"media", []press{{0, rtp('1')}, {0, rtp('1')}, {0, rtp('#')}}, "11#"},
		{"signalling", []press{{0, info('1')}, {0, info('1')}, {0, info('*')}}, "11*"},
		{"both ways", []press{{0, rtp('1')}, {50 * time.Millisecond, info('1')}}, "1"},
		{"both ways, quickly", []press{
			{0, rtp('1')}, {100 * time.Millisecond, rtp('1')}, {50 * time.Millisecond, info('1')}, {90 * time.Millisecond, info('1')},
		}, "11"},
		{"both ways, signalling first", []press{{0, info('1')}, {0, rtp('1')}, {0, info('2')}, {0, rtp('2')}}, "12"},
		{"one way each", []press{{0, rtp('1')}, {3 * time.Second, info('1')}}, "11"},
		{"letters", []press{{0, rtp('a')}, {0, info('D')}}, "AD"},
		{"no digits", []press{{0, rtp(16)}, {0, info('E')}, {0, info(0)}}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			actortest.Run(t, func(b *actortest.Bench) {
				s := newStage(b)
				pid := s.call(participant.Config{ID: "a", Room: "r"})
				b.Settle()
				s.published("participant.joined")
				for _, p := range tt.presses {
					time.Sleep(p.after)
					b.Send(pid, p.msg)
				}
				b.Settle()
				var got strings.Builder
				for _, e := range s.events.Take() {
					e := e.(bus.ParticipantPressed)
					if e.Room != "r" || e.Participant != "a" || e.Node != "n1" {
						b.Errorf("published %+v", e)
					}
					got.WriteString(e.Digit)
				}
				if got.String() != tt.want {
					b.Errorf("pressed %q, want %q", got.String(), tt.want)
				}
			})
		})
	}
}

func TestMetricsLint(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	participant.NewMetrics(reg)
	problems, err := testutil.GatherAndLint(reg)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func count(lines []string, prefix string) (n int) {
	for _, l := range lines {
		if strings.HasPrefix(l, prefix) {
			n++
		}
	}
	return n
}

// stage has a call's surroundings on it, which say what they hear. It also is
// the call's signalling and its publisher.
type stage struct {
	*actortest.Bench
	conference        *actor.PID
	onHangup, publish func()
	events            actortest.Events
	reg               *prometheus.Registry

	mu         sync.Mutex
	transcoder *actor.PID
	joinReply  func() any
	heard      []string
}

func newStage(b *actortest.Bench) *stage {
	s := &stage{Bench: b, reg: prometheus.NewRegistry()}
	s.onJoin(s.joined)
	s.newTranscoder("transcoder")
	s.conference = b.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		switch m := c.Message().(type) {
		case *conference.Join:
			text := fmt.Sprintf("conference: join %s %s epoch %d", m.Participant.Id, m.Participant.State, m.Epoch)
			if m.Waits {
				text += " willing to wait"
			}
			if m.Participant.Waiting != "" {
				text += " waiting for " + m.Participant.Waiting
			}
			s.hear("%s", text)
			s.mu.Lock()
			reply := s.joinReply
			s.mu.Unlock()
			if r := reply(); r != nil {
				c.Respond(r)
			}
		case *conference.Update:
			text := "conference: update " + m.Participant.Name + " " + m.Participant.State
			for _, f := range []struct {
				on   bool
				name string
			}{{m.Participant.Audio, "audio"}, {m.Participant.Video, "video"}, {m.Participant.Held, "held"}, {m.Participant.Camera, "camera"}} {
				if f.on {
					text += " " + f.name
				}
			}
			s.hear("%s", text)
		case *conference.Leave:
			s.hear("conference: leave %s %s", m.Id, m.Reason)
			c.Respond(&conference.Done{})
		default:
			actors.Ignore(c)
		}
	}), "conference")
	return s
}

// onJoin says what the conference replies to Join from now on.
func (s *stage) onJoin(reply func() any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.joinReply = reply
}

func (s *stage) joined() any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &conference.Joined{Epoch: 5, Transcoder: conference.AddressOf(s.transcoder)}
}

// panics is how many were counted.
func (s *stage) panics() (n float64) {
	s.Helper()
	families, err := s.reg.Gather()
	if err != nil {
		s.Fatal(err)
	}
	for _, f := range families {
		if strings.HasSuffix(f.GetName(), "_panics_total") {
			for _, m := range f.Metric {
				n += m.GetCounter().GetValue()
			}
		}
	}
	return n
}

// newTranscoder starts the transcoder that the conference names from now on.
func (s *stage) newTranscoder(name string) {
	bridge := (&actortest.Bridges{}).New("r", nil)
	pid := s.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		switch m := c.Message().(type) {
		case *transcoder.Attach:
			s.hear("%s: attach %s", name, m.ID)
			bridge.Attach(m.ID, m.Leg, m.Held)
			c.Respond(&transcoder.Attached{})
		case *transcoder.Detach:
			s.hear("%s: detach %s", name, m.ID)
			bridge.Detach(m.ID)
			c.Respond(&transcoder.Detached{})
		case *actor.Stopped:
			bridge.Close()
		default:
			actors.Ignore(c)
		}
	}), name)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.transcoder = pid
}

// call starts a call and settles.
func (s *stage) call(cfg participant.Config) *actor.PID {
	s.Helper()
	cfg.Conference = s.conference
	pid := s.Spawn(participant.Props(cfg, participant.Deps{
		Node: "n1", Log: slog.New(slog.DiscardHandler), Events: s, Metrics: participant.NewMetrics(s.reg),
		Actors: actors.NewMetrics(s.reg), Signalling: s,
	}), "participant/"+string(cfg.ID))
	s.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		switch c.Message().(type) {
		case *actor.Started:
			c.Watch(pid)
		case *actor.Terminated:
			s.hear("stopped")
		}
	}), "watcher")
	s.Settle()
	return pid
}

// Hangup implements participant.Signalling.
func (s *stage) Hangup(r participant.Reason) {
	s.hear("hang up: %s", r.Code)
	if s.onHangup != nil {
		s.onHangup()
	}
}

// Publish implements bus.Publisher.
func (s *stage) Publish(ctx context.Context, e bus.Event) error {
	if s.publish != nil {
		s.publish()
	}
	return s.events.Publish(ctx, e)
}

func (s *stage) hear(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard = append(s.heard, fmt.Sprintf(format, args...))
}

// flush returns what was heard since last asked, by who heard it.
func (s *stage) flush() []string {
	s.Helper()
	for _, m := range s.Received() {
		switch m := m.(type) {
		case *participant.Admitted:
			if m.Waiting != "" {
				s.hear("parent: admitted %s, waits for %s", m.ID, m.Waiting)
				continue
			}
			s.hear("parent: admitted %s", m.ID)
		case *participant.Elsewhere:
			s.hear("parent: %s elsewhere, %s", m.ID, m.Node)
		case *participant.Refused:
			s.hear("parent: refused %s: %v", m.ID, m.Err)
		case *participant.Lost:
			s.hear("parent: %s lost its conference", m.ID)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	heard := s.heard
	s.heard = nil
	slices.SortStableFunc(heard, func(a, b string) int {
		a, _, _ = strings.Cut(a, ":")
		b, _, _ = strings.Cut(b, ":")
		return strings.Compare(strings.Replace(a, "stopped", "~", 1), strings.Replace(b, "stopped", "~", 1))
	})
	return heard
}

func (s *stage) want(lines ...string) {
	s.Helper()
	if got := s.flush(); !slices.Equal(got, lines) {
		s.Errorf("heard\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(lines, "\n\t"))
	}
}

// published checks what kinds of events have been published since last asked.
func (s *stage) published(kinds ...string) {
	s.Helper()
	var got []string
	for _, e := range s.events.Take() {
		got = append(got, bus.KindOf(e))
	}
	if !slices.Equal(got, kinds) {
		s.Errorf("published %q, want %q", got, kinds)
	}
}

// wantPort checks that a port was closed once, after the bridge had let go.
func (s *stage) wantPort(p *actortest.Port) {
	s.Helper()
	time.Sleep(5 * time.Second)
	if p.Closed() != 1 || p.ClosedEarly() || p.Attached() {
		s.Errorf("the port was closed %d times, early: %v, still attached: %v", p.Closed(), p.ClosedEarly(), p.Attached())
	}
}
