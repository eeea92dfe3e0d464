package h264

import "bytes"

// Types of NAL units (ITU-T H.264, table 7-1).
const (
	nalSlice      = 1
	nalPartitionA = 2
	nalPartitionC = 4
	nalIDR        = 5
	nalSPS        = 7
	nalPPS        = 8
)

// NextNAL cuts the first NAL unit out of a byte stream (Annex B), without its
// start code and without the zero bytes that may follow it. nal is nil when
// there is none; both results share memory with stream.
func NextNAL(stream []byte) (nal, rest []byte) {
	for {
		i := bytes.Index(stream, startCode)
		if i < 0 {
			return nil, nil
		}
		stream = stream[i+len(startCode):]
		nal, rest = stream, nil
		if end := bytes.Index(stream, startCode); end >= 0 {
			nal, rest = stream[:end], stream[end:]
		}
		for len(nal) > 0 && nal[len(nal)-1] == 0 {
			nal = nal[:len(nal)-1]
		}
		if len(nal) > 0 {
			return nal, rest
		}
		stream = rest
	}
}

// startCode is the short form; the long one begins with a zero byte more, which
// counts as the end of the unit before.
var startCode = []byte{0, 0, 1}

func nalType(nal []byte) byte { return nal[0] & 0x1f }

// KeyFrame reports whether unit, in the byte stream format, contains an IDR
// picture. Its parameter sets may have come before.
func KeyFrame(unit []byte) bool {
	for {
		var nal []byte
		if nal, unit = NextNAL(unit); nal == nil {
			return false
		}
		switch nalType(nal) {
		case nalIDR:
			return true
		case nalSlice, nalPartitionA:
			return false // a picture is IDR as a whole or not at all (7.4.1.2.4)
		}
	}
}

// Size reads the size of the picture from the first parameter set of unit, in
// the byte stream format, which may break off behind it. Zero means that there
// is none, or none that could be decoded.
func Size(unit []byte) (width, height int) {
	for {
		var nal []byte
		if nal, unit = NextNAL(unit); nal == nil {
			return 0, 0
		}
		if nalType(nal) == nalSPS {
			sps, err := ParseSPS(nal)
			if err != nil {
				return 0, 0
			}
			return sps.Width, sps.Height
		}
	}
}
