package opus

/*
#cgo noescape opus_decode
#cgo nocallback opus_decode
#include "shim.h"
*/
import "C"

import (
	"fmt"
	"unsafe"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/pcm"
)

const lossFrame = Rate / 50 // samples concealed for a lost packet: 20 ms

type decoder struct{ c *C.OpusDecoder }

func newDecoder() (codecs.AudioDecoder, error) {
	var status C.int
	c := C.opus_decoder_create(Rate, 1, &status)
	if status != C.OPUS_OK {
		return nil, fmt.Errorf("create decoder: %w", Error(status))
	}
	return &decoder{c}, nil
}

func (d *decoder) Decode(dst pcm.Frame, packet []byte) (pcm.Frame, error) {
	switch {
	case d.c == nil:
		return dst, codecs.ErrClosed
	case packet == nil:
		return d.decode(dst, nil, lossFrame, 0)
	}
	p, err := Parse(packet)
	if err != nil {
		return dst, err
	}
	return d.decode(dst, packet, p.Samples, 0)
}

// Recover implements [codecs.Recoverer].
func (d *decoder) Recover(dst pcm.Frame, next []byte) (pcm.Frame, error) {
	if d.c == nil {
		return dst, codecs.ErrClosed
	}
	if _, err := Parse(next); err != nil {
		return dst, err
	}
	return d.decode(dst, next, lossFrame, 1)
}

// decode appends samples samples to dst. Without a packet libopus conceals
// exactly as much as it is offered; so it does for FEC that is not there.
func (d *decoder) decode(dst pcm.Frame, packet []byte, samples int, fec C.int) (pcm.Frame, error) {
	head := len(dst)
	dst = grow(dst, samples)
	n := C.opus_decode(d.c,
		(*C.uchar)(unsafe.SliceData(packet)), C.opus_int32(len(packet)),
		(*C.opus_int16)(unsafe.SliceData(dst[head:])), C.int(samples), fec)
	if n < 0 {
		return dst[:head], fmt.Errorf("decode %d bytes: %w", len(packet), Error(n))
	}
	return dst[:head+int(n)], nil
}

// Reset implements [codecs.Resetter].
func (d *decoder) Reset() error {
	if d.c == nil {
		return codecs.ErrClosed
	}
	if status := C.sky_opus_reset(d.c); status != C.OPUS_OK {
		return fmt.Errorf("reset decoder: %w", Error(status))
	}
	return nil
}

func (d *decoder) Close() error {
	if d.c != nil {
		C.opus_decoder_destroy(d.c)
		d.c = nil
	}
	return nil
}
