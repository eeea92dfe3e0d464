package h264

import "math/bits"

// A bitReader reads the payload of a NAL unit and removes the emulation
// prevention bytes on the way (ITU-T H.264, section 7.3.1). Reading beyond the
// end returns zeros and sets overrun, so that a parser checks once at its end.
type bitReader struct {
	data    []byte
	zeros   int    // zero bytes in a row just read
	cache   uint64 // the next bits, left-aligned
	have    int    // how many of them are valid
	overrun bool
}

// newBitReader reads nal behind its header byte.
func newBitReader(nal []byte) bitReader { return bitReader{data: nal[1:]} }

func (r *bitReader) fill() {
	for r.have <= 56 && len(r.data) > 0 {
		b := r.data[0]
		r.data = r.data[1:]
		if r.zeros >= 2 && b == 3 {
			r.zeros = 0
			continue
		}
		if b == 0 {
			r.zeros++
		} else {
			r.zeros = 0
		}
		r.cache |= uint64(b) << (56 - r.have)
		r.have += 8
	}
}

// u reads n bits, at most 32.
func (r *bitReader) u(n int) uint32 {
	if r.have < n {
		r.fill()
	}
	if r.have < n {
		r.overrun = true
		r.cache, r.have = 0, 0
		return 0
	}
	v := r.cache >> (64 - n)
	r.cache <<= n
	r.have -= n
	return uint32(v)
}

func (r *bitReader) flag() bool { return r.u(1) == 1 }

// ue reads an unsigned Exp-Golomb code (section 9.1).
func (r *bitReader) ue() uint32 {
	if r.have < 32 {
		r.fill()
	}
	zeros := bits.LeadingZeros64(r.cache)
	if zeros >= min(r.have, 32) {
		r.overrun = true
		r.cache, r.have = 0, 0
		return 0
	}
	r.u(zeros)
	return uint32(uint64(r.u(zeros+1)) - 1)
}

// se reads a signed Exp-Golomb code (section 9.1.1).
func (r *bitReader) se() int32 {
	v := r.ue()
	if v&1 == 1 {
		return int32(v/2 + 1)
	}
	return -int32(v / 2)
}
