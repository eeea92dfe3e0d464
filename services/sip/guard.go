package sip

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

// A guard limits how many messages are taken from one source. Its memory does
// not grow, whoever knocks: sources share a fixed table of buckets by a hash
// that nobody outside can predict. Two sources that meet in one bucket share
// its rate, which matters to neither unless one of them floods. IPv6 sources
// are told apart by their /64. Safe for concurrent use.
type guard struct {
	rate float64 // messages per second
	seed maphash.Seed

	mu      sync.Mutex // guards buckets
	buckets [4096]bucket
}

// A bucket holds tokens as of a point in time.
type bucket struct {
	tokens  float64
	at      time.Time
	vouched time.Time // when a source in it was last known to be where it says
}

func newGuard(perSecond int) *guard {
	return &guard{rate: float64(perSecond), seed: maphash.MakeSeed()}
}

// admits takes one token of source's bucket and reports whether there was one.
func (g *guard) admits(source netip.Addr, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	b := g.bucket(source)
	full := 2 * g.rate
	if b.at.IsZero() {
		b.tokens = full
	} else {
		b.tokens = min(full, b.tokens+g.rate*now.Sub(b.at).Seconds())
	}
	b.at = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// vouch notes that source has answered from where it says it is.
func (g *guard) vouch(source netip.Addr, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.bucket(source).vouched = now
}

// vouched reports whether it has within the last hour.
func (g *guard) vouched(source netip.Addr, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	at := g.bucket(source).vouched
	return !at.IsZero() && now.Sub(at) < time.Hour
}

// bucket is that of source. g.mu is held.
func (g *guard) bucket(source netip.Addr) *bucket {
	if source = source.Unmap().WithZone(""); source.Is6() {
		p, _ := source.Prefix(64)
		source = p.Addr()
	}
	return &g.buckets[maphash.Comparable(g.seed, source)%uint64(len(g.buckets))]
}
