package sip

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emiago/sipgo/sip"
)

// A stream is one TCP or TLS connection, accepted or dialled.
type stream struct {
	pinned
	*transport
	conn    net.Conn
	proto   string
	remote  netip.AddrPort
	dialled *streamKey // nil for an accepted one

	holds atomic.Int32 // calls that need it
	gone  atomic.Bool

	write sync.Mutex // held while a message is written, so that two do not mix
}

func (s *stream) network() string       { return s.proto }
func (s *stream) peer() netip.AddrPort  { return s.remote }
func (s *stream) local() netip.AddrPort { return addrPort(s.conn.LocalAddr()) }
func (s *stream) LocalAddr() net.Addr   { return s.conn.LocalAddr() }
func (s *stream) alive() bool           { return !s.gone.Load() }

func (s *stream) hold() func() {
	s.holds.Add(1)
	return sync.OnceFunc(func() { s.holds.Add(-1) })
}

// WriteMsg blocks for Limits.Write at most; a peer that takes nothing for so
// long loses its connection.
func (s *stream) WriteMsg(m sip.Message) error { return s.send([]byte(m.String())) }

func (s *stream) send(data []byte) error {
	s.write.Lock()
	defer s.write.Unlock()
	if s.gone.Load() {
		return net.ErrClosed
	}
	_ = s.conn.SetWriteDeadline(time.Now().Add(s.limits.Write))
	if _, err := s.conn.Write(data); err != nil {
		s.close()
		return err
	}
	return nil
}

// close ends the connection; read then returns.
func (s *stream) close() {
	s.gone.Store(true)
	_ = s.conn.Close()
}

// read serves the connection until it ends: by the peer, by an error that
// leaves no message boundary to go on from, or by one of the limits.
func (s *stream) read() {
	defer s.forget(s)
	defer s.close()
	if !s.handshake() {
		return
	}
	var (
		parser = s.parser.NewSIPStream()
		buf    = make([]byte, 16384)
		began  = time.Now()       // of the message that is being received
		idle   = s.dialled != nil // nothing of a message is here; who calls us owes one
	)
	defer parser.Close()
	for {
		deadline := began.Add(s.limits.Message)
		if idle {
			deadline = time.Now().Add(s.limits.Idle)
		}
		_ = s.conn.SetReadDeadline(deadline)
		n, err := s.conn.Read(buf)
		if n == 0 && err != nil {
			switch {
			case errors.Is(err, os.ErrDeadlineExceeded) && idle && s.holds.Load() > 0:
				continue
			case errors.Is(err, os.ErrDeadlineExceeded) && !idle:
				s.metrics.dropped.WithLabelValues(dropSlow).Inc()
			}
			return
		}
		if idle && keepAlive(buf[:n]) {
			if bytes.Equal(buf[:n], []byte("\r\n\r\n")) && s.send([]byte("\r\n")) != nil {
				return // RFC 5626 section 4.4.1
			}
			continue
		}
		if idle {
			began = time.Now()
		}
		handled, partial, err := s.take(parser, buf[:n], !idle)
		if err != nil {
			return
		}
		if handled && partial {
			began = time.Now()
		}
		idle = !partial
	}
}

// take feeds the parser and handles the messages that are complete. begun says
// that data goes on with one, partial that another has begun.
func (s *stream) take(parser *sip.ParserStream, data []byte, begun bool) (handled, partial bool, err error) {
	_, _ = parser.Write(data)
	for parser.Buffer().Len() > 0 {
		seen := parser.Buffer().Bytes() // stays as it is until the next Write
		m, _, err := parser.ParseNext()
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return handled, begun || !keepAlive(seen), nil
		}
		if err != nil {
			if req, ok := m.(*sip.Request); ok {
				// Its first lines may have come in an earlier packet.
				seen = append([]byte(strings.TrimSuffix(req.String(), "\r\n")), parser.Buffer().Bytes()...)
			}
			s.garbage(s, seen, err)
			return handled, false, err
		}
		handled, begun = true, false
		if !s.guard.admits(s.remote.Addr(), time.Now()) {
			s.metrics.dropped.WithLabelValues(dropFlood).Inc()
			continue
		}
		if !s.contained(m) {
			return handled, false, errContained
		}
	}
	return handled, false, nil
}

var errContained = errors.New("sip: panic while a message was handled")

// contained hands m on and reports whether that went without a panic.
func (s *stream) contained(m sip.Message) (ok bool) {
	defer s.contain(s)
	s.deliver(m, s)
	return true
}

// handshake completes TLS within its limit.
func (s *stream) handshake() bool {
	c, ok := s.conn.(*tls.Conn)
	if !ok {
		return true
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.limits.Handshake)
	defer cancel()
	if err := c.HandshakeContext(ctx); err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			s.metrics.dropped.WithLabelValues(dropSlow).Inc()
		}
		s.log.Debug("TLS handshake failed", "peer", s.remote, "err", err)
		return false
	}
	return true
}
