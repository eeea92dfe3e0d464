package rtp

import (
	"errors"
	"log/slog"
	"net/netip"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// Shared by the tests that need a session without sockets.
var (
	discard      = slog.New(slog.DiscardHandler)
	unregistered = NewMetrics(nil)
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var loopback = netip.MustParseAddr("127.0.0.1")

// freeRange finds 2*pairs ports in a row that nobody uses.
func freeRange(t *testing.T, addr netip.Addr, pairs int) int {
	t.Helper()
	for first := 20000; first < 60000; first += 2 * pairs {
		var conns []*socket
		for port := first; port < first+2*pairs; port++ {
			if c, err := listen(addr, uint16(port)); err == nil {
				conns = append(conns, c)
			}
		}
		for _, c := range conns {
			c.close()
		}
		if len(conns) == 2*pairs {
			return first
		}
	}
	t.Skip("no free ports")
	return 0
}

func TestNewPortRange(t *testing.T) {
	for _, tt := range []struct {
		lo, hi, first, pairs int
	}{
		{40000, 40001, 40000, 1},
		{40000, 49999, 40000, 5000},
		{40001, 40004, 40002, 1}, // the odd one below and the even one above are of no use
		{40001, 40005, 40002, 2},
		{0, 0, 0, 0},
	} {
		r, err := NewPortRange(tt.lo, tt.hi)
		if err != nil || r.first != tt.first || r.pairs != tt.pairs {
			t.Errorf("%d-%d: %+v, %v", tt.lo, tt.hi, r, err)
		}
	}
	for _, tt := range [][2]int{{40001, 40002}, {40000, 40000}, {2, 1}, {0, 10}, {-4, 4}, {65000, 65536}} {
		if _, err := NewPortRange(tt[0], tt[1]); err == nil {
			t.Errorf("%d-%d: no error", tt[0], tt[1])
		}
	}
}

func TestPortRange(t *testing.T) {
	const pairs = 4
	first := freeRange(t, loopback, pairs)
	r, err := NewPortRange(first, first+2*pairs-1)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	var open []pair
	for range pairs {
		p, err := r.open(loopback)
		if err != nil {
			t.Fatal(err)
		}
		port, control := p.rtp.port, p.rtcp.port
		if port%2 != 0 || control != port+1 || port < first || control >= first+2*pairs || seen[port] {
			t.Errorf("pair %d, %d", port, control)
		}
		seen[port] = true
		open = append(open, p)
	}
	if _, err := r.open(loopback); !errors.Is(err, ErrNoPorts) {
		t.Errorf("one too many: %v, want ErrNoPorts", err)
	}
	if r.Used() != pairs {
		t.Errorf("used %d, want %d", r.Used(), pairs)
	}
	freed := open[2].rtp.port
	open[2].close()
	p, err := r.open(loopback)
	if err != nil || p.rtp.port != freed {
		t.Errorf("got %v, %v; want port %d again", p, err, freed)
	}
	open[2] = p
	for _, p := range open {
		p.close()
	}
	if r.Used() != 0 {
		t.Errorf("used %d after all were closed", r.Used())
	}
}

// A pair that was just closed is the last to be handed out again: packets of
// the old call may still be on their way.
func TestPortRangeGoesAround(t *testing.T) {
	const pairs = 4
	first := freeRange(t, loopback, pairs)
	r, err := NewPortRange(first, first+2*pairs-1)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	for range pairs {
		p, err := r.open(loopback)
		if err != nil {
			t.Fatal(err)
		}
		seen[p.rtp.port] = true
		p.close()
	}
	if len(seen) != pairs {
		t.Errorf("%d different pairs, want %d", len(seen), pairs)
	}
}

func TestPortRangeSkipsWhatOthersUse(t *testing.T) {
	const pairs = 3
	first := freeRange(t, loopback, pairs)
	var taken []*socket
	for _, port := range []int{first, first + 3} { // RTP of the first pair, RTCP of the second
		c, err := listen(loopback, uint16(port))
		if err != nil {
			t.Skip(err)
		}
		taken = append(taken, c)
	}
	r, err := NewPortRange(first, first+2*pairs-1)
	if err != nil {
		t.Fatal(err)
	}
	p, err := r.open(loopback)
	if err != nil || p.rtp.port != first+4 {
		t.Fatalf("got %v, %v; want port %d", p, err, first+4)
	}
	if _, err := r.open(loopback); !errors.Is(err, ErrNoPorts) {
		t.Errorf("got %v, want ErrNoPorts", err)
	}
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(r)
	for name, want := range map[string]float64{
		"skybridge_rtp_port_pairs": pairs, "skybridge_rtp_port_pairs_used": 1, "skybridge_rtp_port_pairs_exhausted_total": 1,
	} {
		if got := sample(t, reg, name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	p.close()
	for _, c := range taken {
		c.close()
	}
	if r.Used() != 0 {
		t.Errorf("used %d", r.Used())
	}
}

func TestPortsOfTheKernel(t *testing.T) {
	r, err := NewPortRange(0, 0)
	if err != nil {
		t.Fatal(err)
	}
	for range 50 {
		p, err := r.open(loopback)
		if err != nil {
			t.Fatal(err)
		}
		if port := p.rtp.port; port%2 != 0 || p.rtcp.port != port+1 {
			t.Errorf("pair %d, %d", port, p.rtcp.port)
		}
		p.close()
	}
}

func TestPortRangeBadAddress(t *testing.T) {
	r, err := NewPortRange(40000, 40099)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.open(netip.MustParseAddr("192.0.2.1")); err == nil || errors.Is(err, ErrNoPorts) {
		t.Errorf("an address that is not ours: %v", err)
	}
	if r.Used() != 0 {
		t.Errorf("used %d", r.Used())
	}
}

// sample is the value of a metric without labels.
func sample(t *testing.T, reg *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.Metric[0].GetGauge().GetValue() + f.Metric[0].GetCounter().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}
