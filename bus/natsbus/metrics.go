package natsbus

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics counts what the bus does. Safe for concurrent use.
type Metrics struct {
	connected  prometheus.Gauge
	reconnects prometheus.Counter
	slow       prometheus.Counter
	published  prometheus.Counter
	dropped    *prometheus.CounterVec
	retries    prometheus.Counter
	spooled    prometheus.Gauge
	requests   *prometheus.CounterVec
	refused    *prometheus.CounterVec
	serving    prometheus.Gauge
	took       *prometheus.HistogramVec

	mu sync.Mutex // guards conns
	// conns are the names of the connections that are up, of two.
	conns map[string]bool
}

// NewMetrics registers the metrics with reg, or with nothing if reg is nil.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	f := promauto.With(reg)
	m := &Metrics{
		connected: f.NewGauge(prometheus.GaugeOpts{
			Name: "skybridge_nats_connected",
			Help: "1 while both connections to NATS are up, 0 otherwise: alarm when it stays 0.",
		}),
		reconnects: f.NewCounter(prometheus.CounterOpts{
			Name: "skybridge_natsbus_reconnects_total",
			Help: "Connections to NATS that were lost and came back.",
		}),
		slow: f.NewCounter(prometheus.CounterOpts{
			Name: "skybridge_natsbus_slow_consumers_total",
			Help: "Subscriptions that could not keep up and lost messages.",
		}),
		published: f.NewCounter(prometheus.CounterOpts{
			Name: "skybridge_natsbus_events_published_total",
			Help: "Events that NATS has acknowledged.",
		}),
		dropped: f.NewCounterVec(prometheus.CounterOpts{
			Name: "skybridge_natsbus_events_dropped_total",
			Help: "Events that will never be published, because the spool was full, NATS rejected them or the program stopped.",
		}, []string{"reason"}),
		retries: f.NewCounter(prometheus.CounterOpts{
			Name: "skybridge_natsbus_publish_retries_total",
			Help: "Attempts to publish an event that failed and were repeated.",
		}),
		spooled: f.NewGauge(prometheus.GaugeOpts{
			Name: "skybridge_natsbus_spool_events",
			Help: "Events that wait for NATS.",
		}),
		requests: f.NewCounterVec(prometheus.CounterOpts{
			Name: "skybridge_natsbus_requests_total",
			Help: "Commands that this node was asked for over NATS, by endpoint.",
		}, []string{"endpoint"}),
		refused: f.NewCounterVec(prometheus.CounterOpts{
			Name: "skybridge_natsbus_request_errors_total",
			Help: "Commands over NATS that were answered with an error, by endpoint and code.",
		}, []string{"endpoint", "code"}),
		serving: f.NewGauge(prometheus.GaugeOpts{
			Name: "skybridge_natsbus_requests_active",
			Help: "Commands over NATS that are being carried out.",
		}),
		took: f.NewHistogramVec(prometheus.HistogramOpts{
			Name: "skybridge_natsbus_request_seconds", Buckets: []float64{0.001, 0.005, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10},
			Help: "Time from a command's arrival over NATS to its answer, by endpoint.",
		}, []string{"endpoint"}),
		conns: map[string]bool{},
	}
	for _, reason := range []string{droppedFull, droppedRejected, droppedStopped} {
		m.dropped.WithLabelValues(reason) // they are there before they are needed
	}
	return m
}

// Why an event was dropped, as labels.
const (
	droppedFull     = "full"
	droppedRejected = "rejected"
	droppedStopped  = "stopped"
)

func (m *Metrics) up(conn string) { m.set(conn, true) }

func (m *Metrics) down(conn string) { m.set(conn, false) }

func (m *Metrics) set(conn string, up bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.conns[conn] = up
	connected := len(m.conns) == 2
	for _, up := range m.conns {
		connected = connected && up
	}
	if connected {
		m.connected.Set(1)
	} else {
		m.connected.Set(0)
	}
}
