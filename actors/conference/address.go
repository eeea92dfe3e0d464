package conference

import (
	"strings"

	"github.com/asynkron/protoactor-go/actor"
)

// AddressOf puts a PID into the form that crosses nodes; nil for nil.
func AddressOf(pid *actor.PID) *Address {
	if pid == nil {
		return nil
	}
	return &Address{Node: pid.Address, Id: pid.Id}
}

// PID returns the PID at the address, or nil when there is none. The message
// that carried the address stays unchanged, as others may be reading it.
func (a *Address) PID() *actor.PID {
	if a.GetId() == "" {
		return nil
	}
	return actor.NewPID(a.Node, a.Id)
}

// Same reports whether both are the address of the same actor.
func (a *Address) Same(b *Address) bool {
	return a.GetNode() == b.GetNode() && a.GetId() == b.GetId()
}

// place is the node that an actor runs on: what it is called, and what
// addresses on it look like inside its process.
type place struct{ name, address string }

// nameOf returns the name of the node of an address: what comes before the
// incarnation.
func (p place) nameOf(a *Address) string {
	if a.GetNode() == p.address {
		return p.name
	}
	name, _, _ := strings.Cut(a.GetNode(), "@")
	return name
}
