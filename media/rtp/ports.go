package rtp

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
)

// ErrNoPorts reports that every pair of a [PortRange] is taken.
var ErrNoPorts = errors.New("rtp: no free port pair")

// A PortRange hands out pairs of UDP ports: an even one for RTP and the odd one
// above for RTCP (RFC 3550 section 11). It starts at a random place and goes
// around, so that a pair rests as long as possible before the next call gets
// it, and late packets of the old call with it. It is a [prometheus.Collector].
// Safe for concurrent use.
type PortRange struct {
	first int // even; zero means that the kernel picks
	pairs int

	mu    sync.Mutex // guards what follows
	next  int
	taken []bool
	used  int
	empty int // times that somebody found none free
}

// NewPortRange returns the range of ports lo to hi, both included. Zero for
// both leaves the choice to the kernel.
func NewPortRange(lo, hi int) (*PortRange, error) {
	if lo == 0 && hi == 0 {
		return &PortRange{}, nil
	}
	if lo < 1 || hi > 65535 || lo > hi {
		return nil, fmt.Errorf("rtp: port range %d-%d: want 1 <= low <= high <= 65535", lo, hi)
	}
	first := lo + lo%2
	pairs := (hi - first + 1) / 2
	if pairs < 1 {
		return nil, fmt.Errorf("rtp: port range %d-%d: holds no pair of an even port and the next", lo, hi)
	}
	return &PortRange{first: first, pairs: pairs, next: rand.IntN(pairs), taken: make([]bool, pairs)}, nil
}

// Used is the number of pairs in use. It is zero for a range the kernel picks
// from.
func (r *PortRange) Used() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.used
}

// A pair is two bound sockets. Its owner closes it once.
type pair struct {
	rtp, rtcp *socket
	from      *PortRange
	index     int // in from.taken; -1 when the kernel picked
}

// open binds a free pair on addr.
func (r *PortRange) open(addr netip.Addr) (pair, error) {
	if r.first == 0 {
		return r.openAny(addr)
	}
	for range r.pairs {
		i, ok := r.take()
		if !ok {
			return pair{}, r.exhausted()
		}
		port := uint16(r.first + 2*i)
		rtp, rtcp, err := bind(addr, port)
		if err == nil {
			return pair{rtp: rtp, rtcp: rtcp, from: r, index: i}, nil
		}
		r.release(i)
		if !errors.Is(err, syscall.EADDRINUSE) {
			return pair{}, err
		}
		// Somebody outside this process has it: try the next.
	}
	return pair{}, r.exhausted()
}

// exhausted counts and returns [ErrNoPorts].
func (r *PortRange) exhausted() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.empty++
	return ErrNoPorts
}

var (
	pairsDesc = prometheus.NewDesc("skybridge_rtp_port_pairs",
		"Pairs of UDP ports, one for each media line of a SIP call, in the configured range; zero when the kernel picks them.", nil, nil)
	pairsUsedDesc      = prometheus.NewDesc("skybridge_rtp_port_pairs_used", "Pairs of the configured range that are in use.", nil, nil)
	pairsExhaustedDesc = prometheus.NewDesc("skybridge_rtp_port_pairs_exhausted_total",
		"Media lines for which no pair was free, each of which cost a caller the call, or slides, cameras or the control of the floor.", nil, nil)
)

// Describe implements [prometheus.Collector].
func (r *PortRange) Describe(c chan<- *prometheus.Desc) {
	c <- pairsDesc
	c <- pairsUsedDesc
	c <- pairsExhaustedDesc
}

// Collect implements [prometheus.Collector].
func (r *PortRange) Collect(c chan<- prometheus.Metric) {
	r.mu.Lock()
	used, empty := r.used, r.empty
	r.mu.Unlock()
	c <- prometheus.MustNewConstMetric(pairsDesc, prometheus.GaugeValue, float64(r.pairs))
	c <- prometheus.MustNewConstMetric(pairsUsedDesc, prometheus.GaugeValue, float64(used))
	c <- prometheus.MustNewConstMetric(pairsExhaustedDesc, prometheus.CounterValue, float64(empty))
}

// take marks the next free pair as taken.
func (r *PortRange) take() (index int, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for range r.pairs {
		i := r.next
		r.next = (r.next + 1) % r.pairs
		if !r.taken[i] {
			r.taken[i] = true
			r.used++
			return i, true
		}
	}
	return 0, false
}

func (r *PortRange) release(i int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.taken[i] = false
	r.used--
}

// openAny lets the kernel pick a port until the one beside it is free too.
func (r *PortRange) openAny(addr netip.Addr) (pair, error) {
	var err error
	for range 64 {
		var probe *socket
		if probe, err = listen(addr, 0); err != nil {
			return pair{}, err
		}
		port := uint16(probe.port)
		if port%2 == 0 {
			var rtcp *socket
			if rtcp, err = listen(addr, port+1); err == nil {
				return pair{rtp: probe, rtcp: rtcp, from: r, index: -1}, nil
			}
			_ = probe.close()
			continue
		}
		_ = probe.close()
		var rtp, rtcp *socket
		if rtp, rtcp, err = bind(addr, port-1); err == nil {
			return pair{rtp: rtp, rtcp: rtcp, from: r, index: -1}, nil
		}
	}
	return pair{}, fmt.Errorf("%w: %w", ErrNoPorts, err)
}

// bind opens port and the one above.
func bind(addr netip.Addr, port uint16) (rtp, rtcp *socket, err error) {
	if rtp, err = listen(addr, port); err != nil {
		return nil, nil, err
	}
	if rtcp, err = listen(addr, port+1); err != nil {
		_ = rtp.close()
		return nil, nil, err
	}
	return rtp, rtcp, nil
}

// close gives sockets and ports back.
func (p pair) close() error {
	err := errors.Join(p.rtp.close(), p.rtcp.close())
	if p.index >= 0 {
		p.from.release(p.index)
	}
	return err
}
