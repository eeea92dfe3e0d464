package participant

import (
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics counts the calls of a node. The protocol label is what Admit said.
type Metrics struct {
	calls  *prometheus.GaugeVec
	ended  *prometheus.CounterVec
	setup  *prometheus.HistogramVec
	digits *prometheus.CounterVec
	panics prometheus.Counter
}

// Closed sets of labels; anything else is "other".
var (
	protocols = []string{"sip", "webrtc", "whip", "whep", "test"}
	reasons   = []string{
		"hangup", "disconnected", "conference_ended", "media_lost", "node_stopping", "timeout", "failed",
	}
)

// NewMetrics registers the metrics with reg, or with nothing if reg is nil.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	f := promauto.With(reg)
	m := &Metrics{
		calls: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "skybridge_participant_calls",
			Help: "Calls on this node, from admission to their end.",
		}, []string{"protocol"}),
		ended: f.NewCounterVec(prometheus.CounterOpts{
			Name: "skybridge_participant_calls_ended_total",
			Help: "Calls that have ended after they were admitted, by reason.",
		}, []string{"protocol", "reason"}),
		setup: f.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "skybridge_participant_setup_seconds",
			Help:    "Time from asking for admission until the media of a call was there.",
			Buckets: []float64{.05, .1, .2, .5, 1, 2, 5, 10, 20, 30},
		}, []string{"protocol"}),
		digits: f.NewCounterVec(prometheus.CounterOpts{
			Name: "skybridge_participant_digits_total",
			Help: "Keys pressed by participants, by how we were told.",
		}, []string{"source"}),
		panics: f.NewCounter(prometheus.CounterOpts{
			Name: "skybridge_participant_panics_total",
			Help: "Panics that were contained while a call ended.",
		}),
	}
	for _, p := range append(slices.Clone(protocols), other) {
		m.calls.WithLabelValues(p)
		m.setup.WithLabelValues(p)
		for _, r := range append(slices.Clone(reasons), other) {
			m.ended.WithLabelValues(p, r)
		}
	}
	for _, s := range []string{sourceMedia, sourceSignalling} {
		m.digits.WithLabelValues(s)
	}
	return m
}

const other = "other"

func (m *Metrics) began(protocol string) {
	m.calls.WithLabelValues(oneOf(protocols, protocol)).Inc()
}

func (m *Metrics) connected(protocol string, setup time.Duration) {
	m.setup.WithLabelValues(oneOf(protocols, protocol)).Observe(setup.Seconds())
}

func (m *Metrics) over(protocol, reason string, admitted bool) {
	protocol = oneOf(protocols, protocol)
	m.calls.WithLabelValues(protocol).Dec()
	if admitted {
		m.ended.WithLabelValues(protocol, oneOf(reasons, reason)).Inc()
	}
}

func oneOf(set []string, s string) string {
	if slices.Contains(set, s) {
		return s
	}
	return other
}
