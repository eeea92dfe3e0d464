package natsbus

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/skybridge-media/skybridge/bus"
)

// connect opens one connection that never gives up. The library's defaults
// would notice a dead link after minutes and stop trying after two.
func (b *Bus) connect(name string, connected chan<- struct{}) (*nats.Conn, error) {
	log := b.cfg.Log.With("connection", name)
	up := func(*nats.Conn) {
		b.cfg.Metrics.up(name)
		if connected != nil {
			select {
			case connected <- struct{}{}:
			default:
			}
		}
	}
	options := []nats.Option{
		nats.Name(b.cfg.Node + "/" + name),
		nats.CustomInboxPrefix(bus.InboxPrefix(b.cfg.Node)),
		nats.RetryOnFailedConnect(true),
		nats.MaxReconnects(-1),
		nats.IgnoreAuthErrorAbort(), // a server that restarts may refuse for a while
		nats.ReconnectWait(100 * time.Millisecond),
		nats.ReconnectJitter(100*time.Millisecond, 100*time.Millisecond),
		nats.Timeout(2 * time.Second),
		nats.PingInterval(1500 * time.Millisecond), // a link that is dead without a word is found in 4.5 s
		nats.MaxPingsOutstanding(2),
		nats.FlusherTimeout(2 * time.Second),
		nats.ReconnectBufSize(-1), // nothing is delivered late: spool and actors decide themselves
		nats.ConnectHandler(func(nc *nats.Conn) {
			log.Info("nats connected", "server", nc.ConnectedUrlRedacted())
			up(nc)
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			log.Info("nats reconnected", "server", nc.ConnectedUrlRedacted())
			b.cfg.Metrics.reconnects.Inc()
			up(nc)
		}),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			b.cfg.Metrics.down(name)
			if err != nil { // nil when we close it ourselves
				log.Warn("nats connection lost", "err", err)
			}
		}),
		nats.ErrorHandler(func(_ *nats.Conn, sub *nats.Subscription, err error) {
			subject := ""
			if sub != nil {
				subject = sub.Subject
			}
			if errors.Is(err, nats.ErrSlowConsumer) {
				b.cfg.Metrics.slow.Inc()
			}
			log.Warn("nats error", "subject", subject, "err", err)
		}),
	}
	url := b.cfg.URL
	if b.cfg.InProcess != nil {
		options = append(options, nats.InProcessServer(b.cfg.InProcess))
		url = strings.Replace(url, "tls://", "nats://", 1) // TLS is for the network; here it would want a certificate
	}
	nc, err := nats.Connect(url, options...)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	return nc, nil
}
