package conference

import "github.com/skybridge-media/skybridge/bus"

// Reasons not to be admitted, and not to be obeyed.
var (
	ErrLocked  = &bus.Error{Code: bus.Forbidden, Text: "conference: locked"}
	ErrFull    = &bus.Error{Code: bus.Full, Text: "conference: full"}
	ErrEnded   = &bus.Error{Code: bus.Unavailable, Text: "conference: ended"}
	ErrNoMedia = &bus.Error{Code: bus.Unavailable, Text: "conference: no node with media"}
	ErrNobody  = &bus.Error{Code: bus.NotFound, Text: "conference: no such participant"}
	ErrLayout  = &bus.Error{Code: bus.Invalid, Text: "conference: unknown layout"}
	ErrRole    = &bus.Error{Code: bus.Invalid, Text: "conference: unknown role"}
)

// Refuse puts err into the form that crosses nodes.
func Refuse(err error) *Refused {
	r := &Refused{Code: string(bus.CodeOf(err)), Text: err.Error()}
	if e, ok := err.(*Refused); ok {
		r.Code, r.Text = e.Code, e.Text
	}
	return r
}

// Error makes a Refused an error, so that actors.Ask returns it as one.
func (r *Refused) Error() string { return r.GetText() }

// Unwrap returns the *[bus.Error] inside, so that [errors.Is] finds the
// sentinel that was sent, and [bus.CodeOf] its code.
func (r *Refused) Unwrap() error {
	return &bus.Error{Code: bus.Code(r.GetCode()), Text: r.GetText()}
}
