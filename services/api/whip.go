package api

import (
	"cmp"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"strings"

	"github.com/skybridge-media/skybridge/actors/node"
	"github.com/skybridge-media/skybridge/actors/participant"
	"github.com/skybridge-media/skybridge/bus"
)

// WHIP (RFC 9725): an encoder posts an offer to /whip/ALIAS and is in the
// conference. A name for its tile may be given as ?name=. The session's URL is
// a secret: whoever has it may end the session.

const (
	typeSDP      = "application/sdp"
	typeFragment = "application/trickle-ice-sdpfrag"
)

// Failures of WHIP's own.
var (
	errBearer       = &failure{status: http.StatusUnauthorized, reason: reasonToken, text: "bearer token required"}
	errSession      = &failure{status: http.StatusNotFound, reason: string(bus.NotFound), text: "no such session"}
	errMethod       = &failure{status: http.StatusMethodNotAllowed, reason: string(bus.Invalid), text: "method not allowed"}
	errPrecondition = &failure{status: http.StatusPreconditionRequired, reason: string(bus.Invalid), text: "If-Match required"}
	errGeneration   = &failure{status: http.StatusPreconditionFailed, reason: string(bus.Conflict), text: "another ICE session is current"}
)

func (s *Server) whipPost(w http.ResponseWriter, r *http.Request) {
	st, c, err := s.publish(w, r)
	if err != nil {
		s.whipFail(w, r, err)
		return
	}
	s.deps.Metrics.requests.WithLabelValues("whip").Inc()
	session := newToken()
	s.mu.Lock()
	st.mu.Lock()
	if !st.ended {
		st.session = sha256.Sum256([]byte(session))
		s.sessions[st.session] = st
	}
	st.mu.Unlock()
	s.mu.Unlock()
	h := w.Header()
	h.Set("Content-Type", typeSDP)
	h.Set("Location", strings.TrimSuffix(r.URL.EscapedPath(), "/")+"/"+session)
	h.Set("ETag", `"`+c.etag+`"`)
	h.Set("Accept-Patch", typeFragment)
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write([]byte(c.SDP())) // the client has gone; its session times out
}

// publish lets an encoder take a seat with its media.
func (s *Server) publish(w http.ResponseWriter, r *http.Request) (*seat, *call, error) {
	if err := s.bearer(r); err != nil {
		return nil, nil, err
	}
	offer, err := content(w, r, typeSDP)
	if err != nil {
		return nil, nil, err
	}
	shown, err := name("name", r.URL.Query().Get("name"))
	if err != nil {
		return nil, nil, err
	}
	audio, video, err := s.deps.Media.Inspect(offer)
	if err != nil {
		return nil, nil, err
	}
	st := s.newSeat(protocolWHIP, r.PathValue("alias"), cmp.Or(shown, "WHIP"))
	if st.pin, err = givenPIN(s.whipPIN(r)); err != nil {
		return nil, nil, err
	}
	if err := s.admit(r.Context(), st, r, audio, video); err != nil {
		return nil, nil, err
	}
	c, err := st.answer(r, offer)
	if err != nil {
		st.end(participant.Reason{Code: "failed", Text: err.Error()}, tell)
		return nil, nil, err
	}
	return st, c, nil
}

// whipPIN returns the PIN of an encoder: ?pin=, or its bearer token where the
// operator has set none. Without one it comes as a guest, if it may.
func (s *Server) whipPIN(r *http.Request) string {
	pin := r.URL.Query().Get("pin")
	if scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " "); pin == "" && s.cfg.WHIPToken == "" && strings.EqualFold(scheme, "Bearer") {
		pin = token
	}
	return cmp.Or(pin, node.NoPIN)
}

// bearer checks the token that the operator may have set.
func (s *Server) bearer(r *http.Request) error {
	if s.cfg.WHIPToken == "" {
		return nil
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	have, want := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(s.cfg.WHIPToken))
	if !strings.EqualFold(scheme, "Bearer") || subtle.ConstantTimeCompare(have[:], want[:]) != 1 {
		return errBearer
	}
	return nil
}

// content reads a body of the given type.
func content(w http.ResponseWriter, r *http.Request, want string) (string, error) {
	if typ, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || typ != want {
		return "", &failure{status: http.StatusUnsupportedMediaType, reason: string(bus.Invalid), text: "Content-Type: want " + want}
	}
	b, err := slurp(w, r)
	return string(b), err
}

