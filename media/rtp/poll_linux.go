//go:build linux && !portable

package rtp

import (
	"errors"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// After so many rounds without a packet a poller looks less often.
	idleRounds = 100
	idleEvery  = 10 * time.Millisecond

	// A poller for so many sockets, and no more of them than places in Go's scheduler.
	pollerSockets = 256

	pollEvents = 256 // sockets asked for at once
	batchSize  = 32  // datagrams read at once
)

// pollers read the sockets of all sessions of the process: one goroutine for
// hundreds of sockets that packets arrive at evenly, instead of one each that is
// woken by every packet. They run while there is something to read.
type pollers struct {
	mu  sync.Mutex // guards what follows
	all []*poller
}

// pollEvery is how long packets may wait for others to be read with. Waking up
// costs as much as reading a dozen packets. Audio is mixed every 20 ms and does not
// care, and pictures come every 33 ms in a burst. To block until a packet comes would
// be no better: it would keep a processor of the scheduler until that noticed,
// which may take 10 ms, from whoever mixes.
const pollEvery = 5 * time.Millisecond

// shared is one for the process because what it shares out, processors, is.
var shared pollers

// A poller reads a set of sockets on a goroutine of its own.
type poller struct {
	epoll int

	mu      sync.Mutex // guards what follows; taken after pollers.mu
	sockets []*socket  // by slot; nil: free
	used    int
	stop    bool

	// Of the goroutine.
	events [pollEvents]unix.EpollEvent
	ready  []*socket
	batch  *batch
	reader reader
}

// watch begins to hand on what the socket receives.
func (s *socket) watch(session *Session, onRTCP bool) {
	s.session, s.onRTCP = session, onRTCP
	if err := shared.add(s); err != nil && !errors.Is(err, ErrClosed) {
		session.log.Error("socket cannot be read", "err", err)
	}
}

// unwatch keeps the poller from being told of the socket.
func (s *socket) unwatch() { shared.remove(s) }

// quiet returns when the handler has returned for the last time.
func (s *socket) quiet() {
	s.reading.Lock()
	defer s.reading.Unlock()
	s.session = nil // a poller that was told before knows by this
}

// add gives the socket to the poller that has least to do.
func (ps *pollers) add(s *socket) error {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	total := 0
	var best *poller
	for _, p := range ps.all {
		total += p.used
		if best == nil || p.used < best.used {
			best = p
		}
	}
	if n := len(ps.all); total >= n*pollerSockets && n < runtime.GOMAXPROCS(0) || best == nil {
		p, err := newPoller()
		if err != nil {
			return err
		}
		if err := p.add(s); err != nil {
			_ = unix.Close(p.epoll) // it has not been told of anything
			return err
		}
		ps.all = append(ps.all, p)
		go p.run()
		return nil
	}
	return best.add(s)
}

// remove takes the socket from its poller, which ends with its last one: soon, and
// nobody waits for it because it touches nothing any more.
func (ps *pollers) remove(s *socket) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	p := s.poller
	if p == nil {
		return
	}
	s.poller = nil
	if p.remove(s) == 0 {
		ps.all = slices.DeleteFunc(ps.all, func(q *poller) bool { return q == p })
		p.end()
	}
}

func newPoller() (*poller, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	return &poller{epoll: epoll, batch: newBatch()}, nil
}

func (p *poller) add(s *socket) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	slot := slices.Index(p.sockets, nil)
	if slot < 0 {
		slot = len(p.sockets)
		p.sockets = append(p.sockets, nil)
	}
	s.life.RLock()
	defer s.life.RUnlock()
	if s.fd < 0 {
		return ErrClosed
	}
	// Edge triggered: otherwise epoll looks into each socket once more to see
	// that it is empty.
	if err := unix.EpollCtl(p.epoll, unix.EPOLL_CTL_ADD, s.fd, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: int32(slot)}); err != nil {
		return os.NewSyscallError("epoll_ctl", err)
	}
	s.poller, s.slot = p, int32(slot)
	p.sockets[slot] = s
	p.used++
	return nil
}

func (p *poller) remove(s *socket) (left int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = unix.EpollCtl(p.epoll, unix.EPOLL_CTL_DEL, s.fd, nil)
	p.sockets[s.slot] = nil
	p.used--
	return p.used
}

// end lets the goroutine go when it looks next.
func (p *poller) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stop = true
}

// run is the goroutine.
func (p *poller) run() {
	defer unix.Close(p.epoll)
	idle := 0
	for {
		n := p.poll()
		if !p.find(n) {
			return
		}
		idle++
		if len(p.ready) > 0 {
			idle = 0
		}
		p.readAll()
		switch {
		case n == len(p.events) || len(p.ready) > 0: // there is more
			runtime.Gosched()
		case idle > idleRounds:
			time.Sleep(idleEvery)
		default:
			time.Sleep(pollEvery)
		}
	}
}

