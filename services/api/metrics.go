package api

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics counts what the client API, WHIP and WHEP do. No label ever carries a
// room, a participant or a token.
type Metrics struct {
	seats    *prometheus.GaugeVec
	streams  prometheus.Gauge
	requests *prometheus.CounterVec
	refused  *prometheus.CounterVec
	events   *prometheus.CounterVec
	expired  prometheus.Counter
}

// NewMetrics registers the metrics with reg, or with nothing if reg is nil.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	f := promauto.With(reg)
	return &Metrics{
		seats: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "skybridge_api_seats_active",
			Help: "Participants that joined through HTTP on this node, by protocol: webrtc (the client API), whip or whep.",
		}, []string{"protocol"}),
		streams: f.NewGauge(prometheus.GaugeOpts{
			Name: "skybridge_api_streams_active",
			Help: "Event streams of the client API that are open.",
		}),
		requests: f.NewCounterVec(prometheus.CounterOpts{
			Name: "skybridge_api_requests_total",
			Help: "Requests that were carried out, by function.",
		}, []string{"function"}),
		refused: f.NewCounterVec(prometheus.CounterOpts{
			Name: "skybridge_api_refused_total",
			Help: "Requests that were refused, by the reason that the client was told.",
		}, []string{"reason"}),
		events: f.NewCounterVec(prometheus.CounterOpts{
			Name: "skybridge_api_events_sent_total",
			Help: "Events written to event streams, by name.",
		}, []string{"event"}),
		expired: f.NewCounter(prometheus.CounterOpts{
			Name: "skybridge_api_tokens_expired_total",
			Help: "Participants that ended because their token was not refreshed in time.",
		}),
	}
}
