//go:build linux && !portable

package rtp

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A socket is a UDP socket that package net knows nothing of: its poller would
// be told of every packet, which costs more than reading it. Sending neither
// blocks nor allocates; a [poller] reads.
type socket struct {
	port int
	six  bool // of AF_INET6, which may carry IPv4 as well

	// life guards fd against use after close: it is held for reading while fd
	// is used, and for writing by close. Nothing blocks meanwhile.
	life sync.RWMutex
	fd   int // -1: closed

	reading sync.Mutex // held by the poller while it handles what it has read
	session *Session   // set by watch
	onRTCP  bool
	poller  *poller

	// Of the poller's goroutine.
	failed int  // errors in a row
	ready  bool // it is in poller.ready

	whole atomic.Bool // the way to some peer cannot split what sendRun sends
	slot  int32       // in poller.sockets; guarded by poller.mu
}

// listen binds a socket. Like package net it takes IPv4 and IPv6 at once where
// addr says nothing.
func listen(addr netip.Addr, port uint16) (*socket, error) {
	addr = addr.Unmap()
	if addr.IsValid() && !addr.IsUnspecified() {
		return bindSocket(addr, port)
	}
	s, err := bindSocket(netip.IPv6Unspecified(), port)
	if errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EADDRNOTAVAIL) {
		return bindSocket(netip.IPv4Unspecified(), port) // a machine without IPv6
	}
	return s, err
}

func bindSocket(addr netip.Addr, port uint16) (*socket, error) {
	family := unix.AF_INET
	if addr.Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_UDP)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	s := &socket{fd: fd, six: addr.Is6()}
	if s.port, err = s.bind(netip.AddrPortFrom(addr, port)); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return s, nil
}

func (s *socket) bind(at netip.AddrPort) (port int, err error) {
	if s.six {
		only := 1
		if at.Addr().IsUnspecified() {
			only = 0
		}
		if err := unix.SetsockoptInt(s.fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, only); err != nil {
			return 0, os.NewSyscallError("setsockopt", err)
		}
	}
	// When a packet arrived, and not when it was read, is what jitter is about.
	// Without it the time of reading has to do.
	_ = unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)
	var sa sockaddr
	n := sa.set(at, s.six)
	if _, _, errno := unix.Syscall(unix.SYS_BIND, uintptr(s.fd), uintptr(unsafe.Pointer(&sa)), n); errno != 0 {
		return 0, fmt.Errorf("%v: %w", at, os.NewSyscallError("bind", errno))
	}
	n = unsafe.Sizeof(sa)
	if _, _, errno := unix.Syscall(unix.SYS_GETSOCKNAME, uintptr(s.fd), uintptr(unsafe.Pointer(&sa)), uintptr(unsafe.Pointer(&n))); errno != 0 {
		return 0, os.NewSyscallError("getsockname", errno)
	}
	return int(sa.get().Port()), nil
}

// setReadBuffer asks for a receive buffer of n bytes. The kernel caps it.
func (s *socket) setReadBuffer(n int) {
	_ = unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, n)
}

// send writes one datagram, or fails with [ErrClosed] or errFull.
func (s *socket) send(b []byte, to netip.AddrPort) error {
	var sa sockaddr
	n := sa.set(to, s.six)
	s.life.RLock()
	defer s.life.RUnlock()
	if s.fd < 0 {
		return ErrClosed
	}
	// Raw: the call returns at once, and telling the scheduler of it costs as
	// much as a tenth of it.
	_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(s.fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)),
		unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, uintptr(unsafe.Pointer(&sa)), n)
	return sendError(errno)
}

// A runHead is what tells the kernel how to split a run, in the form of a
// control message.
type runHead struct {
	head unix.Cmsghdr
	size uint16
	_    [6]byte
}

