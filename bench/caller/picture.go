package caller

import (
	"math"
	"time"

	"github.com/skybridge-media/skybridge/codecs/yuv"
)

// Moving returns a Draw function: a background of color c, a slow wave of
// lightness, and a ball on its way around, so that every picture differs from
// the one before and an encoder has something to do.
func Moving(c yuv.Color, speed float64) func(*yuv.Picture, time.Duration) {
	return func(p *yuv.Picture, t time.Duration) {
		p.Fill(c)
		phase := t.Seconds() * speed
		for y := range p.Height {
			lift := 10 * math.Sin(2*math.Pi*(float64(y)/float64(p.Height)-phase/4))
			v := byte(min(max(float64(c.Y)+lift, 16), 235))
			row := p.Y[y*p.StrideY : y*p.StrideY+p.Width]
			for x := range row {
				row[x] = v
			}
		}
		r := p.Height / 8
		cx := p.Width/2 + int(float64(p.Width)/3*math.Cos(phase))
		cy := p.Height/2 + int(float64(p.Height)/3*math.Sin(1.3*phase))
		ball(p, cx, cy, r)
	}
}

func ball(p *yuv.Picture, cx, cy, r int) {
	for y := max(cy-r, 0); y < min(cy+r, p.Height); y++ {
		half := int(math.Sqrt(float64(r*r - (y-cy)*(y-cy))))
		for x := max(cx-half, 0); x < min(cx+half, p.Width); x++ {
			p.Y[y*p.StrideY+x] = 220
			p.U[y/2*p.StrideUV+x/2], p.V[y/2*p.StrideUV+x/2] = 128, 128
		}
	}
}

// Solid returns a Draw function that paints c and nothing else.
func Solid(c yuv.Color) func(*yuv.Picture, time.Duration) {
	return func(p *yuv.Picture, _ time.Duration) { p.Fill(c) }
}
