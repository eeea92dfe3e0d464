package resample

import (
	"math"
	"sync"
)

// filters holds the coefficients for each ratio up:down between the supported
// rates, made when they are first needed.
var filters = map[[2]int]func() []float32{
	{2, 1}: sync.OnceValue(func() []float32 { return design(2, 1) }),
	{3, 1}: sync.OnceValue(func() []float32 { return design(3, 1) }),
	{6, 1}: sync.OnceValue(func() []float32 { return design(6, 1) }),
	{1, 2}: sync.OnceValue(func() []float32 { return design(1, 2) }),
	{1, 3}: sync.OnceValue(func() []float32 { return design(1, 3) }),
	{1, 6}: sync.OnceValue(func() []float32 { return design(1, 6) }),
}

// design returns the coefficients of a low-pass filter at the higher of the two
// rates, sorted by phase: those that meet when an output lies phase/up behind
// an input. One of up and down is 1.
func design(up, down int) []float32 {
	n := taps * max(up, down)
	h := make([]float64, n)
	for i := range h {
		t := float64(i) - float64(n-1)/2 // symmetric about zero
		h[i] = sinc(cutoff*t/float64(max(up, down))) * kaiser(2*t/float64(n))
	}
	coef := make([]float32, 0, n)
	for phase := range up {
		var sum float64
		for i := phase; i < n; i += up {
			sum += h[i]
		}
		// Each phase on its own has unit gain at zero frequency; otherwise
		// silence with an offset would hum at the lower rate.
		for i := n - up + phase; i >= 0; i -= up {
			coef = append(coef, float32(h[i]/sum))
		}
	}
	return coef
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	return math.Sin(math.Pi*x) / (math.Pi * x)
}

// kaiser is the Kaiser window over -1 to 1.
func kaiser(x float64) float64 {
	return bessel(beta*math.Sqrt(max(0, 1-x*x))) / bessel(beta)
}

// bessel is the modified Bessel function of the first kind, order zero.
func bessel(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1.0; term > 1e-12*sum; k++ {
		term *= (x / 2 / k) * (x / 2 / k)
		sum += term
	}
	return sum
}

// dot is the inner product of equally long slices, a multiple of four. Four
// sums are independent of each other, so that additions need not wait.
func dot(a, b []float32) float32 {
	var s0, s1, s2, s3 float32
	b = b[:len(a)]
	for len(a) >= 4 && len(b) >= 4 {
		s0 += a[0] * b[0]
		s1 += a[1] * b[1]
		s2 += a[2] * b[2]
		s3 += a[3] * b[3]
		a, b = a[4:], b[4:]
	}
	return (s0 + s1) + (s2 + s3)
}

// round saturates: a filter overshoots at the edges of a clipped signal.
func round(x float32) int16 {
	switch {
	case x >= math.MaxInt16:
		return math.MaxInt16
	case x <= math.MinInt16:
		return math.MinInt16
	case x < 0:
		return int16(x - 0.5)
	default:
		return int16(x + 0.5)
	}
}
