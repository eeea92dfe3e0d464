package vp8

/*
#cgo noescape sky_vp8_decode
#cgo nocallback sky_vp8_decode
#include "shim.h"
*/
import "C"

import (
	"fmt"
	"unsafe"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/yuv"
)

type decoder struct {
	c       *C.sky_vp8_decoder
	pic     yuv.Picture // the last picture, in memory of libvpx
	waiting bool        // for a key frame: what came before it is missing or broken
}

func newDecoder() (codecs.VideoDecoder, error) {
	c := (*C.sky_vp8_decoder)(C.malloc(C.sizeof_sky_vp8_decoder))
	*c = C.sky_vp8_decoder{}
	if status := C.sky_vp8_decoder_open(c); status != C.VPX_CODEC_OK {
		C.sky_vp8_decoder_free(c)
		return nil, fmt.Errorf("open decoder: %w", Error(status))
	}
	return &decoder{c: c, waiting: true}, nil
}

func (d *decoder) Decode(unit []byte) (*yuv.Picture, error) {
	if d.c == nil {
		return nil, codecs.ErrClosed
	}
	pic, err := d.decode(unit)
	if err != nil {
		d.waiting = true
	}
	return pic, err
}

func (d *decoder) decode(unit []byte) (*yuv.Picture, error) {
	h, err := ParseHeader(unit)
	switch {
	case err != nil:
		return nil, err
	case h.Key && !codecs.Decodable(h.Width, h.Height):
		return nil, corrupt("size %dx%d", h.Width, h.Height)
	case !h.Key && d.waiting:
		return nil, errWaiting
	}
	status := C.sky_vp8_decode(d.c, (*C.uint8_t)(unsafe.SliceData(unit)), C.uint(len(unit)))
	if status != C.VPX_CODEC_OK {
		return nil, fmt.Errorf("decode %d bytes: %w", len(unit), Error(status))
	}
	d.waiting = false
	img := d.c.img
	if img == nil {
		return nil, nil // a frame that is not shown
	}
	// An odd last column or row is cut off: pictures are even.
	w, h2 := int(img.d_w)&^1, int(img.d_h)&^1
	plane := func(i, w, h int) []byte {
		return unsafe.Slice((*byte)(img.planes[i]), int(img.stride[i])*(h-1)+w)
	}
	d.pic = yuv.Picture{
		Y: plane(C.VPX_PLANE_Y, w, h2), U: plane(C.VPX_PLANE_U, w/2, h2/2), V: plane(C.VPX_PLANE_V, w/2, h2/2),
		StrideY: int(img.stride[C.VPX_PLANE_Y]), StrideUV: int(img.stride[C.VPX_PLANE_U]),
		Width: w, Height: h2,
	}
	return &d.pic, nil
}

// errWaiting is made once: a sender may take many frames to answer with a key
// frame, and each of the frames before it ends here.
var errWaiting = corrupt("key frame needed")

func (d *decoder) Close() error {
	if d.c != nil {
		C.sky_vp8_decoder_free(d.c)
		d.c = nil
	}
	return nil
}
