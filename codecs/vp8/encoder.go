package vp8

/*
#cgo noescape sky_vp8_encode
#cgo nocallback sky_vp8_encode
#include "shim.h"
*/
import "C"

import (
	"fmt"
	"unsafe"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/yuv"
)

const (
	// speed is libvpx's cpu-used, negative: a fixed choice of tools rather than
	// one that follows the clock, so that a busy node changes the frame rate
	// and not the quality. It is the fastest that shows a camera pan with 36 dB at
	// all the usual sizes and bitrates: 39.7, 37.8 and 36.2 dB at 720p, 448p
	// and 360p. -10 costs 11 % more for 0.7 dB, -8 as much as 37 % for 1.4 dB. The
	// table is in bench/results, under codec settings.
	speed = -11

	// maxKeyDistance bounds how long a decoder that lost its way without
	// noticing stays lost, in pictures: 100 s at 30 per second.
	maxKeyDistance = 3000
)

type encoder struct {
	c        *C.sky_vp8_encoder
	sinceKey int
}

func newEncoder(o codecs.VideoOptions) (codecs.VideoEncoder, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	c := (*C.sky_vp8_encoder)(C.malloc(C.sizeof_sky_vp8_encoder))
	*c = C.sky_vp8_encoder{}
	if err := open(c, o); err != nil {
		C.sky_vp8_encoder_free(c)
		return nil, err
	}
	return &encoder{c: c}, nil
}

func open(c *C.sky_vp8_encoder, o codecs.VideoOptions) error {
	if status := C.sky_vp8_encoder_defaults(c); status != C.VPX_CODEC_OK {
		return fmt.Errorf("default configuration: %w", Error(status))
	}
	cfg := &c.cfg
	cfg.g_w, cfg.g_h = C.uint(o.Width), C.uint(o.Height)
	cfg.g_timebase.num, cfg.g_timebase.den = 1, C.int(o.FrameRate)
	cfg.g_threads = 1
	cfg.g_lag_in_frames = 0

	// Error resilience would reset the entropy contexts with every frame and
	// cost some 5 % of the bits, in order to decode frames after a lost one.
	// Here losses are retransmitted, or a key frame follows.
	cfg.g_error_resilient = 0

	// Key frames come when somebody asks, and from maxKeyDistance.
	cfg.kf_mode = C.VPX_KF_DISABLED

	cfg.rc_end_usage = C.VPX_CBR
	cfg.rc_target_bitrate = kilobits(o.Bitrate)
	cfg.rc_min_quantizer, cfg.rc_max_quantizer = 2, 56
	cfg.rc_undershoot_pct, cfg.rc_overshoot_pct = 100, 15
	cfg.rc_buf_initial_sz, cfg.rc_buf_optimal_sz, cfg.rc_buf_sz = 500, 600, 1000 // ms
	cfg.rc_resize_allowed = 0
	cfg.rc_dropframe_thresh = 30 // percent of the buffer
	if o.KeepAll {
		cfg.rc_dropframe_thresh = 0
	}
	if status := C.sky_vp8_encoder_open(c); status != C.VPX_CODEC_OK {
		return fmt.Errorf("open encoder: %w", Error(status))
	}
	for _, set := range []struct {
		what          string
		option, value C.int
	}{
		{"speed", C.VP8E_SET_CPUUSED, speed},
		{"static threshold", C.VP8E_SET_STATIC_THRESHOLD, 1}, // do not code camera noise
		{"noise sensitivity", C.VP8E_SET_NOISE_SENSITIVITY, 0},
		{"token partitions", C.VP8E_SET_TOKEN_PARTITIONS, C.VP8_ONE_TOKENPARTITION},
		{"key frame size", C.VP8E_SET_MAX_INTRA_BITRATE_PCT, maxIntra(o.FrameRate)},
	} {
		if status := C.sky_vp8_encoder_set(c, set.option, set.value); status != C.VPX_CODEC_OK {
			return fmt.Errorf("set %s: %w", set.what, Error(status))
		}
	}
	return nil
}

// maxIntra bounds a key frame, in percent of the average picture, so that it
// takes about 300 ms of the bitrate: half of the optimal buffer.
func maxIntra(frameRate int) C.int { return C.int(max(300, 30*frameRate)) }

func kilobits(bps int) C.uint { return C.uint(max(1, bps/1000)) }

func (e *encoder) Encode(dst []byte, pic *yuv.Picture, key bool) (unit []byte, isKey bool, err error) {
	switch {
	case e.c == nil:
		return dst, false, codecs.ErrClosed
	case pic.Width != int(e.c.cfg.g_w) || pic.Height != int(e.c.cfg.g_h) || !pic.Whole():
		return dst, false, fmt.Errorf("vp8: picture of %dx%d for an encoder of %dx%d",
			pic.Width, pic.Height, e.c.cfg.g_w, e.c.cfg.g_h)
	}
	e.sinceKey++
	force := C.int(0)
	if key || e.sinceKey >= maxKeyDistance {
		force = 1
	}
	status := C.sky_vp8_encode(e.c,
		(*C.uint8_t)(unsafe.SliceData(pic.Y)), (*C.uint8_t)(unsafe.SliceData(pic.U)), (*C.uint8_t)(unsafe.SliceData(pic.V)),
		C.int(pic.StrideY), C.int(pic.StrideUV), force)
	if status != C.VPX_CODEC_OK {
		return dst, false, fmt.Errorf("encode: %w", Error(status))
	}
	if e.c.key != 0 {
		e.sinceKey = 0
	}
	data := unsafe.Slice((*byte)(e.c.data), int(e.c.size))
	return append(dst, data...), e.c.key != 0, nil
}

func (e *encoder) SetBitrate(bps int) error {
	switch {
	case e.c == nil:
		return codecs.ErrClosed
	case bps < 1000:
		return fmt.Errorf("vp8: bitrate of %d bit/s", bps)
	}
	e.c.cfg.rc_target_bitrate = kilobits(bps)
	if status := C.sky_vp8_encoder_reconfigure(e.c); status != C.VPX_CODEC_OK {
		return fmt.Errorf("set bitrate: %w", Error(status))
	}
	return nil
}

func (e *encoder) Close() error {
	if e.c != nil {
		C.sky_vp8_encoder_free(e.c)
		e.c = nil
	}
	return nil
}
