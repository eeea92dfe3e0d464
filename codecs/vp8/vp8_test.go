package vp8_test

import (
	"testing"

	"github.com/skybridge-media/skybridge/codecs/codectest"
	"github.com/skybridge-media/skybridge/codecs/vp8"
)

func TestVP8(t *testing.T) { codectest.Video(t, vp8.VP8, 36) }

func BenchmarkVP8(b *testing.B) { codectest.BenchmarkVideo(b, vp8.VP8) }
