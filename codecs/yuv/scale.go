package yuv

/*
#cgo LDFLAGS: -lyuv
#cgo noescape sky_yuv_scale
#cgo nocallback sky_yuv_scale
#include "shim.h"
*/
import "C"

import "unsafe"

// Scale fills all of dst with all of src, whatever their shapes; to keep the
// aspect, give it a [Picture.Window] of either. They must not overlap. It does
// not allocate. Two goroutines may scale from the same src.
//
// Every pixel of src counts by the part of it that a pixel of dst covers, as it
// must when a large picture becomes a small tile. Any ratio is fast on
// processors with AVX2. Elsewhere, for the few ratios that libyuv has vectors
// for, and when enlarging in either direction, its box filter does it, which is
// bilinear where the result has more than half the size.
func Scale(dst, src *Picture) {
	if dst.Width == src.Width && dst.Height == src.Height {
		Copy(dst, src)
		return
	}
	mustBeWhole(dst)
	mustBeWhole(src)
	status := C.sky_yuv_scale(
		ptr(src.Y), ptr(src.U), ptr(src.V), C.int(src.StrideY), C.int(src.StrideUV), C.int(src.Width), C.int(src.Height),
		ptr(dst.Y), ptr(dst.U), ptr(dst.V), C.int(dst.StrideY), C.int(dst.StrideUV), C.int(dst.Width), C.int(dst.Height))
	if status != 0 {
		panic("yuv: libyuv cannot scale whole pictures") // out of memory
	}
}

// Copy fills dst with src, which has the same size. It does not allocate.
func Copy(dst, src *Picture) {
	mustMatch(dst, src)
	rows := func(dst, src []byte, dstStride, srcStride, w, h int) {
		for y := range h {
			copy(dst[y*dstStride:][:w], src[y*srcStride:])
		}
	}
	rows(dst.Y, src.Y, dst.StrideY, src.StrideY, src.Width, src.Height)
	rows(dst.U, src.U, dst.StrideUV, src.StrideUV, src.Width/2, src.Height/2)
	rows(dst.V, src.V, dst.StrideUV, src.StrideUV, src.Width/2, src.Height/2)
}

func ptr(plane []byte) *C.uint8_t { return (*C.uint8_t)(unsafe.SliceData(plane)) }

func mustBeWhole(p *Picture) {
	if !p.Whole() {
		panic("yuv: planes do not hold the picture")
	}
}

func mustMatch(a, b *Picture) {
	mustBeWhole(a)
	mustBeWhole(b)
	if a.Width != b.Width || a.Height != b.Height {
		panic("yuv: pictures of different sizes")
	}
}
