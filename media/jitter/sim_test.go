package jitter_test

import (
	"cmp"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/skybridge-media/skybridge/media/jitter"
)

// A network is a path with a fixed seed.
type network struct {
	seconds int
	ptime   time.Duration // 0: 20 ms
	drift   float64       // how much faster the sender's clock runs
	loss    float64       // share of packets
	twice   float64       // share of packets
	jitter  func(r *rand.Rand, sent time.Duration) time.Duration
	level   func(sent time.Duration) int // nil: loud
	silent  func(sent time.Duration) bool
	first   uint16 // sequence number
	begin   uint32 // timestamp
}

type outcome struct {
	sent, lost int
	played     []int           // numbers, in order
	delays     []time.Duration // one per Tick
	stats      jitter.AudioStats
}

// after returns the delays from the given second on.
func (o outcome) after(second int) []time.Duration { return o.delays[second*50:] }

func (o outcome) concealed() float64 {
	return float64(o.stats.Concealed) / float64(time.Duration(len(o.delays))*tick)
}

// run sends packets over n into a buffer that is asked every 20 ms, and checks
// what must hold on any network: nothing is played twice or out of order, and
// every Tick is filled.
func (n network) run(t *testing.T) outcome {
	t.Helper()
	type event struct {
		at     time.Duration
		packet int
	}
	r := rand.New(rand.NewPCG(1, 2))
	if n.ptime == 0 {
		n.ptime = tick
	}
	length := time.Duration(n.seconds) * time.Second
	var events []event
	var out outcome
	for i := 0; ; i++ {
		sent := time.Duration(float64(i) * float64(n.ptime) / (1 + n.drift))
		if sent >= length {
			break
		}
		if n.silent != nil && n.silent(sent) {
			continue
		}
		out.sent++
		if r.Float64() < n.loss {
			out.lost++
			continue
		}
		for copies := 1; copies > 0; copies-- {
			e := event{sent + 50*time.Millisecond, i}
			if n.jitter != nil {
				e.at += n.jitter(r, sent)
			}
			events = append(events, e)
			if r.Float64() < n.twice {
				copies++
			}
		}
	}
	slices.SortStableFunc(events, func(a, b event) int { return cmp.Compare(a.at, b.at) })
	units := int(n.ptime.Milliseconds()) * clock / 1000
	seq := map[int]int{} // by packet: DTX skips numbers of packets, not of sequence
	var order []int
	for _, e := range events {
		order = append(order, e.packet)
	}
	slices.Sort(order)
	if n.silent != nil {
		for i, p := range slices.Compact(order) {
			seq[p] = i
		}
	}

	b := jitter.NewAudio(jitter.AudioConfig{Clock: clock})
	last, surplus := -1, 0
	for now := 7 * time.Millisecond; now < length; now += tick {
		for len(events) > 0 && events[0].at <= now {
			e := events[0]
			events = events[1:]
			number, ok := seq[e.packet]
			if !ok {
				number = e.packet
			}
			p := jitter.Packet{
				Sequence: n.first + uint16(number), Timestamp: n.begin + uint32(e.packet*units), Duration: units, Level: 20,
				Payload: binary.BigEndian.AppendUint32(nil, uint32(e.packet)),
			}
			if n.level != nil {
				p.Level = n.level(time.Duration(e.packet) * n.ptime)
			}
			b.Put(p, origin.Add(e.at))
		}
		for _, p := range b.Next(origin.Add(now)) {
			if !p.Merge {
				surplus += p.Duration
			}
			if p.Kind != jitter.Play {
				continue
			}
			if number(p) <= last {
				t.Fatalf("packet %d is played after %d", number(p), last)
			}
			last = number(p)
			out.played = append(out.played, last)
		}
		surplus -= clock / 50
		if surplus < 0 || surplus >= max(units, clock/50) {
			t.Fatalf("%d units more than the Tick at %v needs", surplus, now)
		}
		out.delays = append(out.delays, b.Stats().Delay)
	}
	out.stats = b.Stats()
	return out
}

