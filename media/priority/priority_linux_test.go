package priority_test

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/skybridge-media/skybridge/media/priority"
)

// attributes returns those of the calling thread.
func attributes(t *testing.T) *unix.SchedAttr {
	t.Helper()
	a, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// onThread runs f on a thread of its own, which ends with it.
func onThread(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		f()
	}()
	<-done
}

// Threads that exist, those that come, and one in the background that does not
// hand down what it is.
func TestThreads(t *testing.T) {
	before := attributes(t)
	var privileged bool
	onThread(func() { privileged = unix.Setpriority(unix.PRIO_PROCESS, 0, -10) == nil })
	if err := priority.Prompt(); err != nil {
		t.Fatal(err)
	}
	var prompt, background, after *unix.SchedAttr
	onThread(func() { prompt = attributes(t) })
	onThread(func() {
		if err := priority.Background(); err != nil {
			t.Error(err)
		}
		background = attributes(t)
		onThread(func() { after = attributes(t) })
	})
	if prompt.Nice > before.Nice || background.Nice <= prompt.Nice || after.Nice != prompt.Nice {
		t.Errorf("niceness %d, in the background %d, then %d; it was %d", prompt.Nice, background.Nice, after.Nice, before.Nice)
	}
	if privileged && before.Nice == 0 && prompt.Nice != -10 {
		t.Errorf("niceness %d, though it may be -10", prompt.Nice)
	}
	if before.Runtime == 0 {
		t.Skip("this kernel knows no slices")
	}
	if prompt.Runtime >= before.Runtime || background.Runtime <= prompt.Runtime || after.Runtime != prompt.Runtime {
		t.Errorf("slice %d ns, in the background %d, then %d; it was %d", prompt.Runtime, background.Runtime, after.Runtime, before.Runtime)
	}
}
