package h264_test

import (
	"testing"

	"github.com/skybridge-media/skybridge/codecs/codectest"
	"github.com/skybridge-media/skybridge/codecs/h264"
)

func TestH264(t *testing.T) { codectest.Video(t, h264.H264, 36) }

func BenchmarkH264(b *testing.B) { codectest.BenchmarkVideo(b, h264.H264) }
