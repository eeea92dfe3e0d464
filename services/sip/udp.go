package sip

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/emiago/sipgo/sip"
)

// maxDatagram is what fits into a UDP datagram over IPv4. sipgo refuses to
// send more than 1300 bytes, which an answer with video and keys exceeds; an
// IP fragment is better than a call that rings for ever.
const maxDatagram = 65507

// A udpSocket reads datagrams. It keeps nothing about who sent them.
type udpSocket struct {
	*transport
	conn *net.UDPConn
	at   netip.AddrPort
}

// read serves the socket until it is closed.
func (u *udpSocket) read() {
	buf := make([]byte, 65536)
	for {
		n, from, err := u.conn.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			// Nothing a datagram does should stop the service; what keeps
			// failing must not spin.
			u.log.Warn("reading a datagram failed", "err", err)
			time.Sleep(10 * time.Millisecond)
			continue
		}
		from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		if data := buf[:n]; !keepAlive(data) {
			u.datagram(data, from)
		}
	}
}

// datagram handles one message.
func (u *udpSocket) datagram(data []byte, from netip.AddrPort) {
	if !u.guard.admits(from.Addr(), time.Now()) {
		u.metrics.dropped.WithLabelValues(dropFlood).Inc()
		return
	}
	f := &udpFlow{socket: u, to: from}
	defer u.contain(f)
	m, err := u.parser.ParseSIP(data)
	if err != nil {
		u.garbage(f, data, err)
		return
	}
	u.deliver(m, f)
}

// keepAlive reports whether data is one of the empty packets that hold a NAT
// binding open (RFC 5626 section 3.5.1 and what phones do instead).
func keepAlive(data []byte) bool {
	for _, c := range data {
		if c != '\r' && c != '\n' && c != 0 && c != ' ' {
			return false
		}
	}
	return true
}

// A udpFlow is a peer behind our socket.
type udpFlow struct {
	pinned
	socket *udpSocket
	to     netip.AddrPort
}

func (f *udpFlow) network() string      { return "UDP" }
func (f *udpFlow) peer() netip.AddrPort { return f.to }
func (f *udpFlow) alive() bool          { return true }
func (f *udpFlow) hold() func()         { return func() {} }
func (f *udpFlow) LocalAddr() net.Addr  { return f.socket.conn.LocalAddr() }

func (f *udpFlow) local() netip.AddrPort {
	if !f.socket.at.Addr().IsUnspecified() {
		return f.socket.at
	}
	return netip.AddrPortFrom(outbound(f.to), f.socket.at.Port())
}

func (f *udpFlow) WriteMsg(m sip.Message) error {
	data := []byte(m.String())
	if len(data) > maxDatagram {
		return fmt.Errorf("sip: message of %d bytes does not fit a datagram", len(data))
	}
	_, err := f.socket.conn.WriteToUDPAddrPort(data, f.to)
	return err
}

// outbound is the address that this host sends from towards peer. Connecting a
// UDP socket sends nothing.
func outbound(peer netip.AddrPort) netip.Addr {
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(peer))
	if err != nil {
		return netip.IPv4Unspecified()
	}
	defer c.Close()
	return addrPort(c.LocalAddr()).Addr()
}
