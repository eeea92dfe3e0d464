package node

import "github.com/skybridge-media/skybridge/bus"

// Reasons not to be admitted, besides those of package conference.
var (
	ErrNotFound    = &bus.Error{Code: bus.NotFound, Text: "node: no such room"}
	ErrPIN         = &bus.Error{Code: bus.Forbidden, Text: "node: PIN required"}
	ErrHostPIN     = &bus.Error{Code: bus.Forbidden, Text: "node: PIN required of hosts"}
	ErrWrongPIN    = &bus.Error{Code: bus.Forbidden, Text: "node: wrong PIN"}
	ErrPINBlocked  = &bus.Error{Code: bus.Forbidden, Text: "node: too many wrong PINs"}
	ErrRole        = &bus.Error{Code: bus.Forbidden, Text: "node: the PIN is that of another role"}
	ErrCapacity    = &bus.Error{Code: bus.Unavailable, Text: "capacity exceeded"}
	ErrDraining    = &bus.Error{Code: bus.Unavailable, Text: "node: draining"}
	ErrStopping    = &bus.Error{Code: bus.Unavailable, Text: "node: stopping"}
	ErrUnavailable = &bus.Error{Code: bus.Unavailable, Text: "node: conference out of reach"}
	ErrCall        = &bus.Error{Code: bus.Conflict, Text: "node: call has no id of its own"}
	ErrNoDialer    = &bus.Error{Code: bus.Invalid, Text: "node: no outgoing calls"}
	ErrURI         = &bus.Error{Code: bus.Invalid, Text: "node: not a SIP URI"}
	ErrStale       = &bus.Error{Code: bus.Conflict, Text: "node: conference has a younger owner"}
)

// errNoConference tells a waiter that only looks that there is none.
var errNoConference = &bus.Error{Code: bus.NotFound, Text: "node: no conference"}
