package h264_test

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/codectest"
	"github.com/skybridge-media/skybridge/codecs/h264"
)

// resident returns the memory of this process that is not of files, in KiB.
func resident(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(status), "RssAnon:")
	if !found {
		t.Skip("the kernel does not say")
	}
	n, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestDecoderMemory bounds what most of a call's memory is. openh264 takes
// 14.3 MiB if it writes zeros to its tables itself.
func TestDecoderMemory(t *testing.T) {
	scene := codectest.NewScene(1280, 720)
	enc := newEncoder(t, codecs.VideoOptions{Width: 1280, Height: 720, FrameRate: 30, Bitrate: 1_500_000})
	var units [][]byte
	for i := range 5 {
		unit, _, err := enc.Encode(nil, scene.Picture(i), i == 0)
		if err != nil {
			t.Fatal(err)
		}
		units = append(units, unit)
	}
	const decoders = 8
	before := resident(t)
	for range decoders {
		dec, err := h264.H264.NewDecoder()
		if err != nil {
			t.Fatal(err)
		}
		defer dec.Close()
		for _, unit := range units {
			if _, err := dec.Decode(unit); err != nil {
				t.Fatal(err)
			}
		}
	}
	each := (resident(t) - before) / decoders
	t.Logf("%d KiB", each)
	if each > 12<<10 {
		t.Errorf("a decoder of 1280x720 takes %d KiB, want at most 12 MiB", each)
	}
}
