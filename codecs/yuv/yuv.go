// Package yuv holds the raw picture format every video codec meets in, I420:
// a full plane of luma and two quarter planes of chroma, BT.601 limited range.
package yuv

// A Picture is an I420 picture or a window into one. Width and Height are even.
// Planes may be longer than Stride times rows. A Picture passed to a function
// is borrowed for the call. It is not safe for concurrent use while written.
type Picture struct {
	Y, U, V       []byte
	StrideY       int // bytes from one luma row to the next
	StrideUV      int // the same for both chroma planes
	Width, Height int // pixels of luma
}

// New returns a black picture. It panics on odd or non-positive sizes, which
// are bugs of the caller.
func New(width, height int) *Picture {
	if width <= 0 || height <= 0 || width%2 != 0 || height%2 != 0 {
		panic("yuv: sizes must be positive and even")
	}
	n := width * height
	buf := make([]byte, n+n/2)
	p := &Picture{
		Y: buf[:n:n], U: buf[n : n+n/4 : n+n/4], V: buf[n+n/4:],
		StrideY: width, StrideUV: width / 2, Width: width, Height: height,
	}
	p.Fill(Black)
	return p
}

// Whole reports whether the planes hold every row of the picture, which is what
// C code that gets their addresses relies on.
func (p *Picture) Whole() bool {
	holds := func(plane []byte, stride, w, h int) bool {
		return w > 0 && h > 0 && stride >= w && len(plane) >= stride*(h-1)+w
	}
	return holds(p.Y, p.StrideY, p.Width, p.Height) &&
		holds(p.U, p.StrideUV, p.Width/2, p.Height/2) &&
		holds(p.V, p.StrideUV, p.Width/2, p.Height/2)
}

// A Color is one I420 sample triple.
type Color struct{ Y, U, V byte }

// Black is black in limited range.
var Black = Color{16, 128, 128}

// Fill paints the whole picture in one color.
func (p *Picture) Fill(c Color) {
	fill := func(plane []byte, stride, w, h int, v byte) {
		for y := range h {
			row := plane[y*stride : y*stride+w]
			for x := range row {
				row[x] = v
			}
		}
	}
	fill(p.Y, p.StrideY, p.Width, p.Height, c.Y)
	fill(p.U, p.StrideUV, p.Width/2, p.Height/2, c.U)
	fill(p.V, p.StrideUV, p.Width/2, p.Height/2, c.V)
}

// Window returns the part of p at (x, y) of the given size, sharing its
// memory. All four are even and inside p; anything else panics.
func (p *Picture) Window(x, y, width, height int) Picture {
	if x%2 != 0 || y%2 != 0 || width%2 != 0 || height%2 != 0 || x < 0 || y < 0 || x+width > p.Width || y+height > p.Height {
		panic("yuv: window outside the picture")
	}
	return Picture{
		Y: p.Y[y*p.StrideY+x:], U: p.U[y/2*p.StrideUV+x/2:], V: p.V[y/2*p.StrideUV+x/2:],
		StrideY: p.StrideY, StrideUV: p.StrideUV, Width: width, Height: height,
	}
}
