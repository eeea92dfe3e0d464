package rtp

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"sync"
	"time"

	"github.com/pion/rtcp"
	pion "github.com/pion/rtp"
	"github.com/pion/srtp/v3"
)

// receiver is what the incoming half of a [Session] knows.
type receiver struct {
	mu      sync.Mutex // guards what follows; never held while the handler runs
	media   latch
	control controlLatch
	mux     bool
	types   [2]uint64 // a bit for each payload type taken
	crypto  *Crypto
	context *srtp.Context
	sources map[uint32]bool // that context keeps a state for
	logged  [dropReasons]bool
}

// maxSources is how many SSRCs a peer may use under one key. Each costs memory
// for as long as the key, and nobody needs more than a few.
const maxSources = 64

// rekey takes over ctx, made for c, unless the keys are those in use: starting
// over with the same key would accept replayed packets and lose the rollover
// counter. in.mu is held.
func (in *receiver) rekey(c *Crypto, ctx *srtp.Context) {
	if !sameRecv(in.crypto, c) {
		in.context, in.sources = ctx, map[uint32]bool{}
	}
	in.crypto = c
}

// decrypt runs one of the two functions of the context for a packet of ssrc.
func (in *receiver) decrypt(ssrc uint32, f func() ([]byte, error)) ([]byte, error) {
	if !in.sources[ssrc] && len(in.sources) >= maxSources {
		return nil, errSources
	}
	b, err := f()
	if err == nil {
		in.sources[ssrc] = true
	}
	return b, err
}

// errSources reports a peer that uses too many SSRCs.
var errSources = errors.New("rtp: too many sources")

func (in *receiver) setTypes(types []uint8) {
	in.types = [2]uint64{}
	for _, t := range types {
		in.types[t>>6&1] |= 1 << (t & 63)
	}
}

// takes reports whether packets of that type are expected. The marker bit is
// not part of it.
func (in *receiver) takes(t byte) bool { return in.types[t>>6&1]>>(t&63)&1 != 0 }

// maxErrors in a row say that a socket is broken, and not a packet.
const maxErrors = 100

// A reader parses what sockets receive. It belongs to one goroutine.
type reader struct {
	s       *Session    // whose socket it is
	onRTCP  bool        // the socket is that for RTCP alone
	packet  pion.Packet // reused: its slices are its own, its payload the socket's buffer
	header  pion.Header
	control rtcp.Header
	reports []rtcp.Packet
}

// datagram handles one datagram from the network, which is anything at all. b
// is overwritten where it is encrypted.
func (r *reader) datagram(b []byte, from netip.AddrPort, arrived time.Time) {
	const version = 2
	switch {
	case !from.IsValid() || len(b) < 8 || len(b) > maxDatagram || b[0]>>6 != version:
		// Neither RTP nor RTCP: STUN, DTLS, or a keep-alive of a few bytes.
		r.s.malformed(from)
	case isControl(b):
		r.rtcp(b, from, arrived)
	case r.onRTCP:
		r.s.malformed(from)
	default:
		r.rtp(b, from, arrived)
	}
}

// isControl tells RTCP from RTP by the second byte (RFC 5761 section 4).
func isControl(b []byte) bool { return b[1] >= 192 && b[1] <= 223 }

func (r *reader) rtp(b []byte, from netip.AddrPort, arrived time.Time) {
	const headerSize = 12
	if len(b) < headerSize {
		r.s.malformed(from)
		return
	}
	size := len(b)
	b, verdict, replay := r.admit(b, from)
	switch verdict {
	case refused, held:
		return
	case locked:
		// What the source sent while it was on probation comes first.
		for _, old := range replay {
			if r.packet.Unmarshal(old) == nil {
				r.deliver(len(old), arrived)
			}
		}
		if len(replay) > 0 && r.packet.Unmarshal(b) != nil {
			return
		}
	}
	r.deliver(size, arrived)
}

// admit decrypts a packet, parses it into r.packet and decides whether it is
// the peer's.
func (r *reader) admit(b []byte, from netip.AddrPort) ([]byte, verdict, [][]byte) {
	s, in := r.s, &r.s.in
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.media.admits(from) {
		s.dropLocked(dropSource, from)
		return nil, refused, nil
	}
	if !in.takes(b[1]) {
		s.dropLocked(dropType, from)
		return nil, refused, nil
	}
	seq, ssrc := binary.BigEndian.Uint16(b[2:]), binary.BigEndian.Uint32(b[8:])
	if in.crypto != nil {
		plain, err := in.decrypt(ssrc, func() ([]byte, error) { return in.context.DecryptRTP(b[:0], b, &r.header) })
		if err != nil {
			s.dropLocked(dropAuth, from)
			return nil, refused, nil
		}
		b = plain
	}
	if err := r.packet.Unmarshal(b); err != nil {
		s.dropLocked(dropMalformed, from)
		return nil, refused, nil
	}
	verdict, c := in.media.packet(from, ssrc, seq, in.crypto != nil)
	switch verdict {
	case refused:
		s.dropLocked(dropSource, from)
	case held:
		c.held = append(c.held, append([]byte(nil), b...))
	case locked:
		s.publish()
		if from != in.media.signalled {
			s.metrics.learned.Inc()
			s.log.Debug("peer found behind NAT", "signalled", in.media.signalled, "source", from)
		}
		if c != nil {
			return b, locked, c.held
		}
	}
	return b, verdict, nil
}

