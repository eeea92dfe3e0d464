package selfcheck

import (
	"time"

	"golang.org/x/sys/unix"
)

// lowerPriority makes the calling thread yield to those that carry calls, and
// leaves it enough to be done in time on a machine that is busy. Raising the
// niceness always succeeds.
func lowerPriority() { _ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), 10) }

// cpuTime is the CPU time of the calling thread so far.
func cpuTime() time.Duration {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts) != nil {
		return 0 // every kernel has it; without, the result is not valid and says so
	}
	return time.Duration(ts.Nano())
}
