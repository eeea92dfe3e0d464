package jitter

import "time"

const (
	bucketWidth = 5 * time.Millisecond
	buckets     = 64 // up to 320 ms

	// A target that 97 of 100 packets meet, over about the last 300 packets.
	quantile   = 0.97
	forgetting = 0.997

	// What is assumed before anything is known, and for how many packets that
	// assumption counts.
	prior       = 20 * time.Millisecond
	priorWeight = 10

	// heaviest keeps the histogram far from the limits of its numbers: it is
	// made smaller about once in two minutes.
	heaviest = 1e9

	// The fastest packet of the last few seconds is the yardstick. Seconds are
	// few enough to follow a drifting clock and a changed route.
	minSlot  = 500 * time.Millisecond
	minSlots = 8
)

// An estimator learns how late packets are, compared with the fastest of late,
// and how long to wait for them.
type estimator struct {
	min, max time.Duration // bounds of target

	// The histogram of relative delays. Instead of making all of it smaller at
	// each packet, what is added grows: it sums up to weight.
	histogram [buckets]float64
	weight    float64
	packets   int
	target    time.Duration

	fastest [minSlots]time.Duration // least transit time in each minSlot
	used    int                     // how many of them are valid
	slot    int64                   // number of the newest
	base    time.Duration           // the least of all
}

func newEstimator(least, most time.Duration) estimator {
	e := estimator{min: least, max: most, weight: 1, packets: priorWeight, target: min(max(prior, least), most)}
	e.histogram[prior/bucketWidth-1] = 1
	return e
}

// restart forgets the yardstick, for a stream whose timestamps say something
// else from now on. What is known about the network stays.
func (e *estimator) restart() { e.used = 0 }

// add learns from the transit time of a packet that track has seen.
func (e *estimator) add(transit time.Duration) {
	i := min(int((transit-e.base)/bucketWidth), buckets-1)
	e.packets++
	f := min(forgetting, 1-1/float64(e.packets)) // a plain average at first
	e.weight /= f
	e.histogram[i] += (1 - f) * e.weight
	if e.weight > heaviest {
		for j := range e.histogram {
			e.histogram[j] /= e.weight
		}
		e.weight = 1
	}
	e.target = min(max(e.percentile(), e.min), e.max)
}

// track keeps base, the least transit time in a sliding window. A transit time
// is arrival minus media time, each on a clock of its own, so that only
// differences mean something.
func (e *estimator) track(arrival, transit time.Duration) {
	slot := int64(arrival / minSlot)
	switch {
	case e.used == 0:
		e.used, e.slot = 1, slot
		e.fastest[0] = transit
	case slot > e.slot:
		// Silence does not age what is known: one new slot for any gap.
		copy(e.fastest[1:], e.fastest[:])
		e.used, e.slot = min(e.used+1, minSlots), slot
		e.fastest[0] = transit
	default:
		e.fastest[0] = min(e.fastest[0], transit)
	}
	e.base = e.fastest[0]
	for _, t := range e.fastest[1:e.used] {
		e.base = min(e.base, t)
	}
}

// percentile returns the delay that the wanted share of packets meets.
func (e *estimator) percentile() time.Duration {
	var sum float64
	for i, share := range e.histogram {
		if sum += share; sum >= quantile*e.weight {
			return time.Duration(i+1) * bucketWidth
		}
	}
	return buckets * bucketWidth
}
