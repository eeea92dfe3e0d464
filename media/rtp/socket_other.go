//go:build !linux || portable

package rtp

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"
)

// A socket is a UDP socket of package net, with a goroutine that reads.
type socket struct {
	port    int
	conn    *net.UDPConn
	reading sync.WaitGroup
}

func listen(addr netip.Addr, port uint16) (*socket, error) {
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, port)))
	if err != nil {
		return nil, err
	}
	return &socket{port: conn.LocalAddr().(*net.UDPAddr).Port, conn: conn}, nil
}

// setReadBuffer asks for a receive buffer of n bytes. The kernel caps it.
func (s *socket) setReadBuffer(n int) { _ = s.conn.SetReadBuffer(n) }

// send writes one datagram, or fails with [ErrClosed].
func (s *socket) send(b []byte, to netip.AddrPort) error {
	_, err := s.conn.WriteToUDPAddrPort(b, to)
	if errors.Is(err, net.ErrClosed) {
		return ErrClosed
	}
	return err
}

// sendRun would send datagrams for the price of one.
func (s *socket) sendRun([][]byte, netip.AddrPort) error { return errors.ErrUnsupported }

// watch begins to hand on what the socket receives.
func (s *socket) watch(session *Session, onRTCP bool) {
	s.reading.Go(func() { s.read(session, onRTCP) })
}

func (s *socket) read(session *Session, onRTCP bool) {
	r := reader{s: session, onRTCP: onRTCP}
	buf := make([]byte, maxDatagram+1)
	failed := 0
	for {
		n, from, err := s.conn.ReadFromUDPAddrPort(buf)
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			if failed++; failed == maxErrors {
				session.log.Error("socket cannot be read", "err", err)
				return
			}
		default:
			failed = 0
			r.datagram(buf[:n], clean(from), time.Now())
		}
	}
}

// unwatch would keep the socket from being read; here close does.
func (s *socket) unwatch() {}

// quiet returns when the handler has returned for the last time.
func (s *socket) quiet() { s.reading.Wait() }

// close frees the port.
func (s *socket) close() error {
	err := s.conn.Close()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
