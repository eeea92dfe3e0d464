package bfcp

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/skybridge-media/skybridge/media/sdp"
)

// arrive handles what a path brings.
func (e *Endpoint) arrive(a arrival) {
	switch {
	case a.last:
		e.cfg.Notify(GaveUp{a.err})
	case a.err != nil:
		e.ended(a)
	case a.begun:
		e.adopt(a.path)
	default:
		if b := e.assembler.Add(a.bytes, time.Now()); b != nil {
			e.receive(a.path, b)
		}
	}
}

// ended loses a connection.
func (e *Endpoint) ended(a arrival) {
	if a.path != nil && a.path != e.path {
		return // a stranger's, or one that was replaced
	}
	e.path, e.heard = nil, false
	e.abandon(a.err)
	e.lose(a.err)
}

// adopt sends to p from now on.
func (e *Endpoint) adopt(p path) {
	greet := e.path == nil
	if e.path != nil {
		e.path.close()
	}
	e.path, e.heard = p, false
	if e.carrier.reliable() {
		e.abandon(errReplaced)
		greet = true
	}
	if greet {
		e.greet()
	}
	e.advance()
}

var errReplaced = errors.New("bfcp: a new connection has replaced the old one")

func (e *Endpoint) lose(err error) {
	if e.lost {
		return
	}
	e.lost, e.client.informed = true, false
	if !e.carrier.reliable() {
		e.heard = false // it may come back from another port
	}
	e.log.Debug("peer lost", "err", err)
	e.cfg.Notify(Lost{err})
}

// receive handles one message.
func (e *Endpoint) receive(from path, b []byte) {
	m, err := Parse(b)
	if m == nil {
		return
	}
	server := e.is(sdp.FloorServer) && m.Conference == e.cfg.Floor.Server.Conference && m.User == e.cfg.Floor.Server.User
	client := e.is(sdp.FloorClient) && m.Conference == e.cfg.Floor.Client.Conference && m.User == e.cfg.Floor.Client.User
	if from != e.path {
		// Identifiers are known to those who saw the SDP: to our peer. Datagrams
		// stay with who was heard first; a new connection replaces the old.
		switch reliable := e.carrier.reliable(); {
		case !server && !client && reliable:
			e.answer(from, m, e.dispatch(m, err, server, client))
			return
		case !server && !client || e.heard && !reliable:
			return
		}
		e.adopt(from)
	}
	if server || client {
		e.hear(from)
	}
	if e.log.Enabled(context.Background(), slog.LevelDebug) {
		e.log.Debug("received", "primitive", m.Primitive, "transaction", m.Transaction, "response", m.Response, "err", err)
	}
	if e.isAnswer(m) {
		if err == nil && (server || client) {
			e.answered(m)
		}
		return
	}
	if m.Primitive.answers() || m.Response && !e.carrier.reliable() {
		return // late, or to nothing
	}
	reply := e.dispatch(m, err, server, client)
	if reply != nil && !(e.carrier.reliable() && isNews(m)) {
		e.answer(from, m, reply)
	}
}

// hear notes that the peer is there.
func (e *Endpoint) hear(p path) {
	if s, ok := p.(*streamPath); ok && !e.heard {
		s.trust()
	}
	if !e.heard || e.lost {
		e.heard, e.lost = true, false
		e.cfg.Notify(Ready{})
		e.server.greeted(e)
		e.advance()
	}
}

// dispatch answers what the peer has begun; nil: not yet, or never.
func (e *Endpoint) dispatch(m *Message, err error, server, client bool) *Message {
	var version uint8 = DatagramVersion
	if e.carrier.reliable() {
		version = StreamVersion
	}
	bad, _ := errors.AsType[*ParseError](err)
	switch {
	case bad != nil && bad.Code == UnsupportedVersion || m.Version != version:
		return fail(UnsupportedVersion)
	case !server && !client && !e.knowsConference(m.Conference):
		return fail(UnknownConference)
	case !server && !client:
		return fail(UnknownUser)
	case bad != nil:
		return fail(bad.Code, bad.Details...)
	}
	if reply, again := e.answers.repeated(m, time.Now()); again {
		if reply != nil {
			_ = e.send(e.path, reply)
		}
		return nil
	}
	switch {
	case m.Primitive == Goodbye:
		e.server.left(e)
		e.client.left(e)
		e.heard = false
		return &Message{Primitive: GoodbyeAck}
	case isNews(m):
		if client {
			return e.client.news(e, m)
		}
	case server:
		return e.server.request(e, m)
	}
	return fail(UnknownPrimitive)
}

func (e *Endpoint) knowsConference(id uint32) bool {
	return e.is(sdp.FloorServer) && id == e.cfg.Floor.Server.Conference || e.is(sdp.FloorClient) && id == e.cfg.Floor.Client.Conference
}

// isNews reports whether m is what servers begin.
func isNews(m *Message) bool { return m.Primitive == FloorRequestStatus || m.Primitive == FloorStatus }

// fail answers with an Error.
func fail(c Code, details ...byte) *Message {
	return &Message{Primitive: Error, Attributes: []Attribute{Failure(c, details...), Text(ErrorInfo, c.String())}}
}
