package actors_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/skybridge-media/skybridge/actors"
	"github.com/skybridge-media/skybridge/actors/actortest"
	"github.com/skybridge-media/skybridge/bus"
)

type (
	echo  struct{ n int }
	mute  struct{}
	fail  struct{ err error }
	crash struct{}
	relay struct {
		to  *actor.PID
		msg any
	}
	block struct{ until chan struct{} }
)

// parrot answers echo with itself, fail with an error, mute never, and relays.
func parrot(c actor.Context) {
	switch m := c.Message().(type) {
	case *echo:
		c.Respond(m)
	case *fail:
		c.Respond(m.err)
	case *mute:
	case *crash:
		panic("parrot crashed")
	case *block:
		<-m.until
	case *relay:
		actors.Request(c, m.to, m.msg, time.Second, func(r *echo, err error) {
			if err != nil {
				c.Respond(err)
				return
			}
			c.Respond(r)
		})
	default:
		actors.Ignore(c)
	}
}

func TestAsk(t *testing.T) {
	refused := &bus.Error{Code: bus.Forbidden, Text: "no"}
	tests := []struct {
		name string
		msg  any
		want error
	}{
		{"reply", &echo{1}, nil},
		{"error as reply", &fail{refused}, refused},
		{"no reply", &mute{}, actors.ErrTimeout},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			actortest.Run(t, func(b *actortest.Bench) {
				pid := b.Spawn(actor.PropsFromFunc(parrot), "parrot")
				if _, err := actortest.Ask[*echo](b, pid, tt.msg); !errors.Is(err, tt.want) {
					b.Errorf("ask = %v, want %v", err, tt.want)
				}
				other := b.Spawn(actor.PropsFromFunc(parrot), "other")
				if _, err := actortest.Ask[*echo](b, other, &relay{pid, tt.msg}); !errors.Is(err, tt.want) {
					b.Errorf("request = %v, want %v", err, tt.want)
				}
			})
		})
	}
}

func TestAskNobody(t *testing.T) {
	actortest.Run(t, func(b *actortest.Bench) {
		start := time.Now()
		nobody := b.System.NewLocalPID("nobody")
		if _, err := actortest.Ask[*echo](b, nobody, &echo{}); !errors.Is(err, actors.ErrNobody) {
			b.Errorf("ask = %v, want %v", err, actors.ErrNobody)
		}
		pid := b.Spawn(actor.PropsFromFunc(parrot), "parrot")
		if _, err := actortest.Ask[*echo](b, pid, &relay{nobody, &echo{}}); !errors.Is(err, actors.ErrNobody) {
			b.Errorf("request = %v, want %v", err, actors.ErrNobody)
		}
		if d := time.Since(start); d != 0 {
			b.Errorf("it took %v, want no wait", d)
		}
	})
}

// TestAskAtTheDeadline replies at the very moment when patience ends, many
// times: the outcome is either, but never both and never a race.
func TestAskAtTheDeadline(t *testing.T) {
	actortest.Run(t, func(b *actortest.Bench) {
		slow := b.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			if m, ok := c.Message().(*echo); ok {
				root, sender := c.ActorSystem().Root, c.Sender()
				time.AfterFunc(time.Second, func() { root.Send(sender, m) })
			}
		}), "slow")
		relays := b.Spawn(actor.PropsFromFunc(parrot), "parrot")
		var wg sync.WaitGroup
		for i := range 300 {
			wg.Go(func() {
				r, err := actortest.Ask[*echo](b, relays, &relay{slow, &echo{i}})
				if (r == nil) == (err == nil) {
					b.Errorf("reply %v and error %v, want exactly one", r, err)
				}
				if err == nil && r.n != i {
					b.Errorf("got the reply to %d, want %d", r.n, i)
				}
			})
		}
		wg.Wait()
	})
}

