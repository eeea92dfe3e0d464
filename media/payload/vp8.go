package payload

// packetizeVP8 writes the one-byte descriptor of RFC 7741 section 4.2: no
// picture identifiers, because a receiver may be moved from one encode to
// another between two pictures and the identifiers would jump.
func packetizeVP8(unit []byte, limit int) ([][]byte, error) {
	if limit < minLimit {
		return nil, errLimit(limit)
	}
	if len(unit) == 0 {
		return nil, nil
	}
	room := limit - 1
	n := (len(unit) + room - 1) / room
	size := (len(unit) + n - 1) / n // equal parts: no tiny last packet
	buf := make([]byte, 0, len(unit)+n)
	payloads := make([][]byte, 0, n)
	for first := byte(vp8Start); len(unit) > 0; first = 0 {
		part := unit[:min(size, len(unit))]
		unit = unit[len(part):]
		at := len(buf)
		buf = append(append(buf, first), part...)
		payloads = append(payloads, buf[at:len(buf):len(buf)])
	}
	return payloads, nil
}

// Bits of the first byte of a VP8 payload descriptor.
const (
	vp8Extended  = 0x80 // X: extension byte follows
	vp8Start     = 0x10 // S: start of a partition
	vp8Partition = 0x0f // R and PID: 0 for the first partition
)
