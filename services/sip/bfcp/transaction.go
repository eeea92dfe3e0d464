package bfcp

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/skybridge-media/skybridge/media/sdp"
)

// ErrSilent says that the peer does not answer.
var ErrSilent = errors.New("bfcp: no answer")

// The timers where answers come as quickly as usual (RFC 8855 section 8.3). T1
// doubles with each of three retransmissions; T2 is how long an answer is kept
// for repetition. Both grow on a slow path.
const (
	T1 = 500 * time.Millisecond
	T2 = T1 << 4 * 5 / 4

	maxRetransmissions = 3
)

// An rto follows how long answers take (RFC 6298, as RFC 8855 section 8.3.1
// changes it). The zero value knows nothing yet.
type rto struct{ smoothed, deviation time.Duration }

// took notes that an answer came after d, to a request that was sent once.
func (r *rto) took(d time.Duration) {
	if r.smoothed == 0 {
		r.smoothed, r.deviation = d, d/2
		return
	}
	r.deviation = (3*r.deviation + (r.smoothed - d).Abs()) / 4
	r.smoothed = (7*r.smoothed + d) / 8
}

// t1 is how long to wait before a request is sent again.
func (r *rto) t1() time.Duration {
	const granularity, longest = 100 * time.Millisecond, 10 * time.Second
	if r.smoothed == 0 {
		return T1
	}
	return min(max(r.smoothed+max(granularity, 4*r.deviation), T1), longest)
}

// answers is how long an answer is kept: T2.
func (r *rto) answers() time.Duration { return r.t1() << 4 * 5 / 4 }

// requests are the transactions that we begin. One is under way at a time;
// over datagrams that is what keeps them in order.
type requests struct {
	last    uint16 // transaction
	waiting []*request
	current *request // nil: none
	bytes   []byte   // of current
	sent    int
	t1      time.Duration // of current
	begun   time.Time
	due     time.Time // zero: nothing
	rto     rto
}

// A request is a message that we begin.
type request struct {
	message *Message
	// done gets the answer, or why there is none. Nil: nobody cares.
	done func(m *Message, err error)
}

// reset forgets everything. Numbers begin anywhere: a peer may remember those
// of an endpoint before this one.
func (r *requests) reset() {
	if r.last == 0 {
		r.last = uint16(rand.UintN(1 << 15))
	}
	r.waiting, r.current, r.bytes, r.due = nil, nil, nil, time.Time{}
}

// number is the next transaction; never zero.
func (r *requests) number() uint16 {
	if r.last++; r.last == 0 {
		r.last = 1
	}
	return r.last
}

// begin sends m when its turn comes. News that was not sent yet is replaced
// by newer.
func (e *Endpoint) begin(m *Message, done func(*Message, error)) {
	if isNews(m) {
		if e.carrier.reliable() {
			// No answer comes, and no number asks for one (RFC 8855 section 8).
			if e.path != nil && e.transmit(e.path, m) != nil {
				e.path.close()
			}
			return
		}
		for _, w := range e.requests.waiting {
			if w.message.Primitive == m.Primitive && w.message.subject() == m.subject() {
				w.message, w.done = m, done
				return
			}
		}
	}
	e.requests.waiting = append(e.requests.waiting, &request{m, done})
	e.advance()
}

// subject is the request that a FloorRequestStatus is about.
func (m *Message) subject() uint16 {
	if m.Primitive != FloorRequestStatus {
		return 0
	}
	return m.Get(FloorRequestInformation).Number()
}

// advance begins what waits, if nothing is under way.
func (e *Endpoint) advance() {
	r := &e.requests
	if r.current != nil || len(r.waiting) == 0 || e.path == nil {
		return
	}
	r.current, r.waiting = r.waiting[0], r.waiting[1:]
	r.current.message.Transaction = r.number()
	r.current.message.Version = e.version()
	b, err := r.current.message.Marshal()
	if err != nil {
		// Texts are cut and groups are few, so nothing of ours is too long.
		e.finish(nil, err)
		return
	}
	r.bytes, r.sent = b, 1
	now := time.Now()
	r.begun, r.t1 = now, r.rto.t1()
	r.due = now.Add(r.t1)
	if e.carrier.reliable() {
		r.due = now.Add(T2)
	}
	if err := e.send(e.path, b); err != nil && e.carrier.reliable() {
		e.path.close() // its reader tells us
	}
}

// retransmit repeats the request that is under way, or gives up.
func (e *Endpoint) retransmit(now time.Time) {
	r := &e.requests
	if e.carrier.reliable() || r.sent > maxRetransmissions {
		err := fmt.Errorf("%w to %v", ErrSilent, r.current.message.Primitive)
		if e.carrier.reliable() {
			e.path.close()
		}
		// What waits would wait in vain; a keep-alive finds out when the peer
		// is back.
		e.abandon(err)
		e.lose(err)
		return
	}
	r.due = now.Add(r.t1 << r.sent)
	r.sent++
	_ = e.send(e.path, r.bytes)
}

