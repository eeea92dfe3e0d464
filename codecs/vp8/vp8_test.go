package vp8_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/codectest"
	"github.com/skybridge-media/skybridge/codecs/vp8"
	"github.com/skybridge-media/skybridge/codecs/yuv"
)

func TestVP8(t *testing.T) { codectest.Video(t, vp8.VP8, 36) }

func newDecoder(t testing.TB) codecs.VideoDecoder {
	t.Helper()
	dec, err := vp8.VP8.NewDecoder()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dec.Close() })
	return dec
}

// frames reads an IVF file of testdata: 32 bytes of header, then each frame
// behind its length and eight bytes of time.
func frames(t testing.TB, name string) [][]byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var all [][]byte
	for b = b[32:]; len(b) > 0; {
		n := 12 + int(binary.LittleEndian.Uint32(b))
		all = append(all, b[12:n])
		b = b[n:]
	}
	return all
}

// TestOtherFeatures decodes what our own encoder never makes, and compares with
// what FFmpeg makes of it: a frame that is not shown, four token partitions, and
// the odd size of 161x95, of which the last column and row are cut off.
func TestOtherFeatures(t *testing.T) {
	sums, err := os.ReadFile("testdata/altref.crc")
	if err != nil {
		t.Fatal(err)
	}
	dec := newDecoder(t)
	var got []string
	hidden := 0
	for i, f := range frames(t, "altref.ivf") {
		p, err := dec.Decode(f)
		switch {
		case err != nil:
			t.Fatalf("frame %d: %v", i, err)
		case p == nil:
			hidden++
			continue
		case p.Width != 160 || p.Height != 94:
			t.Fatalf("frame %d: %dx%d, want 160x94", i, p.Width, p.Height)
		}
		flat := yuv.New(p.Width, p.Height)
		yuv.Copy(flat, p)
		got = append(got, fmt.Sprintf("%08x", crc32.ChecksumIEEE(slices.Concat(flat.Y, flat.U, flat.V))))
	}
	if want := strings.Fields(string(sums)); !slices.Equal(got, want) {
		t.Errorf("pictures %v, want %v", got, want)
	}
	if hidden != 1 {
		t.Errorf("%d frames gave no picture, want 1", hidden)
	}
}

// keyHeader is the header of a key frame with empty partitions.
func keyHeader(width, height uint16) []byte {
	return binary.LittleEndian.AppendUint16(
		binary.LittleEndian.AppendUint16([]byte{0x10, 0, 0, 0x9d, 0x01, 0x2a}, width), height)
}

func TestParseHeader(t *testing.T) {
	for _, test := range []struct {
		name  string
		frame []byte
		want  vp8.Header
	}{
		{
			"key frame",
			keyHeader(1280, 720),
			vp8.Header{Key: true, Show: true, Width: 1280, Height: 720},
		},
		{
			"key frame with scales",
			keyHeader(640|1<<14, 360|3<<14),
			vp8.Header{Key: true, Show: true, Width: 640, ScaleWidth: 1, Height: 360, ScaleHeight: 3},
		},
		{
			"inter frame, hidden, version 3",
			append([]byte{0x07 | 100&7<<5, 100 >> 3, 0}, make([]byte, 100)...),
			vp8.Header{Version: 3, FirstPartition: 100},
		},
	} {
		if got, err := vp8.ParseHeader(test.frame); err != nil || got != test.want {
			t.Errorf("%s: got %+v, %v; want %+v", test.name, got, err, test.want)
		}
	}
}

