package opus

/*
#cgo noescape opus_encode
#cgo nocallback opus_encode
#include "shim.h"
*/
import "C"

import (
	"cmp"
	"fmt"
	"unsafe"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/pcm"
)

const (
	// defaultBitrate is in the middle of what RFC 7587, section 3.1.1,
	// recommends for full-band speech.
	defaultBitrate = 32000

	// defaultComplexity costs about twice the CPU of 0. What lies above it is
	// for music.
	defaultComplexity = 5

	// celtBitrate is from where CELT takes over from SILK, for one channel of
	// speech.
	celtBitrate = 32000

	maxPacket = 3 * 1275 // bytes: 60 ms, three frames (RFC 6716, section 3.2.5)
)

// application chooses between the two codecs that Opus is made of.
//
// CELT alone, which is what "restricted low delay" means, takes a third of the CPU
// of the hybrid with SILK that "voice over IP" makes at 32 kbit/s, is cheaper to
// decode and 4 ms earlier; on speech it measures no worse, on several voices at
// once better. The page about codec settings in bench/results has the figures.
// SILK remains for what only SILK can: redundancy against loss, DTX, and
// bitrates at which CELT gets rough.
func application(o codecs.AudioOptions) C.int {
	if o.Loss > 0 || o.DTX || cmp.Or(o.Bitrate, defaultBitrate) < celtBitrate {
		return C.OPUS_APPLICATION_VOIP
	}
	return C.OPUS_APPLICATION_RESTRICTED_LOWDELAY
}

type encoder struct {
	c   *C.OpusEncoder
	dtx bool
	cut bool // the next packet is to be independent
}

func newEncoder(o codecs.AudioOptions) (codecs.AudioEncoder, error) {
	var status C.int
	c := C.opus_encoder_create(Rate, 1, application(o), &status)
	if status != C.OPUS_OK {
		return nil, fmt.Errorf("create encoder: %w", Error(status))
	}
	flag := func(on bool) C.int {
		if on {
			return 1
		}
		return 0
	}
	for _, set := range []struct {
		what   string
		status C.int
	}{
		{"bitrate", C.sky_opus_set_bitrate(c, C.int(cmp.Or(o.Bitrate, defaultBitrate)))},
		{"complexity", C.sky_opus_set_complexity(c, C.int(cmp.Or(o.Complexity, defaultComplexity)))},
		{"fec", C.sky_opus_set_fec(c, flag(o.Loss > 0))},
		{"loss", C.sky_opus_set_loss(c, C.int(o.Loss))},
		{"dtx", C.sky_opus_set_dtx(c, flag(o.DTX))},
	} {
		if set.status != C.OPUS_OK {
			C.opus_encoder_destroy(c)
			return nil, fmt.Errorf("set %s: %w", set.what, Error(set.status))
		}
	}
	return &encoder{c: c, dtx: o.DTX}, nil
}

func (e *encoder) Encode(dst []byte, src pcm.Frame) ([]byte, error) {
	if e.c == nil {
		return dst, codecs.ErrClosed
	}
	head := len(dst)
	dst = grow(dst, maxPacket)
	n := C.opus_encode(e.c,
		(*C.opus_int16)(unsafe.SliceData(src)), C.int(len(src)),
		(*C.uchar)(unsafe.SliceData(dst[head:])), maxPacket)
	if e.cut {
		e.cut = false
		if status := C.sky_opus_set_prediction(e.c, 1); status != C.OPUS_OK {
			return dst[:head], fmt.Errorf("set prediction: %w", Error(status))
		}
	}
	switch {
	case n < 0:
		return dst[:head], fmt.Errorf("encode %d samples: %w", len(src), Error(n))
	case e.dtx && n <= 2: // opus.h: such a packet need not be sent
		return dst[:head], nil
	}
	return dst[:head+int(n)], nil
}

// Cut implements [codecs.Cutter].
func (e *encoder) Cut() error {
	if e.c == nil {
		return codecs.ErrClosed
	}
	if status := C.sky_opus_set_prediction(e.c, 0); status != C.OPUS_OK {
		return fmt.Errorf("set prediction: %w", Error(status))
	}
	e.cut = true
	return nil
}

func (e *encoder) Close() error {
	if e.c != nil {
		C.opus_encoder_destroy(e.c)
		e.c = nil
	}
	return nil
}
