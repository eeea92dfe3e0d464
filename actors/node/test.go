package node

import (
	"strings"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/actors/participant"
	"github.com/skybridge-media/skybridge/actors/testcall"
)

// testRoom is the room of one test call: with a name that no other has, and
// without aliases, so that two callers never meet.
func testRoom(service conference.Config, call participant.ID) conference.Config {
	id, _, _ := strings.Cut(string(call), "-") // 32 random bits
	return conference.Config{
		Name: service.Name + "-" + id, Limit: 2, Layout: "1+0", Test: service.Test,
	}
}

// test puts the far end of a test call into the conference of call k, if that is
// what it is for.
func (n *node) test(c actor.Context, k *call) {
	cfg := k.room.cfg
	if cfg.Test <= 0 {
		return
	}
	props := testcall.Props(testcall.Config{
		Room: cfg.Name, Conference: k.room.conference, Call: k.id, Caller: k.pid, Member: NewCall(), Duration: cfg.Test,
	}, testcall.Deps{
		Node: n.Name, Log: n.Log, Events: n.Events, Metrics: n.Metrics.TestCall, Actors: n.Metrics.Actors,
		Participant: n.Metrics.Participant, Media: n.TestCall,
	})
	if _, err := c.SpawnNamed(props, "testcall/"+string(k.id)); err != nil {
		n.Log.Error("test call not started", "call", k.id, "err", err)
	}
}
