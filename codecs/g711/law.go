package g711

import "github.com/skybridge-media/skybridge/codecs/pcm"

// A law is one of the two companding laws as tables. Both laws look at no more
// than the upper 14 bits of a sample, which keeps compress in the L1 cache.
type law struct {
	compress [1 << 14]byte
	expand   [1 << 8]int16
}

func newLaw(compress func(int16) byte, expand func(byte) int16) *law {
	var l law
	for i := range l.compress {
		l.compress[i] = compress(int16(uint16(i) << 2))
	}
	for i := range l.expand {
		l.expand[i] = expand(byte(i))
	}
	return &l
}

// decode appends the sample that each byte stands for.
func (l *law) decode(dst pcm.Frame, packet []byte) pcm.Frame {
	for _, b := range packet {
		dst = append(dst, l.expand[b])
	}
	return dst
}

// magnitude splits s into its sign and a one's complement magnitude, which is
// what makes both laws symmetric around zero (G.711, note 3 to tables 1 and 2).
func magnitude(s int16) (v int32, negative bool) {
	if s < 0 {
		return int32(^s), true
	}
	return int32(s), false
}

// compressMu maps a sample to sign, 3-bit segment and 4-bit step, all inverted
// so that silence is not a run of zero bits (G.711, table 2a).
func compressMu(s int16) byte {
	const (
		bias = 33   // makes every segment begin at a power of two
		peak = 8191 // 14 bits: the largest magnitude that can be told apart
	)
	v, negative := magnitude(s)
	v = min(v>>2+bias, peak)
	segment := int32(0)
	for v>>segment > 63 {
		segment++
	}
	b := byte(segment<<4 | v>>(segment+1)&15)
	if negative {
		b |= 0x80
	}
	return ^b
}

func expandMu(b byte) int16 {
	const bias = 0x84 // that of compressMu, in 16-bit scale
	b = ^b
	segment, step := b>>4&7, int32(b&15)
	v := (step<<3+bias)<<segment - bias
	if b&0x80 != 0 {
		v = -v
	}
	return int16(v)
}

// evenBits is what G.711 inverts of every A-law byte (table 1a, note 2).
const evenBits = 0x55

func compressA(s int16) byte {
	v, negative := magnitude(s)
	v >>= 4
	segment := int32(0)
	for ; v > 31; segment++ {
		v >>= 1
	}
	if v > 15 {
		segment++
	}
	b := byte(segment<<4 | v&15)
	if !negative {
		b |= 0x80
	}
	return b ^ evenBits
}

func expandA(b byte) int16 {
	b ^= evenBits
	segment, v := b>>4&7, int32(b&15)<<4+8 // plus half a step: the middle of the interval
	if segment > 0 {
		v = (v + 0x100) << (segment - 1)
	}
	if b&0x80 == 0 {
		v = -v
	}
	return int16(v)
}
