package priority

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// slice is for how long threads ask to run at a time. The kernel lets one that
	// asks for less run sooner after it wakes up (EEVDF, since Linux 6.12; it gives
	// 1.4 ms on two processors, 2.8 on eight). Three busy threads on two processors
	// kept one that wakes up every 5 ms from it for longer than 5 ms in 12 of 3000
	// cases, and in none when it asked for 0.1 ms. Shorter ones let our own threads
	// interrupt each other more often. 0.2 and 1 ms were measured as well; this is
	// in between.
	slice = 500 * time.Microsecond

	// long is for who does not care when it runs.
	long = 5 * time.Millisecond

	// promptness is the niceness that is asked for. The kernel is fair to threads: one
	// of four that use half a processor each waits, however short its turns, while
	// somebody else's thread has had less. At -10 it gets nine times what others get.
	promptness = -10

	// politeness is how much nicer threads in the background are. At 10 the kernel
	// gives one about a tenth of what it gives another thread that wants the same
	// processor. More would starve the short stretches of Go between two calls of
	// an encoder, and whoever waits for those: the garbage collector.
	politeness = 10
)

// Prompt makes the threads of the process, and those that it starts from then
// on, run soon after they wake up, which takes no privilege, and, if the process may
// (CAP_SYS_NICE or RLIMIT_NICE) and nobody has chosen another niceness for it, before
// those of other processes.
func Prompt() error {
	const tasks = "/proc/self/task"
	threads, err := os.ReadDir(tasks)
	if err != nil {
		return fmt.Errorf("priority: %w", err)
	}
	for _, t := range threads {
		id, err := strconv.Atoi(t.Name())
		if err != nil {
			return fmt.Errorf("priority: %s: %w", tasks, err)
		}
		if err := prompt(id); err != nil && !errors.Is(err, unix.ESRCH) { // it may have ended
			return err
		}
	}
	return nil
}

func prompt(thread int) error {
	nice := niceness(thread)
	if nice == 0 {
		err := set(thread, promptness, slice)
		if !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EACCES) {
			return err
		}
	}
	return set(thread, nice, slice)
}

// Background makes the calling thread yield to all others: whoever calls it must
// have locked it to its goroutine, and end with it locked. Linux keeps these
// properties per thread, whatever POSIX says.
func Background() error {
	id := unix.Gettid()
	return set(id, min(niceness(id)+politeness, 19), long)
}

// RealTime makes the calling thread, which is locked as with Background, run at
// once on the processor cpu whatever else wants to. It takes CAP_SYS_NICE.
func RealTime(cpu int) error {
	var only unix.CPUSet
	only.Set(cpu)
	if err := unix.SchedSetaffinity(0, &only); err != nil {
		return os.NewSyscallError("sched_setaffinity", err)
	}
	attr := &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_RR, Priority: 1}
	return os.NewSyscallError("sched_setattr", unix.SchedSetAttr(0, attr, 0))
}

// set leaves a policy alone that somebody has chosen for the process.
func set(thread, nice int, slice time.Duration) error {
	attr, err := unix.SchedGetAttr(thread, 0)
	if err != nil {
		return err
	}
	if attr.Policy != unix.SCHED_NORMAL && attr.Policy != unix.SCHED_BATCH {
		return nil
	}
	attr.Nice, attr.Runtime = int32(nice), uint64(slice)
	return unix.SchedSetAttr(thread, attr, 0)
}

// niceness is that of a thread.
func niceness(thread int) int {
	raw, err := unix.Getpriority(unix.PRIO_PROCESS, thread)
	if err != nil {
		return 0
	}
	return 20 - raw // the system call's own scale, which has no negative numbers
}
