package bfcp_test

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skybridge-media/skybridge/media/sdp"
	"github.com/skybridge-media/skybridge/services/sip/bfcp"
)

// A line is a TCP connection of which a test writes and reads every message.
type line struct {
	*testing.T
	net.Conn
}

func (l *line) write(m bfcp.Message) {
	l.Helper()
	m.Version = bfcp.StreamVersion
	l.writeAs(m)
}

func (l *line) writeAs(m bfcp.Message) {
	l.Helper()
	b, err := m.Marshal()
	if err != nil {
		l.Fatal(err)
	}
	for i := range b { // however the network cuts it
		if _, err := l.Write(b[i : i+1]); err != nil {
			l.Fatal(err)
		}
	}
}

func (l *line) read() *bfcp.Message {
	l.Helper()
	_ = l.SetReadDeadline(time.Now().Add(20 * time.Second))
	b := make([]byte, 12)
	if _, err := io.ReadFull(l, b); err != nil {
		l.Fatal(err)
	}
	b = append(b, make([]byte, 4*int(binary.BigEndian.Uint16(b[2:])))...)
	if _, err := io.ReadFull(l, b[12:]); err != nil {
		l.Fatal(err)
	}
	m, err := bfcp.Parse(b)
	if err != nil {
		l.Fatal(err)
	}
	return m
}

// ended fails unless the other side closes the connection.
func (l *line) ended() {
	l.Helper()
	_ = l.SetReadDeadline(time.Now().Add(20 * time.Second))
	if b, err := io.ReadAll(l); err != nil && isTimeout(err) {
		l.Errorf("still open: %v, %x", err, b)
	}
}

func isTimeout(err error) bool {
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Timeout()
}

func dial(t *testing.T, addr netip.AddrPort) *line {
	t.Helper()
	conn, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &line{t, conn}
}

func TestConnections(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().(*net.TCPAddr).AddrPort()
	server := newLive()
	server.start(t)(bfcp.Listen(l, server.config(sdp.FloorServer, netip.AddrPort{})))

	first := dial(t, addr)
	first.write(message(bfcp.Hello))
	if got := first.read(); got.Primitive != bfcp.HelloAck || got.Transaction != 7 || got.Version != 1 || got.Response {
		t.Errorf("got %+v", got)
	}
	server.wait(t, bfcp.Ready{})

	// A stranger is told so, and changes nothing.
	stranger := dial(t, addr)
	guess := message(bfcp.Hello)
	guess.Conference++
	stranger.write(guess)
	if got := stranger.read(); brief([]*bfcp.Message{got}) != "Error: conference does not exist" {
		t.Errorf("got %q", brief([]*bfcp.Message{got}))
	}
	version2 := message(bfcp.Hello)
	first.writeAs(version2)
	if got := first.read(); brief([]*bfcp.Message{got}) != "Error: unsupported version" {
		t.Errorf("got %q", brief([]*bfcp.Message{got}))
	}

	// News has no transaction, and nobody acknowledges it.
	server.SetPresenter(&bfcp.Presenter{Name: "Alice"})
	if got := first.read(); got.Primitive != bfcp.FloorStatus || got.Transaction != 0 {
		t.Errorf("got %+v", got)
	}

	// The peer connects anew before it has noticed that the old connection is
	// broken.
	second := dial(t, addr)
	second.write(message(bfcp.FloorRequest, floor))
	first.ended()
	server.wait(t, bfcp.Ready{})
	if got := second.read(); got.Primitive != bfcp.FloorStatus {
		t.Errorf("got %+v", got)
	}
	server.wait(t, bfcp.Requested{ID: 2, Priority: 2})
	server.Grant(2)
	if got := brief([]*bfcp.Message{second.read()}); got != "FloorRequestStatus: 2 of 9 granted" {
		t.Errorf("got %q", got)
	}

	// There is no way to find the next message after one that is not read.
	if _, err := second.Write([]byte{0x20, 11, 0xff, 0xff, 1, 2, 3, 4, 0, 7, 0, 9}); err != nil {
		t.Fatal(err)
	}
	second.ended()
	server.wait(t, bfcp.Lost{Err: errors.New("bfcp: incorrect message length: 262140 octets, limit 16384")})

	// "The entity MUST close the TCP connection" (RFC 8855 section 6.1). A server
	// says why.
	unparsable := dial(t, addr)
	if _, err := unparsable.Write(octets(t, "20 07 0001 01020304 0007 0009 05 03 0100")); err != nil {
		t.Fatal(err)
	}
	server.wait(t, bfcp.Ready{})
	if got := brief([]*bfcp.Message{unparsable.read(), unparsable.read()}); got != "FloorStatus: 2 of 9 granted; Error: unable to parse message" {
		t.Errorf("got %q", got)
	}
	unparsable.ended()
	lost := <-server.events
	if e, ok := lost.(bfcp.Lost); !ok || e.Err == nil {
		t.Errorf("got %+v", lost)
	}

	// What was granted stays: the presentation may go on.
	third := dial(t, addr)
	third.write(message(bfcp.FloorRequestQuery, bfcp.Number(bfcp.FloorRequestID, 2)))
	server.wait(t, bfcp.Ready{})
	if got := brief([]*bfcp.Message{third.read(), third.read()}); got != "FloorStatus: 2 of 9 granted; FloorRequestStatus: 2 of 9 granted" {
		t.Errorf("got %q", got)
	}
}

