// Package natsbus carries the bus over NATS: events through a JetStream stream,
// so that a consumer that was down still sees them, and the two connections
// that everything else on NATS uses.
//
// A Bus outlives its server. While NATS is away it keeps trying for ever, holds
// events back in order up to a limit, and publishes them when the server
// returns; message ids make sure that none is stored twice. The gauge
// skybridge_nats_connected is what to alarm on.
package natsbus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/skybridge-media/skybridge/bus"
)

// Stream is the JetStream stream that keeps the events.
const Stream = bus.Stream

// ErrUnsafe is in the tree of the error that Connect returns for a server that
// acknowledges writes before they are on disk.
var ErrUnsafe = errors.New("natsbus: the NATS server does not keep what it acknowledges")

// Config describes a bus. URL and Node are required.
type Config struct {
	// URL lists the servers, separated by commas. It may contain credentials.
	URL string

	// Node is the name of this node, for the server's logs and for inboxes.
	Node string

	// Monitor is the base URL of the server's monitoring port, where Connect
	// sees whether the server syncs. The default tries port 8222 of the server.
	// A server that this program embeds needs none.
	Monitor string

	// Replicas is the number of servers that keep each event; the default is 1.
	Replicas int

	// SpoolEvents is how many events are held back at most while NATS is away;
	// the default is 10,000. The next ones are refused.
	SpoolEvents int

	// InProcess, if not nil, is a server in this process: URL then only has the
	// credentials for it.
	InProcess nats.InProcessConnProvider

	Log     *slog.Logger // nil discards
	Metrics *Metrics     // nil counts nowhere
}

func (c *Config) validate() error {
	c.Replicas = cmp.Or(c.Replicas, 1)
	c.SpoolEvents = cmp.Or(c.SpoolEvents, 10_000)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Metrics == nil {
		c.Metrics = NewMetrics(nil)
	}
	switch {
	case c.URL == "":
		return errors.New("natsbus: URL: at least one server is required")
	case c.Node == "":
		return errors.New("natsbus: Node: a name is required")
	case c.Replicas < 0 || c.Replicas > 5:
		return fmt.Errorf("natsbus: Replicas: %d is not between 1 and 5", c.Replicas)
	case c.SpoolEvents < 0:
		return fmt.Errorf("natsbus: SpoolEvents: %d is negative", c.SpoolEvents)
	}
	return nil
}

// Bus is a bus over NATS. It is safe for concurrent use.
type Bus struct {
	cfg    Config
	actors *nats.Conn
	data   *nats.Conn
	js     jetstream.JetStream
	spool  *spool
	desks  []*consumerDesk

	connected chan struct{} // has a value when data has just connected
	ready     chan struct{} // has a value when the stream is there again
	stop      context.CancelFunc
	wg        sync.WaitGroup
}

var _ bus.Publisher = (*Bus)(nil)

// patience is how long Connect waits for the server before it goes on without.
const patience = 3 * time.Second

// Connect connects to NATS. A server that is away is no error: the bus connects
// when it comes. A server that refuses us, that has no JetStream, that can be
// seen not to sync always ([ErrUnsafe]), or that has a stream of our name that
// is not ours, is an error.
func Connect(ctx context.Context, cfg Config) (*Bus, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	b := &Bus{cfg: cfg, spool: newSpool(cfg.SpoolEvents, cfg.Metrics), connected: make(chan struct{}, 1), ready: make(chan struct{}, 1)}
	if err := b.dial(); err != nil {
		return nil, fmt.Errorf("natsbus: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := b.await(ctx); err != nil {
		b.hangUp()
		return nil, fmt.Errorf("natsbus: %w", err)
	}
	run, stop := context.WithCancel(context.Background())
	b.stop = stop
	b.wg.Go(func() { b.work(run) })
	b.wg.Go(func() { b.attend(run) })
	return b, nil
}

// dial starts both connections. They are separate because the server closes a
// whole connection when one of its subscriptions is too slow.
func (b *Bus) dial() (err error) {
	if b.actors, err = b.connect("actors", nil); err != nil {
		return err
	}
	if b.data, err = b.connect("data", b.connected); err != nil {
		b.actors.Close()
		return err
	}
	if b.js, err = jetstream.New(b.data); err == nil {
		err = b.serveConsumers()
	}
	if err != nil {
		b.hangUp()
	}
	return err
}

// await waits until the server is there and has shown that it is fit.
func (b *Bus) await(ctx context.Context) error {
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case <-b.connected:
			if err := b.inspect(ctx); err != nil {
				return err
			}
			return b.refused(b.ensureStream(ctx))
		case <-look.C:
			if err := b.data.LastError(); errors.Is(err, nats.ErrAuthorization) {
				return err // found out later it may pass; now it is a mistake in the configuration
			}
		case <-ctx.Done():
			b.cfg.Log.Warn("nats is away, going on without", "err", b.data.LastError())
			return nil
		}
	}
}

// Actors returns the connection for messages between actors. The bus owns it.
func (b *Bus) Actors() *nats.Conn { return b.actors }

// Data returns the connection for JetStream. The bus owns it.
func (b *Bus) Data() *nats.Conn { return b.data }

// Connected reports whether both connections are up.
func (b *Bus) Connected() bool { return b.actors.IsConnected() && b.data.IsConnected() }

// Close publishes what is held back, until ctx is done, and closes the
// connections. Publish fails from now on.
func (b *Bus) Close(ctx context.Context) error {
	b.spool.close()
	lost := b.spool.drained(ctx)
	b.stop()
	b.wg.Wait()
	b.hangUp()
	if lost > 0 {
		return fmt.Errorf("natsbus: %d events were not published: %w", lost, ctx.Err())
	}
	return nil
}

func (b *Bus) hangUp() {
	b.actors.Close()
	b.data.Close()
	for _, d := range b.desks {
		d.close()
	}
}
