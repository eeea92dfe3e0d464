package natsbus

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/skybridge-media/skybridge/bus"
)

// headerKind names the schema of an event.
const headerKind = "Sky-Type"

const (
	ackWait    = 5 * time.Second        // for the server to have an event on disk
	retryFirst = 100 * time.Millisecond // between attempts, doubled up to retryMost
	retryMost  = 2 * time.Second
)

// Publish implements [bus.Publisher]. It fails with [bus.Unavailable] when the
// spool is full, and after Close.
func (b *Bus) Publish(_ context.Context, e bus.Event) error {
	stamp := bus.NewStamp()
	data, err := bus.Encode(e, stamp)
	if err != nil {
		return err
	}
	return b.spool.push(item{subject: e.Subject(), kind: bus.KindOf(e), id: stamp.ID, data: data})
}

// work publishes what is in the spool, one event at a time so that order
// survives every kind of failure, until ctx is done.
func (b *Bus) work(ctx context.Context) {
	wait := retryFirst
	for {
		it, err := b.spool.head(ctx)
		if err != nil {
			return
		}
		switch err := b.send(ctx, it); {
		case err == nil:
			b.cfg.Metrics.published.Inc()
			b.spool.pop()
			wait = retryFirst
		case isPermanent(err):
			b.cfg.Log.Error("event rejected", "subject", it.subject, "err", err)
			b.cfg.Metrics.dropped.WithLabelValues(droppedRejected).Inc()
			b.spool.pop()
		case ctx.Err() != nil:
			return
		default:
			b.cfg.Log.Debug("event not published yet", "subject", it.subject, "err", err)
			b.cfg.Metrics.retries.Inc()
			b.recover(ctx, err, wait)
			wait = min(2*wait, retryMost)
		}
	}
}

// attend looks after the server every time that it has come back, until ctx is
// done.
func (b *Bus) attend(ctx context.Context) {
	for {
		select {
		case <-b.connected:
			b.recheck(ctx)
			b.prepare(ctx)
			select {
			case b.ready <- struct{}{}:
			default:
			}
		case <-ctx.Done():
			return
		}
	}
}

// recover does what can be done about err before the next attempt.
func (b *Bus) recover(ctx context.Context, err error, wait time.Duration) {
	if errors.Is(err, jetstream.ErrNoStreamResponse) {
		b.prepare(ctx)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-b.ready:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// prepare sees to it that there is a stream.
func (b *Bus) prepare(ctx context.Context) {
	if err := b.ensureStream(ctx); err != nil && ctx.Err() == nil {
		b.cfg.Log.Warn("event stream not ready", "err", err)
	}
}

func (b *Bus) send(ctx context.Context, it item) error {
	if !b.data.IsConnected() {
		return nats.ErrDisconnected
	}
	ctx, cancel := context.WithTimeout(ctx, ackWait)
	defer cancel()
	msg := nats.NewMsg(it.subject)
	msg.Header.Set(headerKind, it.kind)
	msg.Data = it.data
	_, err := b.js.PublishMsg(ctx, msg, jetstream.WithMsgID(it.id), jetstream.WithExpectStream(Stream))
	return err
}

// isPermanent reports whether an event will be rejected however often it is
// sent.
func isPermanent(err error) bool {
	return errors.Is(err, nats.ErrMaxPayload) || errors.Is(err, nats.ErrBadSubject)
}

// ensureStream creates the stream, or brings an older one up to date.
func (b *Bus) ensureStream(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, ackWait)
	defer cancel()
	_, err := b.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name:        Stream,
		Description: "what happened, see docs/subjects.md",
		Subjects:    []string{bus.AllEvents},
		Storage:     jetstream.FileStorage,
		Replicas:    b.cfg.Replicas,
		MaxAge:      7 * 24 * time.Hour,
		MaxBytes:    1 << 30,
		Discard:     jetstream.DiscardOld,
		Duplicates:  time.Hour, // longer than the outages that a spool bridges
		Compression: jetstream.S2Compression,
		AllowDirect: true,
	})
	if err != nil {
		return fmt.Errorf("create stream %s: %w", Stream, err)
	}
	return nil
}

// refused returns err if it is the server's last word on the stream, and nil
// for what may pass, after logging it.
func (b *Bus) refused(err error) error {
	if err == nil {
		return nil
	}
	if api, ok := errors.AsType[*jetstream.APIError](err); ok && api.Code != http.StatusServiceUnavailable {
		return err
	}
	b.cfg.Log.Warn("event stream not ready", "err", err)
	return nil
}
