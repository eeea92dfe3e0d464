package api

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/skybridge-media/skybridge/actors/node"
)

const (
	base         = "/api/client/v2/"
	conferences  = base + "conferences/{alias}/"
	participants = conferences + "participants/{participant}/"
	calls        = participants + "calls/{call}/"
)

// A seated function serves a client that has a token. What it returns is the
// result of the answer.
type seated func(st *seat, w http.ResponseWriter, r *http.Request) (any, error)

// routes lists everything there is.
func (s *Server) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+base+"status", s.status)
	mux.HandleFunc("POST "+conferences+"request_token", s.requestToken)
	mux.HandleFunc("GET "+conferences+"events", s.events)
	for pattern, f := range s.functions() {
		mux.HandleFunc(pattern, s.serve(pattern, f))
	}
	mux.HandleFunc("GET "+conferences+"theme/{$}", s.theme)
	for _, e := range s.endpoints() {
		e.route(mux)
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { s.fail(w, r, errNoRoute) })
	return mux
}

// functions lists what needs a token.
func (s *Server) functions() map[string]seated {
	return map[string]seated{
		"POST " + conferences + "refresh_token":           s.refreshToken,
		"POST " + conferences + "release_token":           s.releaseToken,
		"GET " + conferences + "conference_status":        s.conferenceStatus,
		"GET " + conferences + "participants":             s.participants,
		"GET " + conferences + "available_layouts":        s.availableLayouts,
		"POST " + conferences + "lock":                    s.lock(true),
		"POST " + conferences + "unlock":                  s.lock(false),
		"POST " + conferences + "muteguests":              s.muteGuests(true),
		"POST " + conferences + "unmuteguests":            s.muteGuests(false),
		"POST " + conferences + "start_conference":        s.startConference,
		"POST " + conferences + "disconnect":              s.disconnectAll,
		"POST " + conferences + "transform_layout":        s.transformLayout,
		"POST " + conferences + "clearallbuzz":            s.clearAllBuzz,
		"POST " + conferences + "dial":                    s.dial,
		"POST " + participants + "disconnect":             s.disconnect,
		"POST " + participants + "mute":                   s.mute(true),
		"POST " + participants + "unmute":                 s.unmute,
		"POST " + participants + "client_mute":            s.clientMute(true),
		"POST " + participants + "client_unmute":          s.clientMute(false),
		"POST " + participants + "video_muted":            s.muteVideo(true),
		"POST " + participants + "video_unmuted":          s.muteVideo(false),
		"POST " + participants + "spotlighton":            s.spotlight(true),
		"POST " + participants + "spotlightoff":           s.spotlight(false),
		"POST " + participants + "buzz":                   s.buzz(true),
		"POST " + participants + "clearbuzz":              s.buzz(false),
		"POST " + participants + "role":                   s.role,
		"POST " + participants + "dtmf":                   s.dtmfTo,
		"GET " + participants + "avatar.jpg":              s.avatar,
		"POST " + participants + "calls":                  s.place,
		"POST " + calls + "ack":                           s.ack,
		"POST " + calls + "new_candidate":                 s.newCandidate,
		"POST " + calls + "update":                        s.update,
		"POST " + calls + "disconnect":                    s.hangUp,
		"POST " + calls + "dtmf":                          s.dtmf,
		"POST " + calls + "statistics":                    s.statistics,
		"POST " + conferences + "message":                 s.message,
		"POST " + participants + "message":                s.message,
		"POST " + participants + "take_floor":             s.takeFloor,
		"POST " + participants + "release_floor":          s.releaseFloor,
		"POST " + participants + "pres_in_mix":            s.presInMix,
		"POST " + participants + "allowrxpresentation":    lacking(http.StatusForbidden, "choosing who receives presentations"),
		"POST " + participants + "denyrxpresentation":     lacking(http.StatusForbidden, "choosing who receives presentations"),
		"POST " + participants + "fecc":                   s.moveCamera,
		"POST " + calls + "fecc":                          s.moveFarEnd,
		"POST " + participants + "transfer":               s.transfer,
		"POST " + participants + "unlock":                 s.letIn,
		"POST " + participants + "overlaytext":            s.overlayText,
		"POST " + participants + "show_live_captions":     lacking(http.StatusForbidden, "live captions"),
		"POST " + participants + "hide_live_captions":     lacking(http.StatusForbidden, "live captions"),
		"POST " + participants + "preferred_aspect_ratio": s.aspectRatio,
		"POST " + participants + "notify_not_afk":         s.notAFK,
		"POST " + conferences + "set_guests_can_unmute":   s.guestsCanUnmute,
		"POST " + conferences + "silent_video_detection":  lacking(http.StatusNotImplemented, "silent video detection"),
		"GET " + conferences + "layout_svgs":              s.layoutSVGs,
		"POST " + conferences + "breakouts":               lacking(http.StatusNotImplemented, "breakout rooms"),
		"POST " + conferences + "breakouts/{rest...}":     s.breakouts,
		"POST " + conferences + "participants/breakout":   lacking(http.StatusForbidden, "breakout rooms"),
		"POST " + conferences + "leavebreakout":           lacking(http.StatusNotImplemented, "breakout rooms"),
		"POST " + conferences + "breakoutbuzz":            lacking(http.StatusNotImplemented, "breakout rooms"),
		"POST " + conferences + "clearbreakoutbuzz":       lacking(http.StatusNotImplemented, "breakout rooms"),
		"POST " + conferences + "video_mixes/{rest...}":   lacking(http.StatusNotImplemented, "video mixes"),
	}
}

