package g722

import "math"

// taps is one half of the quadrature mirror filter, every second coefficient;
// the other half is the same in reverse (G.722, table 4).
var taps = [12]int32{3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11}

// A filter is the delay line of the quadrature mirror filter, which splits the
// signal into sub-bands in the encoder (QMFA) and joins them in the decoder
// (QMFB). Samples are kept twice, so that the newest 12 pairs are always
// contiguous.
type filter struct {
	first, second [2 * len(taps)]int32
	at            int // where the oldest pair is
}

// shift takes the next two samples and returns both halves of the convolution.
func (f *filter) shift(first, second int32) (odd, even int32) {
	const n = len(taps)
	f.first[f.at], f.first[f.at+n] = first, first
	f.second[f.at], f.second[f.at+n] = second, second
	if f.at++; f.at == n {
		f.at = 0
	}
	x, y := f.first[f.at:][:n], f.second[f.at:][:n]
	for i, c := range taps {
		odd += x[i] * c
		even += y[i] * taps[n-1-i]
	}
	return odd, even
}

// sat limits v to 16 bits, as the Recommendation's arithmetic does.
func sat(v int32) int32 { return min(max(v, math.MinInt16), math.MaxInt16) }

func clip(v int32) int16 { return int16(sat(v)) }
