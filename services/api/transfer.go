package api

import (
	"crypto/sha256"
	"net/http"
	"time"

	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/actors/node"
)

// Transfers: a host sends a client to another conference of this server. The
// client is told where to ("refer"), with a token that opens the door there in
// place of a PIN.

// referralLife is how long a client has to follow.
const referralLife = time.Minute

// A referral is what such a token stands for.
type referral struct {
	key         secret
	alias, role string
	expiry      *time.Timer
	taken       bool // by a client that is on its way in; guarded by Server.mu
}

// referJSON is the data of refer.
type referJSON struct {
	Alias  string `json:"alias"`
	Token  string `json:"token"`
	Target string `json:"target"`
}

func (s *Server) transfer(st *seat, w http.ResponseWriter, r *http.Request) (any, error) {
	body, err := decode[struct {
		Role  string `json:"role"`
		Alias string `json:"conference_alias"`
		PIN   string `json:"pin"`
	}](w, r)
	if err != nil {
		return nil, err
	}
	roles := map[string]string{"host": conference.RoleHost, "guest": conference.RoleGuest}
	pin, err := givenPIN(body.PIN)
	switch {
	case err != nil:
		return nil, err
	case roles[body.Role] == "":
		return nil, invalid("role", "want host or guest")
	case conference.NormalizeAlias(body.Alias) == "":
		return nil, invalid("conference_alias", "not an alias")
	}
	v, err := st.room.now(r.Context())
	if err != nil {
		return nil, err
	}
	if !st.mayHost(v) {
		return nil, errRole
	}
	if _, err := ask[*node.Authorized](r.Context(), s, s.deps.Node, &node.Authorize{
		Alias: body.Alias, Role: roles[body.Role], PIN: pin, Source: source(r),
	}); err != nil {
		return nil, err
	}
	return s.command(st, r, conference.RoleHost, &conference.Transfer{
		Id: r.PathValue("participant"), Alias: body.Alias, Role: roles[body.Role],
	})
}

// refer makes the token for a client of this process that is transferred; it is
// told on its next event stream, or the one it has.
func (s *Server) refer(m *room, t *conference.Transfer) {
	s.mu.Lock()
	here := false
	for st := range s.seats {
		here = here || string(st.id) == t.Id && st.protocol == protocolAPI
	}
	if !here || s.closed {
		s.mu.Unlock()
		return
	}
	token := newToken()
	f := &referral{key: sha256.Sum256([]byte(token)), alias: t.Alias, role: t.Role}
	f.expiry = time.AfterFunc(referralLife, func() { s.forget(f) }) // s.mu is held: not before it is set
	s.referrals[f.key] = f
	s.mu.Unlock()
	m.note(note{to: t.Id, event: "refer", data: encode(referJSON{t.Alias, token, "conference"})})
}

// referred takes the referral to an alias that a token stands for; nil if there is
// none. It is good once, so who takes it says with followed how it went.
func (s *Server) referred(token, alias string) *referral {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.referrals[sha256.Sum256([]byte(token))]
	if f == nil || f.taken || conference.NormalizeAlias(f.alias) != conference.NormalizeAlias(alias) {
		return nil
	}
	f.taken = true
	return f
}

// followed ends a referral that has led somewhere, and gives back one that has not:
// the client tries again where a room was full for a moment, or its node was busy.
func (s *Server) followed(f *referral, there bool) {
	if there {
		s.forget(f)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f.taken = false
}

func (s *Server) forget(f *referral) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.expiry.Stop()
	delete(s.referrals, f.key)
}
