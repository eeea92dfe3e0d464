package bfcp

import (
	"encoding/binary"
	"fmt"
)

// The versions of the protocol: one for streams, one for datagrams (RFC 8855
// section 5.1).
const (
	StreamVersion   = 1
	DatagramVersion = 2
)

const (
	headerBytes   = 12
	fragmentBytes = 4 // of a fragment's header, after those

	flagResponse = 0x10
	flagFragment = 0x08

	// maxPayload bounds what is taken. The largest message of a conference
	// with one floor is a tenth of it.
	maxPayload = 16 << 10
)

// A Message is one message of BFCP.
type Message struct {
	Version     uint8
	Response    bool // the R bit, which only datagrams have
	Primitive   Primitive
	Conference  uint32
	Transaction uint16
	User        uint16
	Attributes  []Attribute
}

// Get returns the first attribute of that type, nil if there is none.
func (m *Message) Get(t Type) *Attribute { return get(m.Attributes, t) }

// A ParseError says what is wrong with a message. Code and Details are for the
// Error that answers it.
type ParseError struct {
	Code    Code
	Details []byte
	reason  string
}

func (e *ParseError) Error() string { return "bfcp: " + e.Code.String() + ": " + e.reason }

func malformed(c Code, format string, args ...any) *ParseError {
	return &ParseError{Code: c, reason: fmt.Sprintf(format, args...)}
}

// Parse reads a message that is not a fragment. The result does not refer to
// b. An error is a [*ParseError]; the message is not nil if its header could
// be read, so that the peer can be told.
func Parse(b []byte) (*Message, error) {
	if len(b) < headerBytes {
		return nil, malformed(IncorrectLength, "%d octets, a header has %d", len(b), headerBytes)
	}
	m := &Message{
		Version:     b[0] >> 5,
		Response:    b[0]&flagResponse != 0,
		Primitive:   Primitive(b[1]),
		Conference:  binary.BigEndian.Uint32(b[4:]),
		Transaction: binary.BigEndian.Uint16(b[8:]),
		User:        binary.BigEndian.Uint16(b[10:]),
	}
	payload := b[headerBytes:]
	switch n := payloadBytes(b); {
	case m.Version != StreamVersion && m.Version != DatagramVersion:
		return m, malformed(UnsupportedVersion, "version %d", m.Version)
	case b[0]&flagFragment != 0 && m.Version == DatagramVersion: // on a stream it means nothing
		return m, malformed(Unparsable, "a fragment")
	case n != len(payload):
		return m, malformed(IncorrectLength, "payload length says %d octets, there are %d", n, len(payload))
	case n > maxPayload:
		return m, malformed(IncorrectLength, "%d octets, limit %d", n, maxPayload)
	}
	var unknown []byte
	attributes, err := parseAttributes(payload, 1, &unknown)
	if err != nil {
		return m, malformed(Unparsable, "%v", err)
	}
	m.Attributes = attributes
	if len(unknown) > 0 {
		e := malformed(UnknownMandatoryAttribute, "%v", Type(unknown[0]>>1))
		e.Details = unknown[:min(len(unknown), maxValue-1)]
		return m, e
	}
	return m, nil
}

// payloadBytes is what a header says.
func payloadBytes(b []byte) int { return 4 * int(binary.BigEndian.Uint16(b[2:])) }

// Marshal returns the message as it goes over the wire. An error names the
// attribute that does not fit.
func (m *Message) Marshal() ([]byte, error) {
	b := make([]byte, headerBytes, 64)
	b[0] = m.Version << 5
	if m.Response && m.Version != StreamVersion {
		b[0] |= flagResponse
	}
	b[1] = byte(m.Primitive)
	binary.BigEndian.PutUint32(b[4:], m.Conference)
	binary.BigEndian.PutUint16(b[8:], m.Transaction)
	binary.BigEndian.PutUint16(b[10:], m.User)
	b, err := appendAttributes(b, m.Attributes)
	if err != nil {
		return nil, err
	}
	n := len(b) - headerBytes
	if n > maxPayload {
		return nil, fmt.Errorf("bfcp: %v has %d octets, limit %d", m.Primitive, n, maxPayload)
	}
	binary.BigEndian.PutUint16(b[2:], uint16(n/4))
	return b, nil
}
