package sip

import (
	"github.com/emiago/sipgo/sip"
)

// deliver handles one message, on the goroutine that has read it. It waits for
// nothing: what takes time goes to the call.
func (s *Server) deliver(m sip.Message, f flow) {
	s.metrics.messages.WithLabelValues(received, f.network()).Inc()
	switch m := m.(type) {
	case *sip.Request:
		s.request(m, f)
	case *sip.Response:
		res := normaliseResponse(m)
		if !checkResponse(res) {
			s.metrics.malformed.WithLabelValues(f.network()).Inc()
			return
		}
		s.metrics.responses.WithLabelValues(received, class(res.StatusCode)).Inc()
		s.tx.receive(res)
	}
}

// request validates a request and hands it to its transaction, or to a new one.
func (s *Server) request(m *sip.Request, f flow) {
	req := normaliseRequest(m, f.peer())
	r, why := validate(req)
	if why != nil {
		if why.code == sip.StatusBadRequest {
			s.metrics.malformed.WithLabelValues(f.network()).Inc()
			s.transport.mute.Do(func() {
				s.log.Warn("malformed request", "transport", f.network(), "peer", f.peer(), "err", why.reason)
			})
		}
		s.transport.reject(req, f, why)
		return
	}
	r.flow = f
	tx, key := s.tx.find(r)
	switch {
	case r.Method == sip.ACK:
		s.ack(r, tx)
		return
	case tx != nil:
		s.metrics.retransmissions.WithLabelValues(received).Inc()
		tx.again(r)
		return
	}
	s.metrics.requests.WithLabelValues(received, methodLabel(string(r.Method))).Inc()
	if r.Method == sip.CANCEL {
		s.cancel(r)
		return
	}
	if tx = s.tx.begin(r, key); tx != nil {
		s.serve(tx)
	}
}

// ack finds out what an ACK is for: a refusal, which its transaction waits for,
// or a 200, which the call does.
func (s *Server) ack(r *request, tx *serverTx) {
	if tx != nil && tx.final() >= 300 {
		tx.again(r)
		return
	}
	if c := s.find(r); c != nil && c.inbox.postForeign(func() { c.acknowledged(r) }) {
		s.metrics.requests.WithLabelValues(received, "ack").Inc()
		return
	}
	s.metrics.dropped.WithLabelValues(dropUnmatched).Inc()
}

// serve handles a new request.
func (s *Server) serve(tx *serverTx) {
	r := tx.req
	if why := r.checkMethod(); why != nil {
		tx.refuse(why)
		return
	}
	if why := r.checkRequire(); why != nil {
		tx.refuse(why)
		return
	}
	switch {
	case r.to.tag() != "":
		s.withinDialog(tx)
	case r.Method == sip.INVITE:
		s.invite(tx)
	case r.Method == sip.OPTIONS:
		tx.reply(sip.StatusOK, "OK", s.optionsHeaders()...)
	default:
		tx.reply(sip.StatusCallTransactionDoesNotExists, "Call/Transaction Does Not Exist")
	}
}

// withinDialog hands a request to the call that it belongs to.
func (s *Server) withinDialog(tx *serverTx) {
	c := s.find(tx.req)
	switch {
	case c == nil:
		tx.reply(sip.StatusCallTransactionDoesNotExists, "Call/Transaction Does Not Exist")
	case !c.inbox.postForeign(func() { c.arrive(tx) }):
		s.metrics.dropped.WithLabelValues(dropOverflow).Inc()
		tx.reply(sip.StatusServiceUnavailable, "Service Unavailable", sip.NewHeader("Retry-After", retryAfter))
	}
}

// cancel answers a CANCEL, and tells the INVITE that it is about (RFC 3261
// section 9.2). It has no transaction: the same CANCEL again gets the same
// answer, and sipgo's state machine never ends after the answer to one.
func (s *Server) cancel(r *request) {
	invite := s.tx.findInvite(r)
	if invite == nil {
		s.transport.reject(r.Request, r.flow, refuse(sip.StatusCallTransactionDoesNotExists, "Call/Transaction Does Not Exist"))
		return
	}
	s.transport.answer(r.Request, r.flow, newResponse(r.Request, sip.StatusOK, "OK", invite.tag))
	invite.cancel()
}

// optionsHeaders say what we can do (RFC 3261 section 11.2).
func (s *Server) optionsHeaders() []sip.Header {
	return []sip.Header{
		allowHeader(),
		sip.NewHeader("Accept", acceptBodies),
		sip.NewHeader("Accept-Encoding", "identity"),
		sip.NewHeader("Accept-Language", "en"),
		supportedHeader(),
		sip.NewHeader("Server", s.cfg.UserAgent),
	}
}
