package yuv

/*
#cgo noescape I420Psnr
#cgo nocallback I420Psnr
#include "shim.h"
*/
import "C"

// PSNR compares two pictures of the same size over all three planes, in
// decibels. Above 40 they look alike, below 30 they do not; libyuv says 128 of
// equal ones.
func PSNR(a, b *Picture) float64 {
	mustMatch(a, b)
	return float64(C.I420Psnr(
		ptr(a.Y), C.int(a.StrideY), ptr(a.U), C.int(a.StrideUV), ptr(a.V), C.int(a.StrideUV),
		ptr(b.Y), C.int(b.StrideY), ptr(b.U), C.int(b.StrideUV), ptr(b.V), C.int(b.StrideUV),
		C.int(a.Width), C.int(a.Height)))
}
