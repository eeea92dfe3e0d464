package port

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/g711"
	"github.com/skybridge-media/skybridge/codecs/g722"
	"github.com/skybridge-media/skybridge/codecs/opus"
	"github.com/skybridge-media/skybridge/codecs/pcm"
	"github.com/skybridge-media/skybridge/media/jitter"
	"github.com/skybridge-media/skybridge/media/mix"
	"github.com/skybridge-media/skybridge/media/tone"
)

// TestLawGauge compares what the payload says with how loud the sound was.
func TestLawGauge(t *testing.T) {
	for _, codec := range []*codecs.Audio{&g711.PCMU, &g711.PCMA} {
		e, err := codec.NewEncoder(codecs.AudioOptions{})
		if err != nil {
			t.Fatal(err)
		}
		g := newGauge(codec)
		frame := make(pcm.Frame, codec.Format.Samples20())
		for _, s := range []interface{ Read(pcm.Frame) }{
			&noise{rand.New(rand.NewPCG(1, 1)), -20}, tone.New(8000, -10, 440), tone.New(8000, -50, 1000), tone.NewSpeech(8000, 1),
		} {
			for range 100 {
				s.Read(frame)
				payload, err := e.Encode(nil, frame)
				if err != nil {
					t.Fatal(err)
				}
				units, got := g.measure(payload)
				if units != 160 {
					t.Fatalf("%s: %d units, want 160", codec.Name, units)
				}
				if want := int(mix.Level(frame)); want < 60 && max(got-want, want-got) > 1 {
					t.Fatalf("%s: level %d, want %d", codec.Name, got, want)
				}
			}
		}
	}
}

func TestGaugesOfFraming(t *testing.T) {
	tests := []struct {
		name         string
		codec        *codecs.Audio
		payload      []byte
		units, level int
	}{
		{"G.722, 20 ms", &g722.G722, make([]byte, 160), 160, unknownLevel},
		{"G.722, 30 ms", &g722.G722, make([]byte, 240), 240, unknownLevel},
		{"Opus, 20 ms", &opus.Mono, append([]byte{0x78}, make([]byte, 40)...), 960, unknownLevel},
		{"Opus, 60 ms", &opus.Mono, append([]byte{0x18}, make([]byte, 40)...), 2880, unknownLevel},
		{"Opus, DTX", &opus.Mono, []byte{0x08}, 960, jitter.MaxLevel},
		{"Opus, nothing", &opus.Mono, nil, 960, unknownLevel},
		{"G.711, nothing", &g711.PCMU, nil, 0, unknownLevel},
		{"G.711, digital silence", &g711.PCMU, []byte{0xff, 0xff}, 2, jitter.MaxLevel - 1},
	}
	for _, tt := range tests {
		if units, level := newGauge(tt.codec).measure(tt.payload); units != tt.units || level != tt.level {
			t.Errorf("%s: %d units, level %d, want %d and %d", tt.name, units, level, tt.units, tt.level)
		}
	}
}

// noise is white, of the given level in dB relative to full scale.
type noise struct {
	r     *rand.Rand
	level float64
}

func (n *noise) Read(dst pcm.Frame) {
	a := math.Pow(10, n.level/20) * 32767
	for i := range dst {
		dst[i] = int16(min(max(n.r.NormFloat64()*a, -32768), 32767))
	}
}

// BenchmarkLawGauge is what each packet of G.711 costs, heard or not.
func BenchmarkLawGauge(b *testing.B) {
	g := newGauge(&g711.PCMU)
	payload := make([]byte, 160)
	for i := range payload {
		payload[i] = byte(7 * i)
	}
	b.ReportAllocs()
	for b.Loop() {
		g.measure(payload)
	}
}
