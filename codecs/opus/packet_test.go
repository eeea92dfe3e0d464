package opus_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/codectest"
	"github.com/skybridge-media/skybridge/codecs/opus"
	"github.com/skybridge-media/skybridge/codecs/pcm"
)

func TestParse(t *testing.T) {
	for _, test := range []struct {
		name   string
		packet []byte
		want   opus.Packet
	}{
		{"SILK 10 ms", []byte{0x00, 1, 2, 3}, opus.Packet{Samples: 480}},
		{"SILK 60 ms", []byte{0x18, 1, 2, 3}, opus.Packet{Samples: 2880}},
		{"hybrid 20 ms, stereo", []byte{0x7c, 1, 2, 3}, opus.Packet{Samples: 960, Stereo: true}},
		{"CELT 2.5 ms", []byte{0x80, 1, 2}, opus.Packet{Samples: 120}},
		{"CELT 20 ms", []byte{0xf8, 0xff, 0xfe}, opus.Packet{Samples: 960}},
		{"two equal frames", []byte{0xf9, 1, 2, 3, 4}, opus.Packet{Samples: 1920}},
		{"two frames", []byte{0xfa, 1, 2, 3, 4}, opus.Packet{Samples: 1920}},
		{"three frames", []byte{0xfb, 3, 1, 2, 3, 1, 2, 3}, opus.Packet{Samples: 2880}},
		{"three frames, variable", []byte{0xfb, 0x83, 2, 0, 1, 2, 3}, opus.Packet{Samples: 2880}},
		{"padded", []byte{0xfb, 0x41, 2, 1, 2, 3, 0, 0}, opus.Packet{Samples: 960}},
		{"48 frames of 2.5 ms", []byte{0x83, 48}, opus.Packet{Samples: 5760, DTX: true}},
		{"only a table of contents", []byte{0x48}, opus.Packet{Samples: 960, DTX: true}},
		{"one byte", []byte{0x48, 7}, opus.Packet{Samples: 960, DTX: true}},
		{"two bytes", []byte{0x48, 7, 7}, opus.Packet{Samples: 960}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := opus.Parse(test.packet)
			if err != nil || got != test.want {
				t.Errorf("got %+v, %v; want %+v", got, err, test.want)
			}
		})
	}
}

// TestParseRefuses goes through the requirements of RFC 6716, section 3.4.
func TestParseRefuses(t *testing.T) {
	for name, packet := range map[string][]byte{
		"R1: empty":                     {},
		"R2: frame above 1275 bytes":    append([]byte{0xf8}, make([]byte, 1276)...),
		"R3: code 1 with an odd length": {0xf9, 1, 2, 3},
		"R4: code 2 without a length":   {0xfa},
		"R4: code 2, half a length":     {0xfa, 252},
		"R4: code 2, length too large":  {0xfa, 5, 1, 2, 3},
		"R5: code 3 without a count":    {0xfb},
		"R5: code 3, no frames":         {0xfb, 0},
		"R5: above 120 ms":              {0xfb, 7, 1, 2, 3, 4, 5, 6, 7},
		"R6: padding too large":         {0xfb, 0x41, 5, 1, 2},
		"R6: padding length missing":    {0xfb, 0x41, 255},
		"R6: frames do not divide":      {0xfb, 2, 1, 2, 3},
		"R7: lengths too large":         {0xfb, 0x83, 4, 4, 1, 2, 3},
		"R7: lengths missing":           {0xfb, 0x83, 1},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := opus.Parse(packet); !errors.Is(err, codecs.ErrCorrupt) {
				t.Errorf("got %+v, %v; want codecs.ErrCorrupt", got, err)
			}
			if _, err := newDecoder(t).Decode(nil, packet); !errors.Is(err, codecs.ErrCorrupt) {
				t.Errorf("Decode = %v, want codecs.ErrCorrupt", err)
			}
		})
	}
}

func TestParseNoAlloc(t *testing.T) {
	packet := []byte{0xfb, 0x83, 2, 0, 1, 2, 3}
	if n := testing.AllocsPerRun(100, func() { _, _ = opus.Parse(packet) }); n != 0 {
		t.Errorf("Parse allocates %v times, want 0", n)
	}
}

func TestPauses(t *testing.T) {
	for _, test := range []struct {
		name   string
		packet []byte
		want   bool
	}{
		{"SILK 20 ms, speech", []byte{0x48, 0x80, 1}, false},
		{"SILK 20 ms, none", []byte{0x48, 0x3f, 1}, true},
		{"redundancy of speech before", []byte{0x48, 0x40, 1}, true},
		{"hybrid, speech", []byte{0x78, 0xff, 1}, false},
		{"hybrid, none", []byte{0x78, 0x7f, 1}, true},
		{"SILK 40 ms, speech at the end", []byte{0x50, 0x40, 1}, false},
		{"SILK 40 ms, none", []byte{0x50, 0x3f, 1}, true},
		{"SILK 60 ms, speech at the end", []byte{0x58, 0x20, 1}, false},
		{"SILK 60 ms, none", []byte{0x58, 0x1f, 1}, true},
		{"stereo, speech in the second channel", []byte{0x4c, 0x20, 1}, false},
		{"stereo, none", []byte{0x4c, 0x5f, 1}, true},
		{"stereo 60 ms, speech at its very end", []byte{0x5c, 0x02, 1}, false},
		{"stereo 60 ms, none", []byte{0x5c, 0x11, 1}, true},
		{"padded, none", []byte{0x4b, 0x41, 1, 0x3f, 1, 0}, true},
		{"padded, speech", []byte{0x4b, 0x41, 1, 0x80, 1, 0}, false},
		{"one frame, counted", []byte{0x4b, 0x01, 0x3f, 1}, true},
		{"padding and nothing else", []byte{0x4b, 0x41, 1, 0}, false},
		{"padding that is not there", []byte{0x4b, 0x41, 9, 0}, false},
		{"two frames", []byte{0x49, 0, 0}, false},
		{"CELT", []byte{0xf8, 0, 0}, false},
		{"no frame", []byte{0x48}, false},
		{"no count", []byte{0x4b}, false},
		{"empty", nil, false},
	} {
		if want := test.name == "CELT"; opus.CELT(test.packet) != want {
			t.Errorf("%s: CELT %v", test.name, !want)
		}
		if got := opus.Pauses(test.packet); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

// TestPausesOfEncoder compares what the encoder says with what it was given,
// second by second.
func TestPausesOfEncoder(t *testing.T) {
	hush := make(pcm.Frame, 48000)
	random := rand.New(rand.NewPCG(1, 1))
	for i := range hush {
		hush[i] = int16(math.Round(26 * random.NormFloat64())) // -62 dBov
	}
	voice := codectest.Speech(opus.Mono.Format)
	for _, bitrate := range []int{12000, 24000, 32000, 48000} {
		packets := encode(t, codecs.AudioOptions{Bitrate: bitrate, Loss: 10}, slices.Concat(hush, hush, voice, hush, hush))
		pauses := make([]int, 5)
		for i, p := range packets {
			if opus.Pauses(p) {
				pauses[i/50]++
			}
		}
		// After a voice, the encoder takes some time to believe in silence.
		if pauses[1] < 48 || pauses[2] > 10 || pauses[4] < 48 {
			t.Errorf("%d bit/s: %d of 50 frames pause, want all, all, none, some, all", bitrate, pauses)
		}
		if opus.Pauses(packets[100]) && opus.Pauses(packets[101]) && opus.Pauses(packets[102]) {
			t.Errorf("%d bit/s: the first 60 ms of the voice count as a pause", bitrate)
		}
	}
}
