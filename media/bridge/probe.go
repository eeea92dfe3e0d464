package bridge

// Legs whose level nobody knows are decoded now and then to find out. Who may
// have begun to speak is looked at soon and often, who has said nothing before
// less and less, and who claims to pause rarely. So a room of fifty who tell
// when they pause costs about a decode per tick, one of fifty who do not six,
// and who begins to speak is heard at once in the one, within 200 ms in the other.
const (
	// rareLook is after how many ticks somebody is looked at whose encoder finds
	// no speech. Music is none, and must be found all the same.
	rareLook = 50

	// slowestLook is the same for somebody who may speak but did not, before.
	slowestLook = 8

	// enough is the level, in -dBov, that lets somebody be heard. Who is that
	// loud and has no place is looked at all the time, to be compared.
	enough = 62
)

// A probe is when a leg of unknown level is looked at.
type probe struct {
	last int // the tick in which it was decoded last
	wait int // ticks until it is again, unless it claims to pause
}

// probe decodes a few of those whose level is unknown, in turn: as many as it
// takes to look at everybody every slowestLook ticks.
func (a *audio) probe() {
	if a.unknown == 0 {
		return
	}
	n := len(a.audible)
	left := max(4, (n+slowestLook-1)/slowestLook)
	rare := 1 + n/rareLook // of them, who pause: what begins comes first
	at := a.probed
	for range n {
		if at++; at >= n {
			at = 0
		}
		l := a.audible[at]
		e := &l.ear
		switch {
		case !e.due || e.known:
			continue
		case e.frame != nil: // heard
			e.probe = probe{last: a.n, wait: 1}
			continue
		case e.quiet && e.measured > enough:
			e.probe.wait = 1
			if rare == 0 || a.n-e.probe.last < rareLook {
				continue
			}
			rare--
		case a.n-e.probe.last < e.probe.wait:
			continue
		}
		if left == 0 {
			continue
		}
		left--
		a.decode(l)
		a.probed = at
		e.probe.last = a.n
		if e.measured <= enough {
			e.probe.wait = 1
		} else {
			e.probe.wait = min(2*max(1, e.probe.wait), slowestLook)
		}
	}
}
