package testcall

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics counts test calls.
type Metrics struct {
	active prometheus.Gauge
	ended  *prometheus.CounterVec
	mos    *prometheus.HistogramVec
}

// Why a test call ended.
const (
	reasonFinished = "finished"
	reasonHangup   = "hangup"
	reasonFailed   = "failed"
)

// NewMetrics registers the metrics with reg, or with nothing if reg is nil.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	f := promauto.With(reg)
	m := &Metrics{
		active: f.NewGauge(prometheus.GaugeOpts{
			Name: "skybridge_testcall_active",
			Help: "Test calls on this node.",
		}),
		ended: f.NewCounterVec(prometheus.CounterOpts{
			Name: "skybridge_testcall_ended_total",
			Help: "Test calls that have ended, by reason: finished, hangup (by the caller) or failed.",
		}, []string{"reason"}),
		mos: f.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "skybridge_testcall_mos",
			Help:    "Estimated quality of sound at the end of test calls, 1 to 4.5, by direction: from or to the caller.",
			Buckets: []float64{1.5, 2, 2.5, 3.1, 3.6, 4.03, 4.34},
		}, []string{"direction"}),
	}
	for _, r := range []string{reasonFinished, reasonHangup, reasonFailed} {
		m.ended.WithLabelValues(r)
	}
	for _, d := range []string{"from", "to"} {
		m.mos.WithLabelValues(d)
	}
	return m
}

func (m *Metrics) over(reason string, f figures) {
	m.active.Dec()
	m.ended.WithLabelValues(reason).Inc()
	if f.mosFrom > 0 {
		m.mos.WithLabelValues("from").Observe(f.mosFrom)
	}
	if f.mosTo > 0 {
		m.mos.WithLabelValues("to").Observe(f.mosTo)
	}
}
