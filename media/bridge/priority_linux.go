package bridge

import "golang.org/x/sys/unix"

// lowerPriority makes the calling thread yield to the others of this process.
// Linux keeps the niceness per thread, whatever POSIX says, and raising it
// always succeeds; without it, video would only be less polite.
func lowerPriority() {
	nice := 0
	if raw, err := unix.Getpriority(unix.PRIO_PROCESS, unix.Gettid()); err == nil {
		nice = 20 - raw // the system call's own scale, which has no negative numbers
	}
	_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), min(nice+niceness, 19))
}
