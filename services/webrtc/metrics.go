package webrtc

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics counts what an Engine does. No label ever carries a call.
type Metrics struct {
	active    prometheus.Gauge
	refused   *prometheus.CounterVec
	connected *prometheus.CounterVec
	lost      *prometheus.CounterVec
	restarts  prometheus.Counter
	setup     prometheus.Histogram
}

// NewMetrics registers the metrics with reg, or with nothing if reg is nil.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	f := promauto.With(reg)
	return &Metrics{
		active: f.NewGauge(prometheus.GaugeOpts{
			Name: "skybridge_webrtc_calls_active",
			Help: "WebRTC calls that exist on this node, connected or not.",
		}),
		refused: f.NewCounterVec(prometheus.CounterOpts{
			Name: "skybridge_webrtc_offers_refused_total",
			Help: "SDP offers that were not answered, by reason: malformed, no_codec or internal.",
		}, []string{"reason"}),
		connected: f.NewCounterVec(prometheus.CounterOpts{
			Name: "skybridge_webrtc_connected_total",
			Help: "WebRTC calls whose ICE and DTLS completed, by transport of the first candidate pair: udp or tcp.",
		}, []string{"transport"}),
		lost: f.NewCounterVec(prometheus.CounterOpts{
			Name: "skybridge_webrtc_lost_total",
			Help: "WebRTC calls that ended by themselves, by cause: closed by the peer, failed, or timeout of the setup.",
		}, []string{"cause"}),
		restarts: f.NewCounter(prometheus.CounterOpts{
			Name: "skybridge_webrtc_ice_restarts_total",
			Help: "ICE restarts that peers have asked for.",
		}),
		setup: f.NewHistogram(prometheus.HistogramOpts{
			Name:    "skybridge_webrtc_setup_seconds",
			Help:    "Time from an offer until ICE and DTLS have completed.",
			Buckets: []float64{.05, .1, .2, .5, 1, 2, 5, 10, 30},
		}),
	}
}

func (m *Metrics) refuse(err error) { m.refused.WithLabelValues(cause(err)).Inc() }
