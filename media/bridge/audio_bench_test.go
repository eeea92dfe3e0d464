package bridge_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/g711"
	"github.com/skybridge-media/skybridge/codecs/opus"
	"github.com/skybridge-media/skybridge/codecs/pcm"
	"github.com/skybridge-media/skybridge/media/bridge"
	"github.com/skybridge-media/skybridge/media/mix"
	sound "github.com/skybridge-media/skybridge/media/tone"
)

// BenchmarkTick is 20 ms of audio of a whole room, without decoders and packets.
func BenchmarkTick(b *testing.B) {
	for _, c := range []struct {
		name  string
		legs  int
		talk  int
		kinds []*codecs.Audio
	}{
		{"100 PCMU, 3 talk", 100, 3, []*codecs.Audio{&g711.PCMU}},
		{"100 PCMU, silent", 100, 0, []*codecs.Audio{&g711.PCMU}},
		{"100 PCMU and Opus, 4 talk", 100, 4, []*codecs.Audio{&g711.PCMU, &opus.Mono}},
		{"100 Opus, 3 talk", 100, 3, []*codecs.Audio{&opus.Mono}},
		{"8 PCMU, all talk", 8, 8, []*codecs.Audio{&g711.PCMU}},
		{"8 Opus, all talk", 8, 8, []*codecs.Audio{&opus.Mono}},
	} {
		b.Run(c.name, func(b *testing.B) {
			run(b, ticker(b, c.legs, c.talk, true, c.kinds...), c.legs)
		})
	}
}

// BenchmarkRooms is a tick of each of ninety rooms of a hundred in turn, which
// no cache holds.
func BenchmarkRooms(b *testing.B) {
	var rooms []bridge.Ticker
	for range 90 {
		rooms = append(rooms, ticker(b, 100, 3, true, &g711.PCMU))
	}
	for range 5 {
		for _, r := range rooms {
			r.Tick()
		}
	}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		rooms[n%len(rooms)].Tick()
		n++
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100, "ns/leg")
}

// run measures ticks, also as the share of a processor that a leg takes.
func run(b *testing.B, ticks bridge.Ticker, legs int) {
	b.Helper()
	for range 200 {
		ticks.Tick()
	}
	b.ReportAllocs()
	for b.Loop() {
		ticks.Tick()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)*50/1e6/float64(legs), "ms/s/leg")
}

// speaker is a dummy that decodes what it says, of which it knows the levels.
type speaker struct {
	dummy
	tells   bool // levels
	pauses  bool // when it pauses
	packets [][]byte
	levels  []uint8
	decoder codecs.AudioDecoder
}

func (s *speaker) NextAudio() bridge.AudioTick {
	s.at = (s.at + 1) % len(s.packets)
	t := bridge.AudioTick{Voice: true, Rate: 48000}
	if s.tells {
		t.Level, t.HasLevel = s.levels[s.at], true
	} else {
		t.Quiet = s.pauses && opus.Pauses(s.packets[s.at])
	}
	return t
}

func (s *speaker) ReadAudio(dst pcm.Frame) {
	if _, err := s.decoder.Decode(dst[:0], s.packets[s.at]); err != nil {
		panic(err)
	}
}

// recorded is 4 s of a sound in Opus, with its levels.
func recorded(tb testing.TB, read func(pcm.Frame)) (packets [][]byte, levels []uint8) {
	tb.Helper()
	e, err := opus.Mono.NewEncoder(codecs.AudioOptions{})
	if err != nil {
		tb.Fatal(err)
	}
	defer e.Close()
	frame := make(pcm.Frame, 960)
	for range 200 {
		read(frame)
		packet, err := e.Encode(nil, frame)
		if err != nil {
			tb.Fatal(err)
		}
		packets, levels = append(packets, packet), append(levels, mix.Level(frame))
	}
	return packets, levels
}

// hush returns the noise of a quiet room, the same each time.
func hush() func(dst pcm.Frame) {
	random := rand.New(rand.NewPCG(1, 1))
	amplitude := math.MaxInt16 * math.Pow(10, -68./20)
	return func(dst pcm.Frame) {
		for i := range dst {
			dst[i] = int16(math.Round(random.NormFloat64() * amplitude))
		}
	}
}

// BenchmarkOpus is 20 ms of a room of fifty of whom three talk, decoding
// included.
func BenchmarkOpus(b *testing.B) {
	quiet, quietLevels := recorded(b, hush())
	for _, c := range []struct {
		name          string
		tells, pauses bool
	}{
		{"levels", true, false},
		{"no levels", false, true},
		{"neither levels nor pauses", false, false}, // such as CELT
	} {
		b.Run(c.name, func(b *testing.B) {
			legs, plan := map[string]bridge.Leg{}, &bridge.Plan{}
			for i := range 50 {
				d, err := opus.Mono.NewDecoder()
				if err != nil {
					b.Fatal(err)
				}
				defer d.Close()
				s := &speaker{tells: c.tells, pauses: c.pauses, packets: quiet, levels: quietLevels, decoder: d}
				s.at, s.audio = 17*i, bridge.AudioSpec{Codec: &opus.Mono, Ticks: 1}
				if i%16 == 1 && i < 48 {
					s.packets, s.levels = recorded(b, sound.NewSpeech(48000, uint64(i)).Read)
				}
				id := fmt.Sprint(i)
				legs[id], plan.Members = s, append(plan.Members, bridge.Member{ID: id})
			}
			br := bridge.New(bridge.Config{})
			defer br.Close()
			br.Apply(plan)
			ticks := bridge.NewTicker(br, legs)
			defer ticks.Close()
			run(b, ticks, 50)
		})
	}
}
