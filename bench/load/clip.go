package load

import (
	"fmt"

	"github.com/skybridge-media/skybridge/media/payload"
)

// maxPayload is what leaves room for SRTP and tunnels within the least MTU of
// IPv6.
const maxPayload = 1150

// A clip is video in RTP payloads, sent again and again by any number of
// members. It begins with a key frame. Immutable.
type clip struct {
	units    [][]byte
	payloads [][][]byte // by picture
	bytes    int        // of all payloads
	packets  int
}

func newClip(codec string, mode int, path string) (*clip, error) {
	units, err := ReadUnits(path)
	if err != nil {
		return nil, err
	}
	c := &clip{units: units}
	for _, u := range units {
		var p [][]byte
		if len(u) > 0 {
			if p, err = payload.Packetize(codec, u, mode, maxPayload); err != nil {
				return nil, fmt.Errorf("load: %s: %w", path, err)
			}
		}
		c.payloads = append(c.payloads, p)
		c.packets += len(p)
		for _, b := range p {
			c.bytes += len(b)
		}
	}
	return c, nil
}

// bitrate is what sending c takes on average, in bit/s, with so many bytes of
// headers in each packet.
func (c *clip) bitrate(headers, frameRate int) int {
	return 8 * (c.bytes + c.packets*headers) * frameRate / len(c.payloads)
}
