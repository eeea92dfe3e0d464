package yuv

/*
#cgo LDFLAGS: -lyuv
#cgo noescape I420Scale
#cgo nocallback I420Scale
#include "shim.h"
*/
import "C"

import "unsafe"

// Scale fills all of dst with all of src, whatever their shapes; to keep the
// aspect, give it a [Picture.Window] of either. They must not overlap. It does
// not allocate. Two goroutines may scale from the same src.
//
// The filter is libyuv's box: every pixel of src counts, as it must when a large
// picture becomes a small tile. Where the result has at least half the size,
// libyuv turns it into bilinear by itself, which is equal there and faster, and
// so it does when enlarging.
func Scale(dst, src *Picture) {
	if dst.Width == src.Width && dst.Height == src.Height {
		Copy(dst, src)
		return
	}
	mustBeWhole(dst)
	mustBeWhole(src)
	status := C.I420Scale(
		ptr(src.Y), C.int(src.StrideY), ptr(src.U), C.int(src.StrideUV), ptr(src.V), C.int(src.StrideUV),
		C.int(src.Width), C.int(src.Height),
		ptr(dst.Y), C.int(dst.StrideY), ptr(dst.U), C.int(dst.StrideUV), ptr(dst.V), C.int(dst.StrideUV),
		C.int(dst.Width), C.int(dst.Height), C.kFilterBox)
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
