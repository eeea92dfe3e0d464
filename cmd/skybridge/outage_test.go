package main

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/skybridge-media/skybridge/bus"
	"github.com/skybridge-media/skybridge/bus/embedded"
	"github.com/skybridge-media/skybridge/bus/natsbus"
)

// TestNATSAway takes NATS away during a call. The call goes on, another caller
// gets in, the alarm metric says what is wrong; when NATS is back, everything
// that happened meanwhile is told, in order and once.
func TestNATSAway(t *testing.T) {
	dir, port := t.TempDir(), freePort(t)
	nats, err := embedded.Start(embedded.Config{Dir: dir, Port: port})
	if err != nil {
		t.Fatal(err)
	}
	stopped := false
	t.Cleanup(func() {
		if !stopped {
			_ = nats.Close()
		}
	})
	p := startProgram(t, "serve", "--adhoc", "--nats", nats.URL(), "--rtp-ports", "43200-43299")
	dial(t, p, "x", "ann", 600)
	bob := dial(t, p, "x", "bob", 900)
	bob.hears(t, 600, true)
	wantMetric(t, p, "skybridge_nats_connected", 1)

	bob.reset()
	if err := nats.Close(); err != nil {
		t.Fatal(err)
	}
	stopped = true
	// Away for so long that the node may not act as owner of anything.
	wantMetric(t, p, "skybridge_nats_connected", 0)
	wantMetric(t, p, "skybridge_claim_session_valid", 0)
	dial(t, p, "x", "cho", 1200)
	bob.hears(t, 1200, true)
	dial(t, p, "y", "dan", 1500) // a room that nobody has been in
	if gap := bob.gap(); gap > 60*time.Millisecond {
		t.Errorf("bob heard nothing for %v when NATS went away", gap)
	}

	if nats, err = embedded.Start(embedded.Config{Dir: dir, Port: port}); err != nil {
		t.Fatal(err)
	}
	stopped = false
	wantMetric(t, p, "skybridge_nats_connected", 1)
	wantMetric(t, p, "skybridge_claim_session_valid", 1)
	wantMetric(t, p, "skybridge_node_conferences_unclaimed", 0)
	wantRoster(t, 5*time.Second, "x", "ann bob cho", p)
	wantJoins(t, nats.URL(), "ann bob cho dan")
}

// wantMetric waits until a metric has a value.
func wantMetric(t *testing.T, p *program, name string, want float64) {
	t.Helper()
	eventually(t, 20*time.Second, func() error {
		if got := p.metric(t, name); got != want {
			return fmt.Errorf("%s is %v, want %v", name, got, want)
		}
		return nil
	})
}

// wantJoins wants these participants, once each, among the joins that the
// stream of events keeps.
func wantJoins(t *testing.T, url, names string) {
	t.Helper()
	b, err := natsbus.Connect(t.Context(), natsbus.Config{URL: url, Node: "listener"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close(context.Background()) })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var got []string
	err = b.Subscribe(ctx, bus.AllEvents, time.Time{}, func(r bus.Received) {
		if e, ok := r.Event.(bus.ParticipantJoined); ok {
			if got = append(got, e.Name); strings.Join(got, " ") == names {
				cancel()
			}
		}
	})
	if strings.Join(got, " ") != names {
		t.Errorf("joined: %q (%v), want %q", got, err, names)
	}
}

// freePort returns a TCP port of 127.0.0.1 that was free a moment ago.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
