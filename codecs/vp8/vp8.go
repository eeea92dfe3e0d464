// Package vp8 binds libvpx for VP8 (RFC 6386) in real time.
//
// Frame headers are read in Go ([ParseHeader]) before libvpx sees a frame.
// Memory that C allocates is freed by Close and by nothing else.
package vp8

/*
#cgo pkg-config: vpx
#include "shim.h"
*/
import "C"

import "github.com/skybridge-media/skybridge/codecs"

// VP8 encodes and decodes on the calling thread.
var VP8 = codecs.Video{
	Name:       "VP8",
	NewEncoder: newEncoder,
	NewDecoder: newDecoder,
	KeyFrame:   KeyFrame,
	Size:       Size,
}

// An Error is a libvpx status. Its text comes from the library.
type Error int

func (e Error) Error() string {
	return "vp8: " + C.GoString(C.vpx_codec_err_to_string(C.vpx_codec_err_t(e)))
}

// Is makes a broken bitstream match [codecs.ErrCorrupt]. VPX_CODEC_ERROR is
// among them: the decoder uses it when references are missing.
func (e Error) Is(target error) bool {
	if target != codecs.ErrCorrupt {
		return false
	}
	switch e {
	case C.VPX_CODEC_CORRUPT_FRAME, C.VPX_CODEC_UNSUP_BITSTREAM, C.VPX_CODEC_UNSUP_FEATURE, C.VPX_CODEC_ERROR:
		return true
	}
	return false
}
