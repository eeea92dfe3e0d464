package load

import (
	"fmt"
	"strings"
)

// rids are the names of simulcast layers (RFC 8851), smallest first.
var rids = []string{"q", "h", "f"}

const (
	// ridID is the header extension that bears them (RFC 8852).
	ridID = 3

	// named is how many pictures bear the name of their layer; by then its SSRC is
	// known.
	named = 60
)

// ridExtension is a one-byte header extension (RFC 8285 section 4.2) with the
// name of a layer.
func ridExtension(layer int) []byte {
	return []byte{0xbe, 0xde, 0, 1, ridID << 4, rids[layer][0], 0, 0}
}

// offerLayers makes an offer of one video stream, which is the last m-line, one
// of a simulcast (RFC 8853). What would have the sender change its bitrates is
// left out.
func offerLayers(offer []byte, layers []Layer) []byte {
	var lines []string
	for line := range strings.SplitSeq(strings.TrimSuffix(string(offer), "\r\n"), "\r\n") {
		if !strings.HasSuffix(line, " goog-remb") && !strings.HasSuffix(line, " ccm tmmbr") {
			lines = append(lines, line)
		}
	}
	lines = append(lines, fmt.Sprintf("a=extmap:%d urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id", ridID))
	for i, l := range layers {
		lines = append(lines, fmt.Sprintf("a=rid:%s send max-width=%d;max-height=%d", rids[i], l.Width, l.Height))
	}
	lines = append(lines, "a=simulcast:send "+strings.Join(rids[:len(layers)], ";"), "")
	return []byte(strings.Join(lines, "\r\n"))
}
