package h264_test

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/h264"
)

func read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestFilm compares with what FFmpeg makes of the same file. Pictures 2, 6 and 8
// of the second are B pictures, which a call would not show.
func TestFilm(t *testing.T) {
	for name, b := range map[string][]int{"high": nil, "bframes": {2, 6, 8}} {
		want := strings.Fields(string(read(t, name+".crc")))
		n := 0
		for pic, err := range h264.Film(read(t, name+".264")) {
			if err != nil {
				t.Fatalf("%s, picture %d: %v", name, n, err)
			}
			if got := checksum(pic); got != want[n] && !slices.Contains(b, n) {
				t.Errorf("%s, picture %d: %s, want %s", name, n, got, want[n])
			}
			n++
		}
		if n != len(want) {
			t.Errorf("%s: %d pictures, want %d", name, n, len(want))
		}
	}
}

func TestFilmStops(t *testing.T) {
	for range h264.Film(read(t, "high.264")) {
		break // a reader may have seen enough
	}
	for _, name := range []string{"interlaced.264", "h444.264"} {
		n := 0
		for pic, err := range h264.Film(read(t, name)) {
			if pic != nil || !errors.Is(err, codecs.ErrCorrupt) {
				t.Errorf("%s: picture %v, %v; want codecs.ErrCorrupt", name, pic != nil, err)
			}
			n++
		}
		if n != 1 {
			t.Errorf("%s: %d results, want one error", name, n)
		}
	}
}

// Nothing is lost between units, and each holds one picture.
func TestUnits(t *testing.T) {
	for _, name := range []string{"baseline.264", "high.264", "bframes.264"} {
		stream := read(t, name)
		all := slices.Collect(h264.Units(stream))
		if len(all) != 12 {
			t.Errorf("%s: %d units, want 12", name, len(all))
		}
		// The long start code's first zero may end the unit before.
		if !bytes.Equal(slices.Concat(all...), stream) {
			t.Errorf("%s: the units do not make up the stream", name)
		}
	}
	for _, none := range [][]byte{nil, {0, 0, 1}, []byte("no start code"), {0, 0, 1, 0x67, 1, 2, 3}} {
		if got := slices.Collect(h264.Units(none)); len(got) != 0 {
			t.Errorf("units of % x: %x", none, got)
		}
	}
}
