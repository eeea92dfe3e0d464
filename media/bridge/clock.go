package bridge

import "time"

// A clock ticks on a fixed schedule: a late tick does not delay those that
// follow. Ticks that were missed are made up for at twice the pace, so that
// receivers see no burst; beyond its patience, the clock lets them go.
// It is not safe for concurrent use.
type clock struct {
	period   time.Duration
	patience time.Duration // how far behind it catches up
	due      time.Time     // of the next tick, by schedule
	began    time.Time     // the last tick
	timer    *time.Timer
}

// newClock returns a clock that ticks at due first.
func newClock(due time.Time, period, patience time.Duration) *clock {
	now := time.Now()
	return &clock{
		period: period, patience: patience,
		due: due, began: now,
		timer: time.NewTimer(due.Sub(now)),
	}
}

// wait returns at the next tick with its time and how late it is by schedule,
// or false once stop is closed.
func (c *clock) wait(stop <-chan struct{}) (began time.Time, late time.Duration, ok bool) {
	at := c.due
	if soonest := c.began.Add(c.period / 2); at.Before(soonest) {
		at = soonest
	}
	c.timer.Reset(time.Until(at))
	select {
	case <-stop:
		return time.Time{}, 0, false
	case <-c.timer.C:
	}
	c.began = time.Now()
	late = max(0, c.began.Sub(c.due))
	c.due = c.due.Add(c.period)
	if late > c.patience {
		c.due = c.due.Add(late.Truncate(c.period)) // the same point of a later period
	}
	return c.began, late, true
}

// close releases the timer.
func (c *clock) close() { c.timer.Stop() }

// epoch is what the RTP timestamps of all bridges count from, so that a leg
// that moves to another bridge sees no jump.
var epoch = time.Now()

// timestamp returns t on the 90 kHz clock of video.
func timestamp(t time.Time) uint32 { return uint32(t.Sub(epoch).Microseconds() * 9 / 100) }
