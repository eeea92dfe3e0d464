package codectest

import (
	"math"
	"math/rand/v2"

	"github.com/skybridge-media/skybridge/codecs/yuv"
)

// A Scene is a camera that pans over a textured wall while a colored disc moves
// in front of it, with the noise of a sensor: detail and motion that make an
// encoder work about as hard as a room with people does. The same picture
// number always gives the same picture.
type Scene struct {
	width, height int
	texture       []byte // textureSize squared
	noise         []byte // noiseSize, each 0 to noiseHeight
}

const (
	textureSize = 512     // a power of two
	noiseSize   = 1 << 17 // larger than a row, likewise
	noiseHeight = 6
)

// NewScene returns a scene for pictures of the given size, both even.
func NewScene(width, height int) *Scene {
	s := &Scene{width, height, make([]byte, textureSize*textureSize), make([]byte, noiseSize)}
	rng := rand.New(rand.NewPCG(3, 4))
	for i := range s.texture {
		s.texture[i] = 120
	}
	for i := range s.noise {
		s.noise[i] = byte(rng.IntN(noiseHeight + 1))
	}
	for _, octave := range []struct{ cell, height int }{{128, 48}, {32, 24}, {8, 12}} {
		s.addNoise(rng, octave.cell, octave.height)
	}
	return s
}

// addNoise adds smooth noise with features of cell pixels and the given height.
func (s *Scene) addNoise(rng *rand.Rand, cell, height int) {
	n := textureSize / cell
	lattice := make([]float64, n*n)
	for i := range lattice {
		lattice[i] = (rng.Float64()*2 - 1) * float64(height)
	}
	at := func(x, y int) float64 { return lattice[(y%n)*n+x%n] }
	for i := range s.texture {
		x, y := i%textureSize, i/textureSize
		fx, fy := float64(x%cell)/float64(cell), float64(y%cell)/float64(cell)
		x, y = x/cell, y/cell
		top := at(x, y)*(1-fx) + at(x+1, y)*fx
		bottom := at(x, y+1)*(1-fx) + at(x+1, y+1)*fx
		s.texture[i] = byte(min(max(float64(s.texture[i])+top*(1-fy)+bottom*fy, 16), 235))
	}
}

// Picture returns picture number n.
func (s *Scene) Picture(n int) *yuv.Picture {
	p := yuv.New(s.width, s.height)
	s.Draw(p, n)
	return p
}

// Draw paints picture number n over all of p, which has the scene's size.
func (s *Scene) Draw(p *yuv.Picture, n int) {
	const mask = textureSize - 1
	for y := range s.height {
		row := p.Y[y*p.StrideY:][:s.width]
		texture := s.texture[((y+n)&mask)*textureSize:][:textureSize]
		noise := s.noise[(y*s.width+n*7919)%(noiseSize-s.width):]
		for x := range row {
			row[x] = texture[(x+2*n)&mask] + noise[x]
		}
	}
	for y := range s.height / 2 {
		u, v := p.U[y*p.StrideUV:][:s.width/2], p.V[y*p.StrideUV:][:s.width/2]
		for x := range u {
			u[x] = byte(112 + (x+n)&mask/16)
			v[x] = byte(112 + (y+n/2)&mask/16)
		}
	}
	s.disc(p, n)
}

func (s *Scene) disc(p *yuv.Picture, n int) {
	r := s.height / 6
	angle := float64(n) / 20
	cx := s.width/2 + int(float64(s.width/4)*math.Cos(angle))
	cy := s.height/2 + int(float64(s.height/4)*math.Sin(angle))
	for y := max(0, cy-r); y < min(s.height, cy+r); y++ {
		for x := max(0, cx-r); x < min(s.width, cx+r); x++ {
			if (x-cx)*(x-cx)+(y-cy)*(y-cy) < r*r {
				p.Y[y*p.StrideY+x] = 150
				p.U[y/2*p.StrideUV+x/2] = 90
				p.V[y/2*p.StrideUV+x/2] = 180
			}
		}
	}
}
