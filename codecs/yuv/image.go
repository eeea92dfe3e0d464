package yuv

/*
#cgo noescape ABGRToI420
#cgo nocallback ABGRToI420
#cgo noescape I420ToABGR
#cgo nocallback I420ToABGR
#include "shim.h"
*/
import "C"

import (
	"image"
	"image/color"
)

// Image returns a copy of p in RGB, opaque, for PNG files and tests.
func (p *Picture) Image() *image.RGBA {
	mustBeWhole(p)
	img := image.NewRGBA(image.Rect(0, 0, p.Width, p.Height))
	// libyuv names formats by the word on a little-endian machine, so that the
	// bytes R, G, B, A are its ABGR.
	C.I420ToABGR(
		ptr(p.Y), C.int(p.StrideY), ptr(p.U), C.int(p.StrideUV), ptr(p.V), C.int(p.StrideUV),
		ptr(img.Pix), C.int(img.Stride), C.int(p.Width), C.int(p.Height))
	return img
}

// SetImage fills p with img, which has the same size. Alpha is ignored: what is
// transparent counts as painted over black.
func (p *Picture) SetImage(img *image.RGBA) {
	mustBeWhole(p)
	if img.Rect.Dx() != p.Width || img.Rect.Dy() != p.Height {
		panic("yuv: image of another size")
	}
	C.ABGRToI420(
		ptr(img.Pix[img.PixOffset(img.Rect.Min.X, img.Rect.Min.Y):]), C.int(img.Stride),
		ptr(p.Y), C.int(p.StrideY), ptr(p.U), C.int(p.StrideUV), ptr(p.V), C.int(p.StrideUV),
		C.int(p.Width), C.int(p.Height))
}

// ColorOf converts c, painted over black, to BT.601 limited range.
func ColorOf(c color.Color) Color {
	r32, g32, b32, _ := c.RGBA()
	r, g, b := int(r32>>8), int(g32>>8), int(b32>>8)
	return Color{
		Y: byte((66*r+129*g+25*b+128)>>8 + 16),
		U: byte((-38*r-74*g+112*b+128)>>8 + 128),
		V: byte((112*r-94*g-18*b+128)>>8 + 128),
	}
}
