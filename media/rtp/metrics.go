package rtp

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics counts what the sessions of a node move. One value is shared by all.
type Metrics struct {
	sessions prometheus.Gauge
	learned  prometheus.Counter
	traffic  totals
	dropped  [dropReasons]prometheus.Counter
}

// totals sums up the counters of all sessions when somebody asks: a counter that
// every packet of every session increments would travel between the processors'
// caches more than anything else does.
type totals struct {
	packets, bytes *prometheus.Desc

	mu   sync.Mutex // guards what follows
	open map[*Session]struct{}
	past [directions]Traffic // of sessions that are closed
}

// add begins to count a session.
func (t *totals) add(s *Session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open[s] = struct{}{}
}

// remove keeps what a session has counted.
func (t *totals) remove(s *Session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.open[s]; ok {
		delete(t.open, s)
		s.count.addTo(&t.past)
	}
}

// Describe implements [prometheus.Collector].
func (t *totals) Describe(c chan<- *prometheus.Desc) {
	c <- t.packets
	c <- t.bytes
}

// Collect implements [prometheus.Collector].
func (t *totals) Collect(c chan<- prometheus.Metric) {
	t.mu.Lock()
	sum := t.past
	for s := range t.open {
		s.count.addTo(&sum)
	}
	t.mu.Unlock()
	for i, name := range directionNames {
		c <- prometheus.MustNewConstMetric(t.packets, prometheus.CounterValue, float64(sum[i].Packets), name)
		c <- prometheus.MustNewConstMetric(t.bytes, prometheus.CounterValue, float64(sum[i].Bytes), name)
	}
}

// directions index the counters that have a direction.
const (
	directionIn = iota
	directionOut

	directions
)

var directionNames = [directions]string{"in", "out"}

// NewMetrics registers the metrics with reg, or with nothing if reg is nil.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	f := promauto.With(reg)
	m := &Metrics{
		sessions: f.NewGauge(prometheus.GaugeOpts{
			Name: "skybridge_rtp_sessions",
			Help: "RTP sessions, one per media line of a SIP call, that are open.",
		}),
		learned: f.NewCounter(prometheus.CounterOpts{
			Name: "skybridge_rtp_sources_learned_total",
			Help: "Peers found to send from another address than they signalled.",
		}),
	}
	m.traffic = totals{
		packets: prometheus.NewDesc("skybridge_rtp_packets_total",
			"RTP packets exchanged with peers of SIP calls, by direction.", []string{"direction"}, nil),
		bytes: prometheus.NewDesc("skybridge_rtp_bytes_total",
			"Bytes of the RTP packets exchanged with peers of SIP calls, by direction.", []string{"direction"}, nil),
		open: map[*Session]struct{}{},
	}
	if reg != nil {
		reg.MustRegister(&m.traffic)
	}
	// Resolved here, because looking up a label costs more than counting.
	dropped := f.NewCounterVec(prometheus.CounterOpts{
		Name: "skybridge_rtp_packets_dropped_total",
		Help: "Datagrams that went no further, by reason.",
	}, []string{"reason"})
	for i := range dropReasons {
		m.dropped[i] = dropped.WithLabelValues(i.String())
	}
	return m
}
