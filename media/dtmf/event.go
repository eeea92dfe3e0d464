package dtmf

import (
	"encoding/binary"
	"errors"
	"strings"
)

// ErrShort reports a payload too short to hold an event.
var ErrShort = errors.New("dtmf: payload shorter than 4 bytes")

// ErrNotDigit reports a key that is none of 0-9, *, # and A-D.
var ErrNotDigit = errors.New("dtmf: not a digit")

// An Event is one report about one key. A key press is a run of them with the
// same RTP timestamp and growing Duration.
type Event struct {
	Code     byte   // 0-9 for digits, 10 for '*', 11 for '#', 12-15 for A-D
	End      bool   // the key is up; sent three times against loss (section 2.5.1.4)
	Volume   byte   // power of the tone in -dBm0, 0 to 63
	Duration uint16 // in units of the RTP clock, since the RTP timestamp
}

// ParseEvent reads the first event of an RTP payload.
func ParseEvent(b []byte) (Event, error) {
	if len(b) < 4 {
		return Event{}, ErrShort
	}
	return Event{
		Code:     b[0],
		End:      b[1]&0x80 != 0,
		Volume:   b[1] & 0x3f, // bit 6 is reserved and ignored (section 2.3.3)
		Duration: binary.BigEndian.Uint16(b[2:]),
	}, nil
}

// Append appends the wire form of e to b.
func (e Event) Append(b []byte) []byte {
	flags := e.Volume & 0x3f
	if e.End {
		flags |= 0x80
	}
	b = append(b, e.Code, flags)
	return binary.BigEndian.AppendUint16(b, e.Duration)
}

// digits are the keys in the order of their event codes.
const digits = "0123456789*#ABCD"

// Digit is the key of the event; ok is false for the many other events, such
// as 16, the hook flash.
func (e Event) Digit() (digit byte, ok bool) {
	if int(e.Code) >= len(digits) {
		return 0, false
	}
	return digits[e.Code], true
}

// code is the event code of a key.
func code(digit byte) (byte, error) {
	i := strings.IndexByte(digits, upper(digit))
	if i < 0 {
		return 0, ErrNotDigit
	}
	return byte(i), nil
}

func upper(c byte) byte {
	if 'a' <= c && c <= 'z' {
		return c - 'a' + 'A'
	}
	return c
}
