package bfcp

import (
	"encoding/binary"
	"time"
)

// Fragment cuts a message into datagrams of at most mtu octets (RFC 8855
// section 6.2.3). It returns the message itself if it fits.
func Fragment(b []byte, mtu int) [][]byte {
	if len(b) <= mtu {
		return [][]byte{b}
	}
	header, payload := b[:headerBytes], b[headerBytes:]
	size := max(mtu-headerBytes-fragmentBytes, 4) &^ 3
	var parts [][]byte
	for offset := 0; offset < len(payload); offset += size {
		part := payload[offset:min(offset+size, len(payload))]
		f := append([]byte(nil), header...)
		f[0] |= flagFragment
		f = binary.BigEndian.AppendUint16(f, uint16(offset/4))
		f = binary.BigEndian.AppendUint16(f, uint16(len(part)/4))
		parts = append(parts, append(f, part...))
	}
	return parts
}

// An Assembler puts fragments together again. It holds a few messages for a
// while, and forgets the oldest for a new one. The zero value is ready; not
// safe for concurrent use.
type Assembler struct {
	partial []*assembly
}

// How much an [Assembler] holds: who sends one message at a time needs one,
// and another for its answers.
const (
	maxPartial  = 4
	maxFragment = 10 * time.Second // as long as a transaction is remembered
)

type assembly struct {
	header  [headerBytes]byte // equal in all fragments of a message
	since   time.Time
	payload []byte
	have    []bool // one per four octets
	missing int
}

// Add takes a datagram. It returns a message that is complete, which may be b
// itself; nil if more must come. A fragment that does not fit its message takes
// the message with it; the error is a [*ParseError] for the Error that a server
// answers with (RFC 8855 section 5.1).
func (a *Assembler) Add(b []byte, now time.Time) ([]byte, error) {
	if len(b) < headerBytes || b[0]&flagFragment == 0 {
		return b, nil
	}
	header := [headerBytes]byte(b)
	if len(b) < headerBytes+fragmentBytes {
		return nil, a.misfit(header, "a fragment of %d octets", len(b))
	}
	total := payloadBytes(b)
	offset := 4 * int(binary.BigEndian.Uint16(b[headerBytes:]))
	size := 4 * int(binary.BigEndian.Uint16(b[headerBytes+2:]))
	part := b[headerBytes+fragmentBytes:]
	switch {
	case total == 0 || total > maxPayload:
		return nil, a.misfit(header, "%d octets in fragments, limit %d", total, maxPayload)
	case size == 0 || size != len(part):
		return nil, a.misfit(header, "fragment length says %d octets, there are %d", size, len(part))
	case offset+size > total:
		return nil, a.misfit(header, "octets %d to %d of %d", offset, offset+size, total)
	}
	m := a.find(header, total, now)
	for i := offset / 4; i < (offset+size)/4; i++ {
		if !m.have[i] {
			m.have[i] = true
			m.missing--
		}
	}
	copy(m.payload[offset:], part)
	if m.missing > 0 {
		return nil, nil
	}
	a.drop(m)
	m.header[0] &^= flagFragment
	return append(m.header[:], m.payload...), nil
}

// misfit forgets the message of a fragment.
func (a *Assembler) misfit(header [headerBytes]byte, format string, args ...any) error {
	for _, m := range a.partial {
		if m.header == header {
			a.drop(m)
			break
		}
	}
	return malformed(IncorrectLength, format, args...)
}

// find returns the message that the fragment belongs to.
func (a *Assembler) find(header [headerBytes]byte, total int, now time.Time) *assembly {
	for i := 0; i < len(a.partial); {
		switch m := a.partial[i]; {
		case now.Sub(m.since) > maxFragment:
			a.drop(m)
		case m.header == header:
			return m
		default:
			i++
		}
	}
	if len(a.partial) == maxPartial {
		a.drop(a.partial[0])
	}
	m := &assembly{header: header, since: now, payload: make([]byte, total), have: make([]bool, total/4), missing: total / 4}
	a.partial = append(a.partial, m)
	return m
}

func (a *Assembler) drop(m *assembly) {
	for i, p := range a.partial {
		if p == m {
			a.partial = append(a.partial[:i], a.partial[i+1:]...)
			return
		}
	}
}
