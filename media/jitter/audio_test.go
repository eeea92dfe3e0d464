package jitter_test

import (
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/skybridge-media/skybridge/media/jitter"
)

const (
	clock = 8000
	tick  = 20 * time.Millisecond
)

var origin = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// at returns the moment ms milliseconds after the origin.
func at(ms int) time.Time { return origin.Add(time.Duration(ms) * time.Millisecond) }

// speech is the nth packet of 20 ms, loud. Its payload is its number.
func speech(n int) jitter.Packet {
	return jitter.Packet{
		Sequence: uint16(n), Timestamp: uint32(n * clock / 50), Duration: clock / 50, Level: 20,
		Payload: binary.BigEndian.AppendUint32(nil, uint32(n)),
	}
}

func number(p jitter.Piece) int { return int(binary.BigEndian.Uint32(p.Payload)) }

// play drives b by one Tick and writes down what it hands out: a number for a
// packet, - for silence, x for concealment, r before the number of the packet
// to recover from, + behind one that is to be merged.
func play(b *jitter.Audio, ms int) []string {
	var out []string
	for _, p := range b.Next(at(ms)) {
		out = append(out, describe(p))
	}
	return out
}

func describe(p jitter.Piece) string {
	switch p.Kind {
	case jitter.Play:
		if p.Merge {
			return strconv.Itoa(number(p)) + "+"
		}
		return strconv.Itoa(number(p))
	case jitter.Conceal:
		return "x"
	case jitter.Recover:
		return "r" + strconv.Itoa(number(p))
	}
	return "-"
}

// TestOrder puts the packets that a script names in at fixed times and compares
// what is played. Packet n is sent at 20n ms and the delay is 30 ms, so that
// packet 0 is due at the Tick 40 ms, in the third place of want.
func TestOrder(t *testing.T) {
	tests := []struct {
		name    string
		arrival string // packet@ms
		want    string
		stats   jitter.AudioStats
	}{
		{
			"in order", "0@0 1@20 2@40 3@60 4@80",
			"- - 0 1 2 3 4",
			jitter.AudioStats{Received: 5},
		},
		{
			"reordered within the delay", "0@0 2@40 1@41 3@60 4@80",
			"- - 0 1 2 3 4",
			jitter.AudioStats{Received: 5},
		},
		{
			"reordered before the first is played", "1@20 0@21 2@40 3@60",
			"- - 0 1 2 3",
			jitter.AudioStats{Received: 4},
		},
		{
			"one twice", "0@0 0@1 1@20 2@40 1@41 0@45 3@60",
			"- - 0 1 2 3",
			jitter.AudioStats{Received: 7, Duplicate: 3},
		},
		{
			"one lost, the next one is there", "0@0 1@20 3@60 4@80 5@100",
			"- - 0 1 r3 3 4 5",
			jitter.AudioStats{Received: 5, Lost: 1, Concealed: tick},
		},
		{
			"two lost", "0@0 1@20 4@80 5@100 6@120",
			"- - 0 1 x r4 4 5 6",
			jitter.AudioStats{Received: 5, Lost: 2, Concealed: 2 * tick},
		},
		{
			"one after its time", "0@0 1@20 3@60 4@80 2@85 5@100",
			"- - 0 1 r3 3 4 5",
			jitter.AudioStats{Received: 6, Late: 1, Concealed: tick},
		},
		{
			"nothing for a while, then all at once: played later", "0@0 1@20 2@105 3@106 4@107 5@108 6@120",
			"- - 0 1 x x 2 3 4 5 6",
			jitter.AudioStats{Received: 7, Concealed: 2 * tick},
		},
		{
			"nothing for a while, and it is lost: no delay is added", "0@0 1@20 4@90 5@105 6@120",
			"- - 0 1 x r4 4 5 6",
			jitter.AudioStats{Received: 5, Lost: 2, Concealed: 2 * tick},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := jitter.NewAudio(jitter.AudioConfig{Clock: clock, Min: 30 * time.Millisecond})
			want := strings.Fields(tt.want)
			var got []string
			script := strings.Fields(tt.arrival)
			for ms := 0; len(got) < len(want); ms += 20 {
				for len(script) > 0 {
					n, when := parse(t, script[0])
					if when > ms {
						break
					}
					b.Put(speech(n), at(when))
					script = script[1:]
				}
				got = append(got, play(b, ms)...)
			}
			if !slices.Equal(got, want) {
				t.Errorf("played %v, want %v", got, want)
			}
			stats := b.Stats()
			stats.Delay, stats.Target = 0, 0
			if stats != tt.stats {
				t.Errorf("stats %+v, want %+v", stats, tt.stats)
			}
		})
	}
}

