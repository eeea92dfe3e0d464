package conference

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/skybridge-media/skybridge/bus"
)

// Metrics counts what conferences do. One value is shared by all conferences
// that a node owns; no label carries a room or a participant.
type Metrics struct {
	active       prometheus.Gauge
	participants prometheus.Gauge
	joins        prometheus.Counter
	refused      *prometheus.CounterVec
	rosters      prometheus.Counter
	moves        prometheus.Counter
}

// NewMetrics registers the metrics with reg, or with nothing if reg is nil.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	f := promauto.With(reg)
	m := &Metrics{
		active: f.NewGauge(prometheus.GaugeOpts{
			Name: "skybridge_conference_active",
			Help: "Conferences whose owner is this node.",
		}),
		participants: f.NewGauge(prometheus.GaugeOpts{
			Name: "skybridge_conference_participants",
			Help: "Participants in the conferences that this node owns.",
		}),
		joins: f.NewCounter(prometheus.CounterOpts{
			Name: "skybridge_conference_joins_total",
			Help: "Participants that were admitted.",
		}),
		refused: f.NewCounterVec(prometheus.CounterOpts{
			Name: "skybridge_conference_joins_refused_total",
			Help: "Participants that were turned away, by error code.",
		}, []string{"code"}),
		rosters: f.NewCounter(prometheus.CounterOpts{
			Name: "skybridge_conference_rosters_sent_total",
			Help: "Rosters that were sent to subscribers and transcoders.",
		}),
		moves: f.NewCounter(prometheus.CounterOpts{
			Name: "skybridge_conference_takeovers_total",
			Help: "Transcoders that brought a running conference to this owner.",
		}),
	}
	for _, code := range []bus.Code{bus.Forbidden, bus.Full, bus.Unavailable, bus.Invalid} {
		m.refused.WithLabelValues(string(code))
	}
	return m
}
