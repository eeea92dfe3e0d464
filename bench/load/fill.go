package load

import (
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"time"
)

const (
	// burst is how often time is wasted, and fillEvery how often it is found out how
	// much of it.
	burst     = 20 * time.Millisecond
	fillEvery = 500 * time.Millisecond
)

// fill keeps the given share of all processors busy, by wasting what nobody
// else uses of it, until the engine is closed.
func (e *engine) fill(share float64) {
	var waste atomic.Int64 // of each burst, on each processor
	for range runtime.NumCPU() {
		e.wg.Go(func() {
			e.every(burst, func() {
				for begin := time.Now(); time.Since(begin) < time.Duration(waste.Load()); {
					continue
				}
			})
		})
	}
	e.wg.Go(func() {
		at := time.Now()
		idle, err := IdleTime()
		e.every(fillEvery, func() {
			now, was := time.Now(), idle
			if idle, err = IdleTime(); err != nil {
				return // what is measured will show that nothing was filled
			}
			busy := 1 - (idle-was).Seconds()/now.Sub(at).Seconds()/float64(runtime.NumCPU())
			at = now
			// Half of what is missing, so that it comes to rest.
			next := waste.Load() + int64((share-busy)/2*float64(burst))
			waste.Store(min(max(0, next), int64(share*float64(burst))))
		})
	})
}

// every calls do in regular intervals until the engine is closed.
func (e *engine) every(d time.Duration, do func()) {
	ticker := time.NewTicker(d)
	defer ticker.Stop()
	for {
		select {
		case <-e.stop:
			return
		case <-ticker.C:
			do()
		}
	}
}

// IdleTime is for how long all processors together have had nothing to do since
// the machine started.
func IdleTime() (time.Duration, error) {
	b, err := os.ReadFile("/proc/uptime")
	if err != nil {
		return 0, err
	}
	var up, idle float64
	if _, err := fmt.Sscan(string(b), &up, &idle); err != nil {
		return 0, fmt.Errorf("/proc/uptime: %w", err)
	}
	return time.Duration(idle * float64(time.Second)), nil
}
