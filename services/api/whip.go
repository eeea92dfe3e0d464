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
// conference. WHEP (draft-ietf-wish-whep-03) is its counterpart: a player posts
// an offer to /whep/ALIAS and sees and hears the conference. A name for the
// roster may be given as ?name=, a PIN as ?pin=. The session's URL is a secret: whoever has it
// may end the session.
//
// They differ in which way media goes, and in nothing that this file does.

// An endpoint is where one of the two protocols begins.
type endpoint struct {
	server   *Server
	protocol string // and first part of the path
	name     string // in the roster, of who gives none
	token    string // bearer token that clients must have; empty: none
}

const (
	typeSDP      = "application/sdp"
	typeFragment = "application/trickle-ice-sdpfrag"
)

// Failures of their own.
var (
	errBearer       = &failure{status: http.StatusUnauthorized, reason: reasonToken, text: "bearer token required"}
	errSession      = &failure{status: http.StatusNotFound, reason: string(bus.NotFound), text: "no such session"}
	errMethod       = &failure{status: http.StatusMethodNotAllowed, reason: string(bus.Invalid), text: "method not allowed"}
	errPrecondition = &failure{status: http.StatusPreconditionRequired, reason: string(bus.Invalid), text: "If-Match required"}
	errGeneration   = &failure{status: http.StatusPreconditionFailed, reason: string(bus.Conflict), text: "another ICE session is current"}
)

// endpoints are those that there are.
func (s *Server) endpoints() []endpoint {
	return []endpoint{
		{s, protocolWHIP, "WHIP", s.cfg.WHIPToken},
		{s, protocolWHEP, "Viewer", s.cfg.WHEPToken},
	}
}

func (e endpoint) route(mux *http.ServeMux) {
	at, session := "/"+e.protocol+"/{alias}", "/"+e.protocol+"/{alias}/{session}"
	mux.HandleFunc("POST "+at, e.post)
	mux.HandleFunc("GET "+at, e.get)
	mux.HandleFunc("PATCH "+session, e.patch)
	mux.HandleFunc("DELETE "+session, e.delete)
	mux.HandleFunc("GET "+session, e.getSession)
	mux.HandleFunc("/"+e.protocol+"/", e.other)
}

// describe says in h what a path takes, in answer to OPTIONS, and returns the
// status to answer with (RFC 9725 section 4.2 wants 200).
func describe(path string, h http.Header) int {
	first, rest, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	switch {
	case first != protocolWHIP && first != protocolWHEP:
		return http.StatusNoContent
	case strings.Contains(strings.TrimSuffix(rest, "/"), "/"):
		h.Set("Accept-Patch", typeFragment)
	}
	h.Set("Accept-Post", typeSDP)
	h.Set("Allow", allowed(path))
	return http.StatusOK
}

// allowed lists the methods of an endpoint, or of a session.
func allowed(path string) string {
	if strings.Count(strings.Trim(path, "/"), "/") > 1 {
		return "DELETE, GET, HEAD, OPTIONS, PATCH"
	}
	return "GET, HEAD, OPTIONS, POST"
}

func (e endpoint) post(w http.ResponseWriter, r *http.Request) {
	s := e.server
	st, c, err := e.begin(w, r)
	if err != nil {
		s.problem(w, r, err)
		return
	}
	s.deps.Metrics.requests.WithLabelValues(e.protocol).Inc()
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

// begin lets an encoder or a player take a seat with its media.
func (e endpoint) begin(w http.ResponseWriter, r *http.Request) (*seat, *call, error) {
	s := e.server
	if err := e.bearer(r); err != nil {
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
	audio, video, err := s.inspect(e.protocol, offer)
	if err != nil {
		return nil, nil, err
	}
	st := s.newSeat(e.protocol, r.PathValue("alias"), cmp.Or(shown, e.name))
	if st.pin, err = givenPIN(e.pin(r)); err != nil {
		return nil, nil, err
	}
	if err := s.admit(r.Context(), st, r, audio, video); err != nil {
		return nil, nil, err
	}
	c, err := st.answer(r, offer)
	if err != nil {
		st.end(participant.Reason{Code: "failed", Text: err.Error()}, telling)
		return nil, nil, err
	}
	return st, c, nil
}

// pin returns the PIN of an encoder or a player: ?pin=, or its bearer token where
// the operator has set none. Without one it comes where guests may.
func (e endpoint) pin(r *http.Request) string {
	pin := r.URL.Query().Get("pin")
	if scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " "); pin == "" && e.token == "" && strings.EqualFold(scheme, "Bearer") {
		pin = token
	}
	return cmp.Or(pin, node.NoPIN)
}

// bearer checks the token that the operator may have set.
func (e endpoint) bearer(r *http.Request) error {
	if e.token == "" {
		return nil
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	have, want := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(e.token))
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
func (e endpoint) session(r *http.Request) (*seat, error) {
	s := e.server
	s.mu.Lock()
	st := s.sessions[sha256.Sum256([]byte(r.PathValue("session")))]
	s.mu.Unlock()
	if st == nil || st.protocol != e.protocol || !st.leads(r.PathValue("alias")) {
		return nil, errSession
	}
	return st, nil
}

// get answers those who ask whether there is an endpoint: it has no content, and
// its type says what to post (WHEP, endpoint URL discoverability).
func (e endpoint) get(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", typeSDP)
	w.Header().Set("Accept-Post", typeSDP)
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusOK)
}

// getSession says that there is a session. It has no content either.
func (e endpoint) getSession(w http.ResponseWriter, r *http.Request) {
	if _, err := e.session(r); err != nil {
		e.server.problem(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// patch takes candidates, or restarts ICE (RFC 9725 section 4.3).
func (e endpoint) patch(w http.ResponseWriter, r *http.Request) {
	s := e.server
	st, err := e.session(r)
	if err != nil {
		s.problem(w, r, err)
		return
	}
	fragment, err := content(w, r, typeFragment)
	if err != nil {
		s.problem(w, r, err)
		return
	}
	reply, etag, err := st.patch(r, fragment)
	switch {
	case err != nil:
		s.problem(w, r, err)
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
	restart := false
	switch match := r.Header.Get("If-Match"); match {
	case "":
		return "", "", errPrecondition
	case "*", `"*"`: // the second is how the examples of RFC 9725 have it
		restart = true
	case `"` + c.etag + `"`:
		// New credentials restart ICE, whatever the client calls them (RFC 9725
		// section 4.3.3); Restart knows whether they are new.
		restart = strings.Contains(fragment, "a=ice-pwd:")
	default:
		return "", "", errGeneration
	}
	if !restart {
		return "", "", c.Trickle(fragment)
	}
	if reply, err = c.Restart(r.Context(), fragment); err != nil || reply == "" {
		return "", "", err // or nothing was restarted
	}
	c.etag = newToken() // guarded by placing
	return reply, c.etag, nil
}

func (e endpoint) delete(w http.ResponseWriter, r *http.Request) {
	s := e.server
	st, err := e.session(r)
	if err != nil {
		s.problem(w, r, err)
		return
	}
	st.end(participant.Reason{Code: "hangup", Text: "Call disconnected"}, telling)
	w.WriteHeader(http.StatusOK)
}

// other answers what endpoints and sessions do not have.
func (e endpoint) other(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Allow", allowed(r.URL.EscapedPath()))
	e.server.problem(w, r, errMethod)
}

// problem answers with problem details (RFC 9457).
func (s *Server) problem(w http.ResponseWriter, r *http.Request, err error) {
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
