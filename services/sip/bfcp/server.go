package bfcp

import (
	"errors"
	"time"

	"golang.org/x/time/rate"
)

// grace is how long a request waits for its first answer to be the decision:
// not all clients expect it afterwards. It is below T1.
const grace = 200 * time.Millisecond

// Each request costs the whole conference something. No hand presses a button
// as often as this.
const (
	requestsPerSecond = 1
	requestsAtOnce    = 10
)

// A server is what an endpoint knows as floor control server.
type server struct {
	last  uint16   // floor request
	asked *asked   // what the peer has asked for and not given back
	other *holding // who else has the floor; never while the peer has it
	muted bool     // the peer does not want to know about the floor

	limit *rate.Limiter // of requests

	untold *Message // the news of its request that the peer did not get
}

// asked is a request of the peer.
type asked struct {
	id      uint16
	status  Status
	info    string
	message *Message // to be answered; nil: it was
	due     time.Time
}

// holding is a request of somebody else.
type holding struct {
	id uint16
	Presenter
}

// Grant gives the floor to the peer, for the request of [Requested]. Somebody
// else who had it by [Endpoint.SetPresenter] has it no more. Nothing happens if
// the request is over.
func (e *Endpoint) Grant(id uint16) { e.post(func() { e.server.decide(e, id, Granted, "") }) }

// Deny refuses a request, or takes back the floor that it was granted. The
// reason is for a human.
func (e *Endpoint) Deny(id uint16, reason string) {
	e.post(func() { e.server.decide(e, id, Denied, reason) })
}

// SetPresenter says who else presents; nil: nobody. If the peer had the floor
// it is revoked. A User of zero becomes one that is not the peer's.
func (e *Endpoint) SetPresenter(p *Presenter) {
	if p != nil {
		other := *p
		p = &other
	}
	e.post(func() {
		if e.is(serverRole) {
			e.server.present(e, p)
		}
	})
}

// request handles what the peer asks of a server. The answer is nil if it was
// sent, or will be.
func (s *server) request(e *Endpoint, m *Message) *Message {
	switch m.Primitive {
	case Hello:
		return &Message{Primitive: HelloAck, Attributes: []Attribute{supportedPrimitives(), supportedAttributes()}}
	case FloorRequest:
		return s.ask(e, m)
	case FloorRelease:
		return s.release(e, m)
	case FloorRequestQuery:
		id := m.Get(FloorRequestID)
		switch {
		case id == nil:
			return missing(FloorRequestID)
		case s.asked != nil && s.asked.id == id.Number():
			return &Message{Primitive: FloorRequestStatus, Attributes: []Attribute{s.asked.information(e)}}
		case s.other != nil && s.other.id == id.Number():
			return &Message{Primitive: FloorRequestStatus, Attributes: []Attribute{s.other.information(e)}}
		}
		return fail(UnknownRequest)
	case UserQuery:
		return s.user(e, m)
	case FloorQuery:
		return s.query(e, m)
	case ChairAction:
		return fail(Unauthorized) // the conference decides
	}
	return fail(UnknownPrimitive)
}

func supportedPrimitives() Attribute {
	a := Attribute{Type: SupportedPrimitives, Mandatory: true}
	for p := FloorRequest; p.known(); p++ {
		if p != ChairAction && p != ChairActionAck {
			a.Value = append(a.Value, byte(p))
		}
	}
	return a
}

func supportedAttributes() Attribute {
	a := Attribute{Type: SupportedAttributes, Mandatory: true}
	for t := BeneficiaryID; t.known(); t++ {
		a.Value = append(a.Value, byte(t)<<1)
	}
	return a
}

// missing refuses a message without what it must have.
func missing(t Type) *Message {
	m := fail(Unparsable)
	m.Attributes[1] = Text(ErrorInfo, t.String()+" is missing")
	return m
}

// ask takes a request. A second one replaces the first: a peer that has
// forgotten its own, after a restart, must not be locked out.
func (s *server) ask(e *Endpoint, m *Message) *Message {
	floors := 0
	for i := range m.Attributes {
		switch a := &m.Attributes[i]; {
		case a.Type == FloorID && a.Number() != e.cfg.Floor.Server.Floor:
			return fail(InvalidFloor)
		case a.Type == FloorID:
			floors++
		case a.Type == BeneficiaryID && a.Number() != e.cfg.Floor.Server.User:
			return fail(Unauthorized)
		}
	}
	if floors == 0 {
		return missing(FloorID)
	}
	if !s.limit.Allow() {
		refused := &asked{id: s.next(), status: Denied, info: "too many requests"}
		return &Message{Primitive: FloorRequestStatus, Attributes: []Attribute{refused.information(e)}}
	}
	if s.asked != nil {
		s.end(e, "replaced by a new request")
	}
	s.asked = &asked{id: s.next(), status: Pending, message: m, due: time.Now().Add(grace)}
	event := Requested{ID: s.asked.id, Priority: 2, Info: m.Get(ParticipantProvidedInfo).Text()}
	if p := m.Get(Priority); p != nil {
		event.Priority = min(p.Value[0]>>5, 4)
	}
	e.cfg.Notify(event)
	return nil
}

func (s *server) next() uint16 {
	if s.last++; s.last == 0 {
		s.last = 1
	}
	return s.last
}

// end takes a request away that the peer does not want any more.
func (s *server) end(e *Endpoint, info string) {
	a := s.asked
	had := a.status == Granted
	a.status, a.info = Cancelled, info
	if had {
		a.status = Released
	}
	s.tell(e)
	s.asked = nil
	e.cfg.Notify(Withdrawn{a.id})
	if had {
		s.publish(e)
	}
}

