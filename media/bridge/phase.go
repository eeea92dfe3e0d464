package bridge

import (
	"sync"
	"time"
)

// slots is into how many points of time a Tick is divided.
const slots = 16

// phases spreads the audio clocks of the process over a Tick. Rooms that begin in
// a regular rhythm would all want the processors at the same moment otherwise: of
// 16 that need 1 ms each, on two processors, one tick in twelve was more than 5 ms
// late with the processors half idle.
var phases spread

// A spread says how many clocks tick in each slot. Safe for concurrent use.
type spread struct {
	mu   sync.Mutex
	used [slots]int
}

// take returns the first time, at least one Tick from now, of the slot in which
// fewest tick. It is to be given back.
func (s *spread) take(now time.Time) (first time.Time, slot int) {
	const width = Tick / slots
	next := now.Add(Tick)
	if into := time.Duration(next.UnixNano()) % width; into > 0 {
		next = next.Add(width - into)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	begin := int(next.UnixNano() / int64(width) % slots)
	best := 0
	for i := range slots {
		if s.used[(begin+i)%slots] < s.used[(begin+best)%slots] {
			best = i
		}
	}
	slot = (begin + best) % slots
	s.used[slot]++
	return next.Add(time.Duration(best) * width), slot
}

// give makes room in a slot.
func (s *spread) give(slot int) {
	s.mu.Lock()
	s.used[slot]--
	s.mu.Unlock()
}