// poll returns how many sockets have something.
func (p *poller) poll() int {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.epoll), uintptr(unsafe.Pointer(&p.events[0])), pollEvents, 0, 0, 0)
	if errno != 0 {
		return 0 // interrupted
	}
	return int(n)
}

// find looks up the sockets of n events. It reports false when the poller is
// to end.
func (p *poller) find(n int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.events[:n] {
		// One that was closed meanwhile is gone, or another one is in its place
		// that has nothing to be read.
		// One that had more than a batch is in line already.
		if s := p.sockets[e.Fd]; s != nil && !s.ready {
			s.ready = true
			p.ready = append(p.ready, s)
		}
	}
	return !p.stop
}

// readAll reads a batch from each socket that is ready, and keeps those that
// have more: a flood of one delays the others by no more than that.
func (p *poller) readAll() {
	left := p.ready[:0]
	for _, s := range p.ready {
		if s.ready = p.read(s); s.ready {
			left = append(left, s)
		}
	}
	clear(p.ready[len(left):])
	p.ready = left
}

// read handles a batch of what a socket has. It reports whether there may be
// more.
func (p *poller) read(s *socket) (more bool) {
	s.reading.Lock()
	defer s.reading.Unlock()
	if s.session == nil {
		return false // closed
	}
	n, err := s.receive(p.batch)
	if err != nil {
		if s.failed++; s.failed == maxErrors {
			s.session.log.Error("socket cannot be read", "err", err)
			return false
		}
		return s.failed < maxErrors
	}
	s.failed = 0
	p.reader.s, p.reader.onRTCP = s.session, s.onRTCP
	now := time.Now()
	for i := range n {
		p.reader.datagram(p.batch.datagram(i), clean(p.batch.names[i].get()), p.batch.arrival(i, now))
	}
	p.reader.s = nil
	return n == batchSize
}

// receive reads a batch; nothing from a closed socket.
func (s *socket) receive(b *batch) (n int, err error) {
	s.life.RLock()
	defer s.life.RUnlock()
	if s.fd < 0 {
		return 0, nil
	}
	return b.receive(s.fd)
}

// A batch is what recvmmsg fills.
type batch struct {
	heads    [batchSize]mmsghdr
	slices   [batchSize]unix.Iovec
	names    [batchSize]sockaddr
	controls [batchSize]control
	data     [batchSize][maxDatagram + 1]byte
}

// A mmsghdr is the struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32
}

// A control holds the one control message that is asked for.
type control struct {
	head unix.Cmsghdr
	time unix.Timespec
}

func newBatch() *batch {
	b := &batch{}
	for i := range b.heads {
		b.slices[i].Base = &b.data[i][0]
		b.slices[i].SetLen(len(b.data[i]))
		h := &b.heads[i].hdr
		h.Iov = &b.slices[i]
		h.SetIovlen(1)
		h.Name = (*byte)(unsafe.Pointer(&b.names[i]))
		h.Control = (*byte)(unsafe.Pointer(&b.controls[i]))
		b.reset(i)
	}
	return b
}

// reset prepares an entry for the next call: the kernel writes both lengths.
func (b *batch) reset(i int) {
	b.heads[i].hdr.Namelen = uint32(unsafe.Sizeof(b.names[i]))
	b.heads[i].hdr.SetControllen(int(unsafe.Sizeof(b.controls[i])))
	b.controls[i].head.Len = 0
}

// receive reads without waiting. What it has read is valid until the next call.
func (b *batch) receive(fd int) (n int, err error) {
	r, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&b.heads[0])), batchSize, unix.MSG_DONTWAIT, 0, 0)
	switch errno {
	case 0:
	case unix.EAGAIN, unix.EINTR:
		return 0, nil
	default:
		return 0, os.NewSyscallError("recvmmsg", errno)
	}
	return int(r), nil
}

// datagram returns the i-th datagram.
func (b *batch) datagram(i int) []byte { return b.data[i][:b.heads[i].n] }

// arrival returns when the i-th datagram arrived, given the present time, and
// gives the entry back.
func (b *batch) arrival(i int, now time.Time) time.Time {
	c := &b.controls[i]
	known := int(b.heads[i].hdr.Controllen) >= unix.CmsgLen(int(unsafe.Sizeof(c.time))) &&
		c.head.Level == unix.SOL_SOCKET && c.head.Type == unix.SCM_TIMESTAMPNS
	at := c.time.Nano()
	b.reset(i)
	if !known {
		return now
	}
	// The kernel's is the clock on the wall, which may have been set meanwhile.
	waited := time.Duration(now.UnixNano() - at)
	if waited < 0 || waited > time.Minute {
		return now
	}
	return now.Add(-waited)
}
