package compose

import (
	"fmt"
	"strings"
)

// Default is the layout of a conference that does not say otherwise: who
// speaks is large, up to seven others are small beside it or around it.
const Default = "1+7"

// A Layout says where tiles go. Values are immutable and shared.
type Layout struct {
	name  string
	grids []grid // by number of seats; the first that seats everybody is taken
}

// A grid cuts the canvas into units and places seats on them.
type grid struct {
	cols, rows int
	seats      []cell
	main       bool // the first seat is for whoever speaks
}

// A cell is a seat's place and extent in units.
type cell struct{ x, y, w, h int }

// layouts holds every layout in the order in which they are offered. Their
// geometry is all there is to a layout.
var layouts = []*Layout{
	{"1+0", []grid{whole}},
	{"1+7", []grid{whole, beside(8, 1), beside(8, 2), beside(8, 3), {4, 4, []cell{
		{0, 0, 3, 3},
		{3, 0, 1, 1},
		{3, 1, 1, 1},
		{3, 2, 1, 1}, // down the right side
		{0, 3, 1, 1},
		{1, 3, 1, 1},
		{2, 3, 1, 1},
		{3, 3, 1, 1}, // along the bottom
	}, true}}},
	{"2x2", []grid{square(2)}},
	{"3x3", []grid{square(3)}},
	{"4x4", []grid{square(4)}},
	{"adaptive", []grid{
		rows(1, 1),
		rows(2, 2),
		rows(2, 2, 1), rows(2, 2, 2),
		rows(3, 3, 2), rows(3, 3, 3),
		rows(3, 3, 3, 1), rows(3, 3, 3, 2), rows(3, 3, 3, 3),
		rows(4, 4, 4, 2), rows(4, 4, 4, 3), rows(4, 4, 4, 4),
		rows(4, 4, 4, 4, 1), rows(4, 4, 4, 4, 2), rows(4, 4, 4, 4, 3), rows(4, 4, 4, 4, 4),
	}},
}

// whole is one seat that takes the canvas.
var whole = grid{1, 1, []cell{{0, 0, 1, 1}}, true}

// presenting is what every layout of several seats becomes while somebody
// presents: what is presented is as large as leaves room for a column of those
// who speak.
var presenting = &Layout{"presentation", []grid{
	whole,
	beside(10, 1), beside(10, 2), beside(10, 3), beside(10, 4), beside(10, 5),
}}

// beside is a large seat, the first, with n small ones in a column on its right,
// all centred. Each has the shape of the canvas, which is cut into units both
// ways, of which the column is two wide.
func beside(units, n int) grid {
	g := grid{cols: units, rows: units, seats: []cell{{0, 1, units - 2, units - 2}}, main: true}
	for i := range n {
		g.seats = append(g.seats, cell{units - 2, units/2 - n + 2*i, 2, 2})
	}
	return g
}

// square is n rows of n equal seats.
func square(n int) grid {
	g := grid{cols: n, rows: n}
	for y := range n {
		for x := range n {
			g.seats = append(g.seats, cell{x, y, 1, 1})
		}
	}
	return g
}

// rows are rows of seats, each 1/n of the width and of the height of the
// canvas, so that a tile has the shape of the canvas; centred both ways.
func rows(n int, in ...int) grid {
	g := grid{cols: 2 * n, rows: 2 * n} // half tiles, to centre by
	for row, seats := range in {
		for i := range seats {
			g.seats = append(g.seats, cell{n - seats + 2*i, n - len(in) + 2*row, 2, 2})
		}
	}
	return g
}

// Layouts returns the names that [Parse] knows.
func Layouts() []string {
	names := make([]string, len(layouts))
	for i, l := range layouts {
		names[i] = l.name
	}
	return names
}

// Parse returns the layout of a name; an empty one stands for [Default].
func Parse(name string) (*Layout, error) {
	if name == "" {
		name = Default
	}
	for _, l := range layouts {
		if l.name == name {
			return l, nil
		}
	}
	return nil, fmt.Errorf("compose: unknown layout %q; there are %s", name, strings.Join(Layouts(), ", "))
}

// Presenting returns the layout to take instead while somebody presents. Its
// first seat is for what is presented, if that is the first in the spotlight. A
// layout of one seat stays as it is: the others are not wanted.
func (l *Layout) Presenting() *Layout {
	if l.Seats() == 1 {
		return l
	}
	return presenting
}

// String returns the layout's name.
func (l *Layout) String() string { return l.name }

// Seats returns how many participants the layout can show.
func (l *Layout) Seats() int { return len(l.grids[len(l.grids)-1].seats) }

// grid returns the grid for n participants.
func (l *Layout) grid(n int) *grid {
	for i := range l.grids {
		if len(l.grids[i].seats) >= n {
			return &l.grids[i]
		}
	}
	return &l.grids[len(l.grids)-1]
}

// A Rect is a place on the canvas in pixels. All four are even.
type Rect struct{ X, Y, W, H int }

// rect returns where seat i is on a canvas of w by h pixels. Seats of equal
// extent are equally large to the pixel, so that one scaled picture fits all.
func (g *grid) rect(i, w, h int) Rect {
	c := g.seats[i]
	return Rect{
		X: even(c.x * w / g.cols), Y: even(c.y * h / g.rows),
		W: even(c.w * w / g.cols), H: even(c.h * h / g.rows),
	}
}

// even rounds down.
func even(n int) int { return n &^ 1 }
