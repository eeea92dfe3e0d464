package bridge

import (
	"runtime"
	"sync"

	"github.com/skybridge-media/skybridge/media/priority"
)

// A Job is one piece of work for a worker: a picture to compose, to encode or to
// decode. Run must not wait for another job.
type Job interface{ Run() }

// Workers is a process-wide pool of threads that decode, compose and encode video
// for all bridges. There are as many as may run at once; each is an operating
// system thread of lower priority than audio, so that an overloaded machine
// drops pictures long before it delays sound. Jobs run in order of arrival,
// which is fair: a view and an encode group have at most one each in the queue.
// Safe for concurrent use.
type Workers struct {
	mu     sync.Mutex // guards the queue
	more   sync.Cond
	queue  []Job // a ring: count jobs from head on
	head   int
	count  int
	closed bool

	running sync.WaitGroup
}

// NewWorkers starts n threads, or one for each processor if n is not positive.
//
// The process should raise GOMAXPROCS by n: a thread inside an encoder keeps
// its place in the scheduler until that takes it away, and an audio tick that
// is due meanwhile waits for it. With two of each, all busy, that made one tick
// in fifty start more than 5 ms late; with two more, one in four hundred.
func NewWorkers(n int) *Workers {
	if n <= 0 {
		n = runtime.GOMAXPROCS(0)
	}
	w := &Workers{queue: make([]Job, 64)}
	w.more.L = &w.mu
	for range n {
		w.running.Go(w.work)
	}
	return w
}

// Close ends the threads when the queue is empty, and waits for them. All
// bridges that use them must have been closed before.
func (w *Workers) Close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.more.Broadcast()
	w.running.Wait()
}

// Submit queues j. It never blocks. It must not be called after Close.
func (w *Workers) Submit(j Job) {
	w.mu.Lock()
	if w.count == len(w.queue) {
		grown := make([]Job, 2*len(w.queue))
		n := copy(grown, w.queue[w.head:])
		copy(grown[n:], w.queue[:w.head])
		w.queue, w.head = grown, 0
	}
	w.queue[(w.head+w.count)%len(w.queue)] = j
	w.count++
	w.mu.Unlock()
	w.more.Signal()
}

// work is one thread's life. It ends locked, so that the runtime destroys the
// thread instead of letting others run at its priority.
func (w *Workers) work() {
	runtime.LockOSThread()
	_ = priority.Background() // without it, video would only be less polite
	for {
		j := w.next()
		if j == nil {
			return
		}
		j.Run()
	}
}

// next waits for a job; nil means that there will be none.
func (w *Workers) next() Job {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.count == 0 {
		if w.closed {
			return nil
		}
		w.more.Wait()
	}
	j := w.queue[w.head]
	w.queue[w.head] = nil
	w.head = (w.head + 1) % len(w.queue)
	w.count--
	return j
}
