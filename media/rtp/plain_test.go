package rtp_test

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/skybridge-media/skybridge/media/rtp"
)

// A range of one pair has room for one socket at a time, of whatever kind.
func TestPlainSockets(t *testing.T) {
	loopback := netip.MustParseAddr("127.0.0.1")
	ports, err := rtp.NewPortRange(47310, 47311)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		c, err := ports.ListenPacket(loopback)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.LocalAddr().String(); got != "127.0.0.1:47310" {
			t.Errorf("bound to %s", got)
		}
		if _, err := ports.Listen(loopback); !errors.Is(err, rtp.ErrNoPorts) {
			t.Errorf("a second socket: %v", err)
		}
		_ = c.Close()
		_ = c.Close() // gives nothing back twice
		l, err := ports.Listen(loopback)
		if err != nil {
			t.Fatal(err)
		}
		if got := l.Addr().String(); got != "127.0.0.1:47310" || ports.Used() != 1 {
			t.Errorf("bound to %s, %d used", got, ports.Used())
		}
		_ = l.Close()
		if ports.Used() != 0 {
			t.Errorf("%d used after close", ports.Used())
		}
	}
	families, err := registered(ports).Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if n := f.GetMetric()[0].GetCounter().GetValue(); f.GetName() == "skybridge_rtp_port_pairs_exhausted_total" && n != 2 {
			t.Errorf("%v times without a port, want 2", n)
		}
	}
	if _, err := (&rtp.PortRange{}).ListenPacket(loopback); err != nil {
		t.Errorf("a port of the kernel's choice: %v", err)
	}
}

func registered(c prometheus.Collector) *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(c)
	return r
}
