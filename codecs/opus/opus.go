// Package opus binds libopus (RFC 6716) for conversational audio.
//
// The binding is thin on purpose: no buffering, no resampling, no goroutines.
// Memory that C allocates is freed by Close and by nothing else. Packets are
// measured in Go ([Parse]) before libopus sees them.
package opus

/*
#cgo pkg-config: opus
#include "shim.h"
*/
import "C"

import (
	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/pcm"
)

// Rate is the sampling rate and the RTP clock of Opus in Hz, whatever the
// bandwidth of the audio (RFC 7587, section 4.1).
const Rate = 48000

// Mono is Opus as a mono mixer wants it. Its decoder accepts stereo packets,
// which every sender may send (RFC 7587, section 7), and mixes them down; it is
// a [codecs.Recoverer]. Its encoder takes frames of 2.5 to 60 ms and is a
// [codecs.Cutter]. Redundancy (AudioOptions.Loss) and DTX cost three times the
// CPU: ask for them only where they are of use.
var Mono = codecs.Audio{
	Name:       "opus",
	Format:     pcm.Format{Rate: Rate, Channels: 1},
	Clock:      Rate,
	Type:       -1,
	NewEncoder: newEncoder,
	NewDecoder: newDecoder,
}

// An Error is a libopus status. Its text comes from the library.
type Error int

func (e Error) Error() string { return "opus: " + C.GoString(C.opus_strerror(C.int(e))) }

// Is makes a broken bitstream match [codecs.ErrCorrupt]. The SILK layer reports
// some of them as internal errors.
func (e Error) Is(target error) bool {
	return target == codecs.ErrCorrupt &&
		(e == C.OPUS_INVALID_PACKET || e == C.OPUS_INTERNAL_ERROR || e == C.OPUS_BUFFER_TOO_SMALL)
}

// grow extends s by n elements, reallocating only when capacity runs out.
func grow[S ~[]E, E any](s S, n int) S {
	if cap(s)-len(s) < n {
		s = append(make(S, 0, len(s)+n), s...)
	}
	return s[:len(s)+n]
}
