package yuv_test

import (
	"fmt"
	"image"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/skybridge-media/skybridge/codecs/codectest"
	"github.com/skybridge-media/skybridge/codecs/yuv"
)

// averaged is Scale for reductions as it is defined, slowly: each pixel is the
// mean of the area that it covers.
func averaged(src *yuv.Picture, width, height int) *yuv.Picture {
	dst := yuv.New(width, height)
	averagePlane(dst.Y, src.Y, dst.StrideY, src.StrideY, width, height, src.Width, src.Height)
	averagePlane(dst.U, src.U, dst.StrideUV, src.StrideUV, width/2, height/2, src.Width/2, src.Height/2)
	averagePlane(dst.V, src.V, dst.StrideUV, src.StrideUV, width/2, height/2, src.Width/2, src.Height/2)
	return dst
}

func averagePlane(dst, src []byte, dstStride, srcStride, dw, dh, sw, sh int) {
	// overlap is how much of pixel i of the source pixel j of the result covers,
	// of 1/to pixels.
	overlap := func(i, j, from, to int) int { return min((i+1)*to, (j+1)*from) - max(i*to, j*from) }
	for y := range dh {
		for x := range dw {
			sum := 0
			for i := y * sh / dh; i*dh < (y+1)*sh; i++ {
				row := 0
				for j := x * sw / dw; j*dw < (x+1)*sw; j++ {
					row += int(src[i*srcStride+j]) * overlap(j, x, sw, dw)
				}
				sum += row * overlap(i, y, sh, dh)
			}
			dst[y*dstStride+x] = byte((sum + sw*sh/2) / (sw * sh))
		}
	}
}

// TestReduceIsExact compares with the definition, on a texture, windows into
// larger pictures at odd places, and ratios of every kind. A result that is
// shifted by a tenth of a pixel would be below 45 dB.
func TestReduceIsExact(t *testing.T) {
	scene := codectest.NewScene(1280, 720).Picture(3)
	for _, c := range []struct{ from, to image.Rectangle }{
		{image.Rect(0, 0, 1280, 720), image.Rect(0, 0, 426, 240)},
		{image.Rect(0, 0, 1280, 720), image.Rect(0, 0, 640, 360)},
		{image.Rect(0, 0, 1280, 720), image.Rect(0, 0, 320, 180)},
		{image.Rect(0, 0, 1280, 720), image.Rect(0, 0, 960, 540)},
		{image.Rect(0, 0, 1280, 720), image.Rect(0, 0, 480, 270)},
		{image.Rect(0, 0, 1280, 720), image.Rect(0, 0, 800, 450)},
		{image.Rect(0, 0, 1280, 720), image.Rect(2, 2, 770, 450)},
		{image.Rect(4, 0, 772, 448), image.Rect(6, 4, 262, 148)},
		{image.Rect(4, 0, 772, 448), image.Rect(0, 0, 192, 112)},
		{image.Rect(0, 0, 640, 360), image.Rect(0, 0, 212, 120)},
		{image.Rect(0, 0, 1280, 720), image.Rect(0, 0, 1278, 718)},
		{image.Rect(0, 0, 1280, 720), image.Rect(0, 0, 1280, 360)},
		{image.Rect(0, 0, 1280, 720), image.Rect(0, 0, 160, 720)},
		{image.Rect(2, 2, 716, 704), image.Rect(2, 0, 104, 72)},
		{image.Rect(38, 6, 106, 70), image.Rect(0, 0, 34, 22)},
		{image.Rect(0, 0, 1280, 720), image.Rect(0, 0, 64, 36)},
	} {
		t.Run(fmt.Sprintf("%v to %v", c.from.Size(), c.to.Size()), func(t *testing.T) {
			src := scene.Window(c.from.Min.X, c.from.Min.Y, c.from.Dx(), c.from.Dy())
			canvas := yuv.New(1280, 720)
			got := canvas.Window(c.to.Min.X, c.to.Min.Y, c.to.Dx(), c.to.Dy())
			yuv.Scale(&got, &src)
			want := averaged(&src, got.Width, got.Height)
			psnr := yuv.PSNR(&got, want)
			t.Logf("PSNR = %.1f dB", psnr)
			if psnr < 48 {
				t.Errorf("PSNR = %.1f dB against the mean of areas, want at least 48", psnr)
			}
			if psnr < 100 { // it tells a shift
				if shifted := yuv.PSNR(&got, averaged(shiftedBy(&src, 2), got.Width, got.Height)); shifted > psnr-6 {
					t.Errorf("PSNR = %.1f dB against a shifted picture, %.1f against the true one", shifted, psnr)
				}
			}
			for y := range 720 {
				for x := range 1280 {
					if v := canvas.Y[y*1280+x]; v != 16 && !image.Pt(x, y).In(c.to) {
						t.Fatalf("luma at (%d,%d) = %d, outside of the window", x, y, v)
					}
				}
			}
		})
	}
}

