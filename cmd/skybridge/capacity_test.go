package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/skybridge-media/skybridge/services/ops"
)

// worker reads what the program says that it can carry.
func (p *program) worker() (w ops.Worker, err error) {
	resp, err := insecure.Get(strings.TrimSuffix(p.Metrics, "/metrics") + "/status/worker_vm")
	if err != nil {
		return w, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return w, fmt.Errorf("status %s", resp.Status)
	}
	return w, json.NewDecoder(resp.Body).Decode(&w)
}

// TestSelfCheck starts a node for the first time, and again: it measures once,
// while it takes calls already.
func TestSelfCheck(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	first := startProgram(t, "serve", "--adhoc", "--capacity", "0", "--data", data)
	guessed, err := first.worker()
	if err != nil {
		t.Fatal(err)
	}
	if guessed.MaxHD < 1 || guessed.MaxAudio < guessed.MaxHD {
		t.Errorf("there is no guess before it is measured: %+v", guessed)
	}
	eventually(t, time.Minute, func() error {
		_, err := os.Stat(filepath.Join(data, "capacity.json"))
		return err
	})
	measured, err := first.worker()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("guessed %+v, measured %+v", guessed, measured)
	if !strings.Contains(first.logged(), "capacity measured") {
		t.Error("a first start did not measure")
	}
	first.stop(t)

	second := startProgram(t, "serve", "--adhoc", "--capacity", "0", "--data", data)
	kept, err := second.worker()
	if err != nil {
		t.Fatal(err)
	}
	if kept.CapacityHD != measured.CapacityHD {
		t.Errorf("%v HD calls at the second start, %v were measured at the first", kept.CapacityHD, measured.CapacityHD)
	}
	second.stop(t)
	if strings.Contains(second.logged(), "capacity measured") {
		t.Error("the second start measured again")
	}
}

// TestCapacityExceeded is about a node that can carry one voice: the next call
// is refused before anything of it exists, at once, and the first one notices
// nothing.
func TestCapacityExceeded(t *testing.T) {
	p := startProgram(t, "serve", "--adhoc", "--capacity", "0.04", "--rtp-ports", "43600-43699")
	dial(t, p, "open", "ann", 600)
	wantMetric(t, p, "skybridge_node_conferences_owned", 1)
	before := p.samples(t)
	refusal{what: "no capacity", alias: "open", sip: "503 Capacity Exceeded", retry: true}.check(t, p, before)
	refusal{retry: true}.post(t, p, "/whip/other", "application/sdp", webOffer, "503 capacity")
	p.wantNoCalls(t, before)

	u := newPhone(t, p, "UDP", "127.0.0.1")
	var worst time.Duration
	for range 50 {
		begin := time.Now()
		if got := u.call("open").ask(t, "INVITE", describe(40000, "RTP/AVP", "0")); got.status != "503 Capacity Exceeded" {
			t.Fatalf("answer %q", got.status)
		}
		worst = max(worst, time.Since(begin))
	}
	t.Logf("refused in %v at most", worst)
	if worst > 50*time.Millisecond && !raceEnabled {
		t.Errorf("refused after %v, want 50 ms at most", worst)
	}
	p.wantNoCalls(t, before)
	if got := p.metric(t, `skybridge_node_admissions_total{result="capacity"}`); got != 3+1+50 {
		t.Errorf("%v calls were counted as refused for want of capacity, want 54", got)
	}
	if w, err := p.worker(); err != nil || w.Calls != 1 || w.Used != 0.025 {
		t.Errorf("the first call is not what is left: %+v, %v", w, err)
	}
}
