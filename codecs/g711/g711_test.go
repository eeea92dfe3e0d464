package g711_test

import (
	"testing"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/codectest"
	"github.com/skybridge-media/skybridge/codecs/g711"
	"github.com/skybridge-media/skybridge/codecs/pcm"
)

func TestPCMU(t *testing.T) { codectest.Audio(t, g711.PCMU, 35) }
func TestPCMA(t *testing.T) { codectest.Audio(t, g711.PCMA, 35) }

// TestValues compares with G.711's own tables: decision values of tables 1a
// and 2a, scaled to 16 bits, and the code for silence.
func TestValues(t *testing.T) {
	for _, test := range []struct {
		codec  codecs.Audio
		sample int16
		code   byte
		back   int16 // what the code stands for
	}{
		{g711.PCMU, 0, 0xff, 0},
		{g711.PCMU, -1, 0x7f, 0},
		{g711.PCMU, 32767, 0x80, 32124},
		{g711.PCMU, -32768, 0x00, -32124},
		{g711.PCMU, 8031 << 2, 0x80, 32124}, // x128 - 128 of segment 8, in 14 bits
		{g711.PCMU, 4063 << 2, 0x8f, 16764}, // the last of segment 7
		{g711.PCMA, 0, 0xd5, 8},
		{g711.PCMA, -1, 0x55, -8},
		{g711.PCMA, 32767, 0xaa, 32256},
		{g711.PCMA, -32768, 0x2a, -32256},
		{g711.PCMA, 2048 << 3, 0xa5, 16896}, // the first of segment 7, in 13 bits
		{g711.PCMA, 64 << 3, 0xf5, 528},     // the first of segment 3
	} {
		enc, _ := test.codec.NewEncoder(codecs.AudioOptions{})
		dec, _ := test.codec.NewDecoder()
		code, _ := enc.Encode(nil, pcm.Frame{test.sample})
		if code[0] != test.code {
			t.Errorf("%s: %d encodes to %#02x, want %#02x", test.codec.Name, test.sample, code[0], test.code)
		}
		if back, _ := dec.Decode(nil, []byte{test.code}); back[0] != test.back {
			t.Errorf("%s: %#02x decodes to %d, want %d", test.codec.Name, test.code, back[0], test.back)
		}
	}
}

// TestEveryCode verifies that a transcoder in between changes nothing: each
// code survives decoding and encoding.
func TestEveryCode(t *testing.T) {
	for _, c := range []codecs.Audio{g711.PCMU, g711.PCMA} {
		enc, _ := c.NewEncoder(codecs.AudioOptions{})
		dec, _ := c.NewDecoder()
		for b := range 256 {
			samples, _ := dec.Decode(nil, []byte{byte(b)})
			again, _ := enc.Encode(nil, samples)
			// µ-law has two codes for zero.
			if again[0] != byte(b) && samples[0] != 0 {
				t.Errorf("%s: %#02x decodes to %d and encodes to %#02x", c.Name, b, samples[0], again[0])
			}
		}
	}
}

// TestEverySample verifies that no sample comes back farther away than half
// the step of its segment, which is at most 1/32 of its size.
func TestEverySample(t *testing.T) {
	for _, c := range []codecs.Audio{g711.PCMU, g711.PCMA} {
		enc, _ := c.NewEncoder(codecs.AudioOptions{})
		dec, _ := c.NewDecoder()
		for s := -32768; s <= 32767; s++ {
			code, _ := enc.Encode(nil, pcm.Frame{int16(s)})
			back, _ := dec.Decode(nil, code)
			off := max(s-int(back[0]), int(back[0])-s)
			if most := max(s, -s)/32 + 16; off > most {
				t.Fatalf("%s: %d comes back as %d, want within %d", c.Name, s, back[0], most)
			}
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte{0x00, 0x7f, 0x80, 0xff})
	f.Fuzz(func(t *testing.T, packet []byte) {
		for _, c := range []codecs.Audio{g711.PCMU, g711.PCMA} {
			dec, _ := c.NewDecoder()
			samples, err := dec.Decode(nil, packet)
			if (err == nil) != (len(packet) > 0) && packet != nil {
				t.Errorf("%s: %d bytes: %v", c.Name, len(packet), err)
			}
			if err == nil && packet != nil && len(samples) != len(packet) {
				t.Errorf("%s: %d bytes became %d samples", c.Name, len(packet), len(samples))
			}
		}
	})
}

func BenchmarkPCMU(b *testing.B) { codectest.BenchmarkAudio(b, g711.PCMU, codecs.AudioOptions{}) }
func BenchmarkPCMA(b *testing.B) { codectest.BenchmarkAudio(b, g711.PCMA, codecs.AudioOptions{}) }
