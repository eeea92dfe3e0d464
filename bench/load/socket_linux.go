package load

import (
	"fmt"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A socket is one UDP socket without the runtime's poller: a read or a write is
// one system call that never waits, and so need not tell the runtime.
type socket struct {
	fd   int
	port int
}

// socketBuffer is the receive buffer asked for, in bytes.
const socketBuffer = 1 << 20

func openSocket(local netip.Addr) (socket, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return socket{}, fmt.Errorf("load: socket: %w", err)
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, socketBuffer) // the kernel caps it
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: local.As4()}); err != nil {
		_ = unix.Close(fd)
		return socket{}, fmt.Errorf("load: bind %v: %w", local, err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		_ = unix.Close(fd)
		return socket{}, fmt.Errorf("load: bind %v: %w", local, err)
	}
	return socket{fd, name.(*unix.SockaddrInet4).Port}, nil
}

func (s socket) connect(to netip.AddrPort) error {
	return unix.Connect(s.fd, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())})
}

// write sends a datagram to whom the socket is connected. What does not fit
// into the send buffer is lost, as on a network.
func (s socket) write(b []byte) bool {
	_, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(s.fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	return errno == 0
}

// read takes one datagram; 0 means that there is none.
func (s socket) read(b []byte) int {
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(s.fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	if errno != 0 {
		return 0
	}
	return int(n)
}

func (s socket) close() { _ = unix.Close(s.fd) }

// A poller says which of many sockets have something to be read. It is level
// triggered: what is left is reported again.
type poller struct {
	fd     int
	events []unix.EpollEvent
}

func newPoller() (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("load: epoll: %w", err)
	}
	return &poller{fd, make([]unix.EpollEvent, 1024)}, nil
}

// add watches s; tag is what ready reports.
func (p *poller) add(s socket, tag int32) error {
	return unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, s.fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: tag})
}

// ready calls f with the tag of every socket that has something, now.
func (p *poller) ready(f func(tag int32)) {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.fd), uintptr(unsafe.Pointer(unsafe.SliceData(p.events))), uintptr(len(p.events)), 0, 0, 0)
	if errno != 0 {
		return // interrupted: the next turn comes soon
	}
	for _, e := range p.events[:n] {
		f(e.Fd)
	}
}

func (p *poller) close() { _ = unix.Close(p.fd) }
