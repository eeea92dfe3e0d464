package conference

import "github.com/asynkron/protoactor-go/actor"

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
