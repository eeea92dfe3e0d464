package api

import (
	"cmp"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/skybridge-media/skybridge/actors/participant"
)

// requestToken lets a client take a seat.
func (s *Server) requestToken(w http.ResponseWriter, r *http.Request) {
	result, err := s.seat(w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.deps.Metrics.requests.WithLabelValues("request_token").Inc()
	succeed(w, result)
}

// tokenJSON is what a client gets with its token. It names no STUN and TURN
// servers, as our candidates are complete, and not even an empty list of them:
// @pexip/infinity would make an address of it.
type tokenJSON struct {
	Token              string      `json:"token"`
	Expires            string      `json:"expires"` // seconds
	ParticipantUUID    string      `json:"participant_uuid"`
	DisplayName        string      `json:"display_name"`
	ConferenceName     string      `json:"conference_name"`
	ServiceName        string      `json:"service_name"`
	Role               string      `json:"role"`
	CallTag            string      `json:"call_tag"`
	CallType           string      `json:"call_type"`
	ServiceType        string      `json:"service_type"`
	CurrentServiceType string      `json:"current_service_type"`
	Version            versionJSON `json:"version"`
	TrickleICE         bool        `json:"trickle_ice_enabled"`
	AnalyticsEnabled   bool        `json:"analytics_enabled"`
	ChatEnabled        bool        `json:"chat_enabled"`
	FECCEnabled        bool        `json:"fecc_enabled"`
	RTMPEnabled        bool        `json:"rtmp_enabled"`
	RTSPEnabled        bool        `json:"rtsp_enabled"`
	GuestsCanPresent   bool        `json:"guests_can_present"`
	VP9Enabled         bool        `json:"vp9_enabled"`
	Allow1080p         bool        `json:"allow_1080p"`
	DirectMedia        bool        `json:"direct_media"`
	BreakoutRooms      bool        `json:"breakout_rooms"`
	ViaRegistrar       bool        `json:"route_via_registrar"`
	RelayOnly          bool        `json:"use_relay_candidates_only"`
}

type versionJSON struct {
	ID     string `json:"version_id"`
	Pseudo string `json:"pseudo_version"`
}

func (s *Server) seat(w http.ResponseWriter, r *http.Request) (*tokenJSON, error) {
	// Single sign-on and extensions come with members of their own; a conference
	// that asks for neither has no use for what is given.
	body, err := decode[struct {
		DisplayName *string `json:"display_name"`
		CallTag     string  `json:"call_tag"`
		DirectChat  bool    `json:"supports_direct_chat"`
		Referral    string  `json:"token"` // from a refer event
	}](w, r)
	if err != nil {
		return nil, err
	}
	if body.DisplayName == nil {
		return nil, invalid("display_name", "missing")
	}
	shown, err := name("display_name", *body.DisplayName)
	if err != nil {
		return nil, err
	}
	if _, err := name("call_tag", body.CallTag); err != nil {
		return nil, err
	}
	st := s.newSeat(protocolAPI, r.PathValue("alias"), cmp.Or(shown, "Guest"))
	st.chats = body.DirectChat
	if st.pin, err = givenPIN(r.Header.Get("pin")); err != nil {
		return nil, err
	}
	st.referral = s.referred(body.Referral, st.alias)
	err = s.admit(r.Context(), st, r, false, false)
	if st.referral != nil {
		s.followed(st.referral, err == nil)
	}
	if err != nil {
		return nil, err
	}
	token, err := s.issue(st)
	if err != nil {
		return nil, err
	}
	v, err := st.room.now(r.Context())
	present := err == nil && !v.OnlyHostsPresent // the event stream tells it as well
	return &tokenJSON{
		Token: token, Expires: s.expires(), ParticipantUUID: string(st.id),
		DisplayName: st.name, ConferenceName: st.room.name, ServiceName: st.room.name,
		Role: host(st.role), CallTag: body.CallTag, CallType: "video",
		ServiceType: "conference", CurrentServiceType: st.serviceType(),
		Version:    s.version(),
		TrickleICE: true, ChatEnabled: true, FECCEnabled: true, GuestsCanPresent: present,
	}, nil
}

func (s *Server) version() versionJSON { return versionJSON{ID: s.cfg.Version, Pseudo: s.cfg.Version} }

// givenPIN checks what a client calls its PIN.
func givenPIN(pin string) (string, error) {
	if len(pin) > maxPIN {
		return "", invalid("pin", "longer than any")
	}
	return strings.TrimSpace(pin), nil
}

// maxPIN is more than any PIN has, in bytes.
const maxPIN = 64

// serviceType is where a client is that has just been admitted.
func (st *seat) serviceType() string {
	if st.held {
		return serviceWaiting
	}
	return serviceConference
}

// expires is the life of a token, in seconds.
func (s *Server) expires() string { return strconv.Itoa(int(s.cfg.TokenLife.Seconds())) }

func (s *Server) refreshToken(st *seat, _ http.ResponseWriter, _ *http.Request) (any, error) {
	token, err := s.issue(st)
	if err != nil {
		return nil, err
	}
	role := host(st.role)
	if v := st.room.view.Load(); v != nil {
		if p := v.find(string(st.id)); p != nil {
			role = host(p.Role)
		}
	}
	return struct {
		Token   string `json:"token"`
		Expires string `json:"expires"`
		Role    string `json:"role"`
	}{token, s.expires(), role}, nil
}

func (s *Server) releaseToken(st *seat, _ http.ResponseWriter, _ *http.Request) (any, error) {
	st.end(participant.Reason{Code: "hangup", Text: "Call disconnected"}, telling)
	return true, nil
}

// hesitate keeps a refusal back for a moment. Clients whose token is no good
// ask for a new one again at once, until theirs would have expired, and after a
// restart all of them do.
func hesitate(r *http.Request) {
	select {
	case <-time.After(time.Second):
	case <-r.Context().Done():
	}
}
