package payload_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/skybridge-media/skybridge/media/payload"
)

// FuzzAssemble feeds foreign payloads, each preceded by its length in one
// byte. Nothing panics, and every refusal is ErrMalformed.
func FuzzAssemble(f *testing.F) {
	f.Add(true, []byte{5, 28, 0x85, 1, 2, 3, 4, 28, 0x45, 4, 5})
	f.Add(true, []byte{9, 24, 0, 2, 0x67, 1, 0, 2, 0x68, 1, 2, 0x65, 1})
	f.Add(false, []byte{4, 0x90, 0x80, 0x11, 'x', 2, 0, 'y'})
	f.Fuzz(func(t *testing.T, h264 bool, b []byte) {
		codec := "VP8"
		if h264 {
			codec = "H264"
		}
		a, err := payload.NewAssembler(codec, b)
		if err != nil {
			t.Fatal(err)
		}
		for len(b) > 0 {
			n := min(int(b[0]), len(b)-1)
			p := b[1 : 1+n]
			b = b[1+n:]
			payload.KeyStart(codec, p)
			if err := a.Add(p); err != nil {
				if !errors.Is(err, payload.ErrMalformed) {
					t.Fatal(err)
				}
				a.Reset()
			} else if n%3 == 0 {
				a.Unit()
			}
		}
	})
}

// FuzzH264 holds that an Assembler restores the NAL units that Packetize cut,
// in their order and with nothing but parameter sets in front.
func FuzzH264(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 0x67, 1, 2, 0, 0, 1, 0x68, 3, 0, 0, 0, 1, 0x65, 4, 5}, uint16(100))
	f.Fuzz(func(t *testing.T, unit []byte, limit uint16) {
		cut, err := payload.Packetize("H264", unit, 1, int(limit))
		if err != nil {
			return
		}
		a, err := payload.NewAssembler("H264", nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range cut {
			if len(p) > int(limit) {
				t.Fatalf("payload of %d bytes, limit %d", len(p), limit)
			}
			_ = a.Add(p) // may refuse types that RTP uses for itself
		}
		nals, err := payload.Packetize("H264", unit, 0, 1<<16)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range nals {
			if typ := n[0] & 0x1f; typ == 0 || typ >= 24 {
				return
			}
		}
		if got, want := a.Unit(), annexB(nals...); !bytes.HasSuffix(got, want) {
			t.Fatalf("% x, want % x", got, want)
		}
	})
}
