package g722

// A band is the adaptive state of one sub-band, equal in encoder and decoder as
// long as both see the same codes.
type band struct {
	predicted int32    // s: what the next sample is expected to be
	zeros     int32    // sz: the part of it that the zero section predicts
	r         [2]int32 // reconstructed signal, newest first
	p         [2]int32 // partially reconstructed signal, newest first
	d         [6]int32 // quantized differences, newest first
	a         [2]int32 // pole coefficients
	b         [6]int32 // zero coefficients
	log       int32    // nb: logarithmic scale factor
	scale     int32    // det: the quantizer's scale factor
}

func newLow() band  { return band{scale: 32} }
func newHigh() band { return band{scale: 8} }

// encodeLow quantizes a sample of the lower band to 6 bits (SUBTRA, QUANTL).
func (b *band) encodeLow(sample int32) int32 {
	diff := sat(sample - b.predicted)
	size := magnitude(diff)
	i := 1
	for i < len(decisionLow) && size >= decisionLow[i]*b.scale>>12 {
		i++
	}
	code := int32(62 - i) // for the numbering see table 17
	switch {
	case diff < 0 && i <= 2:
		code = int32(64 - i)
	case diff < 0:
		code = int32(34 - i)
	}
	b.adaptLow(code)
	return code
}

// decodeLow returns the sample that 6 bits stand for (INVQBL, RECONS, LIMIT).
func (b *band) decodeLow(code int32) int32 {
	sample := limit(b.predicted + b.scale*levelLow6[code]>>15)
	b.adaptLow(code)
	return sample
}

// adaptLow follows code. It looks at the upper 4 bits only, so that the lower
// two could carry data (INVQAL, LOGSCL, SCALEL).
func (b *band) adaptLow(code int32) {
	code >>= 2
	diff := b.scale * levelLow4[code] >> 15
	b.log = min(max(b.log*127>>7+stepLow[code], 0), 18432)
	b.scale = antilog(b.log, 8)
	b.predict(diff)
}

// encodeHigh quantizes a sample of the upper band to 2 bits (SUBTRA, QUANTH).
func (b *band) encodeHigh(sample int32) int32 {
	diff := sat(sample - b.predicted)
	code := int32(0)
	if diff >= 0 {
		code = 2
	}
	if magnitude(diff) < 564*b.scale>>12 {
		code++
	}
	b.adaptHigh(code)
	return code
}

// decodeHigh returns the sample that 2 bits stand for (INVQAH, RECONS, LIMIT).
func (b *band) decodeHigh(code int32) int32 {
	sample := limit(b.predicted + b.scale*levelHigh[code]>>15)
	b.adaptHigh(code)
	return sample
}

// adaptHigh follows code (INVQAH, LOGSCH, SCALEH).
func (b *band) adaptHigh(code int32) {
	diff := b.scale * levelHigh[code] >> 15
	b.log = min(max(b.log*127>>7+stepHigh[code], 0), 22528)
	b.scale = antilog(b.log, 10)
	b.predict(diff)
}

// predict updates the predictor with the difference diff and computes what it
// expects next.
func (b *band) predict(diff int32) {
	r := sat(b.predicted + diff) // RECONS
	p := sat(b.zeros + diff)     // PARREC
	b.adaptPoles(p)
	b.adaptZeros(diff)
	b.r[1], b.r[0] = b.r[0], r
	b.p[1], b.p[0] = b.p[0], p
	copy(b.d[1:], b.d[:])
	b.d[0] = diff

	poles := sat(b.a[0]*sat(2*b.r[0])>>15 + b.a[1]*sat(2*b.r[1])>>15) // FILTEP
	b.zeros = 0
	for i := len(b.d) - 1; i >= 0; i-- { // FILTEZ
		b.zeros = sat(b.zeros + b.b[i]*sat(2*b.d[i])>>15)
	}
	b.predicted = sat(poles + b.zeros) // PREDIC
}

// adaptPoles moves both pole coefficients by the signs of the last signals and
// keeps them where the filter is stable (UPPOL2, UPPOL1).
func (b *band) adaptPoles(p int32) {
	same0, same1 := (p < 0) == (b.p[0] < 0), (p < 0) == (b.p[1] < 0)

	cross := sat(4 * b.a[0])
	if same0 {
		cross = min(-cross, 32767)
	}
	second := b.a[1]*32512>>15 + cross>>7 + signed(128, same1)
	second = min(max(second, -12288), 12288)

	first := sat(b.a[0]*32640>>15 + signed(192, same0))
	most := sat(15360 - second)
	b.a = [2]int32{min(max(first, -most), most), second}
}

// adaptZeros moves the zero coefficients (UPZERO).
func (b *band) adaptZeros(diff int32) {
	step := int32(128)
	if diff == 0 {
		step = 0
	}
	for i, d := range b.d {
		b.b[i] = sat(b.b[i]*32640>>15 + signed(step, (d < 0) == (diff < 0)))
	}
}

func signed(v int32, positive bool) int32 {
	if positive {
		return v
	}
	return -v
}

// magnitude is the one's complement magnitude that the quantizers compare.
func magnitude(v int32) int32 {
	if v < 0 {
		return ^v
	}
	return v
}

// limit keeps a decoded sample within 15 bits (LIMIT).
func limit(v int32) int32 { return min(max(v, -16384), 16383) }

// antilog turns the logarithmic scale factor into the linear one (SCALEL with a
// base of 8, SCALEH with 10).
func antilog(log, base int32) int32 {
	v := fractions[log>>6&31]
	if shift := log>>11 - base; shift > 0 {
		return v << shift << 2
	}
	return v >> (base - log>>11) << 2
}
