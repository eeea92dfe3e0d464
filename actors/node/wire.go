package node

import (
	"maps"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/bus/remote"
)

// Wire lists this package's messages that cross nodes, by the number that
// stands for each. Numbers 300 to 399 are this package's; they are appended,
// never changed.
func Wire() map[uint32]proto.Message {
	return map[uint32]proto.Message{
		300: &Locate{},
		301: &Located{},
		302: &PlaceCall{},
		303: &CallPlaced{},
		304: &ListConferences{},
		305: &ConferenceList{},
		306: &SetDrain{},
	}
}

// Register adds everything that the actors of a process send to those of
// another one.
func Register(r *remote.Registry) {
	r.AddAddress(&conference.Address{}, "node")
	for _, wire := range []map[uint32]proto.Message{conference.Wire(), Wire()} {
		for number, m := range maps.All(wire) {
			r.Add(number, m)
		}
	}
}

// Reachable reports whether other nodes may send to an actor of this package's
// making; see remote.Config.
func Reachable(id string) bool { return id == ActorName || strings.HasPrefix(id, ActorName+"/") }