func uniform(width time.Duration) func(*rand.Rand, time.Duration) time.Duration {
	return func(r *rand.Rand, _ time.Duration) time.Duration { return time.Duration(r.Int64N(int64(width))) }
}

// talk is a second of speech, then a second of background noise.
func talk(sent time.Duration) int {
	if int(sent/time.Second)%2 == 0 {
		return 20
	}
	return 70
}

// TestNetworks states, for typical paths, how much may be concealed and how
// long the delay may be once the buffer knows the path.
func TestNetworks(t *testing.T) {
	tests := []struct {
		name      string
		net       network
		concealed float64       // at most, share of time
		delay     time.Duration // at most, in any Tick after 10 s
		unplayed  float64       // at most, share of what arrived
	}{
		{"perfect", network{seconds: 20}, 0, 40 * time.Millisecond, 0.001},
		{"office", network{seconds: 60, jitter: uniform(5 * time.Millisecond)}, 0, 40 * time.Millisecond, 0.001},
		{"wireless", network{seconds: 60, jitter: uniform(40 * time.Millisecond), level: talk}, 0.01, 90 * time.Millisecond, 0.01},
		{"mobile", network{seconds: 60, jitter: uniform(120 * time.Millisecond), level: talk}, 0.03, 180 * time.Millisecond, 0.03},
		{"5 % loss", network{seconds: 60, loss: 0.05, jitter: uniform(10 * time.Millisecond)}, 0.06, 60 * time.Millisecond, 0.01},
		{"20 % loss", network{seconds: 60, loss: 0.2}, 0.22, 60 * time.Millisecond, 0.01},
		{"duplicates", network{seconds: 20, twice: 0.3}, 0, 40 * time.Millisecond, 0.001},
		{"numbers wrap", network{seconds: 20, first: 65500, begin: 1<<32 - 5*clock}, 0, 40 * time.Millisecond, 0.001},
		{"sender 500 ppm fast", network{seconds: 300, drift: 500e-6, level: talk}, 0.001, 60 * time.Millisecond, 0.001},
		{"sender 500 ppm slow", network{seconds: 300, drift: -500e-6, level: talk}, 0.001, 60 * time.Millisecond, 0.001},
		{"sender fast, never silent", network{seconds: 300, drift: 500e-6}, 0.001, 60 * time.Millisecond, 0.001},
		{"sender slow, never silent", network{seconds: 300, drift: -500e-6}, 0.001, 60 * time.Millisecond, 0.001},
		{"10 ms packets", network{seconds: 20, ptime: 10 * time.Millisecond}, 0, 40 * time.Millisecond, 0.001},
		{"30 ms packets", network{seconds: 20, ptime: 30 * time.Millisecond}, 0, 50 * time.Millisecond, 0.001},
		{"40 ms packets", network{seconds: 20, ptime: 40 * time.Millisecond}, 0, 60 * time.Millisecond, 0.001},
		{"60 ms packets, 5 % loss", network{seconds: 60, ptime: 60 * time.Millisecond, loss: 0.05}, 0.06, 80 * time.Millisecond, 0.01},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := tt.net.run(t)
			if got := o.concealed(); got > tt.concealed {
				t.Errorf("%.2f %% concealed, want at most %.2f", 100*got, 100*tt.concealed)
			}
			if got := slices.Max(o.after(10)); got > tt.delay {
				t.Errorf("delay of %v, want at most %v", got, tt.delay)
			}
			arrived := o.sent - o.lost
			// Those that are in the buffer at the end are not missing.
			if got := arrived - len(o.played) - 10; float64(got) > tt.unplayed*float64(arrived) {
				t.Errorf("%d of %d not played", got, arrived)
			}
			t.Logf("concealed %.2f %%, delay %v to %v, stats %+v", 100*o.concealed(), slices.Min(o.after(10)), slices.Max(o.after(10)), o.stats)
		})
	}
}

