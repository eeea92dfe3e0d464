package actors

import (
	"context"
	"fmt"

	"github.com/asynkron/protoactor-go/actor"
)

// Stop stops an actor and its children and waits until they have, or until ctx
// is done. An actor that does not exist has stopped. It must not be called
// from inside an actor.
func Stop(ctx context.Context, sys *actor.ActorSystem, pid *actor.PID) error {
	gone := make(chan any, 1)
	a := newAnswer(sys, func(m any) { gone <- m })
	defer a.Stop(nil)
	if process, ok := sys.ProcessRegistry.Get(pid); ok {
		process.SendSystemMessage(pid, &actor.Watch{Watcher: a.pid})
		process.Stop(pid)
	} else {
		return nil
	}
	select {
	case <-gone:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop %s: %w", pid.GetId(), ctx.Err())
	}
}
