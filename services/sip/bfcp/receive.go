package bfcp

import (
	"context"
	"encoding/binary"
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
	case e.carrier.reliable():
		m, err := Parse(a.bytes)
		e.receive(a.path, m, err)
	case isSTUN(a.bytes):
		// A keep-alive (RFC 8855 section 6.2.4), which nobody answers.
	default:
		b, err := e.assembler.Add(a.bytes, time.Now())
		switch {
		case err != nil:
			m, _ := Parse(a.bytes) // its header
			e.receive(a.path, m, err)
		case b != nil:
			m, err := Parse(b)
			e.receive(a.path, m, err)
		}
	}
}

// isSTUN reports whether b is a message of STUN (RFC 8489 section 5), whose first
// bits would be version 0 here.
func isSTUN(b []byte) bool {
	const cookie = 0x2112a442
	return len(b) >= 8 && b[0]>>6 == 0 && binary.BigEndian.Uint32(b[4:]) == cookie
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

// receive handles one message. The err is what is wrong with it; m is nil if
// there is not even a header.
func (e *Endpoint) receive(from path, m *Message, err error) {
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
			if reply := e.dispatch(m, err, server, client); reply != nil {
				e.answer(from, m, reply)
			}
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
	if bad, _ := errors.AsType[*ParseError](err); bad != nil && e.carrier.reliable() && (bad.Code == Unparsable || bad.Code == IncorrectLength) {
		from.close() // who cannot be understood begins anew (RFC 8855 section 6.1)
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

// dispatch answers what the peer has begun; nil: not yet, or never. An Error is
// for servers to say; a client drops what is wrong.
func (e *Endpoint) dispatch(m *Message, err error, server, client bool) *Message {
	reply := e.reply(m, err, server, client)
	if reply != nil && reply.Primitive == Error && !server && (client || !e.is(sdp.FloorServer)) {
		return nil
	}
	return reply
}

func (e *Endpoint) reply(m *Message, err error, server, client bool) *Message {
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
	if reply, again := e.answers.repeated(m, time.Now(), e.requests.rto.answers()); again {
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
