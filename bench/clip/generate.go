package clip

import (
	"math"
	"math/rand/v2"

	"github.com/skybridge-media/skybridge/codecs/yuv"
)

// Generate paints a film of n pictures: a camera in someone's hand over a
// textured wall, with someone in front of it who moves otherwise, and the noise of
// a sensor. Encoders find it about as hard as the camera pan that results are
// published for, which a flat or drawn picture is not by far. It ends where it
// begins. The same arguments make the same film; both sides are even.
func Generate(width, height, n int) *Film {
	rng := rand.New(rand.NewPCG(7, uint64(n)))
	scale := float64(height) / 720
	wall := newTexture(rng, 110, []octave{{256, 40}, {64, 28}, {16, 24}, {4, 20}})
	body := newTexture(rng, 140, []octave{{128, 30}, {32, 24}, {8, 20}})
	tint := newTexture(rng, 128, []octave{{256, 30}, {64, 12}})
	grain := make([]int8, 1<<16)
	for i := range grain {
		grain[i] = int8(math.Round(rng.NormFloat64() * grainHeight))
	}
	f := &Film{make([]*yuv.Picture, n)}
	for i := range f.Pictures {
		p := yuv.New(width, height)
		turn := 2 * math.Pi * float64(i) / float64(n)
		seconds := float64(n) / FrameRate
		// Whole numbers of turns, so that the last picture leads to the first: a slow
		// sway, and the tremor of a hand.
		slow, fast := math.Max(1, math.Round(seconds/5)), math.Max(1, math.Round(seconds*1.3))
		x := scale * (170*math.Sin(slow*turn) + 4*math.Sin(fast*turn))
		y := scale * (70*math.Cos(slow*turn) + 3*math.Cos((fast+1)*turn))
		paint(p.Y, p.StrideY, width, height, wall, x/scale, y/scale, 1/scale)
		paint(p.U, p.StrideUV, width/2, height/2, tint, x/scale, y/scale, 2/scale)
		paint(p.V, p.StrideUV, width/2, height/2, tint, y/scale+300, x/scale, 2/scale)

		cx := float64(width)/2 + scale*60*math.Sin(2*slow*turn)
		cy := float64(height)*0.62 + scale*12*math.Cos(fast*turn)
		head := ellipse{cx, cy, float64(height) * 0.24, float64(height) * 0.34}
		head.paint(p, body, scale)
		addGrain(p, grain, rng)
		f.Pictures[i] = p
	}
	return f
}

// grainHeight is the standard deviation of a sensor's noise, in steps of luma.
const grainHeight = 0.7

// textureSide is the side of a texture, which repeats, in pixels; a power of two.
const textureSide = 1024

type texture []uint8

// An octave is smooth noise with features of cell pixels and the given height.
type octave struct {
	cell   int
	height float64
}

func newTexture(rng *rand.Rand, base float64, octaves []octave) texture {
	sum := make([]float64, textureSide*textureSide)
	for _, o := range octaves {
		n := textureSide / o.cell
		lattice := make([]float64, n*n)
		for i := range lattice {
			lattice[i] = (rng.Float64()*2 - 1) * o.height
		}
		at := func(x, y int) float64 { return lattice[(y%n)*n+x%n] }
		for i := range sum {
			x, y := i%textureSide, i/textureSide
			fx, fy := float64(x%o.cell)/float64(o.cell), float64(y%o.cell)/float64(o.cell)
			x, y = x/o.cell, y/o.cell
			top := at(x, y)*(1-fx) + at(x+1, y)*fx
			bottom := at(x, y+1)*(1-fx) + at(x+1, y+1)*fx
			sum[i] += top*(1-fy) + bottom*fy
		}
	}
	t := make(texture, len(sum))
	for i, v := range sum {
		t[i] = uint8(min(max(base+v, 16), 235))
	}
	return t
}

// at returns the texture at x, y in 1/256 pixels, between its four neighbors.
func (t texture) at(x, y int) uint8 {
	const mask = textureSide - 1
	x0, y0, fx, fy := x>>8&mask, y>>8&mask, x&255, y&255
	x1, y1 := (x0+1)&mask, (y0+1)&mask
	top := int(t[y0*textureSide+x0])*(256-fx) + int(t[y0*textureSide+x1])*fx
	bottom := int(t[y1*textureSide+x0])*(256-fx) + int(t[y1*textureSide+x1])*fx
	return uint8((top*(256-fy) + bottom*fy + 1<<15) >> 16)
}

// paint fills a plane with t as seen from x, y, step texture pixels apart.
func paint(plane []byte, stride, width, height int, t texture, x, y, step float64) {
	x0, y0, d := int(x*256), int(y*256), int(step*256)
	for row := range height {
		out := plane[row*stride:][:width]
		for col := range out {
			out[col] = t.at(x0+col*d, y0+row*d)
		}
	}
}

// An ellipse is someone in front of the camera.
type ellipse struct{ x, y, rx, ry float64 }

// paint covers p with t inside the ellipse, which takes its texture along.
func (e ellipse) paint(p *yuv.Picture, t texture, scale float64) {
	d := int(256 / scale)
	for row := max(0, int(e.y-e.ry)); row < min(p.Height, int(e.y+e.ry)); row++ {
		h := (float64(row) - e.y) / e.ry
		half := e.rx * math.Sqrt(math.Max(0, 1-h*h))
		for col := max(0, int(e.x-half)); col < min(p.Width, int(e.x+half)); col++ {
			p.Y[row*p.StrideY+col] = t.at(col*d-int(e.x/scale*256), row*d-int(e.y/scale*256))
			p.U[row/2*p.StrideUV+col/2] = 112
			p.V[row/2*p.StrideUV+col/2] = 148
		}
	}
}

// addGrain adds other noise to every row of every picture.
func addGrain(p *yuv.Picture, grain []int8, rng *rand.Rand) {
	for row := range p.Height {
		out := p.Y[row*p.StrideY:][:p.Width]
		noise := grain[rng.IntN(len(grain)-p.Width):][:p.Width]
		for i, g := range noise {
			out[i] = uint8(min(max(int(out[i])+int(g), 16), 235))
		}
	}
}
