// Package h264 binds openh264 for H.264 (ITU-T H.264, RFC 6184) in real time.
//
// It encodes Constrained Baseline, which every endpoint decodes, and decodes
// progressive Baseline, Main and High. B pictures, which add delay and are
// therefore not sent in real time, are left out; those that others refer to are
// refused.
//
// Parameter sets and slice headers are read in Go before openh264 sees a unit:
// it never gets a parameter set that no key frame follows, nor anything but
// parameter sets and slices. Memory that C allocates is freed by Close and by
// nothing else.
package h264

/*
#cgo pkg-config: openh264
#include "shim.h"
*/
import "C"

import (
	"fmt"

	"github.com/skybridge-media/skybridge/codecs"
)

// H264 encodes and decodes access units in the byte stream format of Annex B,
// on the calling thread.
var H264 = codecs.Video{
	Name:       "H264",
	NewEncoder: newEncoder,
	NewDecoder: newDecoder,
	KeyFrame:   KeyFrame,
	Size:       Size,
}

// An Error is a status of openh264's encoder (CM_RETURN). The library has no
// texts; these are its own names.
type Error int

func (e Error) Error() string {
	switch e {
	case C.cmInitParaError:
		return "h264: invalid parameters"
	case C.cmMallocMemeError:
		return "h264: out of memory"
	case C.cmInitExpected:
		return "h264: not initialized"
	case C.cmUnsupportedData:
		return "h264: unsupported data"
	}
	return fmt.Sprintf("h264: encoder status %d", int(e))
}

// A DecodeError is a status of openh264's decoder (DECODING_STATE), a set of
// bits.
type DecodeError int

func (e DecodeError) Error() string {
	switch {
	case e&C.dsOutOfMemory != 0:
		return "h264: out of memory"
	case e&(C.dsInvalidArgument|C.dsInitialOptExpected|C.dsDstBufNeedExpan) != 0:
		return fmt.Sprintf("h264: decoder misused, status %#x", int(e))
	case e&C.dsRefLost != 0:
		return "h264: reference picture lost"
	case e&C.dsNoParamSets != 0:
		return "h264: no parameter sets"
	}
	return fmt.Sprintf("h264: broken bitstream, status %#x", int(e))
}

// Is makes a broken bitstream match [codecs.ErrCorrupt].
func (e DecodeError) Is(target error) bool {
	const fatal = C.dsOutOfMemory | C.dsInvalidArgument | C.dsInitialOptExpected | C.dsDstBufNeedExpan
	return target == codecs.ErrCorrupt && e&fatal == 0
}
