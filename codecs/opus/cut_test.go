package opus_test

import (
	"errors"
	"testing"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/codectest"
	"github.com/skybridge-media/skybridge/codecs/opus"
	"github.com/skybridge-media/skybridge/codecs/pcm"
)

// TestCut moves a decoder from one encoder of speech to another, again and again,
// and compares what it plays with what it plays of the other alone.
func TestCut(t *testing.T) {
	speech := codectest.Speech(opus.Mono.Format)
	celt, hybrid := codecs.AudioOptions{}, codecs.AudioOptions{Loss: 10}
	for _, tt := range []struct {
		name     string
		from, to codecs.AudioOptions
	}{
		{"to CELT", hybrid, celt},
		{"to hybrid", celt, hybrid},
	} {
		t.Run(tt.name, func(t *testing.T) {
			const every = 10 // packets
			from := encode(t, tt.from, speech)
			play := func(cut bool) float64 {
				to, moved, alone := newEncoder(t, tt.to), newDecoder(t), newDecoder(t)
				var got, want, a, b pcm.Frame
				for i := range len(speech) / 960 {
					if cut && i%every == every/2 {
						if err := to.(codecs.Cutter).Cut(); err != nil {
							t.Fatal(err)
						}
					}
					p, err := to.Encode(nil, speech[960*i:][:960])
					if err != nil {
						t.Fatal(err)
					}
					b = decode(t, alone, p)
					if i%every < every/2 {
						p = from[i]
					}
					a = decode(t, moved, p)
					if i%every > every/2 && i%every < every/2+3 { // behind the seam
						got, want = append(got, a...), append(want, b...)
					}
				}
				return codectest.SNR(want, got, 1)
			}
			with, without := play(true), play(false)
			t.Logf("SNR after a cut %.1f dB, without one %.1f dB", with, without)
			if with < without+3 {
				t.Errorf("a cut gains %.1f dB, want at least 3", with-without)
			}
		})
	}
}

// TestCutIsOnce has prediction come back with the packet after.
func TestCutIsOnce(t *testing.T) {
	speech := codectest.Speech(opus.Mono.Format)
	play := func(cut int) float64 {
		enc := newEncoder(t, codecs.AudioOptions{})
		var packets [][]byte
		for i := range len(speech) / 960 {
			if i < cut {
				if err := enc.(codecs.Cutter).Cut(); err != nil {
					t.Fatal(err)
				}
			}
			p, err := enc.Encode(nil, speech[960*i:][:960])
			if err != nil {
				t.Fatal(err)
			}
			packets = append(packets, p)
		}
		got := decode(t, newDecoder(t), packets...)[120:] // looks 2.5 ms ahead
		return codectest.SNR(speech[:len(got)], got, 1)
	}
	never, once, always := play(0), play(1), play(1e9)
	t.Logf("SNR %.2f dB, %.2f with one cut, %.2f with nothing else", never, once, always)
	if never-once > (never-always)/4 || always >= never {
		t.Error("what follows a cut is still independent")
	}
}

func TestCutAfterClose(t *testing.T) {
	enc := newEncoder(t, codecs.AudioOptions{})
	_ = enc.Close()
	if err := enc.(codecs.Cutter).Cut(); !errors.Is(err, codecs.ErrClosed) {
		t.Errorf("Cut after Close: %v", err)
	}
}
