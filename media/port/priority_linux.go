package port

import "golang.org/x/sys/unix"

// niceness is how much lower than the rest of the process decoders run: the
// same as the bridge's workers.
const niceness = 10

// lowerPriority makes the calling thread yield to others. Linux keeps the
// niceness per thread, whatever POSIX says, and lowering it always succeeds.
func lowerPriority() {
	_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), niceness)
}
