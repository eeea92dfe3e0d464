package actors

import "github.com/asynkron/protoactor-go/actor"

// Unhandled is published on the system's event stream for a message that an
// actor has no case for, which is a bug: actortest makes the test fail.
type Unhandled struct {
	Actor   *actor.PID
	Message any
}

// Ignore is every actor's default case. Lifecycle messages are none of its
// business, and neither is the news that a message sent with [actor.Context.Request]
// reached nobody; anything else is Unhandled.
func Ignore(c actor.Context) {
	switch m := c.Message().(type) {
	case actor.AutoReceiveMessage, actor.SystemMessage, *actor.DeadLetterResponse:
	default:
		c.ActorSystem().EventStream.Publish(&Unhandled{Actor: c.Self(), Message: m})
	}
}
