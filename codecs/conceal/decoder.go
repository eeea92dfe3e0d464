package conceal

import (
	"fmt"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/pcm"
)

// A Decoder implements [codecs.AudioDecoder] for a mono codec in which every
// packet but an empty one stands for samples.
type Decoder struct {
	name    string
	expand  func(dst pcm.Frame, packet []byte) pcm.Frame
	conceal *Concealer
	closed  bool
}

// NewDecoder returns one that calls itself name in errors. expand appends the
// samples of a packet, at rate per second.
func NewDecoder(name string, rate int, expand func(dst pcm.Frame, packet []byte) pcm.Frame) *Decoder {
	return &Decoder{name: name, expand: expand, conceal: New(rate)}
}

// Decode implements [codecs.AudioDecoder].
func (d *Decoder) Decode(dst pcm.Frame, packet []byte) (pcm.Frame, error) {
	switch {
	case d.closed:
		return dst, codecs.ErrClosed
	case packet == nil:
		return d.conceal.Lost(dst), nil
	case len(packet) == 0:
		return dst, fmt.Errorf("%s: empty packet: %w", d.name, codecs.ErrCorrupt)
	}
	head := len(dst)
	dst = d.expand(dst, packet)
	d.conceal.Received(dst[head:])
	return dst, nil
}

// Close implements [codecs.AudioDecoder].
func (d *Decoder) Close() error {
	d.closed = true
	return nil
}
