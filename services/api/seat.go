package api

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"golang.org/x/time/rate"

	"github.com/skybridge-media/skybridge/actors"
	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/actors/node"
	"github.com/skybridge-media/skybridge/actors/participant"
	"github.com/skybridge-media/skybridge/media/port"
)

var _ participant.Signalling = (*seat)(nil)

// A seat is a participant that joined through this package.
type seat struct {
	server   *Server
	id       participant.ID
	alias    string // as the client wrote it
	protocol string
	name     string
	referral *referral // nil: it comes by itself
	pin      string    // that the client has given
	chats    bool      // takes messages that are for it alone
	log      *slog.Logger

	messages, cameras, commands *rate.Limiter

	// Set by admit under mu, and not changed after: who has an admitted seat
	// reads them without.
	pid  *actor.PID
	room *room
	role string // as which it was admitted
	held bool   // it had to wait then

	done chan struct{} // closed when the seat has ended

	placing sync.Mutex   // held while a call is answered, updated or closed, and what the seat leases changes
	leased  node.Reserve // what the node was told last; guarded by placing
	paired  bool         // the second call has the content stream, and leases for it; guarded by placing

	mu        sync.Mutex // guards what follows
	ended     bool
	reason    participant.Reason
	tokens    [2]secret   // now, and before the last refresh: requests may be under way
	session   secret      // of a WHIP or WHEP session
	expiry    *time.Timer // of the token
	streams   int
	heard     uint64 // last note of the room that a stream has told of
	port      *port.Port
	connected bool // the participant has the port, and closes it
	call      *call
	second    *call       // beside it, for what is presented
	secondWas string      // id of the last one of those that has ended
	gone      string      // id of the last call, if it ended by itself
	lost      *time.Timer // how long to wait for another call then
}

// A call is the media of a seat.
type call struct {
	Call
	id           string
	etag         string // of WHIP and WHEP: names the ICE generation
	present      string // of one beside the call: which way it presents
	audio, video bool   // what was agreed on; guarded by mu of the seat
}

// admit asks for a place in the conference behind st.alias. When it returns
// nil, the seat lives until end.
func (s *Server) admit(ctx context.Context, st *seat, r *http.Request, audio, video bool) error {
	if err := s.reserve(st); err != nil {
		return err
	}
	defer s.running.Done()
	// Once asked, the answer must be known, or a participant might stay whom
	// nobody can end: the client's impatience does not count.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), admitPatience)
	defer cancel()
	ask := &node.Admit{
		Call:       st.id,
		Alias:      st.alias,
		Protocol:   st.protocol,
		Name:       st.name,
		PIN:        st.pin,
		Source:     source(r),
		Remote:     r.RemoteAddr,
		Audio:      audio,
		Video:      video,
		API:        st.protocol == protocolAPI,
		Role:       st.wants(),
		DirectChat: st.chats,
		Waits:      st.protocol == protocolAPI, // an encoder cannot tell anybody why nothing happens
		Signalling: st,
	}
	if st.referral != nil {
		ask.Role, ask.Referred = st.referral.role, true
	}
	reply, err := actors.Ask[any](ctx, s.deps.System, s.deps.Node, ask)
	switch reply := reply.(type) {
	case *node.Admitted:
		return st.admitted(reply, s.enter(reply.Room, reply.Conference), r.RemoteAddr)
	case *node.Redirect:
		err = elsewhere(reply, r)
	}
	st.end(participant.Reason{Code: "failed"}, told)
	if err == nil {
		err = errEnded // a reply of no known type: a bug, and not the client's
	}
	return err
}

// source is the address that a request comes from: of a reverse proxy, if there
// is one. What its headers say of others is nobody's to believe.
func source(r *http.Request) netip.Addr {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return from.Addr()
}

// admitted takes what admit was told.
func (st *seat) admitted(a *node.Admitted, in *room, peer string) error {
	st.server.deps.Metrics.seats.WithLabelValues(st.protocol).Inc()
	st.log.Info("seat taken", "room", a.Room, "peer", peer, "protocol", st.protocol)
	_, heard := in.since(0)
	st.mu.Lock()
	st.pid, st.room, st.role, st.heard = a.Participant, in, a.Role, heard
	st.held = a.Waiting != ""
	st.pin = "" // nothing more to be done with it
	ended := st.ended
	st.mu.Unlock()
	if ended { // it was disconnected before we knew that it was admitted
		st.server.vacate(st)
		return errEnded
	}
	return nil
}

// The protocols, as rosters call them.
const (
	protocolAPI  = "webrtc"
	protocolWHIP = "whip"
	protocolWHEP = "whep"
)

// wants is the role to ask for: empty for what the node thinks right.
func (st *seat) wants() string {
	if st.protocol == protocolWHEP {
		return conference.RoleViewer
	}
	return ""
}

