package rtp

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics counts what the sessions of a node move. One value is shared by all.
type Metrics struct {
	sessions prometheus.Gauge
	learned  prometheus.Counter
	traffic  *Totals[*Session]
	dropped  [dropReasons]prometheus.Counter
}

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
	m.traffic = NewTotals(
		prometheus.NewDesc("skybridge_rtp_packets_total",
			"RTP packets exchanged with peers of SIP calls, by direction.", []string{"direction"}, nil),
		prometheus.NewDesc("skybridge_rtp_bytes_total",
			"Bytes of the RTP packets exchanged with peers of SIP calls, by direction.", []string{"direction"}, nil),
		[][]string{{"in"}, {"out"}},
		func(s *Session, sums []Traffic) {
			sums[0].add(s.count.rtpIn.load())
			sums[1].add(s.count.rtpOut.load())
		},
	)
	if reg != nil {
		reg.MustRegister(m.traffic)
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
