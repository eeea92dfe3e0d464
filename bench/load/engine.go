package load

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	audioSlots = 20 // ms between two packets of a member
	pollEvery  = 2 * time.Millisecond
)

// An engine sends and receives for all members: one goroutine for each
// direction. Members join while it runs and stay until it is stopped.
type engine struct {
	spec *Spec

	mu      sync.Mutex                // guards the publication of members
	members atomic.Pointer[[]*member] // those that have joined
	sockets atomic.Pointer[[]target]  // by tag of the poller
	poller  *poller

	window       atomic.Int32  // 0 before, 1 within, 2 after
	marked       chan struct{} // receives when all members have noted that
	began, ended time.Time     // of the window; of the receiving goroutine

	late atomic.Int64 // ms that sending was behind schedule at most, within the window

	stop chan struct{}
	wg   sync.WaitGroup
}

// target is what a socket's datagrams are for.
type target struct {
	flow    *flow
	control bool
}

func newEngine(spec *Spec) (*engine, error) {
	p, err := newPoller()
	if err != nil {
		return nil, err
	}
	e := &engine{spec: spec, poller: p, marked: make(chan struct{}, 2), stop: make(chan struct{})}
	e.members.Store(&[]*member{})
	e.sockets.Store(&[]target{})
	e.wg.Go(e.send)
	e.wg.Go(e.receive)
	if spec.Fill > 0 {
		e.fill(spec.Fill)
	}
	return e, nil
}

// join adds a member that is connected.
func (e *engine) join(m *member) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	sockets := append([]target(nil), *e.sockets.Load()...)
	type source struct {
		s   socket
		tag int32
	}
	var add []source
	for _, f := range m.flows() {
		if !f.hasSockets() {
			continue
		}
		add = append(add, source{f.media, int32(len(sockets))}, source{f.control, int32(len(sockets) + 1)})
		sockets = append(sockets, target{f, false}, target{f, true})
	}
	e.sockets.Store(&sockets)
	for _, a := range add {
		if err := e.poller.add(a.s, a.tag); err != nil {
			return err
		}
	}
	members := append(append([]*member(nil), *e.members.Load()...), m)
	e.members.Store(&members)
	return nil
}

// send gives every member its turn each 20 ms, and each picture, spread over
// the milliseconds as endpoints' clocks are.
func (e *engine) send() {
	const step = time.Millisecond
	timer := time.NewTimer(step)
	defer timer.Stop()
	frame := time.Second
	if e.spec.Video != nil {
		frame = time.Second / time.Duration(e.spec.Video.FrameRate)
	}
	begin := time.Now()
	next := map[*member]time.Duration{} // when its next picture is due
	for n := 0; ; n++ {
		due := begin.Add(time.Duration(n) * step)
		if wait := time.Until(due); wait > 0 {
			timer.Reset(wait)
			select {
			case <-e.stop:
				return
			case <-timer.C:
			}
		}
		now := time.Now()
		if late := now.Sub(due).Milliseconds(); e.window.Load() == 1 && late > e.late.Load() {
			e.late.Store(late)
		}
		select {
		case <-e.stop:
			return
		default:
		}
		members := *e.members.Load()
		for i, m := range members {
			// 7 and 20 have no common divisor: neighbours are far apart.
			if (n+7*i)%audioSlots == 0 {
				m.speak()
			}
			if m.clips == nil {
				continue
			}
			at, ok := next[m]
			elapsed := due.Sub(begin)
			if !ok {
				at = elapsed + time.Duration(i*7%33)*step
			}
			if elapsed >= at {
				m.show(now)
				at += frame
			}
			next[m] = at
		}
		if n%int(reportEvery/step) == 0 {
			for _, m := range members {
				for _, f := range m.flows() { // browsers' stacks report by themselves
					f.report()
				}
			}
		}
	}
}

// receive reads whatever has come, every few milliseconds.
func (e *engine) receive() {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	buf := make([]byte, mtu+512)
	state := int32(0)
	for {
		select {
		case <-e.stop:
			return
		case <-ticker.C:
		}
		now, sockets := time.Now(), *e.sockets.Load()
		e.poller.ready(func(tag int32) {
			t := sockets[tag]
			for {
				s := t.flow.media
				if t.control {
					s = t.flow.control
				}
				n := s.read(buf)
				switch {
				case n == 0:
					return
				case t.control:
					t.flow.receiveControl(buf[:n])
				default:
					t.flow.receive(buf[:n], now)
				}
			}
		})
		if w := e.window.Load(); w != state {
			state = w
			if w == 1 {
				e.began = now
			} else {
				e.ended = now
			}
			for _, m := range *e.members.Load() {
				for _, f := range m.flows() {
					f.mark(w == 1)
				}
			}
			e.marked <- struct{}{}
		}
	}
}

// close ends all goroutines.
func (e *engine) close() {
	close(e.stop)
	e.wg.Wait()
	e.poller.close()
}

// enter begins a stage of the window and returns when it is noted.
func (e *engine) enter(stage int32) {
	e.window.Store(stage)
	<-e.marked
}
