package echo

import (
	"encoding/binary"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/pcm"
)

// linear is L16 (RFC 3551 section 4.5.11), in which sound comes here as it is.
// No peer is offered it.
var linear = codecs.Audio{
	Name: "L16", Format: pcm.Format{Rate: Rate, Channels: 1}, Clock: Rate, Type: -1,
	NewEncoder: func(codecs.AudioOptions) (codecs.AudioEncoder, error) { return encoder{}, nil },
}

type encoder struct{}

func (encoder) Encode(dst []byte, src pcm.Frame) ([]byte, error) {
	for _, s := range src {
		dst = binary.BigEndian.AppendUint16(dst, uint16(s))
	}
	return dst, nil
}

func (encoder) Close() error { return nil }

// decode fills dst with as much of it as payload holds.
func decode(dst pcm.Frame, payload []byte) {
	for i := range dst {
		if len(payload) < 2*i+2 {
			return
		}
		dst[i] = int16(binary.BigEndian.Uint16(payload[2*i:]))
	}
}
