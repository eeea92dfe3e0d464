package codectest

import (
	"fmt"
	"testing"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/yuv"
)

// BenchmarkVideo measures c on one picture of the scene per operation, at the
// sizes and bitrates of the usual tiers. It reports the fidelity beside.
func BenchmarkVideo(b *testing.B, c codecs.Video) {
	for _, o := range []codecs.VideoOptions{
		{Width: 1280, Height: 720, FrameRate: 30, Bitrate: 1_500_000},
		{Width: 768, Height: 448, FrameRate: 30, Bitrate: 600_000},
	} {
		s := video{Video: c}
		scene := NewScene(o.Width, o.Height)
		pics := make([]*yuv.Picture, 60)
		for i := range pics {
			pics[i] = scene.Picture(i)
		}
		units := s.stream(b, o, len(pics))
		b.Run(fmt.Sprintf("Encode/%dp", o.Height), func(b *testing.B) {
			enc := s.encoder(b, o)
			buf := make([]byte, 0, 1<<20)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				_, _, _ = enc.Encode(buf, pics[i%len(pics)], false)
			}
		})
		b.Run(fmt.Sprintf("Decode/%dp", o.Height), func(b *testing.B) {
			dec := s.decoder(b)
			sum, n := 0.0, 0
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := dec.Decode(units[i%len(units)]); err != nil {
					b.Fatal(err)
				}
			}
			for i, unit := range units {
				if pic, err := dec.Decode(unit); err == nil {
					sum += yuv.PSNR(pic, pics[i])
					n++
				}
			}
			b.ReportMetric(sum/float64(n), "dB")
		})
	}
}
