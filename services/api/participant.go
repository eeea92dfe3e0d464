package api

import (
	"net/http"

	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/actors/participant"
)

// What clients may do to participants: guests to themselves, hosts to anybody.

// to sends the command that make returns for the participant in the path.
func (s *Server) to(make func(id string) any) seated {
	return func(st *seat, _ http.ResponseWriter, r *http.Request) (any, error) {
		id := r.PathValue("participant")
		return s.command(st, r, st.needs(id), make(id))
	}
}

// needs is the role that it takes to command a participant.
func (st *seat) needs(id string) string {
	if id == string(st.id) {
		return conference.RoleGuest
	}
	return conference.RoleHost
}

func (s *Server) mute(on bool) seated {
	return s.to(func(id string) any { return &conference.Mute{Id: id, On: on} })
}

// unmute is what guests may not do to themselves where a host has said so.
func (s *Server) unmute(st *seat, _ http.ResponseWriter, r *http.Request) (any, error) {
	v, err := st.room.now(r.Context())
	if err != nil {
		return nil, err
	}
	id := r.PathValue("participant")
	needs := st.needs(id)
	if v.GuestsStayMuted {
		needs = conference.RoleHost
	}
	return s.command(st, r, needs, &conference.Mute{Id: id})
}

// overlayText changes the text on a tile.
func (s *Server) overlayText(st *seat, w http.ResponseWriter, r *http.Request) (any, error) {
	body, err := decode[struct {
		Text *string `json:"text"`
	}](w, r)
	switch {
	case err != nil:
		return nil, err
	case body.Text == nil:
		return nil, invalid("text", "missing")
	}
	shown, err := name("text", *body.Text)
	if err != nil {
		return nil, err
	}
	id := r.PathValue("participant")
	return s.command(st, r, st.needs(id), &conference.SetOverlayText{Id: id, Text: shown})
}

// aspectRatio takes what everybody gets: there are no upright pictures.
func (s *Server) aspectRatio(st *seat, w http.ResponseWriter, r *http.Request) (any, error) {
	body, err := decode[struct {
		Ratio *float64 `json:"aspect_ratio"`
	}](w, r)
	switch {
	case err != nil:
		return nil, err
	case r.PathValue("participant") != string(st.id):
		return nil, errRole
	case body.Ratio != nil && *body.Ratio <= 0:
		return nil, invalid("aspect_ratio", "want more than 0")
	case body.Ratio != nil && *body.Ratio < 1:
		return nil, unsupported(http.StatusForbidden, "upright pictures")
	}
	return true, nil
}

// notAFK is told that somebody is there. Nobody is ever thought to be away.
func (s *Server) notAFK(st *seat, _ http.ResponseWriter, r *http.Request) (any, error) {
	if r.PathValue("participant") != string(st.id) {
		return nil, errRole
	}
	return true, nil
}

func (s *Server) muteVideo(on bool) seated {
	return s.to(func(id string) any { return &conference.MuteVideo{Id: id, On: on} })
}

func (s *Server) spotlight(on bool) seated {
	return func(st *seat, _ http.ResponseWriter, r *http.Request) (any, error) {
		return s.command(st, r, conference.RoleHost, &conference.Spotlight{Id: r.PathValue("participant"), On: on})
	}
}

func (s *Server) buzz(on bool) seated {
	return s.to(func(id string) any { return &conference.RaiseHand{Id: id, On: on} })
}

// letIn ends the wait of a participant.
func (s *Server) letIn(st *seat, _ http.ResponseWriter, r *http.Request) (any, error) {
	return s.command(st, r, conference.RoleHost, &conference.LetIn{Id: r.PathValue("participant")})
}

// takeFloor makes a participant the presenter. A host who makes it somebody
// else's floor does so whoever has it now.
func (s *Server) takeFloor(st *seat, _ http.ResponseWriter, r *http.Request) (any, error) {
	id := r.PathValue("participant")
	_, err := s.command(st, r, st.needs(id), &conference.TakeFloor{Id: id, Force: id != string(st.id)})
	return nil, err
}