// TestGrowsQuicklyShrinksSlowly lets the path become bad for 10 s.
func TestGrowsQuicklyShrinksSlowly(t *testing.T) {
	bad := uniform(100 * time.Millisecond)
	o := network{seconds: 60, level: talk, jitter: func(r *rand.Rand, sent time.Duration) time.Duration {
		if sent > 20*time.Second && sent < 30*time.Second {
			return bad(r, sent)
		}
		return 0
	}}.run(t)
	if got := slices.Max(o.delays[10*50 : 20*50]); got > 40*time.Millisecond {
		t.Errorf("delay of %v on the good path", got)
	}
	if got := slices.Min(o.delays[22*50 : 30*50]); got < 70*time.Millisecond {
		t.Errorf("delay of %v 2 s after the path went bad", got)
	}
	if got := slices.Min(o.delays[30*50 : 31*50]); got < 60*time.Millisecond {
		t.Errorf("delay of %v at once after the path became good", got)
	}
	if got := slices.Max(o.after(58)); got > 40*time.Millisecond {
		t.Errorf("delay of %v half a minute after the path became good", got)
	}
	if got := o.concealed(); got > 0.01 {
		t.Errorf("%.2f %% concealed", 100*got)
	}
}

// TestOutage stops the path for a second; everything arrives at its end.
func TestOutage(t *testing.T) {
	o := network{seconds: 30, level: talk, jitter: func(_ *rand.Rand, sent time.Duration) time.Duration {
		if sent > 10*time.Second && sent < 11*time.Second {
			return 11*time.Second - sent
		}
		return 0
	}}.run(t)
	if got := o.stats.Concealed; got > 250*time.Millisecond {
		t.Errorf("%v concealed: the rest is silence", got)
	}
	if got := slices.Max(o.delays); got > 250*time.Millisecond {
		t.Errorf("delay of %v after the outage", got)
	}
	if got := slices.Max(o.after(25)); got > 60*time.Millisecond {
		t.Errorf("delay of %v 14 s after the outage", got)
	}
}

// TestPausesAreNotLoss sends nothing in every other second, as DTX does: the
// numbering goes on, the timestamps jump.
func TestPausesAreNotLoss(t *testing.T) {
	paused := func(sent time.Duration) bool { return talk(sent) != 20 }
	o := network{seconds: 20, silent: paused, jitter: uniform(10 * time.Millisecond)}.run(t)
	if o.stats.Lost != 0 || o.stats.Late != 0 {
		t.Errorf("%d lost, %d late", o.stats.Lost, o.stats.Late)
	}
	if len(o.played) < o.sent-2 {
		t.Errorf("%d of %d packets played", len(o.played), o.sent)
	}
	// The end of each second of speech is not announced: concealment fills it
	// until it is clear that nothing comes.
	if got := o.stats.Concealed; got > 10*200*time.Millisecond {
		t.Errorf("%v concealed", got)
	}
}

// TestRepair keeps packets long enough to restore lost ones from those after.
func TestRepair(t *testing.T) {
	for _, repair := range []time.Duration{0, 30 * time.Millisecond} {
		b := jitter.NewAudio(jitter.AudioConfig{Clock: clock, Repair: repair})
		r := rand.New(rand.NewPCG(3, 4))
		lost, recovered := 0, 0
		for i := range 3000 {
			if i%11 == 0 {
				lost++
			} else {
				p := speech(i)
				p.Level = 70 // the delay settles faster
				b.Put(p, at(20*i+r.IntN(8)))
			}
			for _, p := range b.Next(at(20*i + 19)) {
				if p.Kind == jitter.Recover {
					recovered++
				}
			}
		}
		share := float64(recovered) / float64(lost)
		if repair > 0 && share < 0.9 {
			t.Errorf("%.0f %% of the lost packets have their successor in time, want nearly all", 100*share)
		}
		if repair == 0 && share > 0.5 {
			t.Errorf("%.0f %% without asking for it: the test shows nothing", 100*share)
		}
	}
}
