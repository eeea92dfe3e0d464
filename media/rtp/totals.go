package rtp

import (
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// Totals sums up the traffic of many who count it each for themselves when
// somebody asks: a counter that every packet of all of them increments would
// travel between the processors' caches more than anything else does. It is a
// [prometheus.Collector], and safe for concurrent use.
type Totals[C comparable] struct {
	packets, bytes *prometheus.Desc
	series         [][]string
	addTo          func(c C, sums []Traffic)

	mu   sync.Mutex // guards what follows; taken before the locks of those who count
	open map[C]struct{}
	past []Traffic // of those who are gone
}

// NewTotals returns one with a sum for each series, which is the values that the
// labels of packets and bytes have. addTo adds what c has counted so far to the
// sums.
func NewTotals[C comparable](packets, bytes *prometheus.Desc, series [][]string, addTo func(c C, sums []Traffic)) *Totals[C] {
	return &Totals[C]{
		packets: packets, bytes: bytes, series: series, addTo: addTo,
		open: map[C]struct{}{}, past: make([]Traffic, len(series)),
	}
}

// Add begins to count what c counts.
func (t *Totals[C]) Add(c C) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open[c] = struct{}{}
}

// Remove keeps what c has counted, and lets go of c.
func (t *Totals[C]) Remove(c C) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.open[c]; ok {
		delete(t.open, c)
		t.addTo(c, t.past)
	}
}

// Describe implements [prometheus.Collector].
func (t *Totals[C]) Describe(c chan<- *prometheus.Desc) {
	c <- t.packets
	c <- t.bytes
}

// Collect implements [prometheus.Collector].
func (t *Totals[C]) Collect(c chan<- prometheus.Metric) {
	t.mu.Lock()
	sums := slices.Clone(t.past)
	for o := range t.open {
		t.addTo(o, sums)
	}
	t.mu.Unlock()
	for i, labels := range t.series {
		c <- prometheus.MustNewConstMetric(t.packets, prometheus.CounterValue, float64(sums[i].Packets), labels...)
		c <- prometheus.MustNewConstMetric(t.bytes, prometheus.CounterValue, float64(sums[i].Bytes), labels...)
	}
}