// abandon ends everything that was begun.
func (e *Endpoint) abandon(err error) {
	all := e.requests.waiting
	if c := e.requests.current; c != nil {
		all = append([]*request{c}, all...)
	}
	e.requests.reset()
	for _, r := range all {
		if r.done != nil {
			r.done(nil, err)
		}
	}
}

// isAnswer reports whether m answers what is under way. Over datagrams the R
// bit says that a status is an answer; of other primitives it is clear.
func (e *Endpoint) isAnswer(m *Message) bool {
	c := e.requests.current
	if c == nil || m.Transaction != c.message.Transaction {
		return false
	}
	return m.Primitive.answers() || isNews(m) && (m.Response || e.carrier.reliable())
}

// answered ends what is under way.
func (e *Endpoint) answered(m *Message) {
	c := e.requests.current
	if e.requests.sent == 1 { // else nobody knows which it answers
		e.requests.rto.took(time.Since(e.requests.begun))
	}
	if m.Primitive == Error {
		code := m.Get(ErrorCode).Code()
		e.finish(m, &Failed{c.message.Primitive, code, m.Get(ErrorInfo).Text()})
		return
	}
	e.finish(m, nil)
}

// finish ends what is under way.
func (e *Endpoint) finish(m *Message, err error) {
	r := &e.requests
	c := r.current
	r.current, r.bytes, r.due = nil, nil, time.Time{}
	if err != nil {
		e.log.Debug("request failed", "err", err)
	}
	if c.done != nil {
		c.done(m, err)
	}
	e.advance()
}

// Failed is the Error that a peer answered with.
type Failed struct {
	Primitive Primitive // of what we asked
	Code      Code
	Info      string
}

func (f *Failed) Error() string {
	s := "bfcp: " + f.Primitive.String() + ": " + f.Code.String()
	if f.Info != "" {
		s += ": " + f.Info
	}
	return s
}

// answers remember how the peer's transactions were answered, because over
// datagrams it may ask again (RFC 8855 section 8.3.2).
type answers struct{ list []remembered }

type remembered struct {
	transaction uint16
	primitive   Primitive
	conference  uint32
	bytes       []byte // nil: not answered yet
	until       time.Time
}

const maxAnswers = 32

// repeated returns the answer that was given to m, nil if that is still to
// come. m is remembered if it is new.
func (a *answers) repeated(m *Message, now time.Time, keep time.Duration) (bytes []byte, again bool) {
	a.list = slices.DeleteFunc(a.list, func(r remembered) bool { return now.After(r.until) })
	if m.Version == StreamVersion {
		return nil, false
	}
	for _, r := range a.list {
		if r.transaction == m.Transaction && r.primitive == m.Primitive && r.conference == m.Conference {
			return r.bytes, true
		}
	}
	if len(a.list) == maxAnswers {
		a.list = slices.Delete(a.list, 0, 1)
	}
	a.list = append(a.list, remembered{m.Transaction, m.Primitive, m.Conference, nil, now.Add(keep)})
	return nil, false
}

// answer sends the reply to m, and keeps it for repetition.
func (e *Endpoint) answer(to path, m, reply *Message) {
	reply.Version, reply.Response = e.version(), true
	reply.Transaction, reply.Conference, reply.User = m.Transaction, m.Conference, m.User
	b, err := reply.Marshal()
	if err != nil {
		e.log.Error("answer not sent", "primitive", reply.Primitive, "err", err)
		return
	}
	for i := range e.answers.list {
		if r := &e.answers.list[i]; r.transaction == m.Transaction && r.primitive == m.Primitive && r.conference == m.Conference {
			r.bytes, r.until = b, time.Now().Add(e.requests.rto.answers())
		}
	}
	if err := e.send(to, b); err != nil && e.carrier.reliable() {
		to.close() // half a message may have gone
	}
}

// message begins a message of ours.
func (e *Endpoint) message(p Primitive, id sdp.FloorID, attributes ...Attribute) *Message {
	m := &Message{Version: e.version(), Primitive: p, Conference: id.Conference, User: id.User, Attributes: attributes}
	if p == Goodbye {
		m.Transaction = e.requests.number()
	}
	return m
}

func (e *Endpoint) version() uint8 {
	if e.carrier.reliable() {
		return StreamVersion
	}
	return DatagramVersion
}

// transmit sends m as it is.
func (e *Endpoint) transmit(to path, m *Message) error {
	b, err := m.Marshal()
	if err != nil {
		return err
	}
	return e.send(to, b)
}

func (e *Endpoint) send(to path, b []byte) error {
	if to == nil {
		return nil
	}
	e.spoken = time.Now()
	if e.carrier.reliable() {
		return to.send(b)
	}
	for _, part := range Fragment(b, e.cfg.MTU) {
		if err := to.send(part); err != nil {
			return err
		}
	}
	return nil
}
