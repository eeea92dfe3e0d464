package bridge

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// tickBuckets are the bounds shared by everything measured against the media
// tick, in seconds.
var tickBuckets = []float64{.0001, .0002, .0005, .001, .002, .003, .005, .0075, .01, .015, .02, .03, .04}

// latencyBuckets are the bounds for a picture's way through the bridge, in seconds.
var latencyBuckets = []float64{.01, .02, .03, .04, .05, .06, .07, .08, .1, .125, .15, .2, .3, .5, 1}

// Metrics counts what bridges do. One value is shared by all bridges of a
// process; no label ever carries a conference or a participant.
type Metrics struct {
	bridges, legs, views prometheus.Gauge

	ticks, ticksLate       prometheus.Counter
	tickLateness, tickTime prometheus.Histogram

	audioDecodes, audioEncodes prometheus.Counter

	fullMixes, mixMinuses, videoGroups, contentGroups prometheus.Gauge

	presentations prometheus.Gauge

	framesComposed, framesEncoded, framesUnchanged, keyFrames prometheus.Counter
	droppedCompose, droppedEncode, droppedByRate              prometheus.Counter

	videoLatency, workerWait prometheus.Histogram

	codecErrors prometheus.Counter
}

// NewMetrics registers the metrics with reg, or with nothing if reg is nil.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	f := promauto.With(reg)
	gauge := func(name, help string) prometheus.Gauge {
		return f.NewGauge(prometheus.GaugeOpts{Name: "skybridge_bridge_" + name, Help: help})
	}
	counter := func(name, help string) prometheus.Counter {
		return f.NewCounter(prometheus.CounterOpts{Name: "skybridge_bridge_" + name, Help: help})
	}
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		return f.NewHistogram(prometheus.HistogramOpts{Name: "skybridge_bridge_" + name, Help: help, Buckets: buckets})
	}
	groups := f.NewGaugeVec(prometheus.GaugeOpts{
		Name: "skybridge_bridge_encode_groups",
		Help: "Encoders that run now; each serves all who hear or see the same in the same encoding, by kind.",
	}, []string{"kind"})
	dropped := f.NewCounterVec(prometheus.CounterOpts{
		Name: "skybridge_bridge_frames_dropped_total",
		Help: "Pictures not sent: no worker had composed or encoded the one before in time, or the rate control chose to skip it.",
	}, []string{"stage"})
	return &Metrics{
		bridges: gauge("active", "Bridges that exist, with or without participants."),
		legs:    gauge("legs", "Participants' media attached to bridges."),
		views:   gauge("views", "Distinct compositions that somebody sees."),

		ticks:        counter("ticks_total", "Audio ticks of 20 ms, counted per bridge."),
		ticksLate:    counter("ticks_late_total", "Audio ticks that began more than 5 ms late."),
		tickLateness: histogram("tick_lateness_seconds", "How late an audio tick began.", tickBuckets),
		tickTime:     histogram("tick_seconds", "How long the work of one audio tick took.", tickBuckets),

		audioDecodes: counter("audio_decodes_total", "Ticks of one participant's audio that were decoded."),
		audioEncodes: counter("audio_encodes_total", "Ticks of a mix that were encoded."),

		fullMixes:     groups.WithLabelValues("full_mix"),
		mixMinuses:    groups.WithLabelValues("mix_minus"),
		videoGroups:   groups.WithLabelValues("video"),
		contentGroups: groups.WithLabelValues("presentation"),

		presentations: gauge("presentations", "Conferences in which something is presented, and shown to somebody, now."),

		framesComposed:  counter("frames_composed_total", "Compositions of a view in which something had changed."),
		framesEncoded:   counter("frames_encoded_total", "Pictures encoded, once per encode group."),
		framesUnchanged: counter("frames_unchanged_total", "Pictures not encoded because nothing in the view had changed."),
		keyFrames:       counter("key_frames_total", "Pictures encoded as key frames."),
		droppedCompose:  dropped.WithLabelValues("compose"),
		droppedEncode:   dropped.WithLabelValues("encode"),
		droppedByRate:   dropped.WithLabelValues("rate_control"),

		videoLatency: histogram("video_latency_seconds",
			"Time from a source picture's last packet to the first packet of a composition that shows it.", latencyBuckets),
		workerWait: histogram("worker_wait_seconds", "How long a piece of video work waited for a thread.", tickBuckets),

		codecErrors: counter("codec_errors_total", "Encoders that failed and were replaced."),
	}
}