func TestPanicEndsOneActorOnly(t *testing.T) {
	actortest.Run(t, func(b *actortest.Bench) {
		reg := prometheus.NewPedanticRegistry()
		m := actors.NewMetrics(reg)
		var log strings.Builder
		props := actor.PropsFromFunc(parrot,
			actors.Mailbox("parrot", 10, slog.New(slog.NewTextHandler(&log, nil)), m))
		bad, good := b.Spawn(props, "bad"), b.Spawn(props, "good")

		b.System.Root.Send(bad, &crash{})
		// What waits behind the message that killed it is answered at once.
		if _, err := actortest.Ask[*echo](b, bad, &echo{}); !errors.Is(err, actors.ErrNobody) {
			b.Errorf("ask the dead = %v, want %v", err, actors.ErrNobody)
		}
		if _, err := actortest.Ask[*echo](b, good, &echo{}); err != nil {
			b.Errorf("ask the neighbour: %v", err)
		}
		want := `
# HELP skybridge_actors_panics_total Panics inside actors, each of which ended that actor, except for the node's.
# TYPE skybridge_actors_panics_total counter
skybridge_actors_panics_total{kind="parrot"} 1
# HELP skybridge_actors_mailbox_messages Messages that wait in mailboxes, over all actors of a kind.
# TYPE skybridge_actors_mailbox_messages gauge
skybridge_actors_mailbox_messages{kind="parrot"} 0
`
		if err := testutil.GatherAndCompare(reg, strings.NewReader(want),
			"skybridge_actors_panics_total", "skybridge_actors_mailbox_messages"); err != nil {
			b.Error(err)
		}
		for _, part := range []string{"parrot crashed", "actors_test.parrot(", "*actors_test.crash"} {
			if !strings.Contains(log.String(), part) {
				b.Errorf("the log does not say %q: %s", part, log.String())
			}
		}
	})
}

// TestMailboxBound fills a mailbox while its actor is busy: what does not fit
// is answered at once, what fits is handled, and the sender never waits.
func TestMailboxBound(t *testing.T) {
	actortest.Run(t, func(b *actortest.Bench) {
		const limit, sent = 10, 25
		reg := prometheus.NewPedanticRegistry()
		pid := b.Spawn(actor.PropsFromFunc(parrot,
			actors.Mailbox("parrot", limit, slog.New(slog.DiscardHandler), actors.NewMetrics(reg))), "busy")
		until := make(chan struct{})
		b.Send(pid, &block{until})
		b.Settle() // it is inside the handler now, its mailbox empty
		for i := range sent {
			b.Send(pid, &echo{i})
		}
		close(until)
		var handled, refused int
		for _, m := range b.Received() {
			switch m.(type) {
			case *echo:
				handled++
			case *actor.DeadLetterResponse:
				refused++
			}
		}
		if handled != limit || refused != sent-limit {
			b.Errorf("handled %d and refused %d, want %d and %d", handled, refused, limit, sent-limit)
		}
		want := fmt.Sprintf(overflowed, sent-limit)
		if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "skybridge_actors_mailbox_overflows_total"); err != nil {
			b.Error(err)
		}
	})
}

const overflowed = `
# HELP skybridge_actors_mailbox_overflows_total Messages that found a mailbox full and became dead letters.
# TYPE skybridge_actors_mailbox_overflows_total counter
skybridge_actors_mailbox_overflows_total{kind="parrot"} %d
`

// TestDeadLetters counts what nobody took, asked or not.
func TestDeadLetters(t *testing.T) {
	actortest.Run(t, func(b *actortest.Bench) {
		reg := prometheus.NewPedanticRegistry()
		sys := actors.NewSystem(slog.New(slog.DiscardHandler), actors.NewMetrics(reg))
		sys.Root.Send(sys.NewLocalPID("nobody"), &echo{})
		_, _ = actors.Ask[*echo](context.Background(), sys, sys.NewLocalPID("nobody"), &echo{})
		sys.Shutdown()
		want := `
# HELP skybridge_actors_dead_letters_total Messages to actors that do not exist, have stopped, are full or are out of reach.
# TYPE skybridge_actors_dead_letters_total counter
skybridge_actors_dead_letters_total 2
`
		if err := testutil.GatherAndCompare(reg, strings.NewReader(want)); err != nil {
			b.Error(err)
		}
	})
}

// TestQuiet checks what the program's log hears of protoactor's own affairs.
func TestQuiet(t *testing.T) {
	for level, want := range map[slog.Level]bool{slog.LevelInfo: false, slog.LevelDebug: true} {
		var log strings.Builder
		h := slog.NewTextHandler(&log, &slog.HandlerOptions{Level: level})
		actors.NewSystem(slog.New(h), actors.NewMetrics(nil)).Shutdown()
		if got := strings.Contains(log.String(), "level=DEBUG msg=\"actor system started\""); got != want {
			t.Errorf("at level %v it says %q", level, log.String())
		}
	}
}

// TestDiscreet checks that what is in a message does not get into the log.
func TestDiscreet(t *testing.T) {
	read, write, err := os.Pipe() // which both sides may use at a time
	if err != nil {
		t.Fatal(err)
	}
	sys := actors.NewSystem(slog.New(slog.NewTextHandler(write, &slog.HandlerOptions{Level: slog.LevelDebug})), actors.NewMetrics(nil))
	type letter struct{ Text string }
	sys.Root.Send(sys.NewLocalPID("nobody"), &letter{"psst"})
	sys.Shutdown()
	_ = write.Close()
	log, _ := io.ReadAll(read)
	if got := string(log); strings.Contains(got, "psst") || !strings.Contains(got, "letter") {
		t.Errorf("it says %q", got)
	}
}

