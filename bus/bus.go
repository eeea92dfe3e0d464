// Package bus is what crosses a process boundary: the subjects, the events and
// the error codes that every node and every outside consumer agrees on.
//
// It depends on nothing else in this module. Package natsbus carries events
// over NATS, package membus inside one process; both pass bustest. Package
// remote carries actor messages, package claim decides who owns what.
package bus

import (
	"context"
	"errors"
)

// An Event is a fact, named in the past tense, that is published once and
// never amended. Its JSON encoding is a public contract: fields are added,
// never renamed and never reused.
type Event interface {
	// Subject says where the event goes. Only this package builds subjects.
	Subject() string
}

// A Publisher carries events out. Publish returns once the bus has accepted
// the event for delivery, not once anybody has seen it. It does not block:
// what cannot be delivered now is kept in order, up to a limit, and delivered
// when the bus is back.
type Publisher interface {
	Publish(ctx context.Context, e Event) error
}

// A Code classifies an error so that it survives a trip over the wire. Edges
// map codes to what their protocol speaks: HTTP status, SIP response, Q.850
// cause.
type Code string

// The codes. Add one only when some caller must behave differently.
const (
	Internal    Code = "internal"    // a bug or a broken dependency; never shown to users
	Invalid     Code = "invalid"     // the request can never succeed as it is
	NotFound    Code = "not_found"   // no such room, participant, token
	Conflict    Code = "conflict"    // the request clashes with current state
	Forbidden   Code = "forbidden"   // locked, or not allowed for this role
	Full        Code = "full"        // the room's participant limit is reached
	Unavailable Code = "unavailable" // retry later, possibly elsewhere: no capacity
)

// An Error is an error with a code. Two errors are the same, as far as
// [errors.Is] is concerned, when code and text match, so a sentinel compares
// equal to its own copy received from another node.
type Error struct {
	Code Code   `json:"code"`
	Text string `json:"text"`
}

func (e *Error) Error() string { return e.Text }

// Is implements the comparison that [errors.Is] uses.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && *t == *e
}

// CodeOf returns the code of the first Error in err's tree, [Internal] when
// there is none, and "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return Internal
}
