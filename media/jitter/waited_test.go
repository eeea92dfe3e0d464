package jitter_test

import (
	"testing"
	"time"

	"github.com/skybridge-media/skybridge/media/jitter"
)

// What a packet lay in this machine is to be waited for like what it was late
// on its way, yet does not count as the way: the fastest packet is the one that
// arrived first.
func TestWaited(t *testing.T) {
	target := func(arrives, waits func(n int) time.Duration) time.Duration {
		b := jitter.NewAudio(jitter.AudioConfig{Clock: clock})
		for n := range 500 {
			p := speech(n)
			p.Waited = waits(n)
			b.Put(p, at(20*n).Add(arrives(n)))
			b.Next(at(20*n + 20))
		}
		return b.Stats().Target
	}
	none := func(int) time.Duration { return 0 }
	often := func(n int) time.Duration { return time.Duration(n%4) * 10 * time.Millisecond } // up to 30 ms
	if got := target(none, none); got != 10*time.Millisecond {
		t.Errorf("target %v on a perfect path, want the least", got)
	}
	late, waited := target(often, none), target(none, often)
	if late < 30*time.Millisecond || waited != late {
		t.Errorf("target %v for packets that waited, %v for packets that were late, want the same", waited, late)
	}
	always := func(int) time.Duration { return 30 * time.Millisecond }
	if got := target(none, always); got != late {
		t.Errorf("target %v when all packets wait, want %v: they arrived 30 ms before", got, late)
	}
}

// The histogram of delays is made smaller now and then, which changes nothing:
// what happened minutes ago is forgotten, and what happens now counts.
func TestTargetOverHours(t *testing.T) {
	b := jitter.NewAudio(jitter.AudioConfig{Clock: clock})
	const phase = 10_000 // packets; the weight overflows its bound in fewer
	for n := range 4 * phase {
		delay := time.Duration(0)
		jittery := n/phase%2 == 1
		if jittery {
			delay = time.Duration(n%5) * 15 * time.Millisecond
		}
		b.Put(speech(n), at(20*n).Add(delay))
		b.Next(at(20*n + 20))
		if n%phase < phase/2 {
			continue // still learning
		}
		if got := b.Stats().Target; jittery != (got >= 60*time.Millisecond) || !jittery && got != 10*time.Millisecond {
			t.Fatalf("packet %d: target %v", n, got)
		}
	}
}
