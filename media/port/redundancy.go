package port

import "time"

// A redundancy decides whether what is sent to a peer that can use in-band FEC
// carries any. FEC costs four times the CPU, an encode that is not shared with
// those who lose nothing, and some quality (docs/adr/0012): it has to wait until the
// peer says that it loses packets. The zero value does without.
type redundancy struct {
	on      bool
	changed time.Time // when on became what it is
	bad     time.Time // of the last report that is no reason to do without
	before  float64   // loss in the report before
}

const (
	// A loss of lossSeen, 5 %, turns FEC on if two reports in a row have it: at
	// 3 % Opus sounds better without, and one report alone may be one burst,
	// which FEC does not mend. With lossSevere, 10 %, one is enough: reports come
	// up to 6 s apart, too long to wait for another while every tenth packet is
	// missing. Reports round down to 1/256 (RFC 3550 section 6.4.1).
	lossSeen   = 12.0 / 256
	lossSevere = 25.0 / 256

	// lossGone is the loss below which FEC is of no use.
	lossGone = 0.02

	// lossHold is how long FEC stays after the last report of more than that, and
	// the least time between changes: each is a seam in what the peer hears.
	lossHold = 10 * time.Second

	// expectedLoss, in percent, is what FEC is made for where there is any. It
	// is the same for everybody, so that those who lose packets share an encode.
	expectedLoss = 10
)

// reported takes the share of packets that the peer lost since its report
// before. What it does not report changes nothing: reports get lost as well.
func (r *redundancy) reported(loss float64, now time.Time) {
	before := r.before
	r.before = loss
	if loss >= lossGone {
		r.bad = now
	}
	want := r.on
	switch {
	case r.on:
		want = now.Sub(r.bad) < lossHold
	case loss >= lossSevere, min(loss, before) >= lossSeen:
		want = true
	}
	if want != r.on && (r.changed.IsZero() || now.Sub(r.changed) >= lossHold) {
		r.on, r.changed = want, now
	}
}