// session finds the session of a request.
func (s *Server) session(r *http.Request) (*seat, error) {
	s.mu.Lock()
	st := s.sessions[sha256.Sum256([]byte(r.PathValue("session")))]
	s.mu.Unlock()
	if st == nil || !st.leads(r.PathValue("alias")) {
		return nil, errSession
	}
	return st, nil
}

// whipPatch takes candidates, or restarts ICE (RFC 9725 section 4.3).
func (s *Server) whipPatch(w http.ResponseWriter, r *http.Request) {
	st, err := s.session(r)
	if err != nil {
		s.whipFail(w, r, err)
		return
	}
	fragment, err := content(w, r, typeFragment)
	if err != nil {
		s.whipFail(w, r, err)
		return
	}
	reply, etag, err := st.patch(r, fragment)
	switch {
	case err != nil:
		s.whipFail(w, r, err)
	case etag == "":
		w.WriteHeader(http.StatusNoContent)
	default:
		w.Header().Set("Content-Type", typeFragment)
		w.Header().Set("ETag", `"`+etag+`"`)
		_, _ = w.Write([]byte(reply)) // the client has gone
	}
}

// patch returns a fragment and the tag of the new ICE session for a restart,
// neither for candidates.
func (st *seat) patch(r *http.Request, fragment string) (reply, etag string, err error) {
	st.placing.Lock()
	defer st.placing.Unlock()
	st.mu.Lock()
	c := st.call
	st.mu.Unlock()
	if c == nil {
		return "", "", errSession
	}
	switch match := r.Header.Get("If-Match"); match {
	case "":
		return "", "", errPrecondition
	case "*":
		if reply, err = c.Restart(r.Context(), fragment); err != nil || reply == "" {
			return "", "", err // or nothing was restarted
		}
		c.etag = newToken() // guarded by placing
		return reply, c.etag, nil
	case `"` + c.etag + `"`:
		return "", "", c.Trickle(fragment)
	}
	return "", "", errGeneration
}

func (s *Server) whipDelete(w http.ResponseWriter, r *http.Request) {
	st, err := s.session(r)
	if err != nil {
		s.whipFail(w, r, err)
		return
	}
	st.end(participant.Reason{Code: "hangup", Text: "Call disconnected"}, tell)
	w.WriteHeader(http.StatusOK)
}

// whipOther answers what endpoints and sessions do not have (RFC 9725 section
// 4.2: GET, HEAD and PUT are kept for the future).
func (s *Server) whipOther(w http.ResponseWriter, r *http.Request) {
	allow := "OPTIONS, POST"
	if strings.Count(strings.Trim(r.URL.EscapedPath(), "/"), "/") > 1 {
		allow = "DELETE, OPTIONS, PATCH"
	}
	w.Header().Set("Allow", allow)
	s.whipFail(w, r, errMethod)
}

// whipFail answers with problem details (RFC 9457).
func (s *Server) whipFail(w http.ResponseWriter, r *http.Request, err error) {
	f := *explain(err)
	switch {
	case errors.Is(err, ErrNoCodec):
		f.status = http.StatusNotAcceptable
	case f.pin != nil:
		f.status = http.StatusUnauthorized
		w.Header().Set("WWW-Authenticate", "Bearer")
	case f.reason == reasonElsewhere:
		f.status = http.StatusTemporaryRedirect
		f.retry = 0
		if q := r.URL.RawQuery; q != "" {
			f.location += "?" + q
		}
	case f.status == http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", "Bearer")
	case f.status == http.StatusUnsupportedMediaType && r.Method == http.MethodPost:
		w.Header().Set("Accept-Post", typeSDP)
	case f.status == http.StatusUnsupportedMediaType:
		w.Header().Set("Accept-Patch", typeFragment)
	}
	s.note(r, &f, err)
	f.headers(w.Header())
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(f.status)
	_ = json.NewEncoder(w).Encode(struct {
		Type   string `json:"type"`
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail"`
		Reason string `json:"reason"`
	}{"about:blank", http.StatusText(f.status), f.status, f.text, f.reason}) // the client has gone; nobody is left to tell
}