// TestReduceNoise looks at every pixel, for sizes at random: noise forgives no
// pixel that is taken from the wrong place. Beyond 3:1 pairs of pixels count as
// one, also at the edges of an area.
func TestReduceNoise(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	whole := yuv.New(400, 300)
	for _, plane := range [][]byte{whole.Y, whole.U, whole.V} {
		for i := range plane {
			plane[i] = byte(rng.IntN(64))
		}
	}
	for range 300 {
		w, h := 64+2*rng.IntN(169), 2+2*rng.IntN(150)
		src := whole.Window(2*rng.IntN((400-w)/2+1), 2*rng.IntN((300-h)/2+1), w, h)
		dst := yuv.New(2+2*rng.IntN(w/2), 2+2*rng.IntN(h/2))
		if dst.Width*64 < w || dst.Height*64 < h {
			continue
		}
		most := 4
		if w > 3*dst.Width {
			most = 20
		}
		yuv.Scale(dst, &src)
		want := averaged(&src, dst.Width, dst.Height)
		for i, plane := range [][]byte{dst.Y, dst.U, dst.V} {
			for j, v := range plane {
				if d := int(v) - int([][]byte{want.Y, want.U, want.V}[i][j]); d < -most || d > most {
					t.Fatalf("%dx%d to %dx%d: plane %d, sample %d is off by %d", w, h, dst.Width, dst.Height, i, j, d)
				}
			}
		}
	}
}

// shiftedBy returns p moved to the left.
func shiftedBy(p *yuv.Picture, pixels int) *yuv.Picture {
	q := yuv.New(p.Width, p.Height)
	left, from := q.Window(0, 0, p.Width-pixels, p.Height), p.Window(pixels, 0, p.Width-pixels, p.Height)
	yuv.Copy(q, p)
	yuv.Copy(&left, &from)
	return q
}

// TestScaleKeepsEvenColors shows that weights add up, for sizes of every kind.
func TestScaleKeepsEvenColors(t *testing.T) {
	for _, c := range []yuv.Color{{Y: 0, U: 255, V: 1}, {Y: 255, U: 0, V: 254}, {Y: 127, U: 128, V: 129}} {
		src := yuv.New(202, 158)
		src.Fill(c)
		for w := 4; w <= 260; w += 6 {
			for h := 4; h <= 200; h += 10 {
				dst := yuv.New(w, h)
				yuv.Scale(dst, src)
				want := yuv.New(w, h)
				want.Fill(c)
				if psnr := yuv.PSNR(dst, want); psnr < 100 {
					t.Fatalf("%v scaled to %dx%d: PSNR = %.1f dB, want equal", c, w, h, psnr)
				}
			}
		}
	}
}

func BenchmarkScale(b *testing.B) {
	for _, c := range []struct{ from, to image.Point }{
		{image.Pt(1280, 720), image.Pt(426, 240)},
		{image.Pt(1280, 720), image.Pt(640, 360)},
		{image.Pt(1280, 720), image.Pt(320, 180)},
		{image.Pt(1280, 720), image.Pt(960, 540)},
		{image.Pt(1280, 720), image.Pt(768, 448)},
		{image.Pt(768, 448), image.Pt(256, 144)},
		{image.Pt(768, 448), image.Pt(192, 112)},
		{image.Pt(640, 360), image.Pt(212, 120)},
		{image.Pt(1280, 720), image.Pt(1920, 1080)},
	} {
		src := codectest.NewScene(c.from.X, c.from.Y).Picture(1)
		b.Run(fmt.Sprintf("%dx%d-%dx%d", c.from.X, c.from.Y, c.to.X, c.to.Y), func(b *testing.B) {
			dst := yuv.New(c.to.X, c.to.Y)
			b.ReportAllocs()
			for b.Loop() {
				yuv.Scale(dst, src)
			}
			if c.to.X < c.from.X {
				b.ReportMetric(math.Round(yuv.PSNR(dst, averaged(src, c.to.X, c.to.Y))*10)/10, "dB")
			}
		})
	}
}