// release gives a request back.
func (s *server) release(e *Endpoint, m *Message) *Message {
	id := m.Get(FloorRequestID)
	switch {
	case id == nil:
		return missing(FloorRequestID)
	case s.asked == nil || s.asked.id != id.Number():
		return fail(UnknownRequest)
	}
	s.asked.message = m // what tells the peer is the answer to this
	s.end(e, "")
	return nil
}

// user answers a UserQuery: what the peer, and nobody else, has asked for.
func (s *server) user(e *Endpoint, m *Message) *Message {
	if b := m.Get(BeneficiaryID); b != nil && b.Number() != m.User {
		return fail(UnknownUser)
	}
	reply := &Message{Primitive: UserStatus, Attributes: []Attribute{Group(BeneficiaryInformation, m.User)}}
	if s.asked != nil {
		reply.Attributes = append(reply.Attributes, s.asked.information(e))
	}
	return reply
}

// query answers a FloorQuery, which says whether the peer wants to be told of
// changes from now on: with no floor in it, it does not.
func (s *server) query(e *Endpoint, m *Message) *Message {
	s.muted = true
	for i := range m.Attributes {
		if a := &m.Attributes[i]; a.Type == FloorID {
			if a.Number() != e.cfg.Floor.Server.Floor {
				return fail(InvalidFloor)
			}
			s.muted = false
		}
	}
	if s.muted {
		return &Message{Primitive: FloorStatus}
	}
	return s.floorStatus(e)
}

func (s *server) floorStatus(e *Endpoint) *Message {
	m := e.message(FloorStatus, e.cfg.Floor.Server, Number(FloorID, e.cfg.Floor.Server.Floor))
	if s.other != nil {
		m.Attributes = append(m.Attributes, s.other.information(e))
	}
	if s.asked != nil {
		m.Attributes = append(m.Attributes, s.asked.information(e))
	}
	return m
}

// decide answers a request of the peer.
func (s *server) decide(e *Endpoint, id uint16, status Status, info string) {
	a := s.asked
	if a == nil || a.id != id || a.status == status {
		return
	}
	had := a.status == Granted
	if had {
		status = Revoked
	}
	a.status, a.info = status, info
	if status == Granted {
		s.other = nil
	}
	s.tell(e)
	if status.Over() {
		s.asked = nil
	}
	if had || status == Granted {
		s.publish(e)
	}
}

// present notes who else has the floor.
func (s *server) present(e *Endpoint, p *Presenter) {
	if p == nil && s.other == nil || p != nil && s.other != nil && s.other.Name == p.Name && (p.User == 0 || p.User == s.other.User) {
		return
	}
	s.other = nil
	if p != nil {
		if p.User == 0 {
			p.User = e.cfg.Floor.Server.User + 1
		}
		s.other = &holding{s.next(), *p}
		if a := s.asked; a != nil && a.status == Granted {
			a.status, a.info = Revoked, p.Name
			s.tell(e)
			s.asked = nil
		}
	}
	s.publish(e)
}

// tell tells the peer how its request stands: in the answer to it, or as news.
func (s *server) tell(e *Endpoint) {
	a := s.asked
	status := e.message(FloorRequestStatus, e.cfg.Floor.Server, a.information(e))
	if m := a.message; m != nil {
		a.message = nil
		e.answer(e.path, m, status)
		return
	}
	s.inform(e, status)
}

// inform sends news of the peer's request, now or when the peer is back.
func (s *server) inform(e *Endpoint, status *Message) {
	s.untold = nil
	if !e.heard {
		s.untold = status
		return
	}
	e.begin(status, func(_ *Message, err error) {
		if errors.Is(err, ErrSilent) {
			s.untold = status
		}
	})
}

// publish tells the peer who has the floor.
func (s *server) publish(e *Endpoint) {
	if e.heard && !s.muted {
		e.begin(s.floorStatus(e), nil)
	}
}

// greeted tells a peer that has come, or come back, how things are.
func (s *server) greeted(e *Endpoint) {
	if s.untold != nil {
		s.inform(e, s.untold)
	}
	if s.last > 0 { // there is something that it may not know
		s.publish(e)
	}
}

// left forgets a peer that has said goodbye.
func (s *server) left(e *Endpoint) {
	if a := s.asked; a != nil {
		s.asked = nil
		e.cfg.Notify(Withdrawn{a.id})
	}
	s.muted, s.untold = false, nil
}

// due is when a request gets an answer without a decision; zero: none waits.
func (s *server) due() time.Time {
	if s.asked == nil || s.asked.message == nil {
		return time.Time{}
	}
	return s.asked.due
}

// information describes the request of the peer.
func (a *asked) information(e *Endpoint) Attribute {
	id := e.cfg.Floor.Server
	return information(a.id, id.Floor, a.status, a.info, Group(BeneficiaryInformation, id.User))
}

// information describes the request of somebody else.
func (h *holding) information(e *Endpoint) Attribute {
	user := Group(BeneficiaryInformation, h.User)
	if h.Name != "" {
		user.Group = append(user.Group, Text(UserDisplayName, h.Name))
	}
	return information(h.id, e.cfg.Floor.Server.Floor, Granted, "", user)
}

// information is a FLOOR-REQUEST-INFORMATION. The status is in it twice, for
// the request and for its floor, because clients differ in which they read.
func information(id, floor uint16, s Status, info string, user Attribute) Attribute {
	overall := Group(OverallRequestStatus, id, StatusOf(s, 0))
	if info != "" {
		overall.Group = append(overall.Group, Text(StatusInfo, info))
	}
	return Group(FloorRequestInformation, id, overall, Group(FloorRequestStatusInfo, floor, StatusOf(s, 0)), user)
}