func parse(t *testing.T, s string) (n, ms int) {
	t.Helper()
	left, right, _ := strings.Cut(s, "@")
	n, err1 := strconv.Atoi(left)
	ms, err2 := strconv.Atoi(right)
	if err1 != nil || err2 != nil {
		t.Fatalf("bad step %q", s)
	}
	return n, ms
}

// started returns a buffer that plays packet 10 at the Tick at 220 ms; the next
// Tick is at 240 ms.
func started(t *testing.T) *jitter.Audio {
	t.Helper()
	b := jitter.NewAudio(jitter.AudioConfig{Clock: clock})
	var got []string
	for i := range 12 {
		if i < 11 {
			b.Put(speech(i), at(20*i))
		}
		got = append(got, play(b, 20*i)...)
	}
	if len(got) == 0 || got[len(got)-1] != "10" {
		t.Fatalf("played %v, want 10 last", got)
	}
	return b
}

// script puts and plays: each step is one Tick, from 240 ms on.
func script(b *jitter.Audio, steps ...[]jitter.Packet) []string {
	var got []string
	for i, packets := range steps {
		for _, p := range packets {
			b.Put(p, at(235+20*i))
		}
		got = append(got, play(b, 240+20*i)...)
	}
	return got
}

func TestJumps(t *testing.T) {
	// moved shifts the numbering and the timestamps of speech packet n.
	moved := func(n, seq, ts int) []jitter.Packet {
		p := speech(n)
		p.Sequence += uint16(seq)
		p.Timestamp += uint32(ts)
		return []jitter.Packet{p}
	}
	tests := []struct {
		name string
		ssrc bool // the owner knows that a new stream begins
		step func(n int) []jitter.Packet
		want []string // contains, in this order
	}{
		{"new source", true, func(n int) []jitter.Packet { return moved(n, 30000, 123456789) }, []string{"12", "13", "14"}},
		{"numbering jumps ahead", false, func(n int) []jitter.Packet { return moved(n, 5000, 0) }, []string{"13", "14"}},
		{"numbering jumps back", false, func(n int) []jitter.Packet { return moved(n, -5000, 0) }, []string{"13", "14"}},
		{"timestamps jump ahead", false, func(n int) []jitter.Packet { return moved(n, 0, 1<<30) }, []string{"12", "13", "14"}},
		{"timestamps jump back", false, func(n int) []jitter.Packet { return moved(n, 0, -1<<30) }, []string{"12", "13", "14"}},
		{"numbering jumps back a little", false, func(n int) []jitter.Packet { return moved(n, -20, 0) }, []string{"12", "13", "14"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := started(t)
			if tt.ssrc {
				b.Reset()
			}
			got := script(b, tt.step(11), tt.step(12), tt.step(13), tt.step(14), tt.step(15), tt.step(16))
			if !containsInOrder(got, tt.want) {
				t.Errorf("played %v, want %v in it", got, tt.want)
			}
		})
	}
}

// TestStrays ignores single packets from elsewhere in the numbering.
func TestStrays(t *testing.T) {
	b := started(t)
	stray := speech(11)
	stray.Sequence = 40000
	got := script(b,
		[]jitter.Packet{stray, speech(11)}, []jitter.Packet{stray, speech(12)}, []jitter.Packet{speech(13), stray},
		[]jitter.Packet{speech(14)})
	if want := []string{"11", "12", "13", "14"}; !containsInOrder(got, want) || slices.Contains(got, "x") {
		t.Errorf("played %v, want %v", got, want)
	}
	if got := b.Stats().Dropped; got != 3 {
		t.Errorf("%d dropped, want 3", got)
	}
}

