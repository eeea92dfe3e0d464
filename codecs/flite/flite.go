// Package flite binds Flite (Carnegie Mellon University; a BSD-like licence): it
// turns English text into speech.
//
// It is a codec in one direction: text to raw frames, without clock, goroutine
// or network. The voice is "slt", a statistical one, which is compiled into a
// library; no media files are needed.
package flite

/*
#cgo LDFLAGS: -lflite_cmu_us_slt -lflite_usenglish -lflite_cmulex -lflite -lm
#include "shim.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"unsafe"

	"github.com/skybridge-media/skybridge/codecs/pcm"
)

// Rate is the sampling rate of the voice in Hz; it is mono.
const Rate = 16000

// maxText bounds what is spoken at once, in bytes: half a minute, which takes half
// a second to make.
const maxText = 600

// Errors of [Speak].
var (
	errVoice = errors.New("flite: no voice")
	errWave  = errors.New("flite: no speech")
)

// voice is loaded once and shared. Flite is not said to be safe for concurrent
// use, so whoever speaks holds the lock.
var (
	speaking sync.Mutex
	voice    = sync.OnceValue(func() *C.cst_voice { return C.sky_flite_voice() })
)

// Speak returns text as speech. It takes about a fiftieth of the time that the
// speech lasts; while it runs others wait. Safe for concurrent use.
func Speak(text string) (pcm.Frame, error) {
	switch {
	case len(text) > maxText:
		return nil, fmt.Errorf("flite: text: %d bytes, want %d at most", len(text), maxText)
	case strings.TrimSpace(text) == "":
		return nil, errors.New("flite: text: empty")
	case strings.ContainsRune(text, 0):
		return nil, errors.New("flite: text: contains a zero byte")
	}
	c := C.CString(text)
	defer C.free(unsafe.Pointer(c))
	speaking.Lock()
	defer speaking.Unlock()
	v := voice()
	if v == nil {
		return nil, errVoice
	}
	w := C.flite_text_to_wave(c, v)
	if w == nil {
		return nil, errWave
	}
	defer C.delete_wave(w)
	if w.sample_rate != Rate || w.num_channels != 1 || w.num_samples <= 0 {
		return nil, fmt.Errorf("flite: voice of %d Hz and %d channels", w.sample_rate, w.num_channels)
	}
	said := unsafe.Slice((*int16)(unsafe.Pointer(w.samples)), int(w.num_samples))
	return append(make(pcm.Frame, 0, len(said)), said...), nil
}
