package h264

/*
#cgo noescape sky_h264_encode
#cgo nocallback sky_h264_encode
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
	// minQuantizer stands for some 45 dB; finer steps cost bits that nobody
	// sees, and overflow buffers of openh264 when the picture is noise.
	minQuantizer = 20

	// sliceMargin is by how many bytes openh264 can miss its own limit, if the
	// picture is pure noise.
	sliceMargin = 100

	// minSlice is the smallest limit that openh264 accepts, with the margin: a
	// slice must hold a macroblock.
	minSlice = 550
)

type encoder struct{ c *C.sky_h264_encoder }

func newEncoder(o codecs.VideoOptions) (codecs.VideoEncoder, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if o.MaxSlice != 0 && o.MaxSlice < minSlice {
		return nil, fmt.Errorf("h264: slices of %d bytes, at least %d are needed", o.MaxSlice, minSlice)
	}
	c := (*C.sky_h264_encoder)(C.malloc(C.sizeof_sky_h264_encoder))
	*c = C.sky_h264_encoder{}
	if err := open(c, o); err != nil {
		C.sky_h264_encoder_free(c)
		return nil, err
	}
	return &encoder{c}, nil
}

func open(c *C.sky_h264_encoder, o codecs.VideoOptions) error {
	if status := C.sky_h264_encoder_create(c); status != C.cmResultSuccess {
		return fmt.Errorf("create encoder: %w", Error(status))
	}
	p := &c.param
	p.iUsageType = C.CAMERA_VIDEO_REAL_TIME
	p.iComplexityMode = C.LOW_COMPLEXITY
	p.iPicWidth, p.iPicHeight = C.int(o.Width), C.int(o.Height)
	p.fMaxFrameRate = C.float(o.FrameRate)
	p.iMultipleThreadIdc = 1
	p.iEntropyCodingModeFlag = 0 // CAVLC: Baseline has no other
	p.iNumRefFrame = 1

	// Key frames come when somebody asks. Parameter sets keep their ids, so
	// that a receiver which missed a set can use the one before.
	p.uiIntraPeriod = 0
	p.eSpsPpsIdStrategy = C.CONSTANT_ID
	p.bEnableSceneChangeDetect = false

	p.iRCMode = C.RC_BITRATE_MODE
	p.iTargetBitrate = C.int(o.Bitrate)
	p.iMaxBitrate = C.UNSPECIFIED_BIT_RATE
	p.bEnableFrameSkip = C.bool(!o.KeepAll)
	p.iMinQp, p.iMaxQp = minQuantizer, 51

	layer := &p.sSpatialLayers[0]
	layer.iVideoWidth, layer.iVideoHeight = p.iPicWidth, p.iPicHeight
	layer.fFrameRate = p.fMaxFrameRate
	layer.iSpatialBitrate = p.iTargetBitrate
	layer.iMaxSpatialBitrate = C.UNSPECIFIED_BIT_RATE
	layer.uiProfileIdc = C.PRO_BASELINE
	layer.uiLevelIdc = C.LEVEL_UNKNOWN // the lowest that fits
	if o.MaxSlice > 0 {
		limit := C.uint(o.MaxSlice - sliceMargin)
		p.uiMaxNalSize = limit
		layer.sSliceArgument.uiSliceMode = C.SM_SIZELIMITED_SLICE
		layer.sSliceArgument.uiSliceSizeConstraint = limit
	} else {
		layer.sSliceArgument.uiSliceMode = C.SM_SINGLE_SLICE
	}
	if status := C.sky_h264_encoder_open(c); status != C.cmResultSuccess {
		return fmt.Errorf("open encoder: %w", Error(status))
	}
	return nil
}

func (e *encoder) Encode(dst []byte, pic *yuv.Picture, key bool) (unit []byte, isKey bool, err error) {
	switch {
	case e.c == nil:
		return dst, false, codecs.ErrClosed
	case pic.Width != int(e.c.param.iPicWidth) || pic.Height != int(e.c.param.iPicHeight) || !pic.Whole():
		return dst, false, fmt.Errorf("h264: picture of %dx%d for an encoder of %dx%d",
			pic.Width, pic.Height, e.c.param.iPicWidth, e.c.param.iPicHeight)
	}
	force := C.int(0)
	if key {
		force = 1
	}
	status := C.sky_h264_encode(e.c,
		(*C.uchar)(unsafe.SliceData(pic.Y)), (*C.uchar)(unsafe.SliceData(pic.U)), (*C.uchar)(unsafe.SliceData(pic.V)),
		C.int(pic.StrideY), C.int(pic.StrideUV), force)
	if status != C.cmResultSuccess {
		return dst, false, fmt.Errorf("encode: %w", Error(status))
	}
	out := &e.c.out
	for i := range int(out.iLayerNum) {
		layer := &out.sLayerInfo[i]
		size := 0
		for _, n := range unsafe.Slice(layer.pNalLengthInByte, int(layer.iNalCount)) {
			size += int(n)
		}
		dst = append(dst, unsafe.Slice((*byte)(layer.pBsBuf), size)...)
	}
	return dst, out.eFrameType == C.videoFrameTypeIDR, nil
}

func (e *encoder) SetBitrate(bps int) error {
	switch {
	case e.c == nil:
		return codecs.ErrClosed
	case bps < 1000:
		return fmt.Errorf("h264: bitrate of %d bit/s", bps)
	}
	if status := C.sky_h264_encoder_set_bitrate(e.c, C.int(bps)); status != C.cmResultSuccess {
		return fmt.Errorf("set bitrate: %w", Error(status))
	}
	return nil
}

func (e *encoder) Close() error {
	if e.c != nil {
		C.sky_h264_encoder_free(e.c)
		e.c = nil
	}
	return nil
}
