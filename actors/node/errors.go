package node

import "github.com/skybridge-media/skybridge/bus"

// Reasons not to be admitted, besides those of package conference.
var (
	ErrNotFound    = &bus.Error{Code: bus.NotFound, Text: "node: no such room"}
	ErrCapacity    = &bus.Error{Code: bus.Unavailable, Text: "capacity exceeded"}
	ErrDraining    = &bus.Error{Code: bus.Unavailable, Text: "node: draining"}
	ErrUnavailable = &bus.Error{Code: bus.Unavailable, Text: "node: conference out of reach"}
	ErrNoDialer    = &bus.Error{Code: bus.Invalid, Text: "node: no outgoing calls"}
)