// Who has to connect connects again.
func TestReconnect(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client := newLive()
	client.start(t)(bfcp.Dial(nil, client.config(sdp.FloorClient, l.Addr().(*net.TCPAddr).AddrPort())))
	for range 2 {
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		peer := &line{t, conn}
		hello := peer.read()
		if hello.Primitive != bfcp.Hello {
			t.Errorf("got %+v", hello)
		}
		peer.write(numbered(hello.Transaction, message(bfcp.HelloAck)))
		client.wait(t, bfcp.Ready{})
		if query := peer.read(); query.Primitive != bfcp.FloorQuery {
			t.Errorf("got %+v", query)
		}
		// News is not acknowledged: the next message is the answer to what
		// follows.
		peer.write(numbered(0, message(bfcp.FloorStatus, floor)))
		peer.write(message(bfcp.Goodbye))
		if got := brief([]*bfcp.Message{peer.read()}); got != "GoodbyeAck" {
			t.Errorf("got %q", got)
		}
		_ = conn.Close()
		client.wait(t, bfcp.Lost{Err: io.EOF})
	}
}

// A client that waits for connections greets on each.
func TestPassiveClient(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().(*net.TCPAddr).AddrPort()
	client := newLive()
	client.start(t)(bfcp.Listen(l, client.config(sdp.FloorClient, netip.AddrPort{})))
	for range 2 { // the second while the Hello to the first is not answered
		peer := dial(t, addr)
		peer.write(numbered(0, message(bfcp.FloorStatus, floor)))
		client.wait(t, bfcp.Ready{})
		if got := peer.read(); got.Primitive != bfcp.Hello {
			t.Errorf("got %+v", got)
		}
	}
}

// A stuck is a connection that takes nothing.
type stuck struct {
	net.Conn
	closed chan struct{}
	once   sync.Once
}

func (s *stuck) Write([]byte) (int, error) { return 0, os.ErrDeadlineExceeded }

func (s *stuck) Close() error {
	s.once.Do(func() { close(s.closed) })
	return s.Conn.Close()
}

// A one is a listener for one connection.
type one struct{ conns chan net.Conn }

func (l *one) Accept() (net.Conn, error) {
	if c, ok := <-l.conns; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}
func (l *one) Close() error   { close(l.conns); return nil }
func (l *one) Addr() net.Addr { return &net.TCPAddr{} }

// An answer that was cut leaves a stream that nobody can read.
func TestAnswerCutEndsConnection(t *testing.T) {
	ours, theirs := net.Pipe()
	defer theirs.Close()
	conn := &stuck{Conn: ours, closed: make(chan struct{})}
	l := &one{make(chan net.Conn, 1)}
	l.conns <- conn
	server := newLive()
	server.start(t)(bfcp.Listen(l, server.config(sdp.FloorServer, netip.AddrPort{})))
	(&line{t, theirs}).write(message(bfcp.Hello))
	select {
	case <-conn.closed:
	case <-time.After(20 * time.Second):
		t.Error("still open")
	}
}

// Who cannot be reached, or hangs up at once, is not tried for ever, and less and
// less often.
func TestDialGivesUp(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var accepted sync.WaitGroup
	defer accepted.Wait()
	defer l.Close()
	accepted.Go(func() { // outside of fake time, where waiting for the network stops it
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_ = conn.Close()
		}
	})
	for name, refused := range map[string]error{"out of reach": syscall.ECONNREFUSED, "hangs up": nil} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				var waits []time.Duration // before each try
				last := time.Now()
				d := &net.Dialer{Control: func(string, string, syscall.RawConn) error {
					mu.Lock()
					defer mu.Unlock()
					waits = append(waits, time.Since(last).Round(time.Millisecond))
					last = time.Now()
					return refused
				}}
				gaveUp := make(chan error, 10)
				e, err := bfcp.Dial(d, bfcp.Config{
					Floor: sdp.Floor{Role: sdp.FloorServer, Server: id, Address: l.Addr().(*net.TCPAddr).AddrPort()},
					Notify: func(e any) {
						if e, ok := e.(bfcp.GaveUp); ok {
							gaveUp <- e.Err
						}
					},
				})
				if err != nil {
					t.Fatal(err)
				}
				defer e.Close()
				time.Sleep(time.Hour)
				mu.Lock()
				defer mu.Unlock()
				if want := []time.Duration{0, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second}; !slices.Equal(waits, want) {
					t.Errorf("waited %v before tries, want %v", waits, want)
				}
				if len(gaveUp) != 1 || <-gaveUp == nil {
					t.Error("gave up without saying so, once and why")
				}
			})
		})
	}
}