// serve makes a handler of a function for seated clients.
func (s *Server) serve(pattern string, f seated) http.HandlerFunc {
	function := functionOf(pattern)
	return func(w http.ResponseWriter, r *http.Request) {
		st, err := s.seated(r)
		if err != nil && function == "refresh_token" {
			hesitate(r)
		}
		if err == nil {
			var result any
			if result, err = f(st, w, r); err == nil {
				s.deps.Metrics.requests.WithLabelValues(function).Inc()
				succeed(w, result)
				return
			}
		}
		s.fail(w, r, err)
	}
}

func succeed(w http.ResponseWriter, result any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(struct {
		Status string `json:"status"`
		Result any    `json:"result"`
	}{"success", result}) // the client has gone; nobody is left to tell
}

// lacking is the function that this server does not have.
func lacking(code int, what string) seated {
	return func(*seat, http.ResponseWriter, *http.Request) (any, error) { return nil, unsupported(code, what) }
}

// breakouts refuses in the two ways that functions of conferences and those of
// participants have.
func (s *Server) breakouts(st *seat, w http.ResponseWriter, r *http.Request) (any, error) {
	code := http.StatusNotImplemented
	if strings.Contains(r.PathValue("rest"), "/participants") {
		code = http.StatusForbidden
	}
	return nil, unsupported(code, "breakout rooms")
}

// status says whether new callers are welcome.
func (s *Server) status(w http.ResponseWriter, r *http.Request) {
	n, err := ask[*node.Status](r.Context(), s, s.deps.Node, &node.GetStatus{})
	if err == nil && n.Draining {
		f := *explain(node.ErrDraining)
		f.text = "Maintenance mode" // as this function says it
		err = &f
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	succeed(w, "OK")
}

// theme has nothing to say: there is no theme. It needs no token.
func (s *Server) theme(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }

// functionOf is a pattern's function, for a metric: what follows the alias,
// without the ids.
func functionOf(pattern string) string {
	_, f, _ := strings.Cut(pattern, "{alias}/")
	for _, id := range []string{"{participant}/", "{call}/", "/{rest...}"} {
		f = strings.ReplaceAll(f, id, "")
	}
	return f
}
