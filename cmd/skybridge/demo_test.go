package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"testing"
	"time"

	"github.com/skybridge-media/skybridge/bench/latency"
)

// TestDemo finds the room alive: synthetic callers by SIP and by web, somebody
// speaking, pictures encoded.
func TestDemo(t *testing.T) {
	p := startProgram(t, "demo", "--participants", "3", "--rtp-ports", "43300-43399")
	eventually(t, 20*time.Second, func() error {
		r, err := p.roster("demo")
		switch {
		case err != nil:
			return err
		case r == nil || len(r.Participants) != 3:
			return fmt.Errorf("roster: %+v", r)
		}
		for _, q := range r.Participants {
			if q.State != "connected" {
				return fmt.Errorf("%s is %s", q.Name, q.State)
			}
		}
		if r.Speaker == "" {
			return fmt.Errorf("nobody speaks")
		}
		return nil
	})
	if n := p.metric(t, "skybridge_bridge_frames_encoded_total"); n == 0 {
		t.Error("no picture was encoded")
	}
}

// TestBenchLatency runs the measurement for a moment. Figures come from real
// runs; here it only has to measure something and to say so.
func TestBenchLatency(t *testing.T) {
	var out, log bytes.Buffer
	cmd := exec.Command("skybridge", "bench", "latency", "--seconds", "3", "--load", "0.01", "--json")
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	var r latency.Result
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatalf("%v in %s", err, out.String())
	}
	if r.Participants != 2 || r.Audio.Samples == 0 || r.Video.Samples == 0 || r.Audio.Median <= 0 || r.Video.Median <= 0 {
		t.Errorf("measured %+v", r)
	}
}
