package testcall

import "time"

// The E-model (ITU-T G.107), as far as a packet network changes it: everything
// that depends on telephone sets and rooms has its default, which leaves
//
//	R = 93.2 - Id - Ie,eff
//
// with the delay impairment Id in the approximation of R. G. Cole and J. H.
// Rosenbluth ("Voice over IP performance monitoring", 2001), and Ie,eff as in
// G.107 section 7.2 for random loss. It knows nothing of what people said.

const (
	// basic is R with all defaults and nothing lost or late.
	basic = 93.2

	// robustness is Bpl, how loss adds to impairment: that of G.711 with the
	// concealment of its appendix I (G.113 appendix I). All codecs here conceal
	// losses. For Opus and G.722 those tables, which are for telephone band, have
	// no value; they are taken to be as robust, and without loss as good.
	robustness = 25.1
)

// rating returns R for a share of lost packets, 0 to 1, and the time from mouth
// to ear.
func rating(loss float64, delay time.Duration) float64 {
	percent := 100 * min(max(loss, 0), 1)
	impaired := 95 * percent / (percent + robustness)
	ms := float64(max(delay, 0)) / float64(time.Millisecond)
	late := 0.024 * ms
	if ms > 177.3 {
		late += 0.11 * (ms - 177.3)
	}
	return min(max(basic-late-impaired, 0), 100)
}

// opinion turns R into the mean opinion score that it predicts (G.107 annex B).
func opinion(r float64) float64 {
	switch {
	case r <= 0:
		return 1
	case r >= 100:
		return 4.5
	}
	return max(1, 1+0.035*r+r*(r-60)*(100-r)*7e-6)
}

// word is what the users of a connection with that score say of it (G.107 table
// B.1: R of 80, 70, 60 and 50).
func word(mos float64) string {
	switch {
	case mos >= 4.03:
		return "good"
	case mos >= 3.60:
		return "fair"
	case mos >= 3.10:
		return "poor"
	}
	return "bad"
}