func (s *Server) releaseFloor(st *seat, _ http.ResponseWriter, r *http.Request) (any, error) {
	id := r.PathValue("participant")
	_, err := s.command(st, r, st.needs(id), &conference.ReleaseFloor{Id: id})
	return nil, err
}

func (s *Server) disconnect(st *seat, _ http.ResponseWriter, r *http.Request) (any, error) {
	id := r.PathValue("participant")
	return s.command(st, r, st.needs(id), &conference.Disconnect{Id: id, Reason: "Disconnected by another participant"})
}

// presInMix says whether a client wants what is presented in its composed picture.
// It is a matter of the client's own media.
func (s *Server) presInMix(st *seat, w http.ResponseWriter, r *http.Request) (any, error) {
	body, err := decode[struct {
		State *bool `json:"state"`
	}](w, r)
	switch {
	case err != nil:
		return nil, err
	case r.PathValue("participant") != string(st.id):
		return nil, errRole
	case body.State == nil:
		return nil, invalid("state", "missing")
	}
	media, err := st.media()
	if err != nil {
		return nil, err
	}
	media.MixContent(*body.State)
	st.mu.Lock()
	defer st.mu.Unlock()
	if (st.call != nil || st.second != nil) && st.connected && !st.ended {
		st.tellMedia(st.call)
	}
	return true, nil
}

// clientMute notes that a client has muted its own microphone: everybody sees
// it, nobody else can change it, and a host's mute is another matter.
func (s *Server) clientMute(on bool) seated {
	return func(st *seat, w http.ResponseWriter, r *http.Request) (any, error) {
		body, err := decode[struct {
			State *bool `json:"state"`
		}](w, r)
		if err != nil {
			return nil, err
		}
		switch {
		case r.PathValue("participant") != string(st.id):
			return nil, errRole
		case !st.commands.Allow(): // it is an event for everybody
			return nil, errRate
		}
		muted := on
		if body.State != nil {
			muted = *body.State
		}
		st.room.setMuted(string(st.id), muted)
		return true, nil
	}
}

func (s *Server) role(st *seat, w http.ResponseWriter, r *http.Request) (any, error) {
	body, err := decode[struct {
		Role string `json:"role"`
	}](w, r)
	if err != nil {
		return nil, err
	}
	roles := map[string]string{"chair": conference.RoleHost, "guest": conference.RoleGuest}
	if roles[body.Role] == "" {
		return nil, invalid("role", "want chair or guest")
	}
	return s.command(st, r, conference.RoleHost, &conference.SetRole{Id: r.PathValue("participant"), Role: roles[body.Role]})
}

// dtmfTo presses keys. Those of others cannot be pressed for them yet.
func (s *Server) dtmfTo(st *seat, w http.ResponseWriter, r *http.Request) (any, error) {
	if r.PathValue("participant") != string(st.id) {
		return nil, unsupported(http.StatusForbidden, "keys for others")
	}
	return s.press(st, w, r)
}

// press tells the participant's actor which keys the client has pressed.
func (s *Server) press(st *seat, w http.ResponseWriter, r *http.Request) (any, error) {
	body, err := decode[struct {
		Digits string `json:"digits"`
	}](w, r)
	if err != nil {
		return nil, err
	}
	if n := len(body.Digits); n == 0 || n > 64 {
		return nil, invalid("digits", "want 1 to 64")
	}
	for _, d := range []byte(body.Digits) {
		switch {
		case d >= '0' && d <= '9', d >= 'A' && d <= 'D', d >= 'a' && d <= 'd', d == '*', d == '#':
		default:
			return nil, invalid("digits", "want 0-9, *, #, A-D")
		}
	}
	for _, d := range []byte(body.Digits) {
		s.deps.System.Root.Send(st.pid, &participant.Pressed{Digit: d})
	}
	return true, nil
}

// avatar has no pictures, in the words of the published contract.
func (s *Server) avatar(st *seat, _ http.ResponseWriter, r *http.Request) (any, error) {
	v, err := st.room.now(r.Context())
	if err != nil {
		return nil, err
	}
	if id := r.PathValue("participant"); v.find(id) == nil || st.waits(v) && id != string(st.id) {
		return nil, conference.ErrNobody
	}
	return nil, errAvatar
}
