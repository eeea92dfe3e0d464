package natsbus

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/skybridge-media/skybridge/bus"
)

// consumerRequest is a request to JetStream for a consumer.
type consumerRequest struct {
	Stream   string                   `json:"stream_name"`
	Config   jetstream.ConsumerConfig `json:"config"`
	Action   string                   `json:"action,omitempty"`
	Pedantic bool                     `json:"pedantic,omitempty"`
}

// serveConsumers has integrations keep consumers of the events. JetStream would
// let a consumer deliver to any subject of the account of its stream, which is
// that of the nodes; so requests for one come here first, and only those pass
// whose consumer is asked for its messages. They pass one at a time: who floods
// us waits.
func (b *Bus) serveConsumers() error {
	_, err := b.data.QueueSubscribe(bus.ConsumerRequests, ServiceName, func(m *nats.Msg) {
		if !answerable(m.Reply) {
			return
		}
		request, err := checkConsumer(m.Data)
		if err != nil {
			b.cfg.Log.Debug("consumer refused", "subject", m.Subject, "err", err)
			_ = m.Respond(refuseConsumer(err))
			return
		}
		answer, err := b.data.Request(bus.ConsumerRequest(m.Subject), request, ackWait)
		if err != nil {
			b.cfg.Log.Debug("no consumer", "subject", m.Subject, "err", err)
			return // as JetStream, which says nothing either
		}
		_ = m.Respond(answer.Data)
	})
	return err
}

// checkConsumer returns what JetStream may get of a request for a consumer: only
// what was understood.
func checkConsumer(data []byte) ([]byte, error) {
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

// refuseConsumer is an answer as JetStream gives it.
func refuseConsumer(err error) []byte {
	b, err := json.Marshal(map[string]any{
		"type":  "io.nats.jetstream.api.v1.consumer_create_response",
		"error": map[string]any{"code": 400, "err_code": 10003, "description": err.Error()}, // bad request
	})
	if err != nil {
		panic(err) // strings and numbers
	}
	return b
}
