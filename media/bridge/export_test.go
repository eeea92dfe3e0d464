package bridge

import "time"

// A Ticker runs a bridge's audio without its clock.
type Ticker struct{ a *audio }

// NewTicker returns a Ticker for b with legs, without starting a goroutine.
func NewTicker(b *Bridge, legs map[string]Leg) Ticker {
	b.attachQuietly(legs)
	return Ticker{newAudio(b)}
}

func (b *Bridge) attachQuietly(legs map[string]Leg) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, l := range legs {
		b.legs = append(b.legs, newLeg(id, l, false))
	}
	b.publish()
}

// Tick runs one.
func (t Ticker) Tick() { t.a.tick(t.a.bridge.roster.Load()) }

// Close releases encoders.
func (t Ticker) Close() { t.a.close() }

// Stage runs a bridge's video without its clock.
type Stage struct{ v *video }

// NewStage returns a Stage for b with legs, as NewTicker does.
func NewStage(b *Bridge, legs map[string]Leg) Stage {
	b.attachQuietly(legs)
	return Stage{newVideo(b)}
}

// Shoot has one picture composed and encoded, and waits until that is done.
func (s Stage) Shoot(at time.Time) {
	s.v.step(s.v.bridge.roster.Load(), s.v.bridge.speakers.Load(), at)
	s.v.bridge.running.Wait()
}

// Close releases encoders.
func (s Stage) Close() { s.v.close() }

// Clock is a clock under test.
type Clock struct{ c *clock }

// NewClock returns a clock.
func NewClock(period, patience time.Duration) Clock {
	return Clock{newClock(time.Now().Add(period), period, patience)}
}

// Wait returns at the next tick and says how late it is.
func (c Clock) Wait() time.Duration {
	_, late, _ := c.c.wait(nil)
	return late
}

// Close releases the clock.
func (c Clock) Close() { c.c.close() }
