// Package api serves browsers and other HTTP clients that join conferences: the
// client API, in the shape of the Pexip Client REST API v2; WHIP (RFC 9725) for
// those who publish, and WHEP (draft-ietf-wish-whep) for those who watch.
//
// # Seats
//
// request_token asks the node actor to admit a participant, and what holds it
// here is a seat: the token, which must be refreshed before it expires, the
// media call if there is one, and the event streams. A WHIP or WHEP session is a
// seat without a token. A seat ends when its token is released or expires, when its
// participant is disconnected, and when its media is lost for good; the
// participant and its media end with it.
//
//	request_token ──► seated ──► release_token, expired, DELETE, media lost: we tell the participant
//	                    │
//	                    └──────► disconnected, conference over: it tells us (Signalling)
//
// # Answers
//
// Success is 200 with {"status":"success","result":…}. Failure is another code
// with {"status":"failed","result":TEXT,"reason":TOKEN}: the text is for people,
// in the words that clients of this API know where there are any; the token is
// for programs and one of those in errors.go. What this server does not do is
// refused with reason "unsupported", and never pretended. Members of a body
// that we do not know are ignored, as the published schemas allow and newer
// clients need; those we know must have the right type.
//
// # Conferences on other nodes
//
// When a conference has its media on another node, request_token answers 503
// with reason "elsewhere", the base URL of that node in "alternate" and, for
// the same request, in the Location header. It is not a redirect: a client that
// followed one unknowingly would take its token back to this node, which does
// not know it. WHIP and WHEP have redirects, and get 307 (RFC 9725 section 4.5).
package api

import (
	"cmp"
	"context"
	"crypto/sha256"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"golang.org/x/time/rate"

	"github.com/skybridge-media/skybridge/actors"
	"github.com/skybridge-media/skybridge/actors/participant"
	"github.com/skybridge-media/skybridge/actors/watcher"
	"github.com/skybridge-media/skybridge/media/bridge"
	"github.com/skybridge-media/skybridge/media/port"
)

// Config tunes a Server. The zero value works.
type Config struct {
	Version   string        // of the product, as told to clients
	TokenLife time.Duration // zero means 120 s, which is what clients expect
	Heartbeat time.Duration // of event streams; zero means 15 s
	Seats     int           // most participants here at a time; zero means 5000
	Streams   int           // most event streams of a seat; zero means 4
	WHIPToken string        // bearer token that WHIP clients must have; empty means none
	WHEPToken string        // likewise for WHEP

	lostGrace time.Duration // for tests; zero means 5 s: how long a seat may be without its call
}

// Deps are a Server's collaborators. All are required.
type Deps struct {
	Log      *slog.Logger
	Metrics  *Metrics
	Ports    *port.Metrics
	Workers  *bridge.Workers // decode video; nil: each call by itself
	System   *actor.ActorSystem
	Node     *actor.PID // the node actor of this process
	Watchers *watcher.Set
	Media    Media
}

// Patience with actors. A node may take eight seconds to find a conference
// whose owner has just died.
const (
	admitPatience   = 12 * time.Second
	commandPatience = 5 * time.Second
)

// A Server is the HTTP handler. It serves until Close.
type Server struct {
	cfg  Config
	deps Deps
	log  *slog.Logger
	mux  *http.ServeMux
	odd  *rate.Limiter // of log lines about clients that misbehave

	mu        sync.Mutex // guards what follows
	seats     map[*seat]struct{}
	tokens    map[secret]*seat
	sessions  map[secret]*seat // of WHIP and WHEP
	rooms     map[string]*room
	referrals map[secret]*referral
	closed    bool

	running sync.WaitGroup // background work of seats
}

// A secret is the hash of a token: comparing it tells nothing about the token,
// and neither does a dump of our memory.
type secret [sha256.Size]byte

// New returns a Server.
func New(cfg Config, deps Deps) *Server {
	cfg.TokenLife = cmp.Or(cfg.TokenLife, 120*time.Second)
	cfg.Heartbeat = cmp.Or(cfg.Heartbeat, 15*time.Second)
	cfg.Seats = cmp.Or(cfg.Seats, 5000)
	cfg.Streams = cmp.Or(cfg.Streams, 4)
	cfg.lostGrace = cmp.Or(cfg.lostGrace, 5*time.Second)
	s := &Server{
		cfg: cfg, deps: deps, log: deps.Log,
		odd:       rate.NewLimiter(1, 5),
		seats:     map[*seat]struct{}{},
		tokens:    map[secret]*seat{},
		sessions:  map[secret]*seat{},
		rooms:     map[string]*room{},
		referrals: map[secret]*referral{},
	}
	s.mux = s.routes()
	return s
}

// ServeHTTP implements [http.Handler] for the paths below /api/client/v2/,
// /whip/ and /whep/.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	// Authority is in tokens that a page must have been given, never in
	// cookies; so pages of any origin may call.
	h.Set("Access-Control-Allow-Origin", "*")
	if origin := r.Header.Get("Origin"); origin != "" && strings.HasSuffix(r.URL.Path, "/release_token") {
		// A page that is closed leaves with a beacon, and browsers send beacons
		// with credentials, which "*" does not allow.
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Allow-Credentials", "true")
		h.Set("Vary", "Origin")
	}
	h.Set("Access-Control-Expose-Headers", "Location, ETag, Link, Retry-After, Accept-Patch")
	if r.Method == http.MethodOptions {
		h.Set("Access-Control-Allow-Methods", "GET, POST, PATCH, DELETE, OPTIONS")
		h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, If-Match, Last-Event-ID, pin, token")
		h.Set("Access-Control-Max-Age", "86400")
		w.WriteHeader(describe(r.URL.EscapedPath(), h))
		return
	}
	s.mux.ServeHTTP(w, r)
}

// Close ends all seats and waits for what they leave behind. Requests that come
// later are refused.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	seats := make([]*seat, 0, len(s.seats))
	for st := range s.seats {
		seats = append(seats, st)
	}
	for _, f := range s.referrals {
		f.expiry.Stop()
	}
	s.mu.Unlock()
	for _, st := range seats {
		st.end(participant.Reason{Code: "node_stopping", Text: "The server is stopping"}, telling)
	}
	s.running.Wait()
}

// ask asks an actor for a reply of type R.
func ask[R any](ctx context.Context, s *Server, to *actor.PID, msg any) (R, error) {
	ctx, cancel := context.WithTimeout(ctx, commandPatience)
	defer cancel()
	return actors.Ask[R](ctx, s.deps.System, to, msg)
}
