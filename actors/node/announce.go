package node

import (
	"encoding/json"
	"math"
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

	// Capacity, in calls of one kind, and how much of it is leased, in HD calls.
	// Absent: no limit.
	MaxHD     float64 `json:"max_hd_calls,omitempty"`
	MaxSD     float64 `json:"max_sd_calls,omitempty"`
	MaxAudio  float64 `json:"max_audio_calls,omitempty"`
	MaxFullHD float64 `json:"max_full_hd_calls,omitempty"`
	Used      float64 `json:"media_tokens_used,omitempty"`
	Load      int     `json:"media_load,omitempty"` // percent

	Draining bool `json:"draining,omitempty"`
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

// freeHD is how many more HD calls the node takes.
func (a announcement) freeHD() float64 {
	if a.MaxHD == 0 {
		return math.MaxFloat64
	}
	return a.MaxHD - a.Used
}

// takesMedia reports whether new media may go to the node: room for one HD call
// is what every conference may come to need.
func (a announcement) takesMedia() bool {
	return slices.Contains(a.Roles, RoleMedia) && !a.Draining && a.free() > 0 && a.freeHD() >= 1
}

// freer reports whether the node has more room than another: in HD calls, and
// where these are not limited, in calls.
func (a announcement) freer(b announcement) bool {
	if a.freeHD() != b.freeHD() {
		return a.freeHD() > b.freeHD()
	}
	return a.free() > b.free()
}

// unlimited is what is announced without the limits: of a node that has counted, and
// leased for, the very call that media is wanted for.
func (a announcement) unlimited() announcement {
	a.MaxCalls, a.MaxHD = 0, 0
	return a
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
		own = own.unlimited()
	}
	if eligible(p.self.Address, own) && prefer == p.self.Address {
		return p.self
	}
	best, freest := (*actor.PID)(nil), announcement{}
	if eligible(p.self.Address, own) {
		best, freest = p.self, own
	}
	others := p.others()
	if p.stranger(prefer, others) && !slices.Contains(except, prefer) {
		// The directory does not show everybody, and somebody is there.
		return actor.NewPID(prefer, ActorName)
	}
	for _, n := range others {
		a := parseAnnouncement(n.Meta)
		if n.Address == prefer {
			a = a.unlimited()
		}
		if !eligible(n.Address, a) {
			continue
		}
		if n.Address == prefer {
			return actor.NewPID(n.Address, ActorName)
		}
		if best == nil || a.freer(freest) {
			best, freest = actor.NewPID(n.Address, ActorName), a
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

// mediaNodes counts the nodes of the cluster that take media.
func (p *placement) mediaNodes() (count int) {
	if slices.Contains(p.own.Load().Roles, RoleMedia) {
		count++
	}
	for _, n := range p.others() {
		if slices.Contains(parseAnnouncement(n.Meta).Roles, RoleMedia) {
			count++
		}
	}
	return count
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
