package rtp

import (
	"errors"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"syscall"
)

// ListenPacket binds a socket for datagrams that are not RTP but belong to a call,
// so that a firewall that is open for the range lets them through. It takes a pair
// of ports, until it is closed.
func (r *PortRange) ListenPacket(addr netip.Addr) (net.PacketConn, error) {
	return plain(r, func(port int) (net.PacketConn, error) {
		return net.ListenPacket("udp", hostPort(addr, port))
	}, func(c net.PacketConn, release func()) net.PacketConn { return &plainPacket{c, release} })
}

// Listen does the same for connections.
func (r *PortRange) Listen(addr netip.Addr) (net.Listener, error) {
	return plain(r, func(port int) (net.Listener, error) {
		return net.Listen("tcp", hostPort(addr, port))
	}, func(l net.Listener, release func()) net.Listener { return &plainListener{l, release} })
}

// plain binds at the first free port of the range and wraps what it has got, so
// that the port is given back.
func plain[T any](r *PortRange, bind func(port int) (T, error), wrap func(T, func()) T) (none T, _ error) {
	if r.first == 0 {
		return bind(0)
	}
	for range r.pairs {
		i, ok := r.take()
		if !ok {
			break
		}
		s, err := bind(r.first + 2*i)
		if err == nil {
			return wrap(s, sync.OnceFunc(func() { r.release(i) })), nil
		}
		r.release(i)
		if !errors.Is(err, syscall.EADDRINUSE) {
			return none, err
		}
	}
	return none, r.exhausted()
}

func hostPort(addr netip.Addr, port int) string {
	host := ""
	if addr.IsValid() && !addr.IsUnspecified() {
		host = addr.Unmap().String()
	}
	return net.JoinHostPort(host, strconv.Itoa(port))
}

type plainPacket struct {
	net.PacketConn
	release func()
}

// Close implements [net.PacketConn].
func (p *plainPacket) Close() error {
	defer p.release()
	return p.PacketConn.Close()
}

type plainListener struct {
	net.Listener
	release func()
}

// Close implements [net.Listener].
func (l *plainListener) Close() error {
	defer l.release()
	return l.Listener.Close()
}
