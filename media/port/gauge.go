package port

import (
	"math"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/opus"
	"github.com/skybridge-media/skybridge/codecs/pcm"
	"github.com/skybridge-media/skybridge/media/jitter"
)

// unknownLevel says that a payload does not tell how loud it is.
const unknownLevel = -1

// A gauge reads from a payload, without decoding it, how long it plays, in
// units of the RTP clock, and how loud it is, in -dBov. It sees the payloads
// of one stream as they arrive.
type gauge interface {
	measure(payload []byte) (units, level int)
}

func newGauge(codec *codecs.Audio) gauge {
	switch codec.Name {
	case "PCMU", "PCMA":
		if g, err := newLawGauge(codec); err == nil {
			return g
		}
	case "G722":
		return g722Gauge{}
	case "opus":
		return opusGauge{}
	}
	return plainGauge{codec.Clock / 50}
}

// plainGauge assumes packets of 20 ms.
type plainGauge struct{ units int }

func (g plainGauge) measure([]byte) (units, level int) { return g.units, unknownLevel }

// lawGauge adds up what each byte of G.711 stands for.
type lawGauge struct{ power [256]float64 } // relative to full scale

func newLawGauge(codec *codecs.Audio) (*lawGauge, error) {
	decoder, err := codec.NewDecoder()
	if err != nil {
		return nil, err
	}
	defer decoder.Close() // pure Go: nothing can go wrong
	codes := make([]byte, 256)
	for i := range codes {
		codes[i] = byte(i)
	}
	samples, err := decoder.Decode(make(pcm.Frame, 0, 256), codes)
	if err != nil {
		return nil, err
	}
	g := &lawGauge{}
	for i, s := range samples {
		g.power[i] = float64(s) * float64(s) / (1 << 30)
	}
	return g, nil
}

func (g *lawGauge) measure(payload []byte) (units, level int) {
	if len(payload) == 0 {
		return 0, unknownLevel
	}
	// Four sums are independent of each other, so that additions need not wait.
	var s0, s1, s2, s3 float64
	b := payload
	for ; len(b) >= 4; b = b[4:] {
		s0 += g.power[b[0]]
		s1 += g.power[b[1]]
		s2 += g.power[b[2]]
		s3 += g.power[b[3]]
	}
	for _, last := range b {
		s0 += g.power[last]
	}
	return len(payload), levelOf((s0 + s1 + s2 + s3) / float64(len(payload)))
}

// g722Gauge counts: a byte holds two samples, which are one unit of the RTP
// clock (RFC 3551 section 4.5.2). The quantizer's scale factor would tell how
// large the prediction error is, but a voice is so well predicted that it would
// rank 30 dB below noise of the same loudness.
type g722Gauge struct{}

func (g722Gauge) measure(payload []byte) (units, level int) { return len(payload), unknownLevel }

// opusGauge reads the framing (RFC 6716 section 3). Only the frames that stand
// for silence tell their level.
type opusGauge struct{}

func (opusGauge) measure(payload []byte) (units, level int) {
	p, err := opus.Parse(payload)
	switch {
	case err != nil:
		return opus.Rate / 50, unknownLevel // the decoder will refuse it
	case p.DTX:
		return p.Samples, jitter.MaxLevel
	}
	return p.Samples, unknownLevel
}

// levelOf converts a power relative to full scale to -dBov. MaxLevel is kept
// for those who say that they are silent.
func levelOf(power float64) int {
	if power <= 0 {
		return jitter.MaxLevel - 1
	}
	return min(max(int(-10*math.Log10(power)), 0), jitter.MaxLevel-1)
}