// sendRun sends datagrams for the price of one (UDP_SEGMENT). After an error
// nothing was sent.
func (s *socket) sendRun(run [][]byte, to netip.AddrPort) error {
	if s.whole.Load() {
		return errWhole
	}
	var slices [burstSize]unix.Iovec
	for i, b := range run {
		slices[i].Base = unsafe.SliceData(b)
		slices[i].SetLen(len(b))
	}
	var sa sockaddr
	control := runHead{
		head: unix.Cmsghdr{Level: unix.IPPROTO_UDP, Type: unix.UDP_SEGMENT},
		size: uint16(len(run[0])),
	}
	control.head.SetLen(unix.CmsgLen(2))
	msg := unix.Msghdr{
		Name: (*byte)(unsafe.Pointer(&sa)), Namelen: uint32(sa.set(to, s.six)),
		Iov: &slices[0], Control: (*byte)(unsafe.Pointer(&control)),
	}
	msg.SetIovlen(len(run))
	msg.SetControllen(unix.CmsgSpace(2))
	s.life.RLock()
	defer s.life.RUnlock()
	if s.fd < 0 {
		return ErrClosed
	}
	_, _, errno := unix.RawSyscall(unix.SYS_SENDMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&msg)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	switch errno {
	case unix.EIO, unix.EINVAL, unix.EOPNOTSUPP, unix.ENOPROTOOPT, unix.EMSGSIZE:
		s.whole.Store(true) // by this network device, this kernel, or on this path
	}
	return sendError(errno)
}

// errWhole says that a socket sends datagrams as they are only.
var errWhole = errors.New("rtp: datagrams cannot be split")

func sendError(errno syscall.Errno) error {
	switch errno {
	case 0:
		return nil
	case unix.EAGAIN, unix.ENOBUFS, unix.EINTR:
		return errFull
	}
	return os.NewSyscallError("sendto", errno)
}

// close frees the port.
func (s *socket) close() error {
	s.life.Lock()
	defer s.life.Unlock()
	fd := s.fd
	s.fd = -1
	if fd < 0 {
		return nil
	}
	return os.NewSyscallError("close", unix.Close(fd))
}

// A sockaddr is what the kernel calls an address of either family.
type sockaddr struct{ raw unix.RawSockaddrInet6 } // the larger one

// set writes a and returns its length. six asks for the form that sockets of
// AF_INET6 take.
func (sa *sockaddr) set(a netip.AddrPort, six bool) uintptr {
	port := a.Port()
	if !six {
		v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(&sa.raw))
		v4.Family = unix.AF_INET
		putPort(&v4.Port, port)
		if addr := a.Addr().Unmap(); addr.Is4() {
			v4.Addr = addr.As4()
		} // else the kernel refuses to send to 0.0.0.0 what is meant for IPv6
		return unsafe.Sizeof(*v4)
	}
	sa.raw.Family = unix.AF_INET6
	putPort(&sa.raw.Port, port)
	sa.raw.Addr = a.Addr().As16()
	sa.raw.Scope_id = scope(a.Addr().Zone())
	return unsafe.Sizeof(sa.raw)
}

// get returns the address that the kernel wrote; invalid if it wrote none.
func (sa *sockaddr) get() netip.AddrPort {
	switch sa.raw.Family {
	case unix.AF_INET:
		v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(&sa.raw))
		return netip.AddrPortFrom(netip.AddrFrom4(v4.Addr), getPort(&v4.Port))
	case unix.AF_INET6:
		addr := netip.AddrFrom16(sa.raw.Addr).Unmap()
		if sa.raw.Scope_id != 0 {
			addr = addr.WithZone(strconv.FormatUint(uint64(sa.raw.Scope_id), 10))
		}
		return netip.AddrPortFrom(addr, getPort(&sa.raw.Port))
	}
	return netip.AddrPort{}
}

// putPort writes a port in the order of the network.
func putPort(p *uint16, port uint16) {
	*(*[2]byte)(unsafe.Pointer(p)) = [2]byte{byte(port >> 8), byte(port)}
}

func getPort(p *uint16) uint16 {
	b := (*[2]byte)(unsafe.Pointer(p))
	return uint16(b[0])<<8 | uint16(b[1])
}

// scope returns the index of the interface that a zone names, by number or
// name; zero for none.
func scope(zone string) uint32 {
	if zone == "" {
		return 0
	}
	if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(n)
	}
	i, err := net.InterfaceByName(zone)
	if err != nil {
		return 0
	}
	return uint32(i.Index)
}
