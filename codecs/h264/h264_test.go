package h264_test

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/codectest"
	"github.com/skybridge-media/skybridge/codecs/h264"
	"github.com/skybridge-media/skybridge/codecs/yuv"
)

func TestH264(t *testing.T) { codectest.Video(t, h264.H264, 36) }

func newEncoder(t testing.TB, o codecs.VideoOptions) codecs.VideoEncoder {
	t.Helper()
	enc, err := h264.H264.NewEncoder(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = enc.Close() })
	return enc
}

// types returns the NAL unit types of unit, repetitions left out.
func types(unit []byte) string {
	var all []byte
	for nal, rest := h264.NextNAL(unit); nal != nil; nal, rest = h264.NextNAL(rest) {
		if t := '0' + nal[0]&0x1f; len(all) == 0 || all[len(all)-1] != t {
			all = append(all, t)
		}
	}
	return string(all)
}

// TestParameterSets verifies that every key frame brings its parameter sets, that
// they do not change with the bitrate, and that they say Constrained
// Baseline.
func TestParameterSets(t *testing.T) {
	enc := newEncoder(t, codecs.VideoOptions{Width: 640, Height: 360, FrameRate: 30, Bitrate: 500_000, KeepAll: true})
	scene := codectest.NewScene(640, 360)
	var first []byte
	for i := range 12 {
		if err := enc.SetBitrate(100_000 + i*500_000); err != nil {
			t.Fatal(err)
		}
		unit, isKey, err := enc.Encode(nil, scene.Picture(i), i%4 == 0)
		if err != nil {
			t.Fatal(err)
		}
		want := map[bool]string{true: "785", false: "1"}[isKey]
		if got := types(unit); got != want {
			t.Errorf("picture %d: NAL unit types %q, want %q", i, got, want)
		}
		if !isKey {
			continue
		}
		nal, _ := h264.NextNAL(unit)
		sps, err := h264.ParseSPS(nal)
		if err != nil || sps.Width != 640 || sps.Height != 360 || sps.Profile != 66 || sps.Constraints&0xc0 != 0xc0 {
			t.Errorf("picture %d: SPS %+v, %v", i, sps, err)
		}
		if first == nil {
			first = nal
		}
		if !bytes.Equal(nal, first) {
			t.Errorf("picture %d: SPS % x, was % x", i, nal, first)
		}
	}
}

// TestMaxSlice verifies the limit on a scene and on noise, which is the worst,
// and that the slices make whole pictures.
func TestMaxSlice(t *testing.T) {
	const width, height = 640, 360
	scene := codectest.NewScene(width, height)
	kinds := map[string][]*yuv.Picture{}
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range 4 {
		noise := scene.Picture(0)
		for i := range noise.Y {
			noise.Y[i] = byte(rng.Uint32())
		}
		kinds["noise"] = append(kinds["noise"], noise)
		kinds["scene"] = append(kinds["scene"], scene.Picture(i))
	}
	for _, limit := range []int{600, 1180, 1400} {
		for _, bitrate := range []int{500_000, 5_000_000} {
			for kind, pics := range kinds {
				most := longestNAL(t, pics, codecs.VideoOptions{
					Width: width, Height: height, FrameRate: 30, Bitrate: bitrate, MaxSlice: limit,
				})
				if most > limit {
					t.Errorf("limit %d, %d bit/s, %s: a NAL unit of %d bytes", limit, bitrate, kind, most)
				}
				if bitrate > 1_000_000 && most < limit/2 {
					t.Errorf("limit %d: the longest NAL unit has %d bytes, which wastes packets", limit, most)
				}
			}
		}
	}
}

// longestNAL encodes pics, decodes them again and returns the length of the
// longest NAL unit in between.
func longestNAL(t *testing.T, pics []*yuv.Picture, o codecs.VideoOptions) int {
	t.Helper()
	enc, dec := newEncoder(t, o), newDecoder(t)
	most := 0
	for i, pic := range pics {
		unit, _, err := enc.Encode(nil, pic, i == 3)
		if err != nil {
			t.Fatal(err)
		}
		if len(unit) == 0 {
			continue
		}
		for nal, rest := h264.NextNAL(unit); nal != nil; nal, rest = h264.NextNAL(rest) {
			most = max(most, len(nal))
		}
		if p, err := dec.Decode(unit); err != nil || p == nil {
			t.Fatalf("picture %d: %v", i, err)
		}
	}
	return most
}

func TestMaxSliceTooSmall(t *testing.T) {
	o := codecs.VideoOptions{Width: 640, Height: 360, FrameRate: 30, Bitrate: 500_000, MaxSlice: 300}
	if _, err := h264.H264.NewEncoder(o); err == nil {
		t.Error("slices of 300 bytes were accepted; a macroblock may need more")
	}
}

func TestNextNAL(t *testing.T) {
	stream := []byte{0xff, 0, 0, 0, 1, 0x67, 1, 2, 0, 0, 0, 1, 0, 0, 1, 0x68, 3, 0, 0, 0, 0, 1, 0x65, 4, 0, 0}
	for _, want := range [][]byte{{0x67, 1, 2}, {0x68, 3}, {0x65, 4}, nil} {
		var nal []byte
		if nal, stream = h264.NextNAL(stream); !bytes.Equal(nal, want) {
			t.Errorf("got % x, want % x", nal, want)
		}
	}
}

func TestKeyFrame(t *testing.T) {
	for _, test := range []struct {
		name string
		unit []byte
		want bool
	}{
		{"IDR with sets", annexB([]byte{0x67, 1}, []byte{0x68, 1}, []byte{0x65, 0x88}), true},
		{"IDR alone", annexB([]byte{0x65, 0x88}), true},
		{"behind SEI", annexB([]byte{9, 16}, []byte{6, 1, 2}, []byte{0x25, 0x88}), true},
		{"P", annexB([]byte{0x41, 0x9a}), false},
		{"sets alone", annexB([]byte{0x67, 1}, []byte{0x68, 1}), false},
		{"P, then IDR", annexB([]byte{0x41, 0x9a}, []byte{0x65, 0x88}), false},
		{"no start code", []byte{0x65, 0x88}, false},
		{"empty", nil, false},
	} {
		if got := h264.KeyFrame(test.unit); got != test.want {
			t.Errorf("%s: got %v, want %v", test.name, got, test.want)
		}
	}
}

func BenchmarkH264(b *testing.B) { codectest.BenchmarkVideo(b, h264.H264) }
