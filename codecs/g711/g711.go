// Package g711 implements ITU-T G.711, µ-law and A-law, in pure Go.
package g711

import (
	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/conceal"
	"github.com/skybridge-media/skybridge/codecs/pcm"
)

// Rate is the sampling rate and the RTP clock of G.711, in Hz.
const Rate = 8000

// The two laws, with their static RTP payload types (RFC 3551, section 6).
// Options are ignored: G.711 has nothing to tune.
var (
	PCMU = describe("PCMU", 0, newLaw(compressMu, expandMu))
	PCMA = describe("PCMA", 8, newLaw(compressA, expandA))
)

func describe(name string, payloadType int, l *law) codecs.Audio {
	return codecs.Audio{
		Name:   name,
		Format: pcm.Format{Rate: Rate, Channels: 1},
		Clock:  Rate,
		Type:   payloadType,
		NewEncoder: func(codecs.AudioOptions) (codecs.AudioEncoder, error) {
			return &encoder{law: l}, nil
		},
		NewDecoder: func() (codecs.AudioDecoder, error) {
			return conceal.NewDecoder("g711", Rate, l.decode), nil
		},
	}
}

type encoder struct {
	law    *law
	closed bool
}

func (e *encoder) Encode(dst []byte, src pcm.Frame) ([]byte, error) {
	if e.closed {
		return dst, codecs.ErrClosed
	}
	for _, s := range src {
		dst = append(dst, e.law.compress[uint16(s)>>2])
	}
	return dst, nil
}

func (e *encoder) Close() error {
	e.closed = true
	return nil
}
