package bfcp

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"
)

// A path is one way to a peer: an address of datagrams, or a connection.
// Paths are compared.
type path interface {
	send(b []byte) error
	// close ends a connection; an address just is not used any more.
	close()
	String() string
}

// A carrier brings what arrives to its endpoint, from any number of paths.
type carrier interface {
	// run delivers until ctx ends. It returns when nothing of it runs any
	// more.
	run(ctx context.Context, deliver func(arrival) bool)
	// to is the path to an address; nil if that is not how paths begin.
	to(addr netip.AddrPort) path
	reliable() bool
}

// An arrival is a message from a path, or its end.
type arrival struct {
	path  path
	bytes []byte
	err   error // the path has ended
	last  bool  // and there will be no other
	begun bool  // the path is one that we have opened
}

// datagrams carry over UDP.
type datagrams struct{ conn net.PacketConn }

type datagramPath struct {
	over *datagrams // a pointer: not every net.PacketConn can be compared
	addr netip.AddrPort
}

func (d *datagrams) reliable() bool { return false }

func (d *datagrams) to(addr netip.AddrPort) path {
	if !addr.IsValid() || addr.Port() == 0 {
		return nil
	}
	return datagramPath{d, addr}
}

func (p datagramPath) send(b []byte) error {
	_, err := p.over.conn.WriteTo(b, net.UDPAddrFromAddrPort(p.addr))
	return err
}

func (p datagramPath) close() {}

func (p datagramPath) String() string { return p.addr.String() }

func (d *datagrams) run(ctx context.Context, deliver func(arrival) bool) {
	stop := context.AfterFunc(ctx, func() { _ = d.conn.Close() })
	defer stop()
	buf := make([]byte, 64<<10)
	for {
		n, from, err := d.conn.ReadFrom(buf)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			// An ICMP error of an earlier packet, mostly. Whatever it is, it
			// must not keep a core busy.
			select {
			case <-time.After(10 * time.Millisecond):
				continue
			case <-ctx.Done():
				return
			}
		}
		udp, ok := from.(*net.UDPAddr)
		if !ok {
			continue
		}
		addr := udp.AddrPort()
		addr = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
		if !deliver(arrival{path: datagramPath{d, addr}, bytes: append([]byte(nil), buf[:n]...)}) {
			return
		}
	}
}

const (
	// A stranger's connection is closed when nothing valid comes over it.
	maxIdle = 10 * time.Second
	// maxConns is how many connections wait to prove that they are the peer's.
	maxConns = 4
	// A peer that takes nothing is as good as gone.
	maxWrite = 2 * time.Second
	// Who cannot be reached so often in turn, or hangs up at once, is left alone:
	// it is the peer that says where we connect to. In between we wait for a
	// second, and twice as long each time.
	maxDials  = 6
	firstWait = time.Second
	// A connection that has lasted so long was a good one.
	goodWhile = 30 * time.Second
)

// streams carry over TCP. Either side may connect anew at any time (RFC 8855
// section 6).
type streams struct {
	listener net.Listener // who is passive has one
	dial     func(ctx context.Context) (net.Conn, error)
}

type streamPath struct {
	conn net.Conn
	once *sync.Once
}

func (s *streams) reliable() bool { return true }

func (s *streams) to(netip.AddrPort) path { return nil }

func (p *streamPath) send(b []byte) error {
	_ = p.conn.SetWriteDeadline(time.Now().Add(maxWrite))
	_, err := p.conn.Write(b)
	return err
}

func (p *streamPath) close() { p.once.Do(func() { _ = p.conn.Close() }) }

func (p *streamPath) String() string { return p.conn.RemoteAddr().String() }

// trust lets a connection be silent.
func (p *streamPath) trust() { _ = p.conn.SetReadDeadline(time.Time{}) }

func (s *streams) run(ctx context.Context, deliver func(arrival) bool) {
	var readers sync.WaitGroup
	defer readers.Wait()
	if s.listener == nil {
		s.connect(ctx, deliver)
		return
	}
	stop := context.AfterFunc(ctx, func() { _ = s.listener.Close() })
	defer stop()
	slots := make(chan struct{}, maxConns)
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			select {
			case <-ctx.Done():
				return
			case <-time.After(100 * time.Millisecond): // no descriptors left, say
				continue
			}
		}
		select {
		case slots <- struct{}{}:
			readers.Go(func() {
				defer func() { <-slots }()
				_ = conn.SetReadDeadline(time.Now().Add(maxIdle))
				_ = read(ctx, conn, false, deliver) // the peer comes again, if it likes
			})
		default:
			_ = conn.Close()
		}
	}
}

// connect keeps a connection open, until nobody is there any more.
func (s *streams) connect(ctx context.Context, deliver func(arrival) bool) {
	for failed := 1; ; failed++ {
		began := time.Now()
		conn, err := s.dial(ctx)
		if err != nil {
			err = fmt.Errorf("connect: %w", err)
			deliver(arrival{err: err})
		} else {
			err = read(ctx, conn, true, deliver)
			if time.Since(began) >= goodWhile {
				failed = 1
			}
		}
		if failed == maxDials {
			deliver(arrival{err: err, last: true})
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(firstWait << (failed - 1)):
		}
	}
}

// read delivers what comes over one connection, and returns why it has ended.
func read(ctx context.Context, conn net.Conn, ours bool, deliver func(arrival) bool) error {
	p := &streamPath{conn: conn, once: new(sync.Once)}
	stop := context.AfterFunc(ctx, p.close)
	defer stop()
	defer p.close()
	if ours && !deliver(arrival{path: p, begun: true}) {
		return ctx.Err()
	}
	for {
		b, err := readMessage(conn)
		if err != nil {
			deliver(arrival{path: p, err: err})
			return err
		}
		if !deliver(arrival{path: p, bytes: b}) {
			return ctx.Err()
		}
	}
}

// readMessage reads one message from a stream. There is no way to find the
// next after one that is too long.
func readMessage(r io.Reader) ([]byte, error) {
	header := make([]byte, headerBytes)
	if _, err := io.ReadFull(r, header); err != nil {
		return nil, err
	}
	n := 4 * int(binary.BigEndian.Uint16(header[2:]))
	if n > maxPayload {
		return nil, malformed(IncorrectLength, "%d octets, limit %d", n, maxPayload)
	}
	b := append(header, make([]byte, n)...)
	_, err := io.ReadFull(r, b[headerBytes:])
	return b, err
}
