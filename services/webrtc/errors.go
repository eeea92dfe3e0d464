package webrtc

import (
	"errors"
	"fmt"

	"github.com/skybridge-media/skybridge/bus"
)

// ErrNoCodec means that an offer has no codec in common with us. Services that
// do not import this package know it by code and text.
var ErrNoCodec = &bus.Error{Code: bus.Invalid, Text: "no common codec"}

var (
	errClosed  = &bus.Error{Code: bus.Unavailable, Text: "webrtc: closed"}
	errEnded   = &bus.Error{Code: bus.Conflict, Text: "webrtc: the call has ended"}
	errChanged = &bus.Error{Code: bus.Invalid, Text: "webrtc: a codec of the call is no longer offered"}
)

// invalid is an error in what the peer sent.
func invalid(format string, args ...any) error {
	return &bus.Error{Code: bus.Invalid, Text: "webrtc: " + fmt.Sprintf(format, args...)}
}

// cause classifies err for a metric.
func cause(err error) string {
	switch {
	case errors.Is(err, ErrNoCodec):
		return "no_codec"
	case bus.CodeOf(err) == bus.Invalid:
		return "malformed"
	}
	return "internal"
}
