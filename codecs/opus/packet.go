package opus

import (
	"fmt"

	"github.com/skybridge-media/skybridge/codecs"
)

// A Packet is what the framing of an Opus packet tells without decoding it.
type Packet struct {
	Samples int  // at 48 kHz and per channel: 120 (2.5 ms) to 5760 (120 ms)
	Stereo  bool // coded with two channels
	DTX     bool // carries no audio: the sender is silent (RFC 6716, section 2.1.9)
}

const (
	maxSamples = Rate * 120 / 1000 // in a packet (RFC 6716, section 3.4, R5)
	maxFrame   = 1275              // bytes (RFC 6716, section 3.4, R2)
)

// Parse checks the framing of packet against RFC 6716, section 3. It does not
// allocate. What it refuses is [codecs.ErrCorrupt].
func Parse(packet []byte) (Packet, error) {
	if len(packet) == 0 {
		return Packet{}, corrupt("empty packet")
	}
	toc, body := packet[0], packet[1:]
	p := Packet{Samples: frameSamples(toc), Stereo: toc&4 != 0}
	count, longest := 0, 0
	var err error
	switch toc & 3 {
	case 0:
		count, longest = 1, len(body)
	case 1:
		count, longest = 2, len(body)/2
		if len(body)%2 != 0 {
			err = corrupt("two equal frames in an odd length")
		}
	case 2:
		count = 2
		longest, err = variableFrames(body, 2)
	case 3:
		count, longest, err = manyFrames(body)
	}
	p.Samples *= count
	switch {
	case err != nil:
		return Packet{}, err
	case longest > maxFrame:
		return Packet{}, corrupt("frame above 1275 bytes")
	case p.Samples > maxSamples:
		return Packet{}, corrupt("packet above 120 ms")
	}
	p.DTX = longest <= 1
	return p, nil
}

// Pauses reports whether the sender's encoder has found no speech in packet. The
// SILK layer says so in the first bits of a frame: one per 20 ms, then one that
// announces redundancy, and the same for the second channel (RFC 6716, section
// 4.2.3). A packet of CELT, of more than one frame or without any does not
// tell; nor does it mean that there is no sound: music and noise are no speech.
func Pauses(packet []byte) bool {
	if len(packet) == 0 {
		return false
	}
	toc, frame := packet[0], packet[1:]
	config := toc >> 3
	if config >= 16 {
		return false
	}
	switch toc & 3 {
	case 1, 2:
		return false
	case 3: // one frame, with padding: that is how libopus keeps its bitrate constant
		if len(frame) == 0 || frame[0]&0x3f != 1 {
			return false
		}
		padded := frame[0]&0x40 != 0
		if frame = frame[1:]; padded {
			frame, _ = unpad(frame)
		}
	}
	if len(frame) == 0 {
		return false
	}
	parts := 1
	if config < 12 {
		parts = [...]int{1, 1, 2, 3}[config&3]
	}
	active := byte(0xff) << (8 - parts)
	if toc&4 != 0 {
		active |= active >> (parts + 1)
	}
	return frame[0]&active == 0
}

// CELT reports whether packet is coded by CELT alone (RFC 6716, section 3.1). Its
// loudness is then said as a difference from the packet before.
func CELT(packet []byte) bool { return len(packet) > 0 && packet[0]>>3 >= 16 }

// frameSamples reads the frame size from the configuration number in the
// table-of-contents byte (RFC 6716, table 2).
func frameSamples(toc byte) int {
	const ms = Rate / 1000
	config := toc >> 3
	switch {
	case config < 12: // SILK
		return [...]int{10, 20, 40, 60}[config&3] * ms
	case config < 16: // hybrid
		return [...]int{10, 20}[config&1] * ms
	default: // CELT
		return Rate / 400 << (config & 3)
	}
}

// manyFrames reads the count byte and the padding of code 3 (section 3.2.5).
func manyFrames(body []byte) (count, longest int, err error) {
	if len(body) == 0 {
		return 0, 0, corrupt("count byte is missing")
	}
	head, body := body[0], body[1:]
	count = int(head & 0x3f)
	if count == 0 {
		return 0, 0, corrupt("no frames")
	}
	if head&0x40 != 0 {
		if body, err = unpad(body); err != nil {
			return 0, 0, err
		}
	}
	if head&0x80 != 0 {
		longest, err = variableFrames(body, count)
		return count, longest, err
	}
	if len(body)%count != 0 {
		return 0, 0, corrupt("equal frames do not divide the length")
	}
	return count, len(body) / count, nil
}

// unpad removes the length of the padding from the front and the padding from
// the end. A byte of 255 stands for 254 bytes and says that another follows.
func unpad(body []byte) ([]byte, error) {
	padding := 0
	for {
		if len(body) == 0 {
			return nil, corrupt("padding length is missing")
		}
		b := int(body[0])
		body = body[1:]
		if b < 255 {
			padding += b
			break
		}
		padding += 254
	}
	if padding > len(body) {
		return nil, corrupt("padding above the packet's length")
	}
	return body[:len(body)-padding], nil
}

// variableFrames reads the lengths of all count frames but the last, which
// takes the rest, and returns the longest.
func variableFrames(body []byte, count int) (longest int, err error) {
	sum := 0
	for range count - 1 {
		var n int
		if n, body, err = frameLength(body); err != nil {
			return 0, err
		}
		sum += n
		longest = max(longest, n)
	}
	if sum > len(body) {
		return 0, corrupt("frames above the packet's length")
	}
	return max(longest, len(body)-sum), nil
}

// frameLength reads the one or two bytes of a frame length (section 3.2.1).
func frameLength(b []byte) (n int, rest []byte, err error) {
	switch {
	case len(b) >= 1 && b[0] < 252:
		return int(b[0]), b[1:], nil
	case len(b) >= 2 && b[0] >= 252:
		return int(b[1])*4 + int(b[0]), b[2:], nil
	}
	return 0, nil, corrupt("frame length is missing")
}

func corrupt(why string) error { return fmt.Errorf("opus: %s: %w", why, codecs.ErrCorrupt) }
