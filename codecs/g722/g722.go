// Package g722 implements ITU-T G.722 at 64 kbit/s in pure Go: 16 kHz audio
// split into two sub-bands, each coded by adaptive differential PCM with 6 and
// 2 bits.
//
// The arithmetic follows the Recommendation's blocks to the bit, so that a
// decoder stays in step with any other encoder. Block names in comments are
// those of its section 6.2.
package g722

import (
	"fmt"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/conceal"
	"github.com/skybridge-media/skybridge/codecs/pcm"
)

// Rate is the sampling rate in Hz.
const Rate = 16000

// G722 is static RTP payload type 9. Its RTP clock runs at half the sampling
// rate, "because that value was erroneously assigned in RFC 1890" (RFC 3551,
// section 4.5.2). Options are ignored: there is one mode.
var G722 = codecs.Audio{
	Name:   "G722",
	Format: pcm.Format{Rate: Rate, Channels: 1},
	Clock:  8000,
	Type:   9,
	NewEncoder: func(codecs.AudioOptions) (codecs.AudioEncoder, error) {
		return &encoder{low: newLow(), high: newHigh()}, nil
	},
	NewDecoder: func() (codecs.AudioDecoder, error) {
		d := &decoder{low: newLow(), high: newHigh()}
		return conceal.NewDecoder("g722", Rate, d.decode), nil
	},
}

// An encoder turns every two samples into one byte.
type encoder struct {
	low, high band
	split     filter
	closed    bool
}

func (e *encoder) Encode(dst []byte, src pcm.Frame) ([]byte, error) {
	switch {
	case e.closed:
		return dst, codecs.ErrClosed
	case len(src)%2 != 0:
		return dst, fmt.Errorf("g722: %d samples are not pairs", len(src))
	}
	for ; len(src) > 0; src = src[2:] {
		odd, even := e.split.shift(int32(src[0]), int32(src[1]))
		low := e.low.encodeLow(limit((even + odd) >> 14))
		high := e.high.encodeHigh(limit((even - odd) >> 14))
		dst = append(dst, byte(high<<6|low))
	}
	return dst, nil
}

func (e *encoder) Close() error {
	e.closed = true
	return nil
}

// A decoder turns every byte into two samples.
type decoder struct {
	low, high band
	join      filter
}

func (d *decoder) decode(dst pcm.Frame, packet []byte) pcm.Frame {
	for _, b := range packet {
		low := d.low.decodeLow(int32(b & 0x3f))
		high := d.high.decodeHigh(int32(b >> 6))
		odd, even := d.join.shift(low+high, low-high)
		dst = append(dst, clip(even>>11), clip(odd>>11))
	}
	return dst
}
