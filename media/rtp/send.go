package rtp

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"github.com/pion/rtcp"
	pion "github.com/pion/rtp"
	"github.com/pion/srtp/v3"
)

// maxDatagram is the largest packet sent or taken, in bytes. Nobody sends RTP
// in more than an Ethernet frame; the rest is room for unusual links.
const maxDatagram = 2048

// cryptoOverhead bounds what SRTP adds: tag, index and the longest MKI.
const cryptoOverhead = 16 + 4 + 128

// ErrTooLarge reports a packet longer than 2048 bytes.
var ErrTooLarge = errors.New("rtp: packet too large")

// buffers holds what outgoing packets are built in. One pool serves all
// sessions, which is the point of a pool.
var buffers = sync.Pool{New: func() any { return new([maxDatagram + cryptoOverhead]byte) }}

// sender is the outgoing half of a [Session].
type sender struct {
	mu      sync.Mutex // guards what follows; never held while sending
	crypto  *Crypto
	context *srtp.Context
	header  pion.Header // scratch
	control rtcp.Header // scratch
}

// rekey takes over ctx, made for c, unless the key is the one in use: starting
// over with the same key would repeat the key stream.
func (o *sender) rekey(c *Crypto, ctx *srtp.Context) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !sameSend(o.crypto, c) {
		o.context = ctx
	}
	o.crypto = c
}

// WriteRTP implements [Writer]. While nobody knows where the peer is, the
// packet is dropped without an error.
func (s *Session) WriteRTP(h *pion.Header, payload []byte) error {
	r := s.route.Load()
	if r == nil || !r.rtp.IsValid() {
		s.unroutable()
		return nil
	}
	padding := 0
	if h.Padding {
		padding = int(h.PaddingSize)
	}
	size := h.MarshalSize() + len(payload) + padding
	if size > maxDatagram {
		return fmt.Errorf("%w: %d bytes", ErrTooLarge, size)
	}
	buf := buffers.Get().(*[maxDatagram + cryptoOverhead]byte)
	defer buffers.Put(buf)
	n, err := h.MarshalTo(buf[:size])
	if err != nil {
		return fmt.Errorf("rtp: write header: %w", err)
	}
	buf[0] = buf[0]&0x3f | 2<<6
	copy(buf[n:], payload)
	if padding > 0 {
		clear(buf[n+len(payload) : size])
		buf[size-1] = byte(padding)
	} else {
		buf[0] &^= 1 << 5
	}
	out, err := s.out.seal(buf[:], size)
	if err != nil {
		return fmt.Errorf("rtp: encrypt: %w", err)
	}
	if err := s.send(s.pair.rtp, out, r.rtp); err != nil {
		return err
	}
	s.count.rtpOut.add(len(out))
	s.metrics.packets[directionOut].Inc()
	s.metrics.bytes[directionOut].Add(float64(len(out)))
	return nil
}

// seal encrypts the packet of size bytes at the start of buf, in place.
func (o *sender) seal(buf []byte, size int) ([]byte, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.context == nil {
		return buf[:size], nil
	}
	return o.context.EncryptRTP(buf[:0], buf[:size], &o.header)
}

// WriteRTCP implements [Writer].
func (s *Session) WriteRTCP(packets []rtcp.Packet) error {
	r := s.route.Load()
	if r == nil || !r.rtcp.IsValid() {
		s.unroutable()
		return nil
	}
	b, err := rtcp.Marshal(packets)
	if err != nil {
		return fmt.Errorf("rtp: write RTCP: %w", err)
	}
	if len(b) > maxDatagram {
		return fmt.Errorf("%w: %d bytes of RTCP", ErrTooLarge, len(b))
	}
	if b, err = s.out.sealControl(b); err != nil {
		return fmt.Errorf("rtp: encrypt RTCP: %w", err)
	}
	conn := s.pair.rtcp
	if r.mux {
		conn = s.pair.rtp
	}
	if err := s.send(conn, b, r.rtcp); err != nil {
		return err
	}
	s.count.rtcpOut.add(len(b))
	return nil
}

func (o *sender) sealControl(b []byte) ([]byte, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.context == nil {
		return b, nil
	}
	return o.context.EncryptRTCP(nil, b, &o.control)
}

// send writes one datagram. Every packet that leaves passes here.
func (s *Session) send(conn *net.UDPConn, b []byte, to netip.AddrPort) error {
	_, err := conn.WriteToUDPAddrPort(b, to)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, net.ErrClosed):
		return ErrClosed
	}
	return fmt.Errorf("rtp: send: %w", err)
}

// unroutable counts a packet that has nowhere to go.
func (s *Session) unroutable() {
	s.count.dropped[dropUnroutable].Add(1)
	s.metrics.dropped[dropUnroutable].Inc()
}
