package vp8

import (
	"fmt"

	"github.com/skybridge-media/skybridge/codecs"
)

// A Header is the uncompressed start of a VP8 frame (RFC 6386, section 9.1).
type Header struct {
	Key            bool
	Version        int  // bitstream version, 0 to 3
	Show           bool // false: the frame only updates references
	FirstPartition int  // bytes

	// Width and Height are the coded size in pixels; zero unless Key. The
	// scales ask the viewer to enlarge (0: not, 1: 5/4, 2: 5/3, 3: 2); decoders
	// do not apply them.
	Width, Height           int
	ScaleWidth, ScaleHeight int
}

const (
	tagSize = 3               // bytes of frame tag
	keySize = tagSize + 3 + 4 // plus start code and sizes
)

// ParseHeader reads the header of frame and checks it against the frame's
// length. What it refuses is [codecs.ErrCorrupt]. It does not allocate unless
// it refuses.
func ParseHeader(frame []byte) (Header, error) {
	if len(frame) < tagSize {
		return Header{}, corrupt("frame of %d bytes", len(frame))
	}
	tag := int(frame[0]) | int(frame[1])<<8 | int(frame[2])<<16
	h := Header{
		Key:            tag&1 == 0,
		Version:        tag >> 1 & 7,
		Show:           tag>>4&1 != 0,
		FirstPartition: tag >> 5,
	}
	body := len(frame) - tagSize
	if h.Key {
		if len(frame) < keySize {
			return Header{}, corrupt("key frame of %d bytes", len(frame))
		}
		if frame[3] != 0x9d || frame[4] != 0x01 || frame[5] != 0x2a {
			return Header{}, corrupt("start code % x", frame[3:6])
		}
		w, v := int(frame[6])|int(frame[7])<<8, int(frame[8])|int(frame[9])<<8
		h.Width, h.ScaleWidth = w&0x3fff, w>>14
		h.Height, h.ScaleHeight = v&0x3fff, v>>14
		body = len(frame) - keySize
	}
	switch {
	case h.Version > 3:
		return Header{}, corrupt("version %d", h.Version)
	case h.FirstPartition > body:
		return Header{}, corrupt("first partition of %d bytes in %d", h.FirstPartition, body)
	case h.Key && (h.Width == 0 || h.Height == 0):
		return Header{}, corrupt("size %dx%d", h.Width, h.Height)
	}
	return h, nil
}

// KeyFrame reports whether frame is a key frame with a sound header.
func KeyFrame(frame []byte) bool {
	h, err := ParseHeader(frame)
	return err == nil && h.Key
}

func corrupt(format string, args ...any) error {
	return fmt.Errorf("vp8: "+format+": %w", append(args, codecs.ErrCorrupt)...)
}

// Size reads the size of the picture from the first 10 bytes of a key frame,
// whatever follows. Zero means that start is not the start of one.
func Size(start []byte) (width, height int) {
	if len(start) < keySize || start[0]&1 != 0 || start[3] != 0x9d || start[4] != 0x01 || start[5] != 0x2a {
		return 0, 0
	}
	const mask = 0x3fff // the two bits above are the scale
	return (int(start[6]) | int(start[7])<<8) & mask, (int(start[8]) | int(start[9])<<8) & mask
}
