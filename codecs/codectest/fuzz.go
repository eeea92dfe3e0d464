package codectest

import (
	"errors"
	"testing"

	"github.com/skybridge-media/skybridge/codecs"
)

// FuzzVideo decodes two access units of a stranger, and then a sound key frame,
// which must not suffer from what came before.
func FuzzVideo(f *testing.F, c codecs.Video) {
	enc, err := c.NewEncoder(codecs.VideoOptions{Width: 32, Height: 32, FrameRate: 30, Bitrate: 50_000})
	if err != nil {
		f.Fatal(err)
	}
	defer enc.Close()
	scene := NewScene(32, 32)
	key, _, _ := enc.Encode(nil, scene.Picture(0), true)
	next, _, _ := enc.Encode(nil, scene.Picture(1), false)
	f.Add(key, next)
	f.Fuzz(func(t *testing.T, first, second []byte) {
		dec, err := c.NewDecoder()
		if err != nil {
			t.Fatal(err)
		}
		defer dec.Close()
		for _, unit := range [][]byte{first, second, first, second} {
			p, err := dec.Decode(unit)
			if err != nil && !errors.Is(err, codecs.ErrCorrupt) {
				t.Fatalf("Decode: %v", err)
			}
			if p != nil && (!p.Whole() || !codecs.Decodable(p.Width, p.Height)) {
				t.Fatalf("picture of %dx%d", p.Width, p.Height)
			}
			c.KeyFrame(unit)
		}
		if p, err := dec.Decode(key); err != nil || p == nil {
			t.Fatalf("sound key frame: %v, %v", p, err)
		}
	})
}
