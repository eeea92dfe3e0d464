package load

import (
	"fmt"
	"slices"
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

// offer makes an offer of one video stream, which is the last m-line, one of what
// v's senders do.
func (v *Video) offer(body []byte) []byte {
	switch v.Senders {
	case TMMBR:
		return without(body, "goog-remb") // as room systems do
	case Simulcast:
		// Nothing is to change their bitrates.
		return offerLayers(without(body, "goog-remb", "ccm tmmbr"), v.Layers)
	}
	return body
}

// without leaves kinds of feedback (RFC 4585 section 4.2) out of an offer.
func without(offer []byte, feedback ...string) []byte {
	lines := strings.SplitAfter(string(offer), "\r\n")
	return []byte(strings.Join(slices.DeleteFunc(lines, func(line string) bool {
		return slices.ContainsFunc(feedback, func(kind string) bool {
			return strings.HasPrefix(line, "a=rtcp-fb:") && strings.HasSuffix(line, " "+kind+"\r\n")
		})
	}), ""))
}

// offerLayers makes the last m-line of an offer one of a simulcast (RFC 8853).
func offerLayers(offer []byte, layers []Layer) []byte {
	offer = fmt.Appendf(offer, "a=extmap:%d urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\n", ridID)
	for i, l := range layers {
		offer = fmt.Appendf(offer, "a=rid:%s send max-width=%d;max-height=%d\r\n", rids[i], l.Width, l.Height)
	}
	return fmt.Appendf(offer, "a=simulcast:send %s\r\n", strings.Join(rids[:len(layers)], ";"))
}
