package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"testing"
	"time"
)

// TestCrowd lets 500 callers into one room within 10 s, whether those before
// have been answered or not. All get in, 99 of 100 in 3 s at most.
func TestCrowd(t *testing.T) {
	const calls, every = 500, 20 * time.Millisecond
	p := startProgram(t, "serve", "--adhoc", "--rtp-ports", "46000-47999", "--log", "warn")
	sink, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}) // what nobody reads is dropped
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	offer := describe(sink.LocalAddr().(*net.UDPAddr).Port, "RTP/AVP", "0")

	u := newPhone(t, p, "UDP", "127.0.0.1")
	send := func(message string) {
		if _, err := io.WriteString(u.conn, message); err != nil {
			t.Fatal(err)
		}
	}
	type attempt struct {
		*dialog
		began time.Time
	}
	waiting := map[string]attempt{} // by Call-ID
	var took []time.Duration
	pace := time.NewTicker(every)
	defer pace.Stop()
	late := time.After(60 * time.Second)
	for sent := 0; len(took) < calls; {
		next := pace.C
		if sent == calls {
			next = nil
		}
		select {
		case <-next:
			d := u.call("crowd")
			waiting[d.id] = attempt{d, time.Now()}
			sent++
			send(d.message("INVITE", offer))
		case r := <-u.replies:
			a, ok := waiting[r.header.Get("Call-Id")]
			if !ok || r.status < "200" {
				continue
			}
			if r.status != "200 OK" {
				t.Fatalf("caller %d of %d: answer %q", len(took), calls, r.status)
			}
			took = append(took, time.Since(a.began))
			delete(waiting, a.id)
			a.to, a.branch = r.header.Get("To"), fmt.Sprintf("z9hG4bK%x", rand.Uint64())
			send(a.message("ACK", ""))
		case <-late:
			t.Fatalf("%d of %d callers have been answered", len(took), calls)
		}
	}
	wantMetric(t, p, "skybridge_conference_participants", calls)
	slices.Sort(took)
	median, p99 := took[len(took)/2], took[len(took)*99/100]
	t.Logf("answered after %v in the median, %v at p99, %v at most; %.2f s of CPU", median, p99, took[len(took)-1],
		p.metric(t, "process_cpu_seconds_total"))
	if p99 > 3*time.Second && !raceEnabled {
		t.Errorf("p99 is %v, want 3 s at most", p99)
	}
}