// TestComfortNoise ends speech with a packet that says so (RFC 3389): nothing
// is concealed from there on, and nothing counts as lost.
func TestComfortNoise(t *testing.T) {
	for name, end := range map[string]jitter.Packet{
		"comfort noise": {Sequence: 12, Timestamp: 12 * 160, Mute: true, Payload: []byte{70}},
		"DTX frame":     {Sequence: 12, Timestamp: 12 * 160, Duration: 160, Level: jitter.MaxLevel, Payload: []byte{0, 0, 0, 12}},
	} {
		t.Run(name, func(t *testing.T) {
			b := started(t)
			resumed := func(n int) []jitter.Packet { // the numbering had no gap
				p := speech(n)
				p.Sequence = uint16(13 + n - 25)
				return []jitter.Packet{p}
			}
			steps := [][]jitter.Packet{{speech(11)}, {end}, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil}
			got := script(b, append(steps, resumed(25), resumed(26), resumed(27), resumed(28))...)
			if slices.Contains(got, "x") || !containsInOrder(got, []string{"11", "-", "-", "25", "26"}) {
				t.Errorf("played %v", got)
			}
			if s := b.Stats(); s.Lost != 0 || s.Concealed != 0 {
				t.Errorf("stats %+v", s)
			}
		})
	}
}

// TestEventsAreNotLoss has telephone events take part in the numbering with a
// timestamp that stands still (RFC 4733, section 2.2.1) while no audio is sent.
func TestEventsAreNotLoss(t *testing.T) {
	b := started(t)
	steps := [][]jitter.Packet{{speech(11)}}
	for i := range 8 {
		steps = append(steps, []jitter.Packet{{Sequence: uint16(12 + i), Timestamp: 12 * 160, Mute: true}})
	}
	for n := 20; n < 25; n++ {
		steps = append(steps, []jitter.Packet{speech(n)})
	}
	got := script(b, steps...)
	if slices.Contains(got, "x") || !containsInOrder(got, []string{"11", "-", "20", "21", "22"}) {
		t.Errorf("played %v", got)
	}
	if s := b.Stats(); s.Lost != 0 {
		t.Errorf("%d lost", s.Lost)
	}
}

// TestNobodyPlays keeps the newest packets of a stream that nobody asks for,
// and begins at the target delay when somebody does.
func TestNobodyPlays(t *testing.T) {
	b := jitter.NewAudio(jitter.AudioConfig{Clock: clock})
	for i := range 1000 {
		b.Put(speech(i), at(20*i))
	}
	got := play(b, 999*20+15)
	if !slices.Equal(got, []string{"999"}) && !slices.Equal(got, []string{"998"}) {
		t.Errorf("played %v, want one of the newest", got)
	}
}

// TestBurstAtFirst has the first packets wait somewhere and come at once. They
// say nothing about the path.
func TestBurstAtFirst(t *testing.T) {
	b := jitter.NewAudio(jitter.AudioConfig{Clock: clock})
	var got []string
	for i := range 100 {
		if i == 14 {
			for n := range 15 {
				b.Put(speech(n), at(20*14))
			}
		} else if i > 14 {
			b.Put(speech(i), at(20*i))
		}
		got = append(got, play(b, 20*i+1)...)
	}
	if s := b.Stats(); s.Delay > 45*time.Millisecond || s.Concealed != 0 || s.Merged != 0 {
		t.Errorf("stats %+v, played %v", s, got)
	}
}

func TestAudioAllocates(t *testing.T) {
	b := jitter.NewAudio(jitter.AudioConfig{Clock: clock})
	n := 0
	p := speech(0)
	step := func() {
		p.Sequence, p.Timestamp = uint16(n), uint32(n*clock/50)
		if n%17 != 0 {
			b.Put(p, at(20*n))
		}
		b.Next(at(20*n + 5))
		n++
	}
	for range 500 {
		step()
	}
	if got := testing.AllocsPerRun(1000, step); got != 0 {
		t.Errorf("%v allocations per packet, want 0", got)
	}
}

func containsInOrder(got, want []string) bool {
	for _, g := range got {
		if len(want) > 0 && g == want[0] {
			want = want[1:]
		}
	}
	return len(want) == 0
}

func BenchmarkAudio(b *testing.B) {
	buf := jitter.NewAudio(jitter.AudioConfig{Clock: clock})
	p := speech(0)
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		p.Sequence, p.Timestamp = uint16(n), uint32(n*clock/50)
		buf.Put(p, at(20*n))
		buf.Next(at(20*n + 5))
	}
}
