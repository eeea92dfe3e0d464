package g722_test

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/codectest"
	"github.com/skybridge-media/skybridge/codecs/g722"
	"github.com/skybridge-media/skybridge/codecs/pcm"
)

func TestG722(t *testing.T) { codectest.Audio(t, g722.G722, 20) }

// TestBitExact compares with an independent implementation, FFmpeg's, which
// passes ITU-T's own test sequences: the sums are those of its output for the
// same input. Random codes drive both bands to all their limits.
func TestBitExact(t *testing.T) {
	const (
		decoded = "d1d49163ac328f8242f7f9b992b17af8ca4bb1d001d7a2cdbedb9150bd3402e9"
		encoded = "ee3f537c83ccde27acc81c2d0edd8c00941767fada4ea56f602eb3854e92f5e7"
	)
	rng := rand.New(rand.NewPCG(7, 22))
	codes := make([]byte, 8000)
	for i := range codes {
		codes[i] = byte(rng.Uint32())
	}
	dec, err := g722.G722.NewDecoder()
	if err != nil {
		t.Fatal(err)
	}
	samples, err := dec.Decode(nil, codes)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := binary.Append(nil, binary.LittleEndian, []int16(samples))
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("%x", sha256.Sum256(raw)); got != decoded {
		t.Errorf("sum of the decoded samples = %s, want %s", got, decoded)
	}
	enc, err := g722.G722.NewEncoder(codecs.AudioOptions{})
	if err != nil {
		t.Fatal(err)
	}
	again, err := enc.Encode(nil, samples)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("%x", sha256.Sum256(again)); got != encoded {
		t.Errorf("sum of the encoded samples = %s, want %s", got, encoded)
	}
}

func TestOddSamples(t *testing.T) {
	enc, _ := g722.G722.NewEncoder(codecs.AudioOptions{})
	if _, err := enc.Encode(nil, make(pcm.Frame, 3)); err == nil {
		t.Error("three samples were accepted; a code stands for two")
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte{0xfa, 0xfa, 0xfa})
	f.Fuzz(func(t *testing.T, packet []byte) {
		dec, _ := g722.G722.NewDecoder()
		samples, err := dec.Decode(nil, packet)
		if err == nil && packet != nil && len(samples) != 2*len(packet) {
			t.Errorf("%d bytes became %d samples", len(packet), len(samples))
		}
	})
}

func BenchmarkG722(b *testing.B) { codectest.BenchmarkAudio(b, g722.G722, codecs.AudioOptions{}) }
