package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/actors/node"
	"github.com/skybridge-media/skybridge/bus"
)

// status maps every code to HTTP. TestStatusIsTotal keeps it complete.
var status = map[bus.Code]int{
	bus.Internal:    http.StatusInternalServerError,
	bus.Invalid:     http.StatusBadRequest,
	bus.NotFound:    http.StatusNotFound,
	bus.Conflict:    http.StatusConflict,
	bus.Forbidden:   http.StatusForbidden,
	bus.Full:        http.StatusServiceUnavailable,
	bus.Unavailable: http.StatusServiceUnavailable,
}

// A failure is an answer that is no success.
type failure struct {
	status    int
	reason    string // a token: a bus.Code, or one of those below
	text      string // for people
	retry     int    // seconds; 0: do not
	location  string // of the same resource on another node
	alternate string // base URL of that node
	pin       *pinJSON
}

func (f *failure) Error() string { return f.text }

// Reasons besides the codes of package bus.
const (
	reasonToken       = "token"       // missing, expired or somebody else's
	reasonUnsupported = "unsupported" // this server does not do that
	reasonElsewhere   = "elsewhere"   // another node does: see alternate
	reasonCapacity    = "capacity"    // nothing free
	reasonNotLive     = "not_live"    // nobody to watch
	reasonLocked      = "locked"      // the conference lets nobody in
	reasonRole        = "role"        // hosts may, this participant is a guest
	reasonPIN         = "pin"         // one is required, or it is wrong
	reasonBlocked     = "blocked"     // too many wrong PINs: the room takes none now
	reasonWaiting     = "waiting"     // outside, to be let in
	reasonRate        = "rate"        // too many at a time
	reasonFloor       = "floor"       // somebody else presents
	reasonMaintenance = "maintenance" // the node drains
	reasonStreams     = "streams"     // too many event streams are open
)

// Failures of this package's own.
var (
	errToken   = &failure{status: http.StatusForbidden, reason: reasonToken, text: "Invalid token"}
	errRole    = &failure{status: http.StatusForbidden, reason: reasonRole, text: "Invalid role"}
	errNoRoute = &failure{status: http.StatusNotFound, reason: string(bus.NotFound), text: "No such function"}
	errNoCall  = &failure{status: http.StatusForbidden, reason: string(bus.NotFound), text: "No such call"}
	errStreams = &failure{status: http.StatusTooManyRequests, reason: reasonStreams, text: "Too many event streams", retry: 5}
	errSeats   = &failure{status: http.StatusServiceUnavailable, reason: reasonCapacity, text: "capacity exceeded", retry: 30}
	errEnded   = &failure{status: http.StatusForbidden, reason: reasonToken, text: "Call disconnected"}
	errAvatar  = &failure{status: http.StatusNotFound, reason: string(bus.NotFound), text: "No image available"}
)

// unsupported is the failure for what this server does not do. The published
// contract knows 403 for functions of participants and calls, and nothing but
// success for those of conferences.
func unsupported(code int, what string) *failure {
	return &failure{status: code, reason: reasonUnsupported, text: "Not supported: " + what}
}

// invalid names the field of a request that is wrong, and why.
func invalid(field, why string) *failure {
	return &failure{status: http.StatusBadRequest, reason: string(bus.Invalid), text: field + ": " + why}
}

