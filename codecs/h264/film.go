package h264

/*
#include "shim.h"
*/
import "C"

import (
	"fmt"
	"iter"
	"unsafe"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/yuv"
)

// Units cuts a byte stream (Annex B) into access units, which share memory with
// it. Of the ways to tell where one ends (ITU-T H.264, section 7.4.1.2.3) it
// knows those that files use: a slice that begins with the first macroblock, and
// anything that is no slice.
func Units(stream []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		begin, picture := 0, false
		for nal, rest := NextNAL(stream); nal != nil; nal, rest = NextNAL(rest) {
			t := nalType(nal)
			isSlice := t == nalSlice || t == nalIDR
			// first_mb_in_slice is 0 when its code is a single 1 bit.
			if picture && (!isSlice || len(nal) > 1 && nal[1]&0x80 != 0) {
				start := offset(stream, nal) - len(startCode)
				if !yield(stream[begin:start:start]) {
					return
				}
				begin, picture = start, false
			}
			picture = picture || isSlice
		}
		if picture {
			yield(stream[begin:])
		}
	}
}

// offset returns where part, which shares memory with whole, begins in it.
func offset(whole, part []byte) int {
	return int(uintptr(unsafe.Pointer(unsafe.SliceData(part))) - uintptr(unsafe.Pointer(unsafe.SliceData(whole))))
}

// Film decodes a whole byte stream in the order of display, B pictures included.
// Each picture is borrowed until the next. It ends with the first error.
//
// It is for files that the operator chose, and no way around [H264]'s decoder
// for what the network sent: only the size of pictures is checked in Go. B
// pictures are not exact in openh264 2.3: they differ from FFmpeg's by what 50 dB
// is, which whoever measures against the result does not see.
func Film(stream []byte) iter.Seq2[*yuv.Picture, error] {
	return func(yield func(*yuv.Picture, error) bool) {
		d, err := openFilm()
		if err != nil {
			yield(nil, err)
			return
		}
		defer func() { _ = d.Close() }()
		show := func(status C.int) bool {
			if status != C.dsErrorFree {
				yield(nil, DecodeError(status))
				return false
			}
			pic, err := d.picture()
			return yield(pic, err) && err == nil
		}
		for unit := range Units(stream) {
			for nal, rest := NextNAL(unit); nal != nil; nal, rest = NextNAL(rest) {
				if nalType(nal) != nalSPS {
					continue
				}
				if s, err := ParseSPS(nal); err != nil {
					yield(nil, err)
					return
				} else if !codecs.Decodable(s.Width, s.Height) {
					yield(nil, corrupt("size %dx%d", s.Width, s.Height))
					return
				}
			}
			status := C.sky_h264_film_decode(d.c, (*C.uchar)(unsafe.SliceData(unit)), C.int(len(unit)))
			if (status != C.dsErrorFree || d.c.info.iBufferStatus == 1) && !show(status) {
				return
			}
		}
		for {
			status := C.sky_h264_film_flush(d.c)
			if status == C.dsErrorFree && d.c.info.iBufferStatus != 1 || !show(status) {
				return
			}
		}
	}
}

func openFilm() (*decoder, error) {
	d, err := newDecoder()
	if err != nil {
		return nil, fmt.Errorf("film: %w", err)
	}
	return d.(*decoder), nil
}
