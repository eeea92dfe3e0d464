package codeccost_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/skybridge-media/skybridge/bench/clip"
	"github.com/skybridge-media/skybridge/bench/codeccost"
)

func newMeter() *codeccost.Meter { return codeccost.NewMeter(clip.Generate(320, 180, 15)) }

func cost(t *testing.T, m *codeccost.Meter, c codeccost.Call) float64 {
	t.Helper()
	got, err := m.Cost(c)
	if err != nil {
		t.Fatalf("%+v: %v", c, err)
	}
	return got
}

// The cost of a room is what its streams cost, so that rooms of different sizes
// and modes tell what one encode and one decode do.
func TestCost(t *testing.T) {
	m := newMeter()
	call := func(profile, mode, codec string, n int) float64 {
		return cost(t, m, codeccost.Call{Profile: profile, Mode: mode, Codec: codec, RoomSize: n})
	}
	for _, codec := range []string{"H264", "VP8"} {
		both := call("sd360", "personal", codec, 8)
		if got := call("sd360", "personal", codec, 3); math.Abs(got-both) > 1e-12 {
			t.Errorf("%s, personal: %v in a room of 3, %v in one of 8", codec, got, both)
		}
		if got := call("sd360", "meeting", codec, 1); math.Abs(got-both) > 1e-12 {
			t.Errorf("%s, alone: %v, want one decode and one encode, %v", codec, got, both)
		}
		if got := call("sd360", "auditorium", codec, 100); math.Abs(got-both/100) > 1e-12 {
			t.Errorf("%s, auditorium of 100: %v, want %v", codec, got, both/100)
		}
		two, four := call("sd360", "meeting", codec, 2), call("sd360", "meeting", codec, 4)
		// decode + encode/n: the difference between 1 and 2 is half an encode.
		if encode := 2 * (both - two); math.Abs(four-(both-0.75*encode)) > 1e-12 || encode <= 0 || encode >= both {
			t.Errorf("%s, meetings of 1, 2 and 4: %v, %v, %v", codec, both, two, four)
		}
		if hd := call("hd", "personal", codec, 8); hd < 2*both {
			t.Errorf("%s: HD costs %v, a quarter of its pixels %v", codec, hd, both)
		}
	}
	both := call("audio", "personal", "opus", 8)
	if got := call("audio", "meeting", "opus", 50); got >= 4*both/50 || got <= 3*both/50 {
		t.Errorf("3 talkers of 50: %v, want 3 decodes and 4 encodes, between %v and %v", got, 3*both/50, 4*both/50)
	}
	if got := call("audio", "meeting", "opus", 3); math.Abs(got-both) > 1e-12 {
		t.Errorf("3 talkers of 3: %v, want a decode and an encode each, %v", got, both)
	}
	if pcmu := call("audio", "personal", "pcmu", 8); pcmu <= 0 || pcmu >= both {
		t.Errorf("PCMU costs %v, Opus %v", pcmu, both)
	}
}

func TestCostRefuses(t *testing.T) {
	m := newMeter()
	good := codeccost.Call{Profile: "audio", Mode: "personal", Codec: "PCMU", RoomSize: 2}
	for _, change := range []func(*codeccost.Call){
		func(c *codeccost.Call) { c.Profile = "8k" },
		func(c *codeccost.Call) { c.Mode = "party" },
		func(c *codeccost.Call) { c.Codec = "H264" },
		func(c *codeccost.Call) { c.Profile = "hd" },
		func(c *codeccost.Call) { c.RoomSize = 0 },
	} {
		c := good
		change(&c)
		if got, err := m.Cost(c); err == nil {
			t.Errorf("%+v costs %v", c, got)
		}
	}
}

func TestMeasure(t *testing.T) {
	if testing.Short() {
		t.Skip("measures everything there is")
	}
	r, err := newMeter().Measure("test film")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]float64{}
	for _, f := range r.Frames {
		if f.Micros <= 0 {
			t.Errorf("%+v took no time", f)
		}
		seen[f.What+" "+f.Codec+" "+f.Of] = f.Micros
	}
	for _, want := range []string{
		"encode PCMU a voice", "decode G722 a voice", "encode opus 3 voices, 32 kbit/s, complexity 10",
		"decode H264 768x448, 768 kbit/s", "encode VP8 640x360, 600 kbit/s", "scale I420 1280x720 to 320x180",
	} {
		if seen[want] == 0 {
			t.Errorf("nothing about %s", want)
		}
	}
	if cheap, dear := seen["encode opus a voice, 32 kbit/s, complexity 1"], seen["encode PCMU a voice"]; cheap < dear {
		t.Errorf("Opus takes %v µs, PCMU %v", cheap, dear)
	}
	var text strings.Builder
	if err := r.Print(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"test film", "dB", "hd personal", "audio meeting"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
	if data, err := json.Marshal(r); err != nil || !strings.Contains(string(data), `"cpu_seconds_per_call_second"`) {
		t.Errorf("%s, %v", data, err)
	}
}
