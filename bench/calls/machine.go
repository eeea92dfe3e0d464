package calls

import (
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/skybridge-media/skybridge/bench/load"
	"github.com/skybridge-media/skybridge/media/priority"
)

const (
	// lookEvery is how often each processor is looked at.
	lookEvery = 4 * time.Millisecond

	// stall is for how long a processor must have done nothing for anybody.
	stall = 3 * time.Millisecond

	// probed is how many bytes of work tell how fast a processor is: 20 µs or so.
	probed = 16 << 10
)

// A watch looks at the machine itself while something is measured on it: when
// its processors stood still, because a virtual machine's host had other things to
// do, and how fast they were. A thread on each of them is woken up every 4 ms,
// before everybody else; when it is late nevertheless, so is everything.
type watch struct {
	at   time.Time
	idle time.Duration // of all processors before

	collect int // the percentage at which garbage was collected before
	stop    chan struct{}
	running sync.WaitGroup

	views []view // of each processor
}

// A view is what was seen of one processor. Its thread shares nothing: to wait for a lock
// is to wait for threads that have no privilege.
type view struct {
	err    error // why nobody looks
	stalls []time.Time
	longest,
	spent time.Duration // on probes
	probes int
}

// startWatch begins to look.
func startWatch() (*watch, error) {
	w := &watch{at: time.Now(), stop: make(chan struct{}), views: make([]view, runtime.NumCPU())}
	var err error
	if w.idle, err = load.IdleTime(); err != nil {
		return nil, err
	}
	// A collection stops the world, and goes on when its own thread gets a processor: those
	// who look would be late when no one else is.
	w.collect = debug.SetGCPercent(-1)
	for cpu := range w.views {
		w.running.Go(func() {
			runtime.LockOSThread() // for good: the thread ends with its privilege
			v := &w.views[cpu]
			if v.err = priority.RealTime(cpu); v.err == nil {
				v.look(w.stop)
			}
		})
	}
	return w, nil
}

// look is the life of a thread.
func (v *view) look(stop <-chan struct{}) {
	work := make([]byte, probed)
	due := time.Now()
	for {
		select {
		case <-stop:
			return
		default:
		}
		due = due.Add(lookEvery)
		nap(time.Until(due))
		now := time.Now()
		late := now.Sub(due)
		before := threadTime()
		probe(work)
		took := threadTime() - before
		v.spent += took
		v.probes++
		if late >= stall {
			v.stalls = append(v.stalls, now)
			v.longest = max(v.longest, late)
		}
		if late > 0 {
			due = now
		}
	}
}

// nap sleeps in the kernel; a signal ends it early, which does no harm. The runtime is
// not told: otherwise its monitor wakes up 3,000 times a second to take this
// thread's place in the scheduler away, and interrupts what is measured each time.
func nap(d time.Duration) {
	if t := unix.NsecToTimespec(int64(d)); d > 0 {
		_, _, _ = unix.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&t)), 0, 0)
	}
}

// probe does some work.
func probe(b []byte) {
	sum := byte(1)
	for i := range b {
		sum = sum*31 + b[i]
		b[i] = sum
	}
}

// end stops looking, and returns what was seen and which share of all processors
// was used meanwhile.
func (w *watch) end() (seen *machine, busy float64, err error) {
	close(w.stop)
	w.running.Wait()
	debug.SetGCPercent(w.collect)
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
		seen.stalls = append(seen.stalls, v.stalls...)
		seen.longest = max(seen.longest, v.longest)
		spent, probes = spent+v.spent, probes+v.probes
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
