package transcoder

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics counts what the transcoders of a node do.
type Metrics struct {
	active  prometheus.Gauge
	legs    prometheus.Gauge
	plans   prometheus.Counter
	stale   prometheus.Counter
	follows prometheus.Counter
}

// NewMetrics registers the metrics with reg, or with nothing if reg is nil.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	f := promauto.With(reg)
	return &Metrics{
		active: f.NewGauge(prometheus.GaugeOpts{
			Name: "skybridge_transcoder_active",
			Help: "Conferences whose media is on this node.",
		}),
		legs: f.NewGauge(prometheus.GaugeOpts{
			Name: "skybridge_transcoder_legs",
			Help: "Participants whose media is attached to a bridge.",
		}),
		plans: f.NewCounter(prometheus.CounterOpts{
			Name: "skybridge_transcoder_plans_total",
			Help: "Rosters that became the plan of a bridge.",
		}),
		stale: f.NewCounter(prometheus.CounterOpts{
			Name: "skybridge_transcoder_rosters_stale_total",
			Help: "Rosters that were ignored because a younger one had come, or another owner is followed.",
		}),
		follows: f.NewCounter(prometheus.CounterOpts{
			Name: "skybridge_transcoder_rejoins_total",
			Help: "Conferences that were brought to a new owner.",
		}),
	}
}
