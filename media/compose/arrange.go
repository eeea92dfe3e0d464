package compose

import "slices"

// A Member is a participant who may have a tile.
type Member struct {
	ID        string
	Spotlight bool // shown before anybody who speaks
}

// An Arrangement is who sits where, on a canvas of any size. It is immutable.
type Arrangement struct {
	Seats []string // members' ids, seat by seat
	grid  *grid
}

// Main returns the index of the large seat, or -1 if all are alike.
func (a *Arrangement) Main() int {
	if a.grid.main && len(a.Seats) > 0 {
		return 0
	}
	return -1
}

// Rect returns the place of seat i on a canvas of width by height pixels.
func (a *Arrangement) Rect(i, width, height int) Rect { return a.grid.rect(i, width, height) }

// Equal reports whether two arrangements look the same.
func (a *Arrangement) Equal(b *Arrangement) bool {
	return a.grid == b.grid && slices.Equal(a.Seats, b.Seats)
}

// Shows reports whether id has a seat.
func (a *Arrangement) Shows(id string) bool { return a.seat(id) >= 0 }

// seat returns the index of id's seat, or -1.
func (a *Arrangement) seat(id string) int {
	return slices.Index(a.Seats, id)
}

// Arrange seats members, who are given in order of arrival. speakers are who
// has spoken, the latest first. viewer is left out: it does not want to see
// itself; "" leaves nobody out.
//
// When there are more members than seats, those in the spotlight come first,
// then those who spoke last, then those who came first. A main seat is for the
// first of them. Everybody else stays where they sat in before, which may be
// nil: somebody who has begun to speak changes places with who was large, and
// somebody who must be shown takes the seat of who must go.
func (l *Layout) Arrange(members []Member, speakers []string, viewer string, before *Arrangement) *Arrangement {
	shown := rank(members, speakers, viewer, l.Seats())
	g := l.grid(len(shown))
	shown = shown[:min(len(shown), len(g.seats))]

	s := seating{seats: make([]string, len(shown)), left: shown}
	if g.main && len(shown) > 0 {
		s.take(0, shown[0])
	}
	switch {
	case before == nil:
	case before.grid == g:
		s.keep(before)
	default: // everything moves anyway, but nobody overtakes
		slices.SortStableFunc(s.left, func(a, b string) int { return position(before, a) - position(before, b) })
	}
	s.fill()

	return &Arrangement{Seats: s.seats, grid: g}
}

// seating is an arrangement in the making.
type seating struct {
	seats []string // who sits there; "" is free
	left  []string // who has no seat yet, the most important first
}

// take gives id a seat.
func (s *seating) take(seat int, id string) {
	s.seats[seat] = id
	s.left = slices.DeleteFunc(s.left, func(o string) bool { return o == id })
}

// free reports whether seat i exists and is free.
func (s *seating) free(i int) bool { return i >= 0 && i < len(s.seats) && s.seats[i] == "" }

// keep seats again whoever may stay. Who was large and is not any more goes
// where the new one has come from.
func (s *seating) keep(before *Arrangement) {
	for i, was := range before.Seats {
		if slices.Contains(s.left, was) && s.free(i) {
			s.take(i, was)
		}
	}
	if !before.grid.main || len(before.Seats) == 0 || len(s.seats) == 0 {
		return
	}
	if was, vacated := before.Seats[0], before.seat(s.seats[0]); slices.Contains(s.left, was) && s.free(vacated) {
		s.take(vacated, was)
	}
}

// fill gives the free seats to those who are left.
func (s *seating) fill() {
	for i := range s.seats {
		if s.free(i) {
			s.take(i, s.left[0])
		}
	}
}

// position is where somebody sat, or behind everybody.
func position(a *Arrangement, id string) int {
	if i := a.seat(id); i >= 0 {
		return i
	}
	return len(a.Seats)
}

// rank returns who wants to be seen, the most important first, most at most.
func rank(members []Member, speakers []string, viewer string, most int) []string {
	ids := make([]string, 0, most)
	add := func(id string) {
		if len(ids) < most && id != viewer && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	for _, m := range members {
		if m.Spotlight {
			add(m.ID)
		}
	}
	for _, id := range speakers {
		if slices.ContainsFunc(members, func(m Member) bool { return m.ID == id }) {
			add(id)
		}
	}
	for _, m := range members {
		add(m.ID)
	}
	return ids
}
