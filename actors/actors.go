// Package actors holds what every actor shares: how a system is made, how
// failures are contained, how to ask, how to wait and how to stop.
//
// Each subpackage is one kind of actor. It exports Props, Config, Deps, its
// messages, its ports (the interfaces it needs someone to implement), Metrics
// and errors, and nothing else; the actor's type is unexported, so its state
// cannot be reached.
//
// # Messages
//
// The receiver's package owns the message types, with one exception: what a
// conference tells its participants, its transcoder and the nodes is in
// package conference, because those import it and not the other way round.
// Imports point one way: node, testcall, participant, transcoder, conference. Commands
// are imperative (conference.Mute), events past tense (participant.Left),
// queries Get- with the bare noun as reply (conference.GetRoster,
// conference.Roster). Messages are pointers to structs and immutable from the
// moment they are sent; those that cross nodes are protobuf.
//
// # Failures
//
// An actor that panics is stopped, never restarted: a call without its
// signalling state is no call, and a conference without its roster is no
// conference. Its parent and its watchers are told as of any other end, and
// carry on from what they know: a node re-claims a conference and the
// transcoder brings the roster back. See [Supervise].
//
// # Mailboxes
//
// Every mailbox is bounded by [Mailbox]. What does not fit, and what is still
// queued when an actor stops, becomes a dead letter, so that whoever waits for
// an answer is told at once. Nobody ever blocks on a mailbox: a mailbox that
// blocked its sender would let two full actors wait for each other for ever.
//
// # Media
//
// No audio, no video and no tick goes through a mailbox.
package actors

//go:generate protoc --go_out=. --go_opt=paths=source_relative conference/conference.proto node/node.proto

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// NewSystem returns an actor system that logs to log and counts into m. What
// protoactor itself has to say is demoted to debug level: dead letters are a
// metric, and panics are logged by [Mailbox].
func NewSystem(log *slog.Logger, m *Metrics) *actor.ActorSystem {
	quiet := slog.New(demoted{log.Handler()})
	sys := actor.NewActorSystem(
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return quiet }),
		actor.WithDeadLetterThrottleInterval(50*time.Millisecond), // a goroutine stays for so long
		actor.WithDeadLetterRequestLogging(false),
	)
	sys.EventStream.Subscribe(func(e any) {
		if _, ok := e.(*actor.DeadLetterEvent); ok {
			m.deadLetters.Inc()
		}
	})
	return sys
}

// demoted passes records on at debug level, and of messages only what they are:
// some hold what people write to each other, or the keys that they press.
type demoted struct{ slog.Handler }

func (h demoted) Enabled(ctx context.Context, _ slog.Level) bool {
	return h.Handler.Enabled(ctx, slog.LevelDebug)
}

func (h demoted) Handle(ctx context.Context, r slog.Record) error {
	shown := slog.NewRecord(r.Time, slog.LevelDebug, r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "message" {
			a.Value = slog.StringValue(fmt.Sprintf("%T", a.Value.Any()))
		}
		shown.AddAttrs(a)
		return true
	})
	return h.Handler.Handle(ctx, shown)
}

func (h demoted) WithAttrs(a []slog.Attr) slog.Handler { return demoted{h.Handler.WithAttrs(a)} }
func (h demoted) WithGroup(name string) slog.Handler   { return demoted{h.Handler.WithGroup(name)} }

// After sends msg to the calling actor once d has passed, unless stop is
// called first. A message that was already in flight still arrives, so the
// handler checks that it is still wanted.
//
// It exists because SetReceiveTimeout of protoactor-go mutates the context
// from a timer goroutine, which the race detector rightly rejects.
func After(c actor.Context, d time.Duration, msg any) (stop func() bool) {
	root, self := c.ActorSystem().Root, c.Self()
	return time.AfterFunc(d, func() { root.Send(self, msg) }).Stop
}

// Go runs f on its own goroutine and sends what it returns to the calling
// actor. It is how an actor waits for the network without making its mailbox
// wait: f gets copies, never the actor's own fields, and must return in
// bounded time.
func Go(c actor.Context, f func() (msg any)) {
	root, self := c.ActorSystem().Root, c.Self()
	go func() { root.Send(self, f()) }()
}
