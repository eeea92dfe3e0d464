package port

import (
	"testing"
	"time"

	"github.com/skybridge-media/skybridge/codecs/yuv"
)

func TestKeep(t *testing.T) {
	tests := []struct {
		name                    string
		width, height           int
		wantedWidth, wantedHigh int
		keptWidth, keptHeight   int
	}{
		{"a tile of the same shape", 1280, 720, 320, 180, 320, 180},
		{"a tile of nearly the same shape", 1280, 720, 426, 240, 426, 240},
		{"nobody has said", 1280, 720, 0, 0, 1280, 720},
		{"larger than it is", 640, 360, 1280, 720, 640, 360},
		{"only a little smaller", 1280, 720, 1100, 620, 1280, 720},
		{"three quarters", 1280, 720, 960, 540, 960, 540},
		{"upright: the tile has bars", 720, 1280, 320, 180, 100, 180},
		{"odd sizes", 1280, 720, 427, 241, 426, 240},
	}
	for _, tt := range tests {
		s := &spare{}
		p := s.keep(yuv.New(tt.width, tt.height), tt.wantedWidth, tt.wantedHigh, time.Time{})
		if p.Width != tt.keptWidth || p.Height != tt.keptHeight {
			t.Errorf("%s: %dx%d, want %dx%d", tt.name, p.Width, p.Height, tt.keptWidth, tt.keptHeight)
		}
		p.Release()
	}
}
