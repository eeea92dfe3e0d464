package payload

import "fmt"

// maxUnit bounds an access unit: a key frame of 1920x1088 at the finest
// quantizer stays far below it.
const maxUnit = 4 << 20

// An Assembler puts the payloads of one stream together into access units as
// codecs.VideoDecoder takes them. The caller has sorted the payloads and knows
// where a picture ends. Not safe for concurrent use.
type Assembler struct {
	unit []byte // the access unit so far
	add  func(payload []byte) error
	h264 *h264State // nil for VP8
}

// NewAssembler returns an Assembler for the codec of that SDP name. parameters
// are parameter sets of H.264 that came by signalling, Annex B, or nil.
func NewAssembler(codec string, parameters []byte) (*Assembler, error) {
	a := &Assembler{}
	switch codec {
	case nameH264:
		a.h264 = newH264State(parameters)
		a.add = a.addH264
	case nameVP8:
		a.add = a.addVP8
	default:
		return nil, fmt.Errorf("payload: no assembler for %q", codec)
	}
	return a, nil
}

// Add takes the next payload of the picture, borrowed for the call. After an
// error, which wraps [ErrMalformed], the picture cannot be decoded: the caller
// drops it with [Assembler.Reset].
func (a *Assembler) Add(payload []byte) error {
	if len(a.unit)+len(payload) > maxUnit {
		return fmt.Errorf("%w: access unit above %d bytes", ErrMalformed, maxUnit)
	}
	return a.add(payload)
}

// Unit returns the access unit that the payloads since the last call make, and
// begins a new one. It is empty if they held nothing to decode, and borrowed
// until the next call of any method.
func (a *Assembler) Unit() []byte {
	unit := a.unit
	if a.h264 != nil {
		unit = a.h264.complete(unit)
	}
	a.unit = a.unit[:0]
	return unit
}

// Reset drops the picture that is being assembled.
func (a *Assembler) Reset() {
	a.unit = a.unit[:0]
	if a.h264 != nil {
		a.h264.begin()
	}
}

// A Start says whether a payload is the first one of a key frame.
type Start uint8

const (
	NotKey    Start = iota
	LikelyKey       // it begins the picture; parameter sets may precede it
	SurelyKey
)

// KeyStart judges p, by its headers only.
func KeyStart(codec string, p []byte) Start {
	switch codec {
	case nameH264:
		return keyStartH264(p)
	case nameVP8:
		if d, err := parseVP8(p); err == nil && d.first() && d.body[0]&vp8Inter == 0 {
			return SurelyKey
		}
	}
	return NotKey
}
