package port

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// traffic counts packets and the bytes of their payloads.
type traffic struct{ packets, bytes uint64 }

// The media of a port, as labels of metrics.
var mediaNames = [...]string{"audio", "video"}

// totals sums up the traffic of all ports when somebody asks: a counter that
// every packet increments would travel between the processors' caches all the
// time.
type totals struct {
	packets, bytes *prometheus.Desc

	mu   sync.Mutex // guards what follows; taken before the locks of links
	open map[*Port]struct{}
	past sums // of ports that are closed
}

// sums are by medium and direction.
type sums [len(mediaNames)][directions]traffic

func newTotals(labels []string) totals {
	return totals{
		packets: prometheus.NewDesc("skybridge_port_packets_total", "RTP packets that participants sent or were sent.", labels, nil),
		bytes:   prometheus.NewDesc("skybridge_port_payload_bytes_total", "Bytes of RTP payload that participants sent or were sent.", labels, nil),
		open:    map[*Port]struct{}{},
	}
}

func (t *totals) add(p *Port) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open[p] = struct{}{}
}

func (t *totals) remove(p *Port) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.open, p)
	t.past.add(p)
}

func (s *sums) add(p *Port) {
	p.audio.link.addTo(&s[0])
	p.video.link.addTo(&s[1])
}

// Describe implements [prometheus.Collector].
func (t *totals) Describe(c chan<- *prometheus.Desc) {
	c <- t.packets
	c <- t.bytes
}

// Collect implements [prometheus.Collector].
func (t *totals) Collect(c chan<- prometheus.Metric) {
	t.mu.Lock()
	total := t.past
	for p := range t.open {
		total.add(p)
	}
	t.mu.Unlock()
	for medium, name := range mediaNames {
		for d, sum := range total[medium] {
			labels := []string{name, direction(d).String()}
			c <- prometheus.MustNewConstMetric(t.packets, prometheus.CounterValue, float64(sum.packets), labels...)
			c <- prometheus.MustNewConstMetric(t.bytes, prometheus.CounterValue, float64(sum.bytes), labels...)
		}
	}
}
