package port

import (
	"sync"
	"time"
)

// chores is something that is done now and then, on a timer, never twice at a
// time. The zero value with do set is ready.
type chores struct {
	do func()

	working sync.Mutex // held while do runs

	mu    sync.Mutex // guards what follows; never held for long
	timer *time.Timer
	due   bool // the timer runs
	ended bool
}

// after does it in so long, unless it is due already.
func (c *chores) after(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.ended || c.due:
		return
	case c.timer == nil:
		c.timer = time.AfterFunc(d, c.work)
	default:
		c.timer.Reset(d)
	}
	c.due = true
}

func (c *chores) work() {
	c.working.Lock()
	defer c.working.Unlock()
	c.mu.Lock()
	ended := c.ended
	c.due = false
	c.mu.Unlock()
	if !ended {
		c.do()
	}
}

// end returns when it has been done for the last time.
func (c *chores) end() {
	c.mu.Lock()
	c.ended = true
	if c.timer != nil {
		c.timer.Stop()
	}
	c.mu.Unlock()
	c.working.Lock() // what runs now ends first
	defer c.working.Unlock()
}
