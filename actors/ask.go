package actors

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/skybridge-media/skybridge/bus"
)

// ErrNobody answers a question to an actor that does not exist, has stopped,
// is full, or is out of reach.
var ErrNobody = &bus.Error{Code: bus.Unavailable, Text: "actors: nobody there"}

// ErrTimeout answers a question to an actor that did not answer in time.
var ErrTimeout = &bus.Error{Code: bus.Unavailable, Text: "actors: no answer"}

// Ask sends msg and waits for a reply of type R until ctx is done. A reply that
// is an error is returned as one; no reply is [ErrNobody], or [ErrTimeout] when
// ctx ran out. It must not be called from inside an actor; use [Request] there.
//
// It does without protoactor's Future, whose result and timeout are written by
// two goroutines without a common lock: near the deadline both can be set.
func Ask[R any](ctx context.Context, sys *actor.ActorSystem, to *actor.PID, msg any) (R, error) {
	answered := make(chan any, 1)
	a := newAnswer(sys, func(reply any) { answered <- reply })
	defer a.Stop(nil)
	sys.Root.RequestWithCustomSender(to, msg, a.pid)
	select {
	case reply := <-answered:
		return expect[R](to, msg, reply)
	case <-ctx.Done():
		var zero R
		return zero, fmt.Errorf("ask %s %T: %w (%w)", to.GetId(), msg, ErrTimeout, ctx.Err())
	}
}

// Request sends msg for the calling actor and runs then in that actor once
// there is a reply of type R, or an error as [Ask] returns it, after patience
// at the latest. While then runs, the context is that of the message being
// handled now, so that Respond answers whoever sent it. then is not run when
// the actor has stopped.
func Request[R any](c actor.Context, to *actor.PID, msg any, patience time.Duration, then func(R, error)) {
	sys := c.ActorSystem()

	// The future has no timer of its own and is completed by one goroutine
	// exactly once, which answer sees to; so it has no race.
	future := actor.NewFuture(sys, -1)
	a := newAnswer(sys, func(reply any) { sys.Root.Send(future.PID(), &settled{reply}) })
	timer := time.AfterFunc(patience, func() { a.settle(ErrTimeout) })
	c.RequestWithCustomSender(to, msg, a.pid)
	c.ReenterAfter(future, func(result any, _ error) {
		timer.Stop()
		r, err := expect[R](to, msg, result.(*settled).reply)
		then(r, err)
	})
}

// settled hides the reply from the future, which would treat some specially.
type settled struct{ reply any }

func expect[R any](to *actor.PID, msg, reply any) (R, error) {
	var zero R
	switch r := reply.(type) {
	case error:
		return zero, r
	case *actor.DeadLetterResponse:
		return zero, fmt.Errorf("ask %s %T: %w", to.GetId(), msg, ErrNobody)
	case R:
		return r, nil
	}
	return zero, fmt.Errorf("ask %s %T: unexpected reply %T", to.GetId(), msg, reply)
}

// answer is a process that takes the first message sent to it and then no
// longer exists. Safe for concurrent use.
type answer struct {
	sys  *actor.ActorSystem
	pid  *actor.PID
	once sync.Once
	take func(reply any)
}

// newAnswer registers an answer under the name that protoactor gives its
// futures, because that is what bus/remote lets replies through to.
func newAnswer(sys *actor.ActorSystem, take func(any)) *answer {
	a := &answer{sys: sys, take: take}
	a.pid, _ = sys.ProcessRegistry.Add(a, "future"+sys.ProcessRegistry.NextId())
	return a
}

func (a *answer) settle(reply any) {
	a.once.Do(func() {
		a.sys.ProcessRegistry.Remove(a.pid)
		a.take(reply)
	})
}

// SendUserMessage implements [actor.Process].
func (a *answer) SendUserMessage(_ *actor.PID, message any) {
	_, reply, _ := actor.UnwrapEnvelope(message)
	a.settle(reply)
}

// SendSystemMessage implements [actor.Process]. Terminated answers [Stop].
func (a *answer) SendSystemMessage(_ *actor.PID, message any) {
	if _, ok := message.(*actor.Terminated); ok {
		a.settle(message)
	}
}

// Stop implements [actor.Process]: nobody waits any more.
func (a *answer) Stop(*actor.PID) {
	a.once.Do(func() { a.sys.ProcessRegistry.Remove(a.pid) })
}
