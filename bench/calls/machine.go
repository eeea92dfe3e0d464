package calls

// #include <stdlib.h>
// #include "watch.h"
import "C"

import (
	"runtime"
	"slices"
	"sync"
	"time"
	"unsafe"

	"github.com/skybridge-media/skybridge/bench/load"
	"github.com/skybridge-media/skybridge/media/priority"
)

const (
	// lookEvery is how often each processor is looked at.
	lookEvery = 4 * time.Millisecond

	// stall is for how long a processor must have done nothing for anybody.
	stall = 3 * time.Millisecond
)

// A watch looks at the machine itself while something is measured on it: when
// its processors stood still, because a virtual machine's host had other things to
// do, and how fast they were. A thread on each of them is woken up every 4 ms,
// before everybody else; when it is late nevertheless, so is everything.
type watch struct {
	at   time.Time
	idle time.Duration // of all processors before

	running sync.WaitGroup

	views []view // of each processor
}

// A view is what was seen of one processor.
type view struct {
	err  error // why nobody looks
	seen *C.sky_view
}

// startWatch begins to look.
func startWatch() (*watch, error) {
	w := &watch{at: time.Now(), views: make([]view, runtime.NumCPU())}
	var err error
	if w.idle, err = load.IdleTime(); err != nil {
		return nil, err
	}
	for i := range w.views {
		w.views[i].seen = (*C.sky_view)(C.calloc(1, C.sizeof_sky_view)) // aborts without memory, as Go does
	}
	for cpu := range w.views {
		w.running.Go(func() {
			runtime.LockOSThread() // for good: the thread ends with its privilege
			v := &w.views[cpu]
			if v.err = priority.RealTime(cpu); v.err == nil {
				C.sky_look(v.seen, C.int64_t(lookEvery), C.int64_t(stall))
			}
		})
	}
	return w, nil
}

// end stops looking, and returns what was seen and which share of all processors
// was used meanwhile.
func (w *watch) end() (seen *machine, busy float64, err error) {
	for _, v := range w.views {
		C.sky_stop(v.seen)
	}
	w.running.Wait()
	defer func() {
		for _, v := range w.views {
			C.free(unsafe.Pointer(v.seen))
		}
	}()
	idle, err := load.IdleTime()
	if err != nil {
		return nil, 0, err
	}
	busy = 1 - (idle-w.idle).Seconds()/time.Since(w.at).Seconds()/float64(runtime.NumCPU())
	seen = &machine{}
	var spent time.Duration
	probes := 0
	for _, v := range w.views {
		if v.err != nil {
			return nil, busy, nil // without the privilege nobody can tell
		}
		for _, at := range v.seen.stalled[:v.seen.stalls] {
			seen.stalls = append(seen.stalls, time.Unix(0, int64(at)))
		}
		seen.longest = max(seen.longest, time.Duration(v.seen.longest))
		spent, probes = spent+time.Duration(v.seen.spent), probes+int(v.seen.probes)
	}
	slices.SortFunc(seen.stalls, time.Time.Compare)
	if probes > 0 {
		seen.probe = spent / time.Duration(probes)
	}
	return seen, busy, nil
}

// A machine is what was seen of it.
type machine struct {
	stalls  []time.Time // when they ended
	longest time.Duration
	probe   time.Duration // CPU time of the same work, on average
}

// stood reports whether a processor stood still between two times.
func (m *machine) stood(from, to time.Time) bool {
	i, _ := slices.BinarySearchFunc(m.stalls, from, time.Time.Compare)
	return i < len(m.stalls) && m.stalls[i].Before(to)
}
