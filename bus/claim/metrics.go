package claim

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics counts what the directory does.
type Metrics struct {
	valid    prometheus.Gauge
	held     prometheus.Gauge
	nodes    prometheus.Gauge
	renewals prometheus.Counter
	failures prometheus.Counter
	fenced   prometheus.Counter
	errors   prometheus.Counter

	unreadable prometheus.Counter
}

// NewMetrics registers the metrics with reg, or with nothing if reg is nil.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	f := promauto.With(reg)
	return &Metrics{
		valid: f.NewGauge(prometheus.GaugeOpts{
			Name: "skybridge_claim_session_valid",
			Help: "1 while this node may act as owner of what it has claimed, 0 otherwise.",
		}),
		held: f.NewGauge(prometheus.GaugeOpts{
			Name: "skybridge_claim_names_held",
			Help: "Names that this node owns.",
		}),
		nodes: f.NewGauge(prometheus.GaugeOpts{
			Name: "skybridge_claim_nodes",
			Help: "Nodes with a session, as this one sees it.",
		}),
		renewals: f.NewCounter(prometheus.CounterOpts{
			Name: "skybridge_claim_renewals_total",
			Help: "Renewals of this node's session.",
		}),
		failures: f.NewCounter(prometheus.CounterOpts{
			Name: "skybridge_claim_renewals_failed_total",
			Help: "Renewals of this node's session that failed, each of which is tried again.",
		}),
		fenced: f.NewCounter(prometheus.CounterOpts{
			Name: "skybridge_claim_fenced_total",
			Help: "Times that another node has proven this one dead.",
		}),
		errors: f.NewCounter(prometheus.CounterOpts{
			Name: "skybridge_claim_errors_total",
			Help: "Questions to the directory that it could not answer.",
		}),
		unreadable: f.NewCounter(prometheus.CounterOpts{
			Name: "skybridge_claim_records_unreadable_total",
			Help: "Times that a record of an owner could not be read, because no node has written it.",
		}),
	}
}
