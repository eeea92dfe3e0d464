package natsbus

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/time/rate"

	"github.com/skybridge-media/skybridge/bus"
)

// consumerRequest is a request to JetStream for a consumer.
type consumerRequest struct {
	Stream   string                   `json:"stream_name"`
	Config   jetstream.ConsumerConfig `json:"config"`
	Action   string                   `json:"action,omitempty"`
	Pedantic bool                     `json:"pedantic,omitempty"`
}

// What one kind of integration may ask of JetStream through a node: others ask
// through it as well, and each answer may take [ackWait].
const (
	maxAsking      = 16  // requests for a consumer at a time
	consumersBurst = 100 // at once, as when everybody is back after NATS was away
	consumersRate  = 20  // a second, from then on
)

// errManyConsumers refuses what is beyond that.
var errManyConsumers = errors.New("too many requests for consumers, try again later")

// consumerDesk takes the requests of one kind of integration.
type consumerDesk struct {
	*Bus
	asking chan struct{} // has a value for each request that JetStream has
	rate   *rate.Limiter
	closed sync.Once
}

// serveConsumers has integrations keep consumers of the events. JetStream would
// let a consumer deliver to any subject of the account of its stream, which is
// that of the nodes; so requests for one come here first, and only those pass
// whose consumer is asked for its messages. Who floods us is refused, and no
// other kind waits for it.
func (b *Bus) serveConsumers() error {
	for _, a := range bus.Accesses() {
		if len(a.Imports) == 0 {
			continue
		}
		d := &consumerDesk{Bus: b, asking: make(chan struct{}, maxAsking), rate: rate.NewLimiter(consumersRate, consumersBurst)}
		b.desks = append(b.desks, d)
		if _, err := b.data.QueueSubscribe(bus.ConsumerRequests(a.Name), ServiceName, d.take); err != nil {
			return err
		}
	}
	return nil
}

// take asks JetStream for the consumer that is wanted.
func (d *consumerDesk) take(m *nats.Msg) {
	if !answerable(m.Reply) {
		return
	}
	request, err := checkConsumer(m.Data)
	if err != nil {
		d.refuse(m, badConsumer, err)
		return
	}
	select {
	case d.asking <- struct{}{}:
	default:
		d.refuse(m, noConsumerNow, errManyConsumers)
		return
	}
	if !d.rate.Allow() {
		<-d.asking
		d.refuse(m, noConsumerNow, errManyConsumers)
		return
	}
	go func() {
		defer func() { <-d.asking }()
		answer, err := d.data.Request(bus.ConsumerRequest(m.Subject), request, ackWait)
		if err != nil {
			d.cfg.Log.Debug("no consumer", "subject", m.Subject, "err", err)
			return // as JetStream, which says nothing either
		}
		_ = m.Respond(answer.Data)
	}()
}

// close waits for what has been taken, which ends with the connection, and takes
// nothing any more. A bus may be closed twice.
func (d *consumerDesk) close() {
	d.closed.Do(func() {
		for range cap(d.asking) {
			d.asking <- struct{}{}
		}
	})
}

func (d *consumerDesk) refuse(m *nats.Msg, code jetstream.APIError, err error) {
	d.cfg.Log.Debug("consumer refused", "subject", m.Subject, "err", err)
	_ = m.Respond(refuseConsumer(code, err))
}

// checkConsumer returns what JetStream may get of a request for a consumer: only
// what was understood.
func checkConsumer(data []byte) ([]byte, error) {
	if len(data) > maxRequest {
		return nil, fmt.Errorf("more than %d bytes", maxRequest)
	}
	r := consumerRequest{Config: jetstream.ConsumerConfig{AckPolicy: jetstream.AckNonePolicy}} // what JetStream takes for absent
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return nil, fmt.Errorf("not understood: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	switch {
	case r.Stream != Stream:
		return nil, fmt.Errorf("stream_name: %q is not %s", r.Stream, Stream)
	case r.Config.DeliverSubject != "", r.Config.DeliverGroup != "":
		return nil, errors.New("deliver_subject: only pull consumers are allowed")
	}
	return json.Marshal(r)
}

// Why there is no consumer, as JetStream says it.
var (
	badConsumer   = jetstream.APIError{Code: 400, ErrorCode: 10003} // bad request
	noConsumerNow = jetstream.APIError{Code: 503, ErrorCode: 10008} // temporarily unavailable
)

// refuseConsumer is an answer as JetStream gives it.
func refuseConsumer(code jetstream.APIError, err error) []byte {
	code.Description = err.Error()
	b, err := json.Marshal(map[string]any{"type": "io.nats.jetstream.api.v1.consumer_create_response", "error": code})
	if err != nil {
		panic(err) // strings and numbers
	}
	return b
}
