package h264

/*
#cgo noescape sky_h264_decode
#cgo nocallback sky_h264_decode
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
	c       *C.sky_h264_decoder
	checker *checker
	pic     yuv.Picture // the last picture, in memory of openh264
	waiting bool        // for a key frame: what came before it is missing or broken
	failed  bool        // openh264 has reported an error since it was opened
}

func newDecoder() (codecs.VideoDecoder, error) {
	c := (*C.sky_h264_decoder)(C.malloc(C.sizeof_sky_h264_decoder))
	*c = C.sky_h264_decoder{}
	if status := C.sky_h264_decoder_open(c); status != C.cmResultSuccess {
		C.sky_h264_decoder_free(c)
		return nil, fmt.Errorf("open decoder: %w", Error(status))
	}
	return &decoder{c: c, checker: newChecker(), waiting: true}, nil
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
	found, safe, err := d.checker.check(unit)
	switch {
	case err != nil:
		return nil, err
	case found.slices == 0:
		return nil, nil // parameter sets that came alone
	case d.waiting && !found.key:
		return nil, errWaiting
	case found.b:
		return nil, nil // nothing refers to it
	}
	if d.failed || found.fresh {
		if err := d.reopen(); err != nil {
			return nil, err
		}
	}
	status := C.sky_h264_decode(d.c, (*C.uchar)(unsafe.SliceData(safe)), C.int(len(safe)))
	switch {
	case status != C.dsErrorFree:
		d.failed = true
		return nil, fmt.Errorf("decode %d bytes: %w", len(unit), DecodeError(status))
	case d.c.info.iBufferStatus == 1:
		d.waiting = false
		return d.picture()
	}
	// Without a status to say so, openh264 has thrown the picture away and
	// begun anew.
	d.failed = true
	return nil, corrupt("no picture in %d bytes", len(unit))
}

// reopen gives every sequence a decoder of its own. openh264 could change its
// parameters and forget an error while it runs, but that is where its state is
// most entangled: after some errors it refuses sound key frames.
func (d *decoder) reopen() error {
	if status := C.sky_h264_decoder_open(d.c); status != C.cmResultSuccess {
		return fmt.Errorf("reopen decoder: %w", Error(status))
	}
	d.failed = false
	return nil
}

// picture describes the memory that openh264 has filled.
func (d *decoder) picture() (*yuv.Picture, error) {
	layout := C.sky_h264_decoder_layout(d.c)
	// An odd last column or row cannot be: cropping counts in pairs.
	w, h := int(layout.iWidth)&^1, int(layout.iHeight)&^1
	if !codecs.Decodable(w, h) {
		return nil, corrupt("size %dx%d", w, h)
	}
	plane := func(i, stride, w, h int) []byte {
		return unsafe.Slice((*byte)(d.c.planes[i]), stride*(h-1)+w)
	}
	y, uv := int(layout.iStride[0]), int(layout.iStride[1])
	d.pic = yuv.Picture{
		Y: plane(0, y, w, h), U: plane(1, uv, w/2, h/2), V: plane(2, uv, w/2, h/2),
		StrideY: y, StrideUV: uv, Width: w, Height: h,
	}
	return &d.pic, nil
}

// errWaiting is made once: a sender may take many pictures to answer with a key
// frame, and each of the pictures before it ends here.
var errWaiting = corrupt("key frame needed")

func (d *decoder) Close() error {
	if d.c != nil {
		C.sky_h264_decoder_free(d.c)
		d.c = nil
	}
	return nil
}
