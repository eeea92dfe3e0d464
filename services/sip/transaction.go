package sip

import (
	"cmp"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emiago/sipgo/sip"
)

// transactions finds the transaction that a message belongs to (RFC 3261
// section 17). The state machines are sipgo's; its transaction layer is not
// used, because it handles each message on a goroutine of its own and the
// order of a dialog is lost. Safe for concurrent use.
type transactions struct {
	log     *slog.Logger
	metrics *Metrics
	running sync.WaitGroup // goroutines of client transactions

	mu     sync.Mutex // guards what follows
	closed bool
	server map[string]*serverTx
	client map[string]*clientTx
}

func newTransactions(m *Metrics) *transactions {
	return &transactions{
		// sipgo logs whole messages at error level, as often as they come.
		log:     slog.New(slog.DiscardHandler),
		metrics: m,
		server:  make(map[string]*serverTx),
		client:  make(map[string]*clientTx),
	}
}

// A serverTx answers one request. Safe for concurrent use.
type serverTx struct {
	req     *request
	machine *sip.ServerTx
	tag     string // ours, the same in all responses
	arrived time.Time

	mu       sync.Mutex // guards what follows
	answered int        // the final status code; 0: none yet
	onCancel func()
}

// find returns the transaction that req belongs to: as a retransmission, as
// the ACK for a refusal, or nil.
func (t *transactions) find(req *request) (*serverTx, string) {
	key, err := sip.ServerTxKeyMake(req.Request)
	if err != nil {
		return nil, "" // validate has seen to Via and CSeq
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.server[key], key
}

// findInvite returns the INVITE transaction that a CANCEL is about: the same
// branch, but the other method (RFC 3261 section 9.2).
func (t *transactions) findInvite(cancel *request) *serverTx {
	invite := cancel.Clone()
	invite.Method = sip.INVITE
	invite.RemoveHeader("CSeq")
	invite.AppendHeader(&sip.CSeqHeader{SeqNo: cancel.seq, MethodName: sip.INVITE})
	tx, _ := t.find(&request{Request: invite})
	return tx
}

// begin makes a server transaction for req. nil means that the service is
// closing, or another goroutine was faster with the same request.
func (t *transactions) begin(req *request, key string) *serverTx {
	f := req.flow
	if u, ok := f.(*udpFlow); ok {
		f = &udpFlow{socket: u.socket, to: replyTo(req.via, u.to)}
	}
	tx := &serverTx{req: req, tag: newTag(), arrived: time.Now()}
	tx.machine = sip.NewServerTx(key, req.Request, &counted{flow: f, metrics: t.metrics}, t.log)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed || t.server[key] != nil {
		return nil
	}
	if tx.machine.Init() != nil {
		return nil
	}
	t.server[key] = tx
	tx.machine.OnTerminate(func(string, error) {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.server, key)
	})
	return tx
}

// again hands a retransmission, or the ACK for a refusal, to its transaction.
func (tx *serverTx) again(req *request) { _ = tx.machine.Receive(req.Request) }

// respond sends res. Of final responses only the first counts, except that a
// 2xx to INVITE may be sent again: that is up to the call.
func (tx *serverTx) respond(res *sip.Response) error {
	if !res.IsProvisional() {
		tx.mu.Lock()
		if again := res.IsSuccess() && tx.answered == res.StatusCode; tx.answered != 0 && !again {
			tx.mu.Unlock()
			return nil
		}
		tx.answered = res.StatusCode
		tx.mu.Unlock()
	}
	err := tx.machine.Respond(res)
	if err != nil && !res.IsProvisional() {
		// sipgo's state machine would stay in Accepted for ever, without a
		// timer, when a 2xx could not be sent.
		tx.machine.Terminate()
	}
	return err
}

// refuse answers with a refusal.
func (tx *serverTx) refuse(r *refusal) { _ = tx.respond(r.response(tx.req.Request, tx.tag)) }

// reply answers with a bare status.
func (tx *serverTx) reply(code int, reason string, headers ...sip.Header) {
	tx.refuse(refuse(code, reason, headers...))
}

// final is the final status code; zero while there is none.
func (tx *serverTx) final() int {
	tx.mu.Lock()
	defer tx.mu.Unlock()
	return tx.answered
}