// TestStopAnswersTheQueue stops an actor with questions in its mailbox.
func TestStopAnswersTheQueue(t *testing.T) {
	actortest.Run(t, func(b *actortest.Bench) {
		pid := b.Spawn(actor.PropsFromFunc(parrot,
			actors.Mailbox("parrot", 10, slog.New(slog.DiscardHandler), actors.NewMetrics(nil))), "stopping")
		until := make(chan struct{})
		b.Send(pid, &block{until})
		b.Settle()
		b.Send(pid, &echo{})
		stopped := make(chan error, 1)
		go func() { stopped <- actors.Stop(context.Background(), b.System, pid) }()
		b.Settle()
		close(until)
		if err := <-stopped; err != nil {
			b.Fatal(err)
		}
		got := b.Received()
		if len(got) != 1 {
			b.Fatalf("received %v, want one answer", got)
		}
		if _, ok := got[0].(*actor.DeadLetterResponse); !ok {
			b.Errorf("received %T, want a dead letter", got[0])
		}
	})
}

// TestReplyAfterStop lets the answer to a Request arrive when the actor has just
// stopped: what was to follow does not run.
func TestReplyAfterStop(t *testing.T) {
	actortest.Run(t, func(b *actortest.Bench) {
		ran := false
		answer, until := make(chan struct{}), make(chan struct{})
		asked := b.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			if m, ok := c.Message().(*echo); ok {
				<-answer
				c.Respond(m)
			}
		}), "asked")
		pid := b.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			if m, ok := c.Message().(*block); ok {
				actors.Request(c, asked, &echo{}, time.Second, func(*echo, error) { ran = true })
				<-m.until
			}
		}, actors.Mailbox("asking", 10, slog.New(slog.DiscardHandler), actors.NewMetrics(nil))), "asking")
		b.Send(pid, &block{until})
		b.Settle()
		b.System.Root.Stop(pid)
		close(answer)
		b.Settle() // both wait behind the message at hand
		close(until)
		b.Settle()
		if ran {
			b.Error("it ran in a stopped actor")
		}
	})
}

// TestSurvive checks the policy of the actor at the top: it goes on with the
// state that it had.
func TestSurvive(t *testing.T) {
	actortest.Run(t, func(b *actortest.Bench) {
		count := 0
		top, err := b.System.Root.SpawnNamed(actor.PropsFromFunc(func(c actor.Context) {
			switch c.Message().(type) {
			case *crash:
				panic("top crashed")
			case *echo:
				count++
				c.Respond(&echo{count})
			}
		}, actors.Survive(), actors.Mailbox("top", 10, slog.New(slog.DiscardHandler), actors.NewMetrics(nil))), "top")
		if err != nil {
			b.Fatal(err)
		}
		for want := 1; want <= 30; want++ {
			r, err := actortest.Ask[*echo](b, top, &echo{})
			if err != nil || r.n != want {
				b.Fatalf("count = %v, %v, want %d", r, err, want)
			}
			b.Send(top, &crash{})
		}
		if err := actors.Stop(context.Background(), b.System, top); err != nil {
			b.Error(err)
		}
	})
}

func TestAfterAndGo(t *testing.T) {
	actortest.Run(t, func(b *actortest.Bench) {
		var stop func() bool
		pid := b.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			switch m := c.Message().(type) {
			case *actor.Started:
				actors.After(c, time.Hour, &echo{1})
				stop = actors.After(c, 2*time.Hour, &echo{2})
				actors.Go(c, func() any { time.Sleep(30 * time.Minute); return &echo{3} })
			case *echo:
				c.Send(c.Parent(), m)
				if m.n == 1 {
					stop()
				}
			}
		}), "timers")
		_ = pid
		time.Sleep(3 * time.Hour)
		var order []int
		for _, m := range b.Received() {
			order = append(order, m.(*echo).n)
		}
		if len(order) != 2 || order[0] != 3 || order[1] != 1 {
			b.Errorf("received %v, want [3 1]", order)
		}
	})
}

func TestMetricsLint(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	m := actors.NewMetrics(reg)
	actors.NewSystem(slog.New(slog.DiscardHandler), m)
	actor.PropsFromFunc(parrot, actors.Mailbox("parrot", 1, slog.New(slog.DiscardHandler), m))
	problems, err := testutil.GatherAndLint(reg)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}
