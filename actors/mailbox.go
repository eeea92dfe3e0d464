package actors

import (
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/prometheus/client_golang/prometheus"
)

// Mailbox gives an actor a mailbox for at most limit waiting messages; kind is
// the label of its metrics. It never blocks the sender. What does not fit, and
// what is still waiting when the actor stops, becomes a dead letter, which
// answers a question with [ErrNobody]. System messages (Stop, Terminated) are
// not limited. A panic is counted and logged here, with its stack, before the
// parent's strategy decides; see [Supervise].
func Mailbox(kind string, limit int, log *slog.Logger, m *Metrics) actor.PropsOption {
	produce := actor.Unbounded()
	m.panics.WithLabelValues(kind) // they are there before they are needed
	m.overflows.WithLabelValues(kind)
	return actor.WithMailbox(func() actor.Mailbox {
		return &mailbox{
			Mailbox: produce(), kind: kind, limit: int64(limit), log: log, metrics: m,
			waiting: m.waiting.WithLabelValues(kind),
		}
	})
}

// mailbox is protoactor's own with a counter in front and an invoker behind.
type mailbox struct {
	actor.Mailbox
	kind    string
	limit   int64
	log     *slog.Logger
	metrics *Metrics
	waiting prometheus.Gauge

	ctx     actor.Context // of the actor it serves
	next    actor.MessageInvoker
	length  atomic.Int64
	stopped atomic.Bool
}

// RegisterHandlers implements [actor.Mailbox].
func (m *mailbox) RegisterHandlers(invoker actor.MessageInvoker, d actor.Dispatcher) {
	m.ctx, m.next = invoker.(actor.Context), invoker
	m.Mailbox.RegisterHandlers(m, d)
}

// PostUserMessage implements [actor.Mailbox].
func (m *mailbox) PostUserMessage(message any) {
	if m.length.Add(1) > m.limit {
		m.length.Add(-1)
		m.metrics.overflows.WithLabelValues(m.kind).Inc()
		m.ctx.ActorSystem().DeadLetter.SendUserMessage(m.ctx.Self(), message)
		return
	}
	m.waiting.Add(1)
	m.Mailbox.PostUserMessage(message)
}

// InvokeUserMessage implements [actor.MessageInvoker].
func (m *mailbox) InvokeUserMessage(message any) {
	m.length.Add(-1)
	m.waiting.Add(-1)
	if m.stopped.Load() {
		m.ctx.ActorSystem().DeadLetter.SendUserMessage(m.ctx.Self(), message)
		return
	}
	m.next.InvokeUserMessage(message)
}

// InvokeSystemMessage implements [actor.MessageInvoker].
func (m *mailbox) InvokeSystemMessage(message any) {
	if _, watch := message.(*actor.Watch); m.stopped.Load() && !watch {
		return // protoactor would run what follows a Request in a stopped actor
	}
	m.next.InvokeSystemMessage(message)
	switch message.(type) {
	case *actor.Stop, *actor.Terminated:
		m.drain()
	}
}

// drain lets the messages through that were waiting when the actor stopped: a
// panic has suspended the mailbox, and nobody resumes that of a stopped actor.
func (m *mailbox) drain() {
	if m.stopped.Load() {
		return
	}
	self := m.ctx.Self()
	if _, alive := m.ctx.ActorSystem().ProcessRegistry.GetLocal(self.Id); alive {
		return // it waits for its children to stop
	}
	m.stopped.Store(true)
	m.PostSystemMessage(&actor.ResumeMailbox{})
}

// EscalateFailure implements [actor.MessageInvoker]. It runs on the stack that
// panicked.
func (m *mailbox) EscalateFailure(reason, message any) {
	m.metrics.panics.WithLabelValues(m.kind).Inc()
	_, msg, _ := actor.UnwrapEnvelope(message)
	m.log.Error("actor panicked", "kind", m.kind, "actor", m.ctx.Self().Id,
		"message", fmt.Sprintf("%T", msg), "err", reason, "stack", string(debug.Stack()))
	m.next.EscalateFailure(reason, message)
}
