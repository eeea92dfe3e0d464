// Package actortest runs actors in a bubble of fake time.
//
// Inside the bubble a Settle means that every message sent so far, and every
// message those caused, has been handled: there is nothing to poll and nothing
// to sleep for. Hours of timers pass in microseconds.
package actortest

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/skybridge-media/skybridge/actors"
)

// patience is how long the bench waits for an answer, in fake time.
const patience = time.Minute

// A Bench is an actor system on the test bench. The bench itself is an actor:
// the parent of what it spawns, and the sender of what it sends.
type Bench struct {
	*testing.T
	System *actor.ActorSystem
	Self   *actor.PID
	inbox  []any // owned by the bench's actor
}

// Run runs f in a bubble with a fresh system. Actors and goroutines still alive
// when f returns and the bench has stopped fail the test, and so does a message
// that an actor had no case for.
func Run(t *testing.T, f func(b *Bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := New(t)
		defer func() { // also when f gives up, or nobody would hear why
			if err := actors.Stop(context.Background(), b.System, b.Self); err != nil {
				t.Error(err)
			}
			synctest.Wait()
			b.System.Shutdown()
			time.Sleep(2 * time.Second) // let the dead-letter throttle run out
		}()
		f(b)
	})
}

// New returns a bench in real time or in the caller's own bubble, for tests of
// several systems at once. The caller stops it.
func New(t *testing.T) *Bench {
	t.Helper()
	b := &Bench{T: t, System: actors.NewSystem(slog.New(slog.DiscardHandler), actors.NewMetrics(nil))}
	b.System.EventStream.Subscribe(func(e any) {
		if e, ok := e.(*actors.Unhandled); ok {
			t.Errorf("%s has no case for %T", e.Actor.Id, e.Message)
		}
	})
	b.Self = b.System.Root.SpawnPrefix(actor.PropsFromFunc(b.receive, actors.Supervise()), "bench")
	return b
}

type spawn struct {
	props *actor.Props
	name  string
}

// Spawn starts an actor as a child of the bench, which is how the bench gets
// to hear its events.
func (b *Bench) Spawn(props *actor.Props, name string) *actor.PID {
	b.Helper()
	pid, err := Ask[*actor.PID](b, b.Self, &spawn{props, name})
	if err != nil {
		b.Fatal(err)
	}
	return pid
}

// Ask sends msg and waits for the reply, a minute of fake time at most.
func Ask[R any](b *Bench, to *actor.PID, msg any) (R, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return actors.Ask[R](ctx, b.System, to, msg)
}

// Send sends msg with the bench as sender, so replies arrive in Received.
func (b *Bench) Send(to *actor.PID, msg any) {
	b.System.Root.RequestWithCustomSender(to, msg, b.Self)
}

// Settle waits until no actor has anything left to do at the current instant.
func (b *Bench) Settle() { synctest.Wait() }

// Received settles and returns what the bench has received since last asked.
func (b *Bench) Received() []any {
	b.Helper()
	b.Settle()
	got, err := Ask[[]any](b, b.Self, &drain{})
	if err != nil {
		b.Fatal(err)
	}
	return got
}

type drain struct{}

func (b *Bench) receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *spawn:
		pid, err := c.SpawnNamed(m.props, m.name)
		if err != nil {
			c.Respond(err)
			return
		}
		c.Respond(pid)
	case *drain:
		c.Respond(slices.Clone(b.inbox))
		b.inbox = b.inbox[:0]
	case actor.AutoReceiveMessage, actor.SystemMessage:
	default:
		b.inbox = append(b.inbox, m)
	}
}