// known are the errors of actors that clients have their own words for.
var known = []struct {
	err error
	is  failure
}{
	{node.ErrNotFound, failure{reason: "not_found", text: "Neither conference nor gateway found"}},
	{node.ErrPIN, failure{reason: reasonPIN, text: "PIN required", pin: &pinJSON{"required", "required"}}},
	{node.ErrHostPIN, failure{reason: reasonPIN, text: "PIN required", pin: &pinJSON{"required", "none"}}},
	{node.ErrWrongPIN, failure{reason: reasonPIN, text: "Invalid PIN"}},
	{node.ErrPINBlocked, failure{reason: reasonBlocked, text: "Participant exceeded PIN entry retries"}},
	{conference.ErrLocked, failure{reason: reasonLocked, text: "The conference is locked"}},
	{conference.ErrNotLive, failure{reason: reasonNotLive, text: "Nobody is in the conference yet", retry: 5}},
	{conference.ErrFull, failure{reason: "full", text: "Participant limit reached"}},
	{conference.ErrFloor, failure{reason: reasonFloor, text: "Another participant is presenting"}},
	{conference.ErrPresent, failure{reason: reasonRole, text: "Invalid role"}},
	{conference.ErrWaiting, failure{reason: reasonWaiting, text: "Waiting to be let in"}},
	{node.ErrRole, failure{reason: reasonPIN, text: "Invalid PIN"}},
	{conference.ErrTransfer, failure{reason: reasonUnsupported, text: "Not supported: transfer of this participant"}},
	{conference.ErrText, failure{reason: "invalid", text: "text: longer than 1024 bytes"}},
	{conference.ErrNoChat, failure{reason: reasonUnsupported, text: "Not supported: direct messages to this participant"}},
	{conference.ErrNoCamera, failure{reason: reasonUnsupported, text: "Not supported: far end camera control of this participant"}},
	{conference.ErrMovement, failure{reason: "invalid", text: "movement: want pan left or right, tilt up or down, zoom in or out, each once, and action start, continue or stop"}},
	{conference.ErrNobody, failure{reason: "not_found", text: "No such participant"}},
	{node.ErrCapacity, failure{reason: reasonCapacity, text: "capacity exceeded", retry: 30}},
	{conference.ErrNoMedia, failure{reason: reasonCapacity, text: "capacity exceeded", retry: 30}},
	{node.ErrDraining, failure{reason: reasonMaintenance, text: "System in maintenance mode", retry: 60}},
	{node.ErrNoDialer, failure{reason: reasonUnsupported, text: "Not supported: outgoing calls"}},
}

// explain makes a failure of any error. Internal ones are not explained: what
// broke inside is nobody's business outside.
func explain(err error) *failure {
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	code := bus.CodeOf(err)
	f := &failure{status: status[code], reason: string(code), text: err.Error()}
	for _, k := range known {
		if errors.Is(err, k.err) {
			f.reason, f.text, f.retry, f.pin = k.is.reason, k.is.text, k.is.retry, k.is.pin
			return f
		}
	}
	switch code {
	case bus.Internal:
		f.text = "internal error"
	case bus.Unavailable:
		f.text, f.retry = "Resource unavailable", 5
	default:
		if e, ok := errors.AsType[*bus.Error](err); ok {
			f.text = e.Text
		}
	}
	return f
}

// pinJSON is the result where a PIN is required. What guests need is known only
// of rooms that hosts need one for.
type pinJSON struct {
	PIN      string `json:"pin"`
	GuestPIN string `json:"guest_pin"`
}

// fail answers with err, and counts and logs it.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	f := explain(err)
	s.note(r, f, err)
	f.headers(w.Header())
	body := struct {
		Status    string `json:"status"`
		Result    any    `json:"result"`
		Reason    string `json:"reason"`
		Alternate string `json:"alternate,omitempty"`
	}{"failed", f.text, f.reason, f.alternate}
	if f.pin != nil {
		body.Result = struct {
			*pinJSON
			Version versionJSON `json:"version"`
		}{f.pin, s.version()}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(f.status)
	_ = json.NewEncoder(w).Encode(body) // the client has gone; nobody is left to tell
}

func (f *failure) headers(h http.Header) {
	if f.retry > 0 {
		h.Set("Retry-After", strconv.Itoa(f.retry))
	}
	if f.location != "" {
		h.Set("Location", f.location)
	}
}

// note counts a failure and logs it: our own as errors, those of clients at
// most once a second.
func (s *Server) note(r *http.Request, f *failure, err error) {
	s.deps.Metrics.refused.WithLabelValues(f.reason).Inc()
	switch {
	case f.status == http.StatusInternalServerError:
		s.log.Error("request failed", "path", path(r), "err", err)
	case s.odd.Allow():
		s.log.Info("request refused", "path", path(r), "peer", r.RemoteAddr, "code", f.status, "err", err)
	}
}

// path is what of a URL may be logged: query parameters hold tokens, and so do
// the paths of WHIP and WHEP sessions.
func path(r *http.Request) string {
	if r.Pattern != "" {
		return r.Pattern
	}
	return "unknown"
}
