package h264_test

import (
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/codectest"
	"github.com/skybridge-media/skybridge/codecs/h264"
	"github.com/skybridge-media/skybridge/codecs/yuv"
)

// units reads a file of testdata and cuts it into access units.
func units(t testing.TB, name string) [][]byte {
	t.Helper()
	stream, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return slices.Collect(h264.Units(stream))
}

func newDecoder(t testing.TB) codecs.VideoDecoder {
	t.Helper()
	dec, err := h264.H264.NewDecoder()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dec.Close() })
	return dec
}

// checksum returns the CRC of p without the space between its rows, as FFmpeg
// writes it with -f framehash.
func checksum(p *yuv.Picture) string {
	flat := yuv.New(p.Width, p.Height)
	yuv.Copy(flat, p)
	return fmt.Sprintf("%08x", crc32.ChecksumIEEE(slices.Concat(flat.Y, flat.U, flat.V)))
}

// TestOtherEncoders decodes streams of x264 and compares with what FFmpeg makes
// of them. Every unit gives its picture at once, also above Baseline, where
// openh264 would hold one back.
func TestOtherEncoders(t *testing.T) {
	for _, test := range []struct {
		name string
		b    []int // units that are B pictures
	}{
		{"baseline", nil}, // three slices each
		{"high", nil},     // CABAC, 8x8 transform, access unit delimiters
		{"bframes", []int{3, 7, 9}},
	} {
		t.Run(test.name, func(t *testing.T) {
			sums, err := os.ReadFile("testdata/" + test.name + ".crc")
			if err != nil {
				t.Fatal(err)
			}
			want := strings.Fields(string(sums)) // in the order of display
			dec := newDecoder(t)
			var got []string
			for i, unit := range units(t, test.name+".264") {
				p, err := dec.Decode(unit)
				if isB := slices.Contains(test.b, i); err != nil || (p == nil) != isB {
					t.Fatalf("unit %d: picture %v, %v", i, p != nil, err)
				}
				if p != nil {
					got = append(got, checksum(p))
				}
			}
			for _, b := range test.b {
				want[b-1] = "" // displayed one earlier than sent
			}
			want = slices.DeleteFunc(want, func(s string) bool { return s == "" })
			if !slices.Equal(got, want) {
				t.Errorf("pictures %v, want %v", got, want)
			}
		})
	}
}

// TestLongRun decodes enough pictures above Baseline to notice when openh264
// does not get its buffers back.
func TestLongRun(t *testing.T) {
	all, dec := units(t, "high.264"), newDecoder(t)
	for round := range 30 {
		for i, unit := range all {
			if p, err := dec.Decode(unit); err != nil || p == nil {
				t.Fatalf("round %d, unit %d: %v, %v", round, i, p, err)
			}
		}
	}
}

func TestUnsupported(t *testing.T) {
	for _, name := range []string{"interlaced.264", "h444.264"} {
		dec := newDecoder(t)
		for _, unit := range units(t, name) {
			if p, err := dec.Decode(unit); !errors.Is(err, codecs.ErrCorrupt) || p != nil {
				t.Errorf("%s: %v, %v; want codecs.ErrCorrupt", name, p, err)
			}
		}
	}
}

// TestParameterSetsApart sends them as a unit of their own, which is what
// sprop-parameter-sets become, and never again.
func TestParameterSetsApart(t *testing.T) {
	all := units(t, "baseline.264")
	var sets, picture []byte
	for nal, rest := h264.NextNAL(all[0]); nal != nil; nal, rest = h264.NextNAL(rest) {
		if t := nal[0] & 0x1f; t == 7 || t == 8 {
			sets = append(append(sets, 0, 0, 0, 1), nal...)
		} else {
			picture = append(append(picture, 0, 0, 0, 1), nal...)
		}
	}
	dec := newDecoder(t)
	if _, err := dec.Decode(picture); !errors.Is(err, codecs.ErrCorrupt) {
		t.Errorf("key frame before its parameter sets: %v, want codecs.ErrCorrupt", err)
	}
	if p, err := dec.Decode(sets); p != nil || err != nil {
		t.Errorf("parameter sets alone: %v, %v; want neither picture nor error", p, err)
	}
	for range 2 { // the second time as after a loss
		if p, err := dec.Decode(picture); p == nil || err != nil {
			t.Fatalf("key frame: %v, %v; want a picture", p, err)
		}
		if _, err := dec.Decode([]byte{0, 0, 1, 0x41, 0xff}); !errors.Is(err, codecs.ErrCorrupt) {
			t.Fatalf("garbage: %v, want codecs.ErrCorrupt", err)
		}
	}
}

// TestChangeWithoutKeyFrame replaces the active SPS by one of another size.
// Nothing is decoded with it until a key frame follows.
func TestChangeWithoutKeyFrame(t *testing.T) {
	dec, all := newDecoder(t), units(t, "baseline.264")
	if _, err := dec.Decode(all[0]); err != nil {
		t.Fatal(err)
	}
	sets := annexB(baselineSPS(20, 12), []byte{0x68, 0xce, 0x38, 0x80})
	if _, err := dec.Decode(append(sets, all[1]...)); !errors.Is(err, codecs.ErrCorrupt) {
		t.Errorf("changed SPS before a picture that is no key frame: %v, want codecs.ErrCorrupt", err)
	}
	if _, err := dec.Decode(all[2]); !errors.Is(err, codecs.ErrCorrupt) {
		t.Errorf("next picture: %v, want codecs.ErrCorrupt", err)
	}
	if p, err := dec.Decode(all[0]); err != nil || p == nil {
		t.Errorf("key frame with its SPS: %v, %v; want a picture", p, err)
	}
}

// TestSliceLost leaves out each of three slices; half a picture is not shown,
// and nothing that refers to it.
func TestSliceLost(t *testing.T) {
	all := units(t, "baseline.264")
	for lost := range 3 {
		dec := newDecoder(t)
		if _, err := dec.Decode(all[0]); err != nil {
			t.Fatal(err)
		}
		var rest []byte
		i := 0
		for nal, more := h264.NextNAL(all[1]); nal != nil; nal, more = h264.NextNAL(more) {
			if i != lost {
				rest = append(rest, annexB(nal)...)
			}
			i++
		}
		if _, err := dec.Decode(rest); !errors.Is(err, codecs.ErrCorrupt) {
			t.Errorf("slice %d of %d lost: %v, want codecs.ErrCorrupt", lost, i, err)
		}
		if _, err := dec.Decode(all[2]); !errors.Is(err, codecs.ErrCorrupt) {
			t.Errorf("next picture: %v, want codecs.ErrCorrupt", err)
		}
	}
}

// TestPictureLost leaves out a whole picture: the frame numbers tell.
func TestPictureLost(t *testing.T) {
	dec, all := newDecoder(t), units(t, "baseline.264")
	for _, i := range []int{0, 1, 3} {
		_, err := dec.Decode(all[i])
		if want := i == 3; errors.Is(err, codecs.ErrCorrupt) != want {
			t.Errorf("unit %d: %v", i, err)
		}
	}
}

func annexB(nals ...[]byte) []byte {
	var out []byte
	for _, nal := range nals {
		out = append(append(out, 0, 0, 0, 1), nal...)
	}
	return out
}

func FuzzDecode(f *testing.F) {
	for _, name := range []string{"baseline.264", "high.264", "bframes.264"} {
		all := units(f, name)
		f.Add(all[0], all[1])
	}
	codectest.FuzzVideo(f, h264.H264)
}
