package selfcheck

import (
	"math/rand/v2"

	"github.com/skybridge-media/skybridge/codecs/yuv"
)

const (
	wall  = 512 // size of the texture, a power of two
	grain = 1 << 16
)

// A scene is a camera that pans over a textured wall while a disc moves in
// front of it, with the noise of a sensor. Flat colours would cost an encoder
// next to nothing.
type scene struct {
	texture []byte // wall squared
	noise   []byte
}

func newScene() *scene {
	rng := rand.New(rand.NewPCG(1, 2))
	s := &scene{texture: make([]byte, wall*wall), noise: make([]byte, grain)}
	for i := range s.noise {
		s.noise[i] = byte(rng.IntN(10))
	}
	sum := make([]int, wall*wall)
	for _, octave := range []struct{ cell, height int }{{128, 48}, {32, 24}, {8, 12}} {
		n := wall / octave.cell
		lattice := make([]int, n*n)
		for i := range lattice {
			lattice[i] = rng.IntN(2*octave.height+1) - octave.height
		}
		for i := range sum {
			x, y := i%wall, i/wall
			sum[i] += between(lattice, n, octave.cell, x, y)
		}
	}
	for i, v := range sum {
		s.texture[i] = byte(min(max(120+v, 16), 225))
	}
	return s
}

// between interpolates the lattice of n by n points, cell pixels apart.
func between(lattice []int, n, cell, x, y int) int {
	at := func(x, y int) int { return lattice[(y%n)*n+x%n] }
	fx, fy := x%cell, y%cell
	x, y = x/cell, y/cell
	top := at(x, y)*(cell-fx) + at(x+1, y)*fx
	bottom := at(x, y+1)*(cell-fx) + at(x+1, y+1)*fx
	return (top*(cell-fy) + bottom*fy) / (cell * cell)
}

// draw paints picture number n over all of p.
func (s *scene) draw(p *yuv.Picture, n int) {
	const mask = wall - 1
	radius := p.Height / 6
	cx, cy := p.Width/4+(7*n)%(p.Width/2), p.Height/2
	for y := range p.Height {
		row := p.Y[y*p.StrideY:][:p.Width]
		texture := s.texture[((y+2*n)&mask)*wall:][:wall]
		at := (y*p.Width + n*7919) & (grain - 1)
		for x := range row {
			row[x] = texture[(x+5*n)&mask] + s.noise[(at+x)&(grain-1)]
		}
		if dy := y - cy; dy*dy < radius*radius {
			for x := cx - radius; x < cx+radius; x++ {
				if dx := x - cx; dx*dx+dy*dy < radius*radius {
					row[x] = 150
				}
			}
		}
	}
	for y := range p.Height / 2 {
		u, v := p.U[y*p.StrideUV:][:p.Width/2], p.V[y*p.StrideUV:][:p.Width/2]
		for x := range u {
			u[x], v[x] = byte(112+(x+n)&mask/16), byte(112+(y+n/2)&mask/16)
		}
	}
}
