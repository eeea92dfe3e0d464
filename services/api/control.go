package api

import (
	"net/http"
	"slices"
	"strings"

	"golang.org/x/time/rate"

	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/actors/node"
	"github.com/skybridge-media/skybridge/media/compose"
)

// What clients may know of, and do to, the conference as a whole.

func (s *Server) conferenceStatus(st *seat, _ http.ResponseWriter, r *http.Request) (any, error) {
	v, err := st.room.now(r.Context())
	if err != nil {
		return nil, err
	}
	return v.conference(), nil
}

// waits reports whether the client has to wait, and is to know nothing of the
// others. Until the roster names it, that is as it was when it was admitted.
func (st *seat) waits(v *view) bool {
	if p := v.find(string(st.id)); p != nil {
		return p.Waiting != ""
	}
	return st.held
}

func (s *Server) participants(st *seat, _ http.ResponseWriter, r *http.Request) (any, error) {
	v, err := st.room.now(r.Context())
	if err != nil {
		return nil, err
	}
	list := v.participants()
	if st.waits(v) {
		list = slices.DeleteFunc(list, func(p participantJSON) bool { return p.UUID != string(st.id) })
	}
	return list, nil
}

func (s *Server) availableLayouts(_ *seat, _ http.ResponseWriter, r *http.Request) (any, error) {
	annotate := r.URL.Query().Get("annotate") == "true"
	list := []any{}
	for _, l := range compose.Layouts() {
		if annotate {
			list = append(list, struct {
				Name string   `json:"name"`
				Tags []string `json:"tags"`
			}{fromLayout(l), []string{}})
		} else {
			list = append(list, fromLayout(l))
		}
	}
	return list, nil
}

// How often a client may command. Each command may be an event that is stored;
// the burst is for a host who lets everybody in at once.
const (
	commandRate  = rate.Limit(5) // per second
	commandBurst = 100
)

// command sends a command to the conference, as a participant who may give it.
func (s *Server) command(st *seat, r *http.Request, needs string, msg any) (any, error) {
	v, err := st.room.now(r.Context())
	switch {
	case err != nil:
		return nil, err
	case needs == conference.RoleHost && !st.mayHost(v):
		return nil, errRole
	case st.waits(v) && !outside(msg):
		return nil, conference.ErrWaiting
	case !st.commands.Allow():
		return nil, errRate
	}
	return s.order(r, v, msg)
}

// outside reports whether a command is for those as well who wait.
func outside(msg any) bool {
	switch msg.(type) {
	case *conference.Mute, *conference.MuteVideo, *conference.RaiseHand, *conference.SetOverlayText:
		return false
	}
	return true
}

// order sends a command that may be given.
func (s *Server) order(r *http.Request, v *view, msg any) (any, error) {
	if _, err := ask[*conference.Done](r.Context(), s, v.owner(), msg); err != nil {
		return nil, err
	}
	return true, nil
}

// mayHost reports whether a client may do what hosts may: nobody may who waits
// outside, or only watches. Until the roster names it, it is what it was admitted as.
func (st *seat) mayHost(v *view) bool {
	role := st.role
	if p := v.find(string(st.id)); p != nil {
		role = p.Role
	}
	return role == conference.RoleHost && !st.waits(v)
}

func (s *Server) lock(on bool) seated {
	return func(st *seat, _ http.ResponseWriter, r *http.Request) (any, error) {
		return s.command(st, r, conference.RoleHost, &conference.Lock{On: on})
	}
}

func (s *Server) muteGuests(on bool) seated {
	return func(st *seat, _ http.ResponseWriter, r *http.Request) (any, error) {
		return s.command(st, r, conference.RoleHost, &conference.Mute{On: on})
	}
}

// startConference lets guests in who wait for a host with media.
func (s *Server) startConference(st *seat, _ http.ResponseWriter, r *http.Request) (any, error) {
	return s.command(st, r, conference.RoleHost, &conference.Start{})
}

