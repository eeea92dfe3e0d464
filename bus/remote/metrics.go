package remote

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics counts what passes between nodes.
type Metrics struct {
	sent, received prometheus.Counter
	deadLetters    prometheus.Counter
	overflows      prometheus.Counter
	undecodable    prometheus.Counter
	refused        prometheus.Counter
	nobody         prometheus.Counter
	gaps, lost     prometheus.Counter
	repeats        prometheus.Counter
	renewals       prometheus.Counter
	peers          prometheus.Gauge
	dead           *prometheus.CounterVec
	ack            prometheus.Histogram

	queue atomic.Pointer[outbox]
}

// NewMetrics registers the metrics with reg, or with nothing if reg is nil.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	f := promauto.With(reg)
	counter := func(name, help string) prometheus.Counter {
		return f.NewCounter(prometheus.CounterOpts{Name: "skybridge_remote_" + name + "_total", Help: help})
	}
	m := &Metrics{
		sent:        counter("messages_sent", "Messages to actors of other nodes that were handed to NATS."),
		received:    counter("messages_received", "Messages for actors of this node that came from others."),
		deadLetters: counter("dead_letters", "Messages to actors of other nodes that were given up here."),
		overflows:   counter("queue_overflows", "Messages given up because the queue to NATS was full."),
		undecodable: counter("messages_undecodable", "Messages from others that make no sense here."),
		refused:     counter("messages_refused", "Messages from others to actors that they may not reach."),
		nobody:      counter("no_responders", "Requests for which the NATS server knew no receiver."),
		gaps:        counter("gaps", "Times that messages from another node were found missing."),
		lost:        counter("messages_lost", "Messages from other nodes that were found missing."),
		repeats:     counter("repeats", "System messages that were sent again for want of an acknowledgement."),
		renewals:    counter("renewals", "New incarnations of this node, because others had taken it for dead."),
		peers: f.NewGauge(prometheus.GaugeOpts{
			Name: "skybridge_remote_peers",
			Help: "Other nodes that are heard.",
		}),
		dead: f.NewCounterVec(prometheus.CounterOpts{
			Name: "skybridge_remote_dead_peers_total",
			Help: "Nodes that were heard and are no longer, by reason.",
		}, []string{"reason"}),
		ack: f.NewHistogram(prometheus.HistogramOpts{
			Name:    "skybridge_remote_acknowledgement_seconds",
			Help:    "Time from a system message to its acknowledgement by the other node.",
			Buckets: prometheus.ExponentialBuckets(100e-6, 4, 8), // to 1.6 s
		}),
	}
	for _, reason := range []string{"bye", "replaced", "silent", "unreachable", "version"} {
		m.dead.WithLabelValues(reason) // they are there before they are needed
	}
	f.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "skybridge_remote_queue_messages",
		Help: "Messages that wait to be handed to NATS.",
	}, func() float64 {
		if o := m.queue.Load(); o != nil {
			return float64(len(o.queue))
		}
		return 0
	})
	return m
}
