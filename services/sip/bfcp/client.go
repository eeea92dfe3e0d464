package bfcp

import (
	"errors"
	"time"

	"golang.org/x/time/rate"

	"github.com/skybridge-media/skybridge/media/sdp"
)

const (
	clientRole = sdp.FloorClient
	serverRole = sdp.FloorServer
)

// A client is what an endpoint knows as floor participant.
type client struct {
	asking bool   // a FloorRequest is under way
	giveUp bool   // and is not wanted any more
	id     uint16 // of our request; zero: none
	told   Decided
	early  *Attribute // news of a request whose first answer was lost
	view
}

// A view is what a client knows of the floor, whatever it asks for.
type view struct {
	said, seen Presenter // by the server, by the owner
	limit      *rate.Limiter
	due        time.Time // when the owner may be told; zero: nothing is new
	informed   bool      // a FloorQuery was answered: the server tells us of changes
	heard      int       // how often it has
}

// Request asks the peer for the floor; the info is for a human. What comes of
// it are events, [Decided]. Nothing happens while another request of ours is
// not over.
func (e *Endpoint) Request(info string) {
	e.post(func() {
		if e.is(clientRole) {
			e.client.request(e, info)
		}
	})
}

// Release gives the floor back, or the request for it.
func (e *Endpoint) Release() {
	e.post(func() {
		if e.is(clientRole) {
			e.client.release(e)
		}
	})
}

func (c *client) request(e *Endpoint, info string) {
	if c.asking || c.id != 0 {
		return
	}
	*c = client{asking: true, view: c.view}
	m := e.message(FloorRequest, e.cfg.Floor.Client, Number(FloorID, e.cfg.Floor.Client.Floor))
	if info != "" {
		m.Attributes = append(m.Attributes, Text(ParticipantProvidedInfo, info))
	}
	e.begin(m, func(m *Message, err error) { c.requested(e, m, err) })
}

// requested handles the first answer.
func (c *client) requested(e *Endpoint, m *Message, err error) {
	c.asking = false
	if err != nil {
		status := Cancelled
		if _, refused := errors.AsType[*Failed](err); refused {
			status = Denied
		}
		c.tell(e, Decided{Status: status, Info: err.Error()})
		return
	}
	info := m.Get(FloorRequestInformation)
	if m.Primitive != FloorRequestStatus || info.Number() == 0 {
		c.tell(e, Decided{Status: Denied, Info: "the answer names no request"})
		return
	}
	c.id = info.Number()
	if early := c.early; early != nil && early.Number() == c.id {
		info = early
	}
	c.early = nil
	c.update(e, info)
	if c.giveUp {
		c.release(e)
	}
}

func (c *client) release(e *Endpoint) {
	switch {
	case c.asking:
		c.giveUp = true
	case c.id != 0:
		id := c.id
		e.begin(e.message(FloorRelease, e.cfg.Floor.Client, Number(FloorRequestID, id)), func(m *Message, err error) {
			if c.id != id {
				return
			}
			if err == nil {
				c.update(e, m.Get(FloorRequestInformation))
			}
			if c.id != 0 {
				c.tell(e, Decided{Status: Released}) // whatever the server says
			}
		})
	}
}

// update reads what a FLOOR-REQUEST-INFORMATION says of our request.
func (c *client) update(e *Endpoint, info *Attribute) {
	if info.Number() != c.id {
		return
	}
	status, place := requestStatus(info, e.cfg.Floor.Client.Floor)
	if status == 0 {
		return
	}
	c.tell(e, Decided{Status: status, Place: place, Info: info.Get(OverallRequestStatus).Get(StatusInfo).Text()})
}

// requestStatus is the status of a request as a whole, else of its floor.
func requestStatus(info *Attribute, floor uint16) (s Status, place uint8) {
	if overall := info.Get(OverallRequestStatus).Get(RequestStatus); overall != nil {
		return overall.Status()
	}
	if info == nil {
		return 0, 0
	}
	for i := range info.Group {
		if a := &info.Group[i]; a.Type == FloorRequestStatusInfo && a.Number() == floor {
			return a.Get(RequestStatus).Status()
		}
	}
	return 0, 0
}

// tell tells the owner what is new of our request.
func (c *client) tell(e *Endpoint, d Decided) {
	if d.Status.Over() {
		c.id = 0
	}
	if d != c.told {
		c.told = d
		e.cfg.Notify(d)
	}
}

// news takes what the server says by itself, and acknowledges it.
func (c *client) news(e *Endpoint, m *Message) *Message {
	if m.Primitive == FloorStatus {
		c.heard++
		c.floor(e, m)
		return &Message{Primitive: FloorStatusAck}
	}
	info := m.Get(FloorRequestInformation)
	switch {
	case info == nil:
	case c.id != 0:
		c.update(e, info)
	case c.asking:
		c.early = info
	}
	return &Message{Primitive: FloorRequestStatusAck}
}

// floor reads who has the floor.
func (c *client) floor(e *Endpoint, m *Message) {
	id := e.cfg.Floor.Client
	if f := m.Get(FloorID); f != nil && f.Number() != id.Floor {
		return
	}
	var now Presenter
	for i := range m.Attributes {
		a := &m.Attributes[i]
		if a.Type != FloorRequestInformation {
			continue
		}
		if s, _ := requestStatus(a, id.Floor); s != Granted {
			continue
		}
		user := a.Get(BeneficiaryInformation)
		if user == nil {
			user = a.Get(RequestedByInformation)
		}
		now = Presenter{User: user.Number(), Name: user.Get(UserDisplayName).Text()}
		now.Mine = now.User == id.User || c.id != 0 && a.Number() == c.id
		break
	}
	c.said = now
	c.show(e)
}

// show tells the owner who presents, now or when it may be told again: a server
// costs the conference no more than a peer that asks.
func (c *client) show(e *Endpoint) {
	c.due = time.Time{}
	if c.said == c.seen {
		return
	}
	now := time.Now()
	turn := c.limit.ReserveN(now, 1)
	if wait := turn.DelayFrom(now); wait > 0 {
		turn.CancelAt(now)
		c.due = now.Add(wait)
		return
	}
	c.seen = c.said
	e.cfg.Notify(c.seen)
}

// greet says Hello, as a client, and asks to be told of the floor.
func (e *Endpoint) greet() {
	if !e.is(clientRole) || e.requests.current != nil {
		return // what is under way shows as well whether the peer is there
	}
	c := &e.client
	e.begin(e.message(Hello, e.cfg.Floor.Client), nil)
	if !c.informed {
		id, before := e.cfg.Floor.Client, c.heard
		e.begin(e.message(FloorQuery, id, Number(FloorID, id.Floor)), func(m *Message, err error) {
			// What the server has said meanwhile counts more (RFC 8855 section 6.2).
			if c.informed = err == nil; c.informed && m.Primitive == FloorStatus && c.heard == before {
				c.floor(e, m)
			}
		})
	}
}

// greeting is when to say Hello again; zero: never.
func (e *Endpoint) greeting() time.Time {
	if !e.is(clientRole) || e.cfg.KeepAlive < 0 || e.path == nil {
		return time.Time{}
	}
	return e.spoken.Add(e.cfg.KeepAlive)
}

// left loses what a server that has said goodbye had granted.
func (c *client) left(e *Endpoint) {
	c.informed = false
	if c.id != 0 {
		c.tell(e, Decided{Status: Revoked, Info: "the server has left"})
	}
}