// deliver hands r.packet, which came in so many bytes, to the handler.
func (r *reader) deliver(size int, arrived time.Time) {
	s := r.s
	s.count.rtpIn.add(size)
	if s.handler.RTP != nil {
		s.handler.RTP(&r.packet, arrived)
	}
}

func (r *reader) rtcp(b []byte, from netip.AddrPort, arrived time.Time) {
	s := r.s
	size := len(b)
	if !r.admitControl(b, from) {
		return
	}
	s.count.rtcpIn.add(size)
	if len(r.reports) > 0 && s.handler.RTCP != nil {
		s.reporting.Lock()
		s.handler.RTCP(r.reports, arrived)
		s.reporting.Unlock()
	}
	clear(r.reports)
}

// admitControl decrypts RTCP, parses it into r.reports and decides whether it is the peer's.
func (r *reader) admitControl(b []byte, from netip.AddrPort) bool {
	s, in := r.s, &r.s.in
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.crypto != nil {
		ssrc := binary.BigEndian.Uint32(b[4:])
		plain, err := in.decrypt(ssrc, func() ([]byte, error) { return in.context.DecryptRTCP(b[:0], b, &r.control) })
		if err != nil {
			s.dropLocked(dropAuth, from)
			return false
		}
		b = plain
	}
	var err error
	if r.reports, err = appendReports(r.reports[:0], b); err != nil {
		s.dropLocked(dropMalformed, from)
		return false
	}
	if !in.control.packet(from, in.media.dest(), in.crypto != nil) {
		s.dropLocked(dropSource, from)
		return false
	}
	s.publish()
	return true
}

// errControl reports RTCP that is not a sequence of RTCP packets.
var errControl = errors.New("rtp: malformed RTCP")

// appendReports appends the packets of a compound that somebody here reads. A
// packet of another kind, such as the APP that baresip opens NAT bindings with,
// or one with a bad body does not spoil its neighbours. The transport-wide
// feedback of browsers never gets here; it is left out because a few bytes of
// it unpack to megabytes.
func appendReports(dst []rtcp.Packet, b []byte) ([]rtcp.Packet, error) {
	for len(b) > 0 {
		if len(b) < 4 || b[0]>>6 != 2 {
			return dst, errControl
		}
		size := 4 * (int(binary.BigEndian.Uint16(b[2:])) + 1)
		if size > len(b) {
			return dst, errControl
		}
		if p := newReport(b); p != nil && p.Unmarshal(b[:size]) == nil {
			dst = append(dst, p)
		}
		b = b[size:]
	}
	return dst, nil
}

// newReport returns the type to parse b into; nil if nobody reads it.
func newReport(b []byte) rtcp.Packet {
	format := b[0] & 0x1f
	switch rtcp.PacketType(b[1]) {
	case rtcp.TypeSenderReport:
		return new(rtcp.SenderReport)
	case rtcp.TypeReceiverReport:
		return new(rtcp.ReceiverReport)
	case rtcp.TypeSourceDescription:
		return new(rtcp.SourceDescription)
	case rtcp.TypeGoodbye:
		return new(rtcp.Goodbye)
	case rtcp.TypeTransportSpecificFeedback:
		switch format {
		case rtcp.FormatTLN:
			return new(rtcp.TransportLayerNack)
		case formatTMMBR, formatTMMBN:
			return new(BitrateLimit)
		}
	case rtcp.TypePayloadSpecificFeedback:
		switch format {
		case rtcp.FormatPLI:
			return new(rtcp.PictureLossIndication)
		case rtcp.FormatFIR:
			return new(rtcp.FullIntraRequest)
		case rtcp.FormatREMB:
			return new(rtcp.ReceiverEstimatedMaximumBitrate)
		}
	}
	return nil
}

// malformed drops what is no packet at all.
func (s *Session) malformed(from netip.AddrPort) {
	s.in.mu.Lock()
	defer s.in.mu.Unlock()
	s.dropLocked(dropMalformed, from)
}

// dropLocked counts a datagram that goes no further and warns of the first of each
// kind. Callers hold s.in.mu.
func (s *Session) dropLocked(why dropReason, from netip.AddrPort) {
	s.count.dropped[why].Add(1)
	s.metrics.dropped[why].Inc()
	if why == dropSource && !s.in.media.source.IsValid() {
		return // RTCP of a phone behind NAT whose place is not learned yet: nothing to worry about
	}
	if !s.in.logged[why] {
		s.in.logged[why] = true
		s.log.Warn("packet dropped", "reason", why.String(), "from", from)
	}
}
