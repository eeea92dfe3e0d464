package yuv_test

import (
	"image"
	"image/color"
	"testing"

	"github.com/skybridge-media/skybridge/codecs/yuv"
)

// gradient returns a picture that differs in every place, smoothly, in colors
// that RGB has too.
func gradient(width, height int) *yuv.Picture {
	p := yuv.New(width, height)
	for y := range height {
		for x := range width {
			p.Y[y*p.StrideY+x] = byte(80 + 50*(2*x+1)/(2*width) + 50*(2*y+1)/(2*height))
		}
	}
	w, h := width/2, height/2
	for y := range h {
		for x := range w {
			p.U[y*p.StrideUV+x] = byte(104 + 48*(2*x+1)/(2*w))
			p.V[y*p.StrideUV+x] = byte(104 + 48*(2*y+1)/(2*h))
		}
	}
	return p
}

func TestNewIsBlack(t *testing.T) {
	if got, want := yuv.New(32, 16).Image().RGBAAt(31, 15), (color.RGBA{0, 0, 0, 255}); got != want {
		t.Errorf("last pixel = %v, want %v", got, want)
	}
}

func TestScale(t *testing.T) {
	for _, size := range []image.Point{{1280, 720}, {640, 360}, {320, 180}, {426, 240}, {160, 90}, {16, 16}, {1920, 1088}} {
		got := yuv.New(size.X, size.Y)
		yuv.Scale(got, gradient(1280, 720))
		if psnr := yuv.PSNR(got, gradient(size.X, size.Y)); psnr < 38 {
			t.Errorf("scaled to %v: PSNR = %.1f dB against the same gradient, want at least 38", size, psnr)
		}
	}
}

// TestScaleAverages shows why the filter is a box: a fine checkerboard becomes
// even gray, where sampling single pixels would leave patterns.
func TestScaleAverages(t *testing.T) {
	src, dst := yuv.New(1280, 720), yuv.New(160, 90)
	for i := range src.Y {
		src.Y[i] = byte(40 + 160*((i%src.StrideY+i/src.StrideY)&1))
	}
	yuv.Scale(dst, src)
	for i, v := range dst.Y {
		if v < 118 || v > 122 {
			t.Fatalf("luma %d = %d, want 120", i, v)
		}
	}
}

func TestScaleIntoWindow(t *testing.T) {
	canvas := yuv.New(640, 360)
	canvas.Fill(yuv.Color{Y: 200, U: 90, V: 90})
	before := canvas.Image()
	src := yuv.New(320, 180)
	src.Fill(yuv.Color{Y: 50, U: 128, V: 128})
	w := canvas.Window(100, 50, 200, 100)
	yuv.Scale(&w, src)
	after := canvas.Image()
	inside := image.Rect(100, 50, 300, 150)
	for y := range 360 {
		for x := range 640 {
			if changed := before.RGBAAt(x, y) != after.RGBAAt(x, y); changed != image.Pt(x, y).In(inside) {
				t.Fatalf("pixel (%d,%d): changed = %v", x, y, changed)
			}
		}
	}
}

func TestCopy(t *testing.T) {
	src, dst := gradient(64, 48), yuv.New(128, 96)
	w := dst.Window(2, 4, 64, 48)
	yuv.Copy(&w, src)
	if psnr := yuv.PSNR(&w, src); psnr < 100 {
		t.Errorf("PSNR of a copy = %.1f dB", psnr)
	}
}

func TestImageRoundTrip(t *testing.T) {
	p := gradient(128, 64)
	q := yuv.New(128, 64)
	q.SetImage(p.Image())
	if psnr := yuv.PSNR(p, q); psnr < 38 {
		t.Errorf("PSNR after RGB and back = %.1f dB, want at least 38", psnr)
	}
}

func TestColorOf(t *testing.T) {
	for _, c := range []color.RGBA{
		{0, 0, 0, 255},
		{255, 255, 255, 255},
		{255, 0, 0, 255},
		{0, 255, 0, 255},
		{0, 0, 255, 255},
		{120, 200, 40, 255},
	} {
		p := yuv.New(16, 16)
		p.Fill(yuv.ColorOf(c))
		got := p.Image().RGBAAt(5, 5)
		for i, d := range []int{int(got.R) - int(c.R), int(got.G) - int(c.G), int(got.B) - int(c.B)} {
			if max(d, -d) > 4 {
				t.Errorf("%v comes back as %v: channel %d is off by %d", c, got, i, d)
			}
		}
	}
}

func TestBrokenPicturesPanic(t *testing.T) {
	short := gradient(64, 64)
	short.V = short.V[:len(short.V)-1]
	for name, f := range map[string]func(){
		"short plane":     func() { yuv.Scale(yuv.New(32, 32), short) },
		"other size":      func() { yuv.Copy(yuv.New(32, 32), gradient(64, 64)) },
		"odd size":        func() { yuv.New(33, 32) },
		"window outside":  func() { gradient(64, 64).Window(2, 2, 64, 64) },
		"image too small": func() { gradient(64, 64).SetImage(image.NewRGBA(image.Rect(0, 0, 64, 63))) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			f()
		})
	}
}

func TestNoAlloc(t *testing.T) {
	src := gradient(640, 360)
	for _, dst := range []*yuv.Picture{yuv.New(320, 180), yuv.New(212, 120), yuv.New(384, 224)} {
		if n := testing.AllocsPerRun(20, func() { yuv.Scale(dst, src) }); n != 0 {
			t.Errorf("Scale to %dx%d allocates %v times, want 0", dst.Width, dst.Height, n)
		}
	}
	same := yuv.New(640, 360)
	if n := testing.AllocsPerRun(20, func() { yuv.Copy(same, src) }); n != 0 {
		t.Errorf("Copy allocates %v times, want 0", n)
	}
}
