package compose_test

import (
	"strings"
	"testing"

	"github.com/skybridge-media/skybridge/codecs/yuv"
	"github.com/skybridge-media/skybridge/media/compose"
)

// written returns a red picture with lines on it, and the rows and columns that
// are not red any more.
func written(w, h int, lines ...string) (pic *yuv.Picture, rows, columns int) {
	pic = yuv.New(w, h)
	pic.Fill(red)
	var p compose.Painter
	p.Write(pic, lines)
	for y := range h {
		for x := range w {
			if !near(at(pic, x, y), red) {
				rows = max(rows, y+1)
				columns = max(columns, x+1)
			}
		}
	}
	return pic, rows, columns
}

func TestWrite(t *testing.T) {
	_, one, narrow := written(1280, 720, "Test")
	_, three, wide := written(1280, 720, "Test", "", "Test call, 57 s left", "Test")
	if one == 0 || one > 720/8 || three < 2*one {
		t.Errorf("one line ends at row %d, three at row %d", one, three)
	}
	if wide < 2*narrow || wide > 640 {
		t.Errorf("a short line ends at column %d, a longer one at column %d", narrow, wide)
	}
	if _, rows, _ := written(1280, 720); rows != 0 {
		t.Errorf("nothing is written down to row %d", rows)
	}
}

// What does not fit, or cannot be shown, breaks nothing.
func TestWriteTooMuch(t *testing.T) {
	many := strings.Split(strings.Repeat("line\n", 100), "\n")
	for _, size := range [][2]int{{2, 2}, {16, 16}, {64, 36}, {320, 180}, {1280, 720}} {
		pic, _, _ := written(size[0], size[1], append(many, strings.Repeat("word ", 1000), "\x00\xff\u202e日本語\n")...)
		if right := at(pic, size[0]-1, size[1]-1); !near(right, red) {
			t.Errorf("%v: the corner is %v", size, right)
		}
	}
}