// reserve counts the seat before anybody is asked for anything, and lets Close
// wait until that is done.
func (s *Server) reserve(st *seat) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.seats) >= s.cfg.Seats {
		return errSeats
	}
	s.seats[st] = struct{}{}
	s.running.Add(1)
	return nil
}

func (s *Server) newSeat(protocol, alias, name string) *seat {
	id := node.NewCall()
	return &seat{
		server: s, id: id, alias: alias, protocol: protocol, name: name,
		log:  s.log.With("call", id),
		done: make(chan struct{}),

		messages: rate.NewLimiter(messageRate, messageBurst),
		cameras:  rate.NewLimiter(cameraRate, cameraBurst),
		commands: rate.NewLimiter(commandRate, commandBurst),
	}
}

// issue gives the seat a new token. The one before stays good until the next:
// requests with it may be under way.
func (s *Server) issue(st *seat) (string, error) {
	token := newToken()
	key := secret(sha256.Sum256([]byte(token)))
	s.mu.Lock()
	defer s.mu.Unlock()
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.ended {
		return "", errEnded
	}
	delete(s.tokens, st.tokens[1])
	st.tokens = [2]secret{key, st.tokens[0]}
	s.tokens[key] = st
	if st.expiry == nil {
		st.expiry = time.AfterFunc(s.cfg.TokenLife, st.expire)
	} else {
		st.expiry.Reset(s.cfg.TokenLife)
	}
	return token, nil
}

// newToken returns 256 random bits for a URL or a header.
func newToken() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// seated finds the seat of a request by its token: a header, or a query
// parameter where a browser cannot set one.
func (s *Server) seated(r *http.Request) (*seat, error) {
	token := r.Header.Get("token")
	if token == "" {
		token = r.URL.Query().Get("token")
	}
	s.mu.Lock()
	st := s.tokens[sha256.Sum256([]byte(token))]
	s.mu.Unlock()
	if st == nil || !st.leads(r.PathValue("alias")) {
		return nil, errToken
	}
	return st, nil
}

// leads reports whether alias is where the seat is.
func (st *seat) leads(alias string) bool {
	alias = conference.NormalizeAlias(alias)
	return alias == conference.NormalizeAlias(st.alias) || alias == conference.NormalizeAlias(st.room.name)
}

func (st *seat) expire() {
	st.server.deps.Metrics.expired.Inc()
	st.end(participant.Reason{Code: "timeout", Text: "Timer expired awaiting token refresh"}, telling)
}

// Hangup implements [participant.Signalling].
func (st *seat) Hangup(reason participant.Reason) { st.end(reason, told) }

// Whether end is telling the participant, or was told by it.
const (
	telling = true
	told    = false
)

// end ends the seat, once. It does not block; what takes time goes on in the
// background until Server.Close.
func (st *seat) end(reason participant.Reason, tell bool) {
	s := st.server
	s.mu.Lock()
	st.mu.Lock()
	if st.ended {
		st.mu.Unlock()
		s.mu.Unlock()
		return
	}
	st.ended, st.reason = true, reason
	for _, key := range st.tokens {
		delete(s.tokens, key)
	}
	delete(s.sessions, st.session)
	delete(s.seats, st)
	for _, t := range []*time.Timer{st.expiry, st.lost} {
		if t != nil {
			t.Stop()
		}
	}
	calls, media, connected, pid := []*call{st.call, st.second}, st.port, st.connected, st.pid
	st.call, st.second = nil, nil
	s.running.Go(func() { clean(calls, media, connected) })
	st.mu.Unlock()
	s.mu.Unlock()
	close(st.done)
	if pid == nil {
		return // it was never admitted
	}
	if tell {
		s.deps.System.Root.Send(pid, &participant.Ended{Reason: reason})
	}
	s.vacate(st)
	st.log.Info("seat left", "reason", reason.Code)
}

// clean closes what the seat had. The port belongs to the participant once it
// was connected.
func clean(calls []*call, media *port.Port, connected bool) {
	for _, c := range calls {
		if c != nil {
			c.Close()
		}
	}
	if media != nil && !connected {
		media.Close()
	}
}

// vacate undoes what admit did.
func (s *Server) vacate(st *seat) {
	s.deps.Metrics.seats.WithLabelValues(st.protocol).Dec()
	s.leave(st.room)
}

// elsewhere is the answer when another node has the conference's media.
func elsewhere(to *node.Redirect, r *http.Request) error {
	if to.Contacts.HTTPS == "" {
		return node.ErrCapacity // a node without HTTPS: there is nowhere to go
	}
	return &failure{
		status:    http.StatusServiceUnavailable,
		reason:    reasonElsewhere,
		text:      "The conference is on another node: " + to.Contacts.HTTPS,
		alternate: to.Contacts.HTTPS,
		location:  to.Contacts.HTTPS + r.URL.EscapedPath(),
	}
}
