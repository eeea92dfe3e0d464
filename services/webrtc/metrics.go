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
	m := &Metrics{
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
			Help: "WebRTC calls whose ICE and DTLS completed, by transport of the first candidate pair, udp or tcp, and type of the peer's candidate.",
		}, []string{"transport", "candidate"}),
		lost: f.NewCounterVec(prometheus.CounterOpts{
			Name: "skybridge_webrtc_lost_total",
			Help: "WebRTC calls that ended by themselves, by cause (closed by the peer, failed, or timeout of the setup) and by how far they had come: ice before any candidate pair worked, dtls before the handshake was done, connected after.",
		}, []string{"cause", "stage"}),
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
	// They are there before they are needed: a rate needs a value before.
	for _, transport := range []string{"udp", "tcp"} {
		for _, candidate := range candidateTypes {
			m.connected.WithLabelValues(transport, candidate)
		}
	}
	for _, cause := range []string{"closed", "failed", "timeout"} {
		for _, stage := range []string{stageICE, stageDTLS, stageConnected} {
			m.lost.WithLabelValues(cause, stage)
		}
	}
	for _, reason := range []string{"malformed", "no_codec", "internal"} {
		m.refused.WithLabelValues(reason)
	}
	return m
}

// How far a call had come, as labels.
const (
	stageICE       = "ice"
	stageDTLS      = "dtls"
	stageConnected = "connected"
)

// candidateTypes are those of RFC 8445 section 5.1.1.
var candidateTypes = []string{"host", "srflx", "prflx", "relay"}

func (m *Metrics) refuse(err error) { m.refused.WithLabelValues(cause(err)).Inc() }
