package rtp

import (
	"errors"
	"fmt"
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
		s.drop(dropUnroutable)
		return nil
	}
	buf := buffers.Get().(*[maxDatagram + cryptoOverhead]byte)
	defer buffers.Put(buf)
	out, err := s.pack(buf[:], h, payload)
	if err != nil {
		return err
	}
	return s.send(s.pair.rtp, out, r.rtp, &s.count.rtpOut)
}

// pack makes a datagram of a packet in buf.
func (s *Session) pack(buf []byte, h *pion.Header, payload []byte) ([]byte, error) {
	padding := 0
	if h.Padding {
		padding = int(h.PaddingSize)
	}
	size := h.MarshalSize() + len(payload) + padding
	if size > maxDatagram {
		return nil, fmt.Errorf("%w: %d bytes", ErrTooLarge, size)
	}
	n, err := h.MarshalTo(buf[:size])
	if err != nil {
		return nil, fmt.Errorf("rtp: write header: %w", err)
	}
	buf[0] = buf[0]&0x3f | 2<<6
	copy(buf[n:], payload)
	if padding > 0 {
		clear(buf[n+len(payload) : size])
		buf[size-1] = byte(padding)
	} else {
		buf[0] &^= 1 << 5
	}
	out, err := s.out.seal(buf, size)
	if err != nil {
		return nil, fmt.Errorf("rtp: encrypt: %w", err)
	}
	return out, nil
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
		s.drop(dropUnroutable)
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
	from := s.pair.rtcp
	if r.mux {
		from = s.pair.rtp
	}
	return s.send(from, b, r.rtcp, &s.count.rtcpOut)
}

func (o *sender) sealControl(b []byte) ([]byte, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.context == nil {
		return b, nil
	}
	return o.context.EncryptRTCP(nil, b, &o.control)
}

// errFull says that the kernel has no room for a packet now.
var errFull = errors.New("rtp: send buffer full")

// send writes one datagram.
func (s *Session) send(from *socket, b []byte, to netip.AddrPort, count *traffic) error {
	return s.account(from.send(b, to), len(b), count)
}

// account counts a datagram of so many bytes and says what to tell of the error
// it was sent with. What the kernel has no room for is lost: waiting would make
// all other streams late.
func (s *Session) account(err error, size int, count *traffic) error {
	switch {
	case err == nil:
		count.add(size)
		return nil
	case errors.Is(err, ErrClosed):
		return err
	case errors.Is(err, errFull):
		s.drop(dropFull)
		return nil
	}
	return fmt.Errorf("rtp: send: %w", err)
}

// drop counts a packet that is not sent.
func (s *Session) drop(why dropReason) {
	s.count.dropped[why].Add(1)
	s.metrics.dropped[why].Inc()
}