func TestParseHeaderRefuses(t *testing.T) {
	for name, frame := range map[string][]byte{
		"empty":                     {},
		"cut tag":                   {0x10, 0},
		"cut key frame":             keyHeader(640, 360)[:9],
		"start code":                {0x10, 0, 0, 0x9d, 0x01, 0x2b, 0x80, 2, 0x68, 1},
		"no width":                  keyHeader(0, 360),
		"no height":                 keyHeader(640, 0),
		"only a scale":              keyHeader(1<<14, 360),
		"version 4":                 {0x19, 0, 0, 0},
		"partition beyond the end":  {0x11 | 7<<5, 0, 0, 1, 2, 3},
		"partition in key's header": append([]byte{0x10 | 1<<5, 0, 0}, keyHeader(640, 360)[3:]...),
	} {
		if got, err := vp8.ParseHeader(frame); !errors.Is(err, codecs.ErrCorrupt) {
			t.Errorf("%s: got %+v, %v; want codecs.ErrCorrupt", name, got, err)
		}
		if _, err := newDecoder(t).Decode(frame); !errors.Is(err, codecs.ErrCorrupt) {
			t.Errorf("%s: Decode: %v, want codecs.ErrCorrupt", name, err)
		}
		if vp8.KeyFrame(frame) {
			t.Errorf("%s: taken for a key frame", name)
		}
	}
}

// TestDecoderLimits changes the size in the header of a sound key frame.
func TestDecoderLimits(t *testing.T) {
	key := frames(t, "altref.ivf")[0]
	for _, size := range [][2]uint16{{3842, 2400}, {3840, 2402}, {2402, 3840}, {16383, 16383}, {15, 15}, {1, 1}} {
		f := bytes.Clone(key)
		copy(f[6:], keyHeader(size[0], size[1])[6:])
		if _, err := newDecoder(t).Decode(f); !errors.Is(err, codecs.ErrCorrupt) {
			t.Errorf("%dx%d: %v, want codecs.ErrCorrupt", size[0], size[1], err)
		}
	}
}

// TestKeyDistance verifies that a key frame comes by itself in the end.
func TestKeyDistance(t *testing.T) {
	enc, err := vp8.VP8.NewEncoder(codecs.VideoOptions{Width: 16, Height: 16, FrameRate: 30, Bitrate: 50_000})
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	pic := yuv.New(16, 16)
	var keys []int
	var buf []byte
	for i := range 6500 {
		unit, isKey, err := enc.Encode(buf[:0], pic, false)
		if err != nil {
			t.Fatal(err)
		}
		if isKey {
			keys = append(keys, i)
		}
		buf = unit
	}
	if want := []int{0, 3000, 6000}; !slices.Equal(keys, want) {
		t.Errorf("key frames at %v, want %v", keys, want)
	}
}

func FuzzParseHeader(f *testing.F) {
	f.Add(keyHeader(1280, 720))
	f.Add([]byte{0x11, 0, 0})
	f.Fuzz(func(t *testing.T, frame []byte) {
		h, err := vp8.ParseHeader(frame)
		switch {
		case err != nil && !errors.Is(err, codecs.ErrCorrupt):
			t.Errorf("%v, want codecs.ErrCorrupt", err)
		case err == nil && (h.FirstPartition > len(frame) || h.Key != vp8.KeyFrame(frame)):
			t.Errorf("accepted %+v of %d bytes", h, len(frame))
		case err == nil && h.Key != (h.Width > 0 && h.Height > 0):
			t.Errorf("accepted %+v", h)
		}
	})
}

func FuzzDecode(f *testing.F) {
	all := frames(f, "altref.ivf")
	f.Add(all[0], all[1])
	f.Add(all[0], all[2])
	codectest.FuzzVideo(f, vp8.VP8)
}

func BenchmarkVP8(b *testing.B) { codectest.BenchmarkVideo(b, vp8.VP8) }

// TestSize reads sizes from what fits the first packet.
func TestSize(t *testing.T) {
	key := []byte{0x10, 0xff, 0xff, 0x9d, 0x01, 0x2a, 0x80, 0x42, 0x68, 0x01} // the partition is elsewhere
	if w, h := vp8.Size(key); w != 640 || h != 360 {
		t.Errorf("size %dx%d, want 640x360", w, h)
	}
	for _, b := range [][]byte{nil, key[:9], {0x11, 0, 0, 0x9d, 0x01, 0x2a, 1, 1, 1, 1}, make([]byte, 10)} {
		if w, h := vp8.Size(b); w != 0 || h != 0 {
			t.Errorf("size %dx%d of % x", w, h, b)
		}
	}
}
