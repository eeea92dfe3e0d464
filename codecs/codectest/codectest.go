// Package codectest is the conformance suite that every codec passes, and the
// synthetic sound and pictures that it passes with.
//
// A codec's own test calls [Audio] or [Video] once and adds what is special to
// it. The suite holds what the contract in package codecs promises to callers:
// fidelity, errors rather than crashes on foreign bytes, recovery, and no
// allocation per frame.
package codectest

import (
	"errors"
	"testing"

	"github.com/skybridge-media/skybridge/codecs"
)

// noAlloc fails t if f allocates. The race detector allocates by itself, so
// that under it f only runs.
func noAlloc(t *testing.T, what string, f func()) {
	t.Helper()
	if n := testing.AllocsPerRun(50, f); n != 0 && !raceEnabled {
		t.Errorf("%s allocates %v times, want 0", what, n)
	}
}

// wantCorrupt fails t unless err is nil or caused by the bitstream.
func wantCorrupt(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil && !errors.Is(err, codecs.ErrCorrupt) {
		t.Fatalf("%s: %v, want codecs.ErrCorrupt", what, err)
	}
}

func wantClosed(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, codecs.ErrClosed) {
		t.Errorf("%s after Close: %v, want codecs.ErrClosed", what, err)
	}
}

type closer interface{ Close() error }

func closeTwice(t *testing.T, all ...closer) {
	t.Helper()
	for range 2 {
		for _, c := range all {
			if err := c.Close(); err != nil {
				t.Errorf("%T: Close: %v", c, err)
			}
		}
	}
}
