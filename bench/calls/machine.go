package calls

import (
	"runtime"
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

	stop    chan struct{}
	running sync.WaitGroup

	mu     sync.Mutex // guards what follows
	err    error      // why nobody looks
	stalls []time.Time
	longest,
	spent time.Duration // on probes
	probes int
}

// startWatch begins to look.
func startWatch() (*watch, error) {
	w := &watch{at: time.Now(), stop: make(chan struct{})}
	var err error
	if w.idle, err = load.IdleTime(); err != nil {
		return nil, err
	}
	for cpu := range runtime.NumCPU() {
		w.running.Go(func() {
			runtime.LockOSThread() // for good: the thread ends with its privilege
			if err := priority.RealTime(cpu); err != nil {
				w.mu.Lock()
				w.err = err
				w.mu.Unlock()
				return
			}
			w.look()
		})
	}
	return w, nil
}

// look is the life of a thread.
func (w *watch) look() {
	work := make([]byte, probed)
	due := time.Now()
	for {
		select {
		case <-w.stop:
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
		w.mu.Lock()
		w.spent += took
		w.probes++
		if late >= stall {
			w.stalls = append(w.stalls, now)
			w.longest = max(w.longest, late)
		}
		w.mu.Unlock()
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
	idle, err := load.IdleTime()
	if err != nil {
		return nil, 0, err
	}
	busy = 1 - (idle-w.idle).Seconds()/time.Since(w.at).Seconds()/float64(runtime.NumCPU())
	if w.err != nil {
		return nil, busy, nil // without the privilege nobody can tell
	}
	slices.SortFunc(w.stalls, time.Time.Compare)
	seen = &machine{stalls: w.stalls, longest: w.longest}
	if w.probes > 0 {
		seen.probe = w.spent / time.Duration(w.probes)
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