// guestsCanUnmute says whether guests may undo what a host has done to them.
func (s *Server) guestsCanUnmute(st *seat, w http.ResponseWriter, r *http.Request) (any, error) {
	body, err := decode[struct {
		Setting *bool `json:"setting"`
	}](w, r)
	switch {
	case err != nil:
		return nil, err
	case body.Setting == nil:
		return nil, invalid("setting", "missing")
	}
	return s.command(st, r, conference.RoleHost, &conference.SetGuestsCanUnmute{On: *body.Setting})
}

func (s *Server) disconnectAll(st *seat, _ http.ResponseWriter, r *http.Request) (any, error) {
	return s.command(st, r, conference.RoleHost, &conference.Disconnect{Reason: "Conference terminated by another participant"})
}

func (s *Server) transformLayout(st *seat, w http.ResponseWriter, r *http.Request) (any, error) {
	body, err := decode[struct {
		Transforms *struct {
			Layout *string `json:"layout"`
		} `json:"transforms"`
	}](w, r)
	switch {
	case err != nil:
		return nil, err
	case body.Transforms == nil:
		return nil, invalid("transforms", "missing")
	case body.Transforms.Layout == nil:
		return nil, unsupported(http.StatusNotImplemented, "transforms other than layout")
	}
	layout, ok := toLayout(*body.Transforms.Layout)
	if !ok {
		names := make([]string, 0, len(layouts))
		for _, l := range compose.Layouts() {
			names = append(names, fromLayout(l))
		}
		return nil, invalid("transforms.layout", "want one of "+strings.Join(names, ", "))
	}
	return s.command(st, r, conference.RoleHost, &conference.SetLayout{Layout: layout})
}

func (s *Server) clearAllBuzz(st *seat, _ http.ResponseWriter, r *http.Request) (any, error) {
	v, err := st.room.now(r.Context())
	if err != nil {
		return nil, err
	}
	switch {
	case !st.mayHost(v):
		return nil, errRole
	case !st.commands.Allow():
		return nil, errRate
	}
	for _, p := range v.Participants {
		if !p.HandRaised {
			continue
		}
		if _, err := s.order(r, v, &conference.RaiseHand{Id: p.Id}); err != nil {
			return nil, err
		}
	}
	return true, nil
}

// dial calls somebody into the conference. The call appears in the roster; its
// outcome is told there and by events.
func (s *Server) dial(st *seat, w http.ResponseWriter, r *http.Request) (any, error) {
	body, err := decode[struct {
		Destination string `json:"destination"`
		Protocol    string `json:"protocol"`
		Role        string `json:"role"`
		DisplayName string `json:"remote_display_name"`
	}](w, r)
	if err != nil {
		return nil, err
	}
	uri, err := sipURI(body.Destination)
	switch {
	case err != nil:
		return nil, err
	case !slices.Contains([]string{"sip", "auto", ""}, body.Protocol):
		return nil, invalid("protocol", "want sip or auto")
	case !slices.Contains([]string{"HOST", "GUEST", ""}, body.Role):
		return nil, invalid("role", "want HOST or GUEST")
	}
	shown, err := name("remote_display_name", body.DisplayName)
	if err != nil {
		return nil, err
	}
	v, err := st.room.now(r.Context())
	if err != nil {
		return nil, err
	}
	if !st.mayHost(v) {
		return nil, errRole
	}
	dialing, err := ask[*node.Dialing](r.Context(), s, s.deps.Node, &node.Dial{
		Alias: st.room.name, URI: uri, Name: shown, Role: strings.ToLower(body.Role),
	})
	if err != nil {
		return nil, err
	}
	return []string{string(dialing.Call)}, nil
}

// sipURI makes a URI of what a person may write.
func sipURI(destination string) (string, error) {
	d := strings.TrimSpace(destination)
	switch {
	case d == "":
		return "", invalid("destination", "missing")
	case len(d) > 512 || strings.ContainsFunc(d, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return "", invalid("destination", "not a SIP URI")
	}
	scheme, rest, ok := strings.Cut(d, ":")
	if s := strings.ToLower(scheme); ok && (s == "sip" || s == "sips") {
		if rest == "" {
			return "", invalid("destination", "not a SIP URI")
		}
		return s + ":" + rest, nil
	}
	if !strings.Contains(d, "@") {
		return "", invalid("destination", "want sip:user@host")
	}
	return "sip:" + d, nil
}
