// Package payload cuts encoded pictures into RTP payloads and puts them
// together again: H.264 (RFC 6184) and VP8 (RFC 7741).
//
// Everything here is pure. The payloads that [Packetize] makes are shared by
// all who receive the same encode; sequence numbers, timestamps and the marker
// bit belong to whoever sends them (package media/port).
package payload

import (
	"errors"
	"fmt"
)

// Names of the codecs as registered for SDP, which codecs.Video.Name carries.
const (
	nameH264 = "H264"
	nameVP8  = "VP8"
)

// ErrMalformed is wrapped by every error about a payload that the network sent.
var ErrMalformed = errors.New("payload: malformed")

// Packetize cuts unit, one access unit as a codecs.VideoEncoder produces it,
// into RTP payloads of at most limit bytes in sending order; the last one
// carries the marker bit. codec is the codec's SDP name, mode the packetization
// mode of H.264 (0 or 1) and of no meaning to VP8.
//
// The payloads are newly allocated, share one array with each other, and none
// with unit. Not safe against a change of unit during the call.
func Packetize(codec string, unit []byte, mode, limit int) ([][]byte, error) {
	switch codec {
	case nameH264:
		return packetizeH264(unit, mode, limit)
	case nameVP8:
		return packetizeVP8(unit, limit)
	}
	return nil, fmt.Errorf("payload: no packetizer for %q", codec)
}
