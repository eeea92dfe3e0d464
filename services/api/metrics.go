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
	m := &Metrics{
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
	// They are there before they are needed: a rate needs a value before.
	for _, protocol := range []string{"webrtc", "whip"} {
		m.seats.WithLabelValues(protocol)
	}
	for code := range status {
		m.refused.WithLabelValues(string(code))
	}
	for _, reason := range []string{
		reasonToken, reasonUnsupported, reasonElsewhere, reasonCapacity, reasonLocked, reasonRole, reasonMaintenance, reasonStreams,
	} {
		m.refused.WithLabelValues(reason)
	}
	for _, event := range []string{
		"participant_sync_begin", "participant_sync_end", "participant_create", "participant_update", "participant_delete",
		"conference_update", "layout", "stage", "refresh_token", "disconnect",
	} {
		m.events.WithLabelValues(event)
	}
	for _, function := range []string{"request_token", "events", "whip"} {
		m.requests.WithLabelValues(function)
	}
	return m
}