// whenCanceled sets what a CANCEL does.
func (tx *serverTx) whenCanceled(f func()) {
	tx.mu.Lock()
	defer tx.mu.Unlock()
	tx.onCancel = f
}

// cancel is called for a CANCEL. It does nothing once there is an answer.
func (tx *serverTx) cancel() {
	tx.mu.Lock()
	f, answered := tx.onCancel, tx.answered
	tx.mu.Unlock()
	if f != nil && answered == 0 {
		f()
	}
}

// A clientTx is one request of ours.
type clientTx struct {
	machine   *sip.ClientTx
	responses chan *sip.Response // from the socket; 16 hold a burst of provisional ones
	answered  atomic.Bool        // there is a final one
}

// send starts a client transaction and returns once the request has been
// written. on is called for every response, on one goroutine and in order, and
// at last with the reason why no final one came, if so. For an INVITE it is
// called for each 2xx that comes within 64*T1, which may be from several
// answerers (RFC 3261 section 13.2.2.4), or the same again.
func (t *transactions) send(req *sip.Request, f flow, on func(*sip.Response, error)) error {
	key, err := sip.ClientTxKeyMake(req)
	if err != nil {
		return err
	}
	tx := &clientTx{
		machine:   sip.NewClientTx(key, req, &counted{flow: f, metrics: t.metrics}, t.log),
		responses: make(chan *sip.Response, 16),
	}
	again := make(chan *sip.Response, 4)
	tx.machine.OnRetransmission(func(res *sip.Response) {
		select {
		case again <- res:
		default: // the peer will send it once more
		}
	})
	tx.machine.OnTerminate(func(string, error) {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.client, key)
	})
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return errTransport
	}
	t.client[key] = tx
	t.running.Add(2)
	t.mu.Unlock()

	go func() {
		defer t.running.Done()
		tx.feed()
	}()
	if err := tx.machine.Init(); err != nil {
		tx.machine.Terminate()
		t.running.Done()
		return err
	}
	go func() {
		defer t.running.Done()
		tx.collect(on, again)
	}()
	return nil
}

// feed runs the state machine, which may block on whoever collects.
func (tx *clientTx) feed() {
	for {
		select {
		case res := <-tx.responses:
			tx.machine.Receive(res)
		case <-tx.machine.Done():
			return
		}
	}
}

func (tx *clientTx) collect(on func(*sip.Response, error), again <-chan *sip.Response) {
	final, invite := false, tx.machine.Origin().IsInvite()
	for {
		select {
		case res := <-tx.machine.Responses():
			final = final || !res.IsProvisional()
			tx.answered.Store(final)
			on(res, nil)
			if final && !invite {
				// The state machine would wait for retransmissions. They are
				// dropped all the same when nothing waits for them.
				tx.machine.Terminate()
			}
		case res := <-again:
			on(res, nil)
		case <-tx.machine.Done():
			if !final {
				// Terminate of sipgo says that it is done before it says why.
				on(nil, cmp.Or(tx.machine.Err(), sip.ErrTransactionTerminated))
			}
			return
		}
	}
}

// receive hands a response to its transaction.
func (t *transactions) receive(res *sip.Response) {
	key, err := sip.ClientTxKeyMake(res)
	t.mu.Lock()
	tx := t.client[key]
	t.mu.Unlock()
	if err != nil || tx == nil {
		t.metrics.dropped.WithLabelValues(dropUnmatched).Inc()
		return
	}
	select {
	case tx.responses <- res:
	default:
		t.metrics.dropped.WithLabelValues(dropOverflow).Inc()
	}
}

// close terminates everything and waits for it.
func (t *transactions) close() {
	t.mu.Lock()
	t.closed = true
	var machines []interface{ Terminate() }
	for _, tx := range t.server {
		machines = append(machines, tx.machine)
	}
	for _, tx := range t.client {
		machines = append(machines, tx.machine)
	}
	t.mu.Unlock()
	for _, m := range machines {
		m.Terminate()
	}
	t.running.Wait()
}

// asking is the number of requests of ours that have no final response yet.
func (t *transactions) asking() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for _, tx := range t.client {
		if !tx.answered.Load() {
			n++
		}
	}
	return n
}
