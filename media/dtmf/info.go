package dtmf

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ParseInfo reads the digit from the body of a SIP INFO request. contentType is
// application/dtmf-relay, whose body is lines such as "Signal=5" and
// "Duration=160", or application/dtmf, whose body is the digit; parameters of
// it are ignored. The duration is 160 ms if the body does not say.
//
// The error wraps [ErrNotDigit], also for another content type and for the hook
// flash.
func ParseInfo(contentType string, body []byte) (digit byte, d time.Duration, err error) {
	kind, _, _ := strings.Cut(contentType, ";")
	kind = strings.ToLower(strings.TrimSpace(kind))
	if kind != "application/dtmf-relay" && kind != "application/dtmf" {
		return 0, 0, fmt.Errorf("%w: content type %.40q", ErrNotDigit, contentType)
	}
	const maxBody = 512
	text := strings.TrimSpace(string(body[:min(len(body), maxBody)]))
	d = usualPress
	if !strings.Contains(text, "=") {
		digit, err = signal(text)
		return digit, d, err
	}
	// Both types occur with both bodies.
	found := false
	for line := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == '\r' || r == '\n' }) {
		key, value, _ := strings.Cut(line, "=")
		value = strings.TrimSpace(value)
		switch strings.ToLower(strings.TrimSpace(key)) {
		case "signal":
			if digit, err = signal(value); err != nil {
				return 0, 0, err
			}
			found = true
		case "duration":
			if ms, err := strconv.ParseUint(value, 10, 16); err == nil && ms > 0 {
				d = time.Duration(ms) * time.Millisecond
			}
		}
	}
	if !found {
		return 0, 0, fmt.Errorf("%w: no signal", ErrNotDigit)
	}
	return digit, d, nil
}

// signal reads a key: itself, or the code of its event.
func signal(s string) (byte, error) {
	if len(s) == 1 {
		c := upper(s[0])
		_, err := code(c)
		return c, err
	}
	if n, err := strconv.ParseUint(s, 10, 8); err == nil {
		if digit, ok := (Event{Code: byte(n)}).Digit(); ok {
			return digit, nil
		}
	}
	return 0, fmt.Errorf("%w: %.20q", ErrNotDigit, s)
}
