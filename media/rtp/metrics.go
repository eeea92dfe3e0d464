package rtp

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics counts what the sessions of a node move. One value is shared by all.
type Metrics struct {
	sessions prometheus.Gauge
	learned  prometheus.Counter
	packets  [directions]prometheus.Counter
	bytes    [directions]prometheus.Counter
	dropped  [dropReasons]prometheus.Counter
}

// directions index the counters that have a direction.
const (
	directionIn = iota
	directionOut

	directions
)

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
	packets := f.NewCounterVec(prometheus.CounterOpts{
		Name: "skybridge_rtp_packets_total",
		Help: "RTP packets exchanged with peers of SIP calls, by direction.",
	}, []string{"direction"})
	bytes := f.NewCounterVec(prometheus.CounterOpts{
		Name: "skybridge_rtp_bytes_total",
		Help: "Bytes of the RTP packets exchanged with peers of SIP calls, by direction.",
	}, []string{"direction"})
	// Resolved here, because looking up a label costs more than counting.
	for i, name := range [directions]string{"in", "out"} {
		m.packets[i] = packets.WithLabelValues(name)
		m.bytes[i] = bytes.WithLabelValues(name)
	}
	dropped := f.NewCounterVec(prometheus.CounterOpts{
		Name: "skybridge_rtp_packets_dropped_total",
		Help: "Datagrams that went no further, by reason.",
	}, []string{"reason"})
	for i := range dropReasons {
		m.dropped[i] = dropped.WithLabelValues(i.String())
	}
	return m
}
