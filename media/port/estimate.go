package port

import "time"

const (
	// What a sender is told that it may send, in bit/s: generous at first,
	// within these bounds.
	mostReceived  = 3_000_000
	leastReceived = 150_000

	estimateEvery = time.Second

	// So many lossy estimates are passed over while less than leastReceived
	// comes.
	patientEstimates = 3
)

// An estimator says how much a sender may send, from what gets lost on the way:
// a loss above 10 % takes away half of it, one below 2 % allows 8 % more (the
// loss-based controller of draft-ietf-rmcat-gcc-02, section 6). Not safe for
// concurrent use.
type estimator struct {
	bitrate  int // 0: not begun
	next     time.Time
	lossy    int    // estimates since there was hardly any loss
	expected uint64 // counters at the last estimate
	packets  uint64
}

// estimate returns the bitrate to announce, and whether it is time to. It is
// told how many packets were expected and came so far, and the bitrate of late.
func (e *estimator) estimate(expected, packets uint64, rate int, now time.Time) (bitrate int, due bool) {
	if now.Before(e.next) {
		return 0, false
	}
	e.next = now.Add(estimateEvery)
	if e.bitrate == 0 || expected < e.expected || packets < e.packets { // begun anew
		e.bitrate = mostReceived
		e.expected, e.packets = expected, packets
		return e.bitrate, true
	}
	interval, got := expected-e.expected, packets-e.packets
	e.expected, e.packets = expected, packets
	if interval == 0 {
		return e.bitrate, true
	}
	loss := max(0, 1-float64(got)/float64(interval))
	switch {
	case loss > 0.10 && rate < leastReceived && e.lossy < patientEstimates:
		// It is hardly what the peer sends that fills the path: a few packets
		// were lost of a picture that stands still, or while the path changed.
		e.lossy++
	case loss > 0.10:
		// What does not even get used cannot be what is too much.
		e.lossy++
		e.bitrate = int(float64(min(e.bitrate, max(rate, leastReceived)*3/2)) * (1 - loss/2))
	case loss < 0.02:
		e.lossy = 0
		e.bitrate += e.bitrate * 8 / 100
	}
	e.bitrate = min(max(e.bitrate, leastReceived), mostReceived)
	return e.bitrate, true
}
