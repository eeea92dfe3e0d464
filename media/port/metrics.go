package port

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	media "github.com/skybridge-media/skybridge/media/rtp"
)

// Metrics counts what ports do. One value is shared by all ports of a node; no
// label ever carries a call.
type Metrics struct {
	open           prometheus.Gauge
	traffic        *media.Totals[*Port]
	audio, video   streamMetrics
	content        streamMetrics
	concealed      prometheus.Counter
	decoded        prometheus.Counter
	undecodable    prometheus.Counter
	skipped        prometheus.Counter
	digitsReceived prometheus.Counter
	digitsSent     prometheus.Counter
	silent         prometheus.Counter
	keysAsked      prometheus.Counter
	keysWanted     prometheus.Counter
	nacksSent      prometheus.Counter
	nacksReceived  prometheus.Counter
	resent         prometheus.Counter
	estimates      prometheus.Observer
	layerChanges   prometheus.Counter
	tiersUp        prometheus.Counter
	tiersDown      prometheus.Counter
}

// streamMetrics are those of one medium.
type streamMetrics struct {
	lost      [directions]prometheus.Counter
	jitter    prometheus.Observer
	roundTrip prometheus.Observer
}

// A direction is a label value.
type direction int

const (
	received direction = iota
	sent

	directions
)

func (d direction) String() string { return [directions]string{"received", "sent"}[d] }

// NewMetrics registers the metrics with reg, or with nothing if reg is nil.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	f := promauto.With(reg)
	counter := func(name, help string) prometheus.Counter {
		return f.NewCounter(prometheus.CounterOpts{Name: "skybridge_port_" + name, Help: help})
	}
	perStream := []string{"media", "direction"}
	vec := func(name, help string) *prometheus.CounterVec {
		return f.NewCounterVec(prometheus.CounterOpts{Name: "skybridge_port_" + name, Help: help}, perStream)
	}
	lost := vec("packets_lost_total", "RTP packets that did not reach us, or by their reports the participants.")
	histogram := func(name, help string) *prometheus.HistogramVec {
		return f.NewHistogramVec(prometheus.HistogramOpts{
			Name: "skybridge_port_" + name, Help: help,
			Buckets: []float64{.001, .002, .005, .01, .02, .05, .1, .2, .5, 1},
		}, []string{"media"})
	}
	jitter := histogram("jitter_seconds", "Interarrival jitter (RFC 3550) of a received stream, one observation per report sent.")
	roundTrip := histogram("round_trip_seconds", "Round trip time to a participant, one observation per report received.")
	stream := func(media string) streamMetrics {
		m := streamMetrics{jitter: jitter.WithLabelValues(media), roundTrip: roundTrip.WithLabelValues(media)}
		for d := range directions {
			m.lost[d] = lost.WithLabelValues(media, d.String())
		}
		return m
	}
	keys := f.NewCounterVec(prometheus.CounterOpts{
		Name: "skybridge_port_key_frame_requests_total",
		Help: "Requests for a key frame that we sent to participants or received from them.",
	}, []string{"direction"})
	nacks := f.NewCounterVec(prometheus.CounterOpts{
		Name: "skybridge_port_nacked_packets_total",
		Help: "Video packets that we asked participants to send again, or they us.",
	}, []string{"direction"})
	digits := f.NewCounterVec(prometheus.CounterOpts{
		Name: "skybridge_port_digits_total",
		Help: "Key presses received or sent as telephone events.",
	}, []string{"direction"})
	tiers := f.NewCounterVec(prometheus.CounterOpts{
		Name: "skybridge_port_tier_changes_total",
		Help: "Times a participant was moved to a better or worse quality of video.",
	}, []string{"to"})
	m := &Metrics{
		traffic: media.NewTotals(
			prometheus.NewDesc("skybridge_port_packets_total", "RTP packets that participants sent or were sent.", perStream, nil),
			prometheus.NewDesc("skybridge_port_payload_bytes_total", "Bytes of RTP payload that participants sent or were sent.", perStream, nil),
			[][]string{
				{"audio", received.String()},
				{"audio", sent.String()},
				{"video", received.String()},
				{"video", sent.String()},
				{"presentation", received.String()},
				{"presentation", sent.String()},
			},
			func(p *Port, sums []media.Traffic) {
				p.audio.link.addTo(sums[:directions])
				p.video.link.addTo(sums[directions : 2*directions])
				p.content.link.addTo(sums[2*directions:])
			},
		),
		open: f.NewGauge(prometheus.GaugeOpts{
			Name: "skybridge_port_open",
			Help: "Ports, one for each participant's media, that are open now.",
		}),
		audio:          stream("audio"),
		video:          stream("video"),
		content:        stream("presentation"),
		concealed:      counter("concealed_seconds_total", "Seconds of received audio made up in place of lost or late packets."),
		decoded:        counter("pictures_decoded_total", "Pictures of participants that were decoded."),
		undecodable:    counter("pictures_undecodable_total", "Pictures of participants that the decoder found corrupt."),
		skipped:        counter("pictures_skipped_total", "Pictures that were not decoded because the decoder was too slow."),
		digitsReceived: digits.WithLabelValues(received.String()),
		digitsSent:     digits.WithLabelValues(sent.String()),
		silent:         counter("silences_total", "Ports that heard nothing from their participant for the whole timeout."),
		keysAsked:      keys.WithLabelValues(sent.String()),
		keysWanted:     keys.WithLabelValues(received.String()),
		nacksSent:      nacks.WithLabelValues(sent.String()),
		nacksReceived:  nacks.WithLabelValues(received.String()),
		resent:         counter("packets_resent_total", "Video packets that were sent again on request."),
		estimates: f.NewHistogram(prometheus.HistogramOpts{
			Name:    "skybridge_port_estimate_bytes_per_second",
			Help:    "What participants believe they can receive in a second, one observation per REMB message from them.",
			Buckets: []float64{8e3, 16e3, 32e3, 64e3, 125e3, 187.5e3, 250e3, 375e3, 625e3, 1.25e6}, // 64 kbit/s to 10 Mbit/s,
		}),
		layerChanges: counter("layer_changes_total", "Times that another layer of a participant's simulcast was decoded than before."),
		tiersUp:      tiers.WithLabelValues("better"),
		tiersDown:    tiers.WithLabelValues("worse"),
	}
	if reg != nil {
		reg.MustRegister(m.traffic)
	}
	return m
}

// add begins to count a port.
func (m *Metrics) add(p *Port) {
	m.open.Inc()
	m.traffic.Add(p)
}

// remove keeps what a port has counted.
func (m *Metrics) remove(p *Port) {
	m.open.Dec()
	m.traffic.Remove(p)
}
