package h264_test

import (
	"errors"
	"math/bits"
	"slices"
	"testing"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/h264"
)

// A bitWriter writes what a parameter set consists of.
type bitWriter struct {
	out  []byte
	used int // bits of the last byte
}

func (w *bitWriter) u(n int, v uint32) *bitWriter {
	for i := n - 1; i >= 0; i-- {
		if w.used%8 == 0 {
			w.out, w.used = append(w.out, 0), 0
		}
		w.out[len(w.out)-1] |= byte(v>>i&1) << (7 - w.used)
		w.used++
	}
	return w
}

func (w *bitWriter) ue(values ...uint32) *bitWriter {
	for _, v := range values {
		n := bits.Len64(uint64(v) + 1)
		w.u(n-1, 0).u(1, 1)
		w.u(n-1, uint32(uint64(v)+1-1<<(n-1)))
	}
	return w
}

// nal ends the payload of an SPS and inserts emulation prevention bytes (section 7.4.1.1).
func (w *bitWriter) nal() []byte {
	w.u(1, 1)
	out, zeros := []byte{0x67}, 0
	for _, b := range w.out {
		if zeros >= 2 && b <= 3 {
			out, zeros = append(out, 3), 0
		}
		out = append(out, b)
		if zeros++; b != 0 {
			zeros = 0
		}
	}
	return out
}

// header begins an SPS.
func header(profile, level uint32) *bitWriter {
	w := &bitWriter{}
	return w.u(8, profile).u(8, 0).u(8, level).ue(0)
}

// baselineSPS describes pictures of so many macroblocks at level 4.
func baselineSPS(columns, rows uint32) []byte {
	return header(66, 40).ue(0, 0, 0, 1).u(1, 0).ue(columns-1, rows-1).u(4, 0b1100).nal()
}

