package natsbus

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/skybridge-media/skybridge/bus"
)

// Subscribe calls f for every event whose subject matches filter and that was
// published at since or later, one at a time and in order, until ctx is done.
// The zero time asks for everything that is kept. An outage of NATS only
// delays: what happened meanwhile follows. Events that cannot be decoded are
// logged and skipped.
func (b *Bus) Subscribe(ctx context.Context, filter string, since time.Time, f func(bus.Received)) error {
	position := position{since: since}
	for {
		err := b.follow(ctx, filter, &position, f)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		b.cfg.Log.Debug("subscription interrupted", "filter", filter, "err", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(retryFirst):
		}
	}
}

// position is how far a subscription has come.
type position struct {
	since time.Time
	last  uint64 // stream sequence of the last event seen; 0 for none yet
}

// follow reads from position on until something fails.
func (b *Bus) follow(ctx context.Context, filter string, p *position, f func(bus.Received)) error {
	if !b.data.IsConnected() {
		return nats.ErrDisconnected
	}
	cfg := jetstream.OrderedConsumerConfig{FilterSubjects: []string{filter}, InactiveThreshold: 30 * time.Second}
	switch {
	case p.last > 0:
		cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, p.last+1
	case !p.since.IsZero():
		cfg.DeliverPolicy, cfg.OptStartTime = jetstream.DeliverByStartTimePolicy, &p.since
	default:
		cfg.DeliverPolicy = jetstream.DeliverAllPolicy
	}
	setup, cancel := context.WithTimeout(ctx, ackWait)
	defer cancel()
	consumer, err := b.js.OrderedConsumer(setup, Stream, cfg)
	if err != nil {
		return err
	}
	messages, err := consumer.Messages()
	if err != nil {
		return err
	}
	defer messages.Stop()
	for {
		msg, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return err
		}
		meta, err := msg.Metadata()
		if err != nil {
			return err
		}
		p.last = meta.Sequence.Stream
		r, err := bus.Decode(msg.Subject(), msg.Data())
		if err != nil {
			b.cfg.Log.Warn("event not understood", "subject", msg.Subject(), "err", err)
			continue
		}
		f(r)
	}
}
