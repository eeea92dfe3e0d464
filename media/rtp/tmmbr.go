package rtp

import (
	"encoding/binary"
	"errors"
	"math/bits"

	"github.com/pion/rtcp"
)

var _ rtcp.Packet = (*BitrateLimit)(nil)

// Formats of transport layer feedback (RFC 5104 section 4.2).
const (
	formatTMMBR = 3
	formatTMMBN = 4
)

// A BitrateLimit is a Temporary Maximum Media Stream Bit Rate Request (TMMBR,
// RFC 5104 section 4.2.1), or the notification that answers it (TMMBN, section
// 4.2.2).
type BitrateLimit struct {
	Notification bool
	SenderSSRC   uint32
	Entries      []BitrateEntry
}

// A BitrateEntry is one limit.
type BitrateEntry struct {
	SSRC     uint32 // request: whose stream is limited; notification: who asked for it
	Bitrate  int    // bit/s, headers included
	Overhead int    // bytes of headers per packet that are counted, at most 511
}

const (
	feedbackHeader = 12 // bytes: header, sender and media SSRC
	bitrateEntry   = 8

	// greatestBitrate is what larger values are read as, in bit/s: the format
	// goes to 2^80.
	greatestBitrate = 1e9

	mantissaBits = 17
	overheadBits = 9
)

// errBitrateLimit reports a packet that is no TMMBR or TMMBN.
var errBitrateLimit = errors.New("rtp: malformed TMMBR or TMMBN")

// DestinationSSRC implements [rtcp.Packet].
func (p *BitrateLimit) DestinationSSRC() []uint32 {
	ssrcs := make([]uint32, len(p.Entries))
	for i, e := range p.Entries {
		ssrcs[i] = e.SSRC
	}
	return ssrcs
}

// MarshalSize implements [rtcp.Packet].
func (p *BitrateLimit) MarshalSize() int { return feedbackHeader + bitrateEntry*len(p.Entries) }

// Marshal implements [rtcp.Packet].
func (p *BitrateLimit) Marshal() ([]byte, error) {
	format := byte(formatTMMBR)
	if p.Notification {
		format = formatTMMBN
	}
	size := p.MarshalSize()
	b := make([]byte, feedbackHeader, size)
	b[0], b[1] = 2<<6|format, byte(rtcp.TypeTransportSpecificFeedback)
	binary.BigEndian.PutUint16(b[2:], uint16(size/4-1))
	binary.BigEndian.PutUint32(b[4:], p.SenderSSRC) // the SSRC of the media source is zero
	for _, e := range p.Entries {
		if e.Bitrate < 0 || e.Overhead < 0 || e.Overhead >= 1<<overheadBits {
			return nil, errBitrateLimit
		}
		// A limit is rounded down.
		exponent := max(bits.Len(uint(e.Bitrate))-mantissaBits, 0)
		b = binary.BigEndian.AppendUint32(b, e.SSRC)
		b = binary.BigEndian.AppendUint32(b, uint32(exponent)<<26|uint32(e.Bitrate>>exponent)<<overheadBits|uint32(e.Overhead))
	}
	return b, nil
}

// Unmarshal implements [rtcp.Packet].
func (p *BitrateLimit) Unmarshal(b []byte) error {
	if len(b) < feedbackHeader || (len(b)-feedbackHeader)%bitrateEntry != 0 || b[0]>>6 != 2 ||
		b[1] != byte(rtcp.TypeTransportSpecificFeedback) || len(b) != 4*(int(binary.BigEndian.Uint16(b[2:]))+1) {
		return errBitrateLimit
	}
	switch b[0] & 0x1f {
	case formatTMMBR:
		p.Notification = false
	case formatTMMBN:
		p.Notification = true
	default:
		return errBitrateLimit
	}
	p.SenderSSRC, p.Entries = binary.BigEndian.Uint32(b[4:]), p.Entries[:0]
	for b = b[feedbackHeader:]; len(b) > 0; b = b[bitrateEntry:] {
		word := binary.BigEndian.Uint32(b[4:])
		exponent, mantissa := word>>26, int(word>>overheadBits&(1<<mantissaBits-1))
		e := BitrateEntry{SSRC: binary.BigEndian.Uint32(b), Overhead: int(word & (1<<overheadBits - 1))}
		if e.Bitrate = greatestBitrate; mantissa == 0 || exponent < 30 && mantissa<<exponent < greatestBitrate {
			e.Bitrate = mantissa << min(exponent, 30)
		}
		p.Entries = append(p.Entries, e)
	}
	return nil
}