func TestParseSPS(t *testing.T) {
	for _, test := range []struct {
		name string
		nal  []byte
		want h264.SPS
	}{
		{
			"openh264, 1280x720",
			[]byte{0x67, 0x42, 0xc0, 0x1f, 0x8c, 0x8d, 0x40, 0x28, 0x02, 0xdd, 0x00, 0xf0, 0x88, 0x46, 0xa0},
			h264.SPS{Profile: 66, Constraints: 0xc0, Level: 31, RefFrames: 1, Macroblocks: 3600, Width: 1280, Height: 720},
		},
		{
			"1920x1080 by cropping",
			header(77, 40).ue(0, 2, 4).u(1, 0).ue(119, 67).u(1, 1).u(1, 1).u(1, 1).ue(0, 0, 0, 4).u(1, 0).nal(),
			h264.SPS{Profile: 77, Level: 40, RefFrames: 4, Macroblocks: 8160, Width: 1920, Height: 1080},
		},
		{
			"a screen of 3840x2160",
			header(66, 51).ue(0, 0, 0, 5).u(1, 0).ue(239, 134).u(4, 0b1100).nal(),
			h264.SPS{Profile: 66, Level: 51, RefFrames: 5, Macroblocks: 32400, Width: 3840, Height: 2160},
		},
		{
			"High, scaling lists, order count type 1",
			header(100, 31).ue(1, 0, 0).u(2, 0b01).
				u(1, 1).ue(16).                     // list 0 falls back to the default at once
				u(1, 1).u(16, 0xffff).              // list 1 is flat
				u(6, 0).                            // the others are absent
				ue(4, 1).u(1, 0).ue(0, 0, 2, 1, 3). // order count type 1 with a cycle of 2
				ue(1).u(1, 0).ue(39, 29).u(4, 0b1100).nal(),
			h264.SPS{Profile: 100, Level: 31, RefFrames: 1, Macroblocks: 1200, Width: 640, Height: 480},
		},
		{
			"emulation prevention",
			header(66, 40).ue(0, 0, 12, 1).u(1, 0).ue(79, 44).u(1, 1).u(1, 0).u(1, 1).ue(0, 0, 0, 0).u(1, 0).nal(),
			h264.SPS{Profile: 66, Level: 40, RefFrames: 1, Macroblocks: 3600, Width: 1280, Height: 720},
		},
		{
			"VUI is not looked at",
			header(66, 40).ue(0, 0, 0, 1).u(1, 0).ue(21, 17).u(4, 0b1101).u(32, 0xffffffff).nal(),
			h264.SPS{Profile: 66, Level: 40, RefFrames: 1, Macroblocks: 396, Width: 352, Height: 288},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := h264.ParseSPS(test.nal)
			if err != nil {
				t.Fatal(err)
			}
			if got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestParseSPSRefuses(t *testing.T) {
	for name, nal := range map[string][]byte{
		"empty":                     {0x67},
		"other type":                {0x68, 0x42, 0xc0, 0x1f, 0x8c, 0x8d, 0x40},
		"profile Extended":          header(88, 30).ue(0, 0, 0, 1).u(1, 0).ue(21, 17).u(4, 0b1100).nal(),
		"profile High 4:4:4":        header(244, 30).ue(3, 0, 0).u(2, 0).ue(0, 0, 0, 1).u(1, 0).ue(21, 17).u(4, 0b1100).nal(),
		"High in 4:2:2":             header(100, 30).ue(2, 0, 0).u(2, 0).ue(0, 0, 0, 1).u(1, 0).ue(21, 17).u(4, 0b1100).nal(),
		"High in 10 bits":           header(100, 30).ue(1, 2, 2).u(2, 0).ue(0, 0, 0, 1).u(1, 0).ue(21, 17).u(4, 0b1100).nal(),
		"id 32":                     (&bitWriter{}).u(8, 66).u(8, 0).u(8, 30).ue(32).ue(0, 0, 0, 1).u(1, 0).ue(21, 17).u(4, 0b1100).nal(),
		"frame numbers of 17 bits":  header(66, 30).ue(13, 0, 0, 1).u(1, 0).ue(21, 17).u(4, 0b1100).nal(),
		"order count type 3":        header(66, 30).ue(0, 3, 1).u(1, 0).ue(21, 17).u(4, 0b1100).nal(),
		"order counts of 17 bits":   header(66, 30).ue(0, 0, 13, 1).u(1, 0).ue(21, 17).u(4, 0b1100).nal(),
		"order cycle of 256":        header(66, 30).ue(0, 1).u(1, 0).ue(0, 0, 256).nal(),
		"17 reference frames":       header(66, 30).ue(0, 0, 0, 17).u(1, 0).ue(21, 17).u(4, 0b1100).nal(),
		"interlaced":                header(77, 30).ue(0, 0, 0, 1).u(1, 0).ue(21, 17).u(5, 0b01100).nal(),
		"too wide":                  baselineSPS(121, 68),
		"too high":                  baselineSPS(68, 121),
		"above the decoder's limit": header(66, 51).ue(0, 0, 0, 1).u(1, 0).ue(239, 150).u(4, 0b1100).nal(),
		"six screens to refer to":   header(66, 51).ue(0, 0, 0, 6).u(1, 0).ue(239, 134).u(4, 0b1100).nal(),
		"enormous":                  baselineSPS(1<<31, 1<<31),
		"above the level":           header(66, 12).ue(0, 0, 0, 1).u(1, 0).ue(39, 29).u(4, 0b1100).nal(),
		"unknown level":             header(66, 17).ue(0, 0, 0, 1).u(1, 0).ue(9, 9).u(4, 0b1100).nal(),
		"cropped away":              header(66, 30).ue(0, 0, 0, 1).u(1, 0).ue(21, 17).u(3, 0b111).ue(88, 88, 0, 0).u(1, 0).nal(),
		"cropped to less":           header(66, 30).ue(0, 0, 0, 1).u(1, 0).ue(21, 17).u(3, 0b111).ue(1<<31, 1<<31, 1, 1).u(1, 0).nal(),
		"cut":                       baselineSPS(20, 20)[:6],
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := h264.ParseSPS(nal); !errors.Is(err, codecs.ErrCorrupt) {
				t.Errorf("got %+v, %v; want codecs.ErrCorrupt", got, err)
			}
		})
	}
}

func FuzzParseSPS(f *testing.F) {
	f.Add([]byte{0x67, 0x42, 0xc0, 0x1f, 0x8c, 0x8d, 0x40, 0x28, 0x02, 0xdd, 0x00, 0xf0, 0x88, 0x46, 0xa0})
	f.Add(baselineSPS(80, 45))
	f.Add(header(100, 31).ue(1, 0, 0).u(2, 0).ue(4, 1).u(1, 0).ue(0, 0, 2, 1, 3, 1).u(1, 0).ue(39, 29).u(4, 0b1100).nal())
	f.Fuzz(func(t *testing.T, nal []byte) {
		s, err := h264.ParseSPS(nal)
		if err != nil {
			if !errors.Is(err, codecs.ErrCorrupt) {
				t.Errorf("%v, want codecs.ErrCorrupt", err)
			}
			return
		}
		if !codecs.Decodable(s.Width, s.Height) || s.ID < 0 || s.ID > 31 || s.RefFrames > 16 {
			t.Errorf("accepted %+v", s)
		}
	})
}

// TestSize reads sizes from what fits the first packet.
func TestSize(t *testing.T) {
	sps := append([]byte{0, 0, 0, 1}, baselineSPS(40, 22)...)
	for _, test := range []struct {
		unit []byte
		w, h int
	}{
		{sps, 640, 352},
		{append(slices.Clone(sps), 0, 0, 1, 0x68, 1, 0, 0, 1, 0x65), 640, 352},
		{[]byte{0, 0, 1, 0x65, 0x88}, 0, 0},
		{[]byte{0, 0, 1, 0x67, 1, 2, 3}, 0, 0},
		{nil, 0, 0},
	} {
		if w, h := h264.Size(test.unit); w != test.w || h != test.h {
			t.Errorf("size %dx%d of % x, want %dx%d", w, h, test.unit, test.w, test.h)
		}
	}
}
