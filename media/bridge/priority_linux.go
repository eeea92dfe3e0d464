package bridge

import "golang.org/x/sys/unix"

// lowerPriority makes the calling thread yield to others. Linux keeps the
// niceness per thread, whatever POSIX says, and lowering it always succeeds.
func lowerPriority() {
	_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), niceness)
}
