package transcoder

import (
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/skybridge-media/skybridge/media/bridge"
)

// spoken is where the bridge puts the name of the speaker and the actor takes
// it: at most one message waits in the mailbox, however often the speaker
// changes. Safe for concurrent use.
type spoken struct {
	latest atomic.Pointer[string]
}

// wake is sent to self when somebody else speaks.
type wake struct{}

// notify returns the function for the bridge to call.
func (s *spoken) notify(root *actor.RootContext, self *actor.PID) func(event any) {
	return func(event any) {
		switch e := event.(type) {
		case bridge.SpeakerChanged:
			s.put(e.ID, root, self)
		case *bridge.SpeakerChanged:
			s.put(e.ID, root, self)
		}
	}
}

func (s *spoken) put(id string, root *actor.RootContext, self *actor.PID) {
	if s.latest.Swap(&id) == nil {
		root.Send(self, &wake{})
	}
}

// take returns what was put last; ok is false when that was taken already.
func (s *spoken) take() (id string, ok bool) {
	if p := s.latest.Swap(nil); p != nil {
		return *p, true
	}
	return "", false
}
