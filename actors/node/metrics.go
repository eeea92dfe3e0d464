package node

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Outcomes of Admit, as labels.
const (
	resultAdmitted    = "admitted"
	resultRedirected  = "redirected"
	resultNotFound    = "not_found"
	resultLocked      = "forbidden"
	resultFull        = "full"
	resultCapacity    = "capacity"
	resultUnavailable = "unavailable"
	resultFailed      = "failed"
)

// Metrics counts what the node actor does.
type Metrics struct {
	calls      prometheus.Gauge
	owned      prometheus.Gauge
	unclaimed  prometheus.Gauge
	draining   prometheus.Gauge
	capacity   prometheus.Gauge
	leased     prometheus.Gauge
	admissions *prometheus.CounterVec
	claims     *prometheus.CounterVec
	lost       prometheus.Counter
}

// NewMetrics registers the metrics with reg, or with nothing if reg is nil.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	f := promauto.With(reg)
	m := &Metrics{
		calls: f.NewGauge(prometheus.GaugeOpts{
			Name: "skybridge_node_calls",
			Help: "Calls that take up capacity of this node, those asking for admission included.",
		}),
		owned: f.NewGauge(prometheus.GaugeOpts{
			Name: "skybridge_node_conferences_owned",
			Help: "Conferences whose actor runs on this node.",
		}),
		unclaimed: f.NewGauge(prometheus.GaugeOpts{
			Name: "skybridge_node_conferences_unclaimed",
			Help: "Conferences that run here without the directory's word, because it is or was out of reach.",
		}),
		draining: f.NewGauge(prometheus.GaugeOpts{
			Name: "skybridge_node_draining",
			Help: "One while the node refuses new conferences.",
		}),
		capacity: f.NewGauge(prometheus.GaugeOpts{
			Name: "skybridge_node_capacity_hd_units",
			Help: "HD calls, each with a picture of its own, that this node can carry; zero when there is no limit.",
		}),
		leased: f.NewGauge(prometheus.GaugeOpts{
			Name: "skybridge_node_leased_hd_units",
			Help: "Part of the capacity that calls here have leased, in HD calls.",
		}),
		admissions: f.NewCounterVec(prometheus.CounterOpts{
			Name: "skybridge_node_admissions_total",
			Help: "Calls that asked for admission, by what became of them; capacity also counts media that a call was not let have later.",
		}, []string{"result"}),
		claims: f.NewCounterVec(prometheus.CounterOpts{
			Name: "skybridge_node_claims_total",
			Help: "Answers of the directory to claims and look-ups.",
		}, []string{"result"}),
		lost: f.NewCounter(prometheus.CounterOpts{
			Name: "skybridge_node_owners_lost_total",
			Help: "Conferences with calls here that lost their owner and were given another.",
		}),
	}
	for _, r := range []string{
		resultAdmitted, resultRedirected, resultNotFound, resultLocked, resultFull, resultCapacity, resultUnavailable, resultFailed,
	} {
		m.admissions.WithLabelValues(r)
	}
	for _, r := range []string{claimMine, claimOther, claimNone, claimFailed} {
		m.claims.WithLabelValues(r)
	}
	return m
}

// Answers of the directory, as labels.
const (
	claimMine   = "mine"
	claimOther  = "other"
	claimNone   = "none"
	claimFailed = "failed"
)
