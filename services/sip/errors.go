package sip

import (
	"errors"
	"fmt"
	"strings"

	"github.com/emiago/sipgo/sip"

	"github.com/skybridge-media/skybridge/actors/node"
	"github.com/skybridge-media/skybridge/actors/participant"
	"github.com/skybridge-media/skybridge/bus"
	"github.com/skybridge-media/skybridge/media/rtp"
	"github.com/skybridge-media/skybridge/media/sdp"
)

// retryAfter is what callers are told when there is no room, in seconds.
const retryAfter = "10"

// refusals maps every code to what SIP says. TestRefusalsAreTotal keeps it
// complete.
var refusals = map[bus.Code]refusal{
	bus.Internal:    {code: sip.StatusInternalServerError, reason: "Server Internal Error"},
	bus.Invalid:     {code: sip.StatusBadRequest, reason: "Bad Request"},
	bus.NotFound:    {code: sip.StatusNotFound, reason: "Not Found"},
	bus.Conflict:    {code: sip.StatusTemporarilyUnavailable, reason: "Temporarily Unavailable"},
	bus.Forbidden:   {code: sip.StatusForbidden, reason: "Forbidden"},
	bus.Full:        {code: sip.StatusBusyHere, reason: "Busy Here"},
	bus.Unavailable: {code: sip.StatusServiceUnavailable, reason: "Service Unavailable"},
}

// refusalFor is why a call is not let in. What broke inside is nobody's
// business outside.
func refusalFor(err error) *refusal {
	if errors.Is(err, rtp.ErrNoPorts) {
		err = node.ErrCapacity
	}
	r, ok := refusals[bus.CodeOf(err)]
	if !ok {
		r = refusals[bus.Internal]
	}
	if errors.Is(err, node.ErrCapacity) {
		r.reason = "Capacity Exceeded"
	}
	if r.code == sip.StatusServiceUnavailable {
		r.headers = []sip.Header{sip.NewHeader("Retry-After", retryAfter)}
	}
	return &r
}

// notAcceptable is the answer to media that we cannot agree on, with a Warning
// that says which (RFC 3261 section 20.43).
func notAcceptable(err error, agent string) *refusal {
	r := refuse(sip.StatusNotAcceptableHere, "Not Acceptable Here")
	if why, ok := errors.AsType[*sdp.Refusal](err); ok {
		r.headers = append(r.headers, warning(agent, why.Warning, why.Text))
	}
	return r
}

func warning(agent string, code int, text string) sip.Header {
	return header("Warning", "%d %s %s", code, strings.ReplaceAll(agent, " ", "-"), quote(printable(text, 200)))
}

// A callError is how a call that we placed has failed: by a response, or
// without one.
type callError struct {
	code   int // 0: no response
	reason string
	err    error
}

func (e *callError) Error() string {
	if e.code == 0 {
		return "sip: " + e.reason
	}
	return fmt.Sprintf("sip: %d %s", e.code, e.reason)
}

func (e *callError) Unwrap() error { return e.err }

// Tokens of participant.Reason that this service tells.
const (
	reasonHangup       = "hangup" // the peer wanted it
	reasonDisconnected = "disconnected"
	reasonTimeout      = "timeout"
	reasonFailed       = "failed"
	reasonStopping     = "node_stopping"
)

// Reasons that are told more than once.
var (
	reasonExpired = participant.Reason{Code: reasonTimeout, Text: "Session expired"}
	reasonGoing   = participant.Reason{Code: reasonStopping, Text: "Node is stopping"}
)

// endedBy is the reason for the participant of a call that could not be placed.
func endedBy(err error) participant.Reason {
	r := participant.Reason{Code: reasonFailed, Text: printable(strings.TrimPrefix(err.Error(), "sip: "), 120)}
	if e, ok := errors.AsType[*callError](err); ok && e.code == sip.StatusRequestTimeout {
		r.Code = reasonTimeout
	}
	return r
}

// hangupStatus is the final response to an INVITE when we hang up before
// having answered.
func hangupStatus(r participant.Reason) *refusal {
	switch r.Code {
	case reasonStopping:
		return refuse(sip.StatusServiceUnavailable, "Service Unavailable", sip.NewHeader("Retry-After", retryAfter))
	case reasonFailed:
		return refuse(sip.StatusInternalServerError, "Server Internal Error")
	}
	return refuse(sip.StatusTemporarilyUnavailable, "Temporarily Unavailable")
}

// reasonHeader tells the peer why its call ends (RFC 3326), with the Q.850
// cause that gateways pass on to telephones.
func reasonHeader(r participant.Reason) sip.Header {
	cause := 16 // normal clearing
	switch r.Code {
	case reasonFailed, reasonStopping:
		cause = 41 // temporary failure
	case reasonTimeout, "media_lost":
		cause = 102 // recovery on timer expiry
	case participant.ReasonRejected:
		cause = 21 // call rejected
	}
	text := r.Text
	if text == "" {
		text = r.Code
	}
	return header("Reason", "Q.850;cause=%d;text=%s", cause, quote(printable(text, 120)))
}
