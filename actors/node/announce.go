package node

import (
	"encoding/json"
	"slices"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/skybridge-media/skybridge/bus/claim"
	"github.com/skybridge-media/skybridge/bus/remote"
)

// RoleMedia is the role of nodes that take the media of conferences.
const RoleMedia = "media"

// announcement is what a node says of itself to the others, as JSON in its
// session. Fields are added, never renamed.
type announcement struct {
	Roles    []string `json:"roles"`
	SIP      string   `json:"sip,omitempty"`
	SIPS     string   `json:"sips,omitempty"`
	HTTPS    string   `json:"https,omitempty"`
	Calls    int      `json:"calls"`
	MaxCalls int      `json:"max_calls,omitempty"` // absent: no limit
	Draining bool     `json:"draining,omitempty"`
}

func (a announcement) meta() []byte {
	b, err := json.Marshal(a)
	if err != nil {
		panic(err) // strings, numbers and booleans
	}
	return b
}

// parseAnnouncement reads what another node says. What cannot be read is a node
// that can do nothing for us.
func parseAnnouncement(meta []byte) (a announcement) {
	if json.Unmarshal(meta, &a) != nil {
		return announcement{}
	}
	return a
}

func (a announcement) contacts() Contacts {
	return Contacts{SIP: a.SIP, SIPS: a.SIPS, HTTPS: a.HTTPS}
}

// free is how many more calls the node takes.
func (a announcement) free() int {
	if a.MaxCalls == 0 {
		return 1<<31 - 1 - a.Calls
	}
	return a.MaxCalls - a.Calls
}

// takesMedia reports whether new media may go to the node.
func (a announcement) takesMedia() bool {
	return slices.Contains(a.Roles, RoleMedia) && !a.Draining && a.free() > 0
}

// placement implements conference.Placement from what the nodes announce. This
// node knows of itself what it will announce. Safe for concurrent use.
type placement struct {
	directory Directory
	name      string // of this node
	self      *actor.PID
	own       atomic.Pointer[announcement]
}

// Media implements conference.Placement.
func (p *placement) Media(prefer string, except []string) *actor.PID {
	own := *p.own.Load()
	eligible := func(address string, a announcement) bool {
		return a.takesMedia() && !slices.Contains(except, address)
	}
	// The node where the caller is has counted that call already, so it may
	// look full while it is not.
	if prefer == p.self.Address {
		own.MaxCalls = 0
	}
	if eligible(p.self.Address, own) && prefer == p.self.Address {
		return p.self
	}
	best, bestFree := (*actor.PID)(nil), 0
	if eligible(p.self.Address, own) {
		best, bestFree = p.self, own.free()
	}
	others := p.others()
	if p.stranger(prefer, others) && !slices.Contains(except, prefer) {
		// The directory does not show everybody, and somebody is there.
		return actor.NewPID(prefer, ActorName)
	}
	for _, n := range others {
		a := parseAnnouncement(n.Meta)
		if n.Address == prefer {
			a.MaxCalls = 0
		}
		if !eligible(n.Address, a) {
			continue
		}
		if n.Address == prefer {
			return actor.NewPID(n.Address, ActorName)
		}
		if free := a.free(); free > bestFree {
			best, bestFree = actor.NewPID(n.Address, ActorName), free
		}
	}
	return best
}

// stranger reports whether a node is not in the directory.
func (p *placement) stranger(address string, others []claim.Node) bool {
	return address != p.self.Address && address != "" &&
		!slices.ContainsFunc(others, func(n claim.Node) bool { return n.Address == address })
}

// others lists the other nodes by name, so that equal ones are chosen in the
// same order everywhere.
func (p *placement) others() []claim.Node {
	nodes := slices.DeleteFunc(slices.Clone(p.directory.Nodes()), func(n claim.Node) bool { return n.Name == p.name })
	slices.SortFunc(nodes, func(a, b claim.Node) int {
		switch {
		case a.Name < b.Name:
			return -1
		case a.Name > b.Name:
			return 1
		}
		return 0
	})
	return nodes
}

// node returns the actor of a node by name, nil when it is not known.
func (p *placement) node(name string) *actor.PID {
	if name == p.name {
		return p.self
	}
	for _, n := range p.others() {
		if n.Name == name {
			return actor.NewPID(n.Address, ActorName)
		}
	}
	return nil
}

// nameOf undoes node.
func (p *placement) nameOf(pid *actor.PID) string {
	if pid.Address == p.self.Address {
		return p.name
	}
	return remote.NodeOf(pid.Address)
}

// contacts returns where a node takes calls; false when it is not known.
func (p *placement) contacts(node string) (Contacts, bool) {
	if node == p.name {
		return p.own.Load().contacts(), true
	}
	for _, n := range p.others() {
		if n.Name == node {
			return parseAnnouncement(n.Meta).contacts(), true
		}
	}
	return Contacts{}, false
}
