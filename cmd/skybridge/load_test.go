package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/skybridge-media/skybridge/bench/caller"
	"github.com/skybridge-media/skybridge/bus"
	"github.com/skybridge-media/skybridge/bus/natsbus"
	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/g711"
	"github.com/skybridge-media/skybridge/codecs/pcm"
	"github.com/skybridge-media/skybridge/media/tone"
)

// TestSIPLoad makes 50 calls of 20 s at 10 per second with sipp, two to a room,
// each with a tone and three keys. All complete; every key is one event; every
// caller hears the other one and not itself. Meanwhile others call and never
// acknowledge the answer, or lose their media: those are hung up on. In the end
// nothing is left of any of them.
func TestSIPLoad(t *testing.T) {
	needPeer(t, "sipp")
	needRawSockets(t)
	p := startProgram(t, "serve", "--adhoc", "--rtp-ports", "44000-44999")
	events := listen(t, p.NATS)
	before := p.warm(t, events)

	dir := t.TempDir()
	writeTone(t, dir, "a.ulaw", toneA)
	writeTone(t, dir, "b.ulaw", toneB)
	users := "SEQUENTIAL\n"
	for i := range 25 {
		users += fmt.Sprintf("pair%d;a;\npair%d;b;\n", i, i)
	}
	if err := os.WriteFile(filepath.Join(dir, "users.csv"), []byte(users), 0o600); err != nil {
		t.Fatal(err)
	}
	between := newTap(t, p.SIP)
	const calls, abandoned = 50, 5
	lost := []*sipp{
		startSipp(t, dir, "unacknowledged", p.SIP, 6100, "-m", fmt.Sprint(abandoned)),
		startSipp(t, dir, "vanished", p.SIP, 6200, "-m", fmt.Sprint(abandoned)),
	}
	load := startSipp(t, dir, "call", between.near.LocalAddr().String(), 6000, "-inf", "users.csv", "-m", fmt.Sprint(calls))
	eventually(t, 20*time.Second, func() error {
		if n := p.metric(t, "skybridge_conference_participants"); n != calls+2*abandoned {
			return fmt.Errorf("%v calls at once, want %d", n, calls+2*abandoned)
		}
		return nil
	})
	during := p.samples(t)
	load.wait(t, calls)
	for _, s := range lost {
		s.wait(t, abandoned)
	}

	between.close()
	wantPairs(t, between, calls)
	told := events.after(t, calls+2*abandoned)
	wantTold(t, told, map[string]int{"hangup": calls, "timeout": abandoned, "media_lost": abandoned})
	p.wantAsBefore(t, before)
	for _, name := range footprint[:4] {
		t.Logf("%s: %v before, %v with all calls up, %v after", name, before[name], during[name], p.metric(t, name))
	}
}

// wantPairs wants every caller to have heard the other one of its room, and
// never itself.
func wantPairs(t *testing.T, p *tap, calls int) {
	t.Helper()
	if len(p.calls) != calls {
		t.Errorf("%d calls went through the tap, want %d", len(p.calls), calls)
	}
	enough := 15 // seconds of 20: the other comes later or leaves earlier, and the machine may be busy
	if raceEnabled {
		enough = 3 // sound that comes slowly is sound
	}
	least, loudest := 1000, tone.Silence
	for _, c := range p.calls {
		heard := 0
		for i := range c.other {
			if c.other[i] > -30 {
				heard++
			}
			loudest = max(loudest, c.own[i])
			if c.own[i] > -40 {
				t.Errorf("%s hears itself at %.0f dBFS in second %d", c.name, c.own[i], i)
			}
		}
		if heard < enough {
			t.Errorf("%s hears the other in %d of %d seconds, want %d", c.name, heard, len(c.other), enough)
		}
		least = min(least, heard)
	}
	t.Logf("everybody heard the other for %d s or more, and itself at %.0f dBFS at most", least, loudest)
}

// wantTold wants three keys and one end of each call, as the events tell it.
func wantTold(t *testing.T, told map[string]*story, reasons map[string]int) {
	t.Helper()
	got := map[string]int{}
	for id, s := range told {
		got[s.left]++
		if s.joined != 1 || s.ended != 1 {
			t.Errorf("%s (%s) joined %d times and left %d times", s.name, id, s.joined, s.ended)
		}
		if s.left != "hangup" {
			if s.keys != "" {
				t.Errorf("%s pressed %q and has no keys", s.name, s.keys)
			}
			continue
		}
		if s.keys != "5#5" {
			t.Errorf("%s pressed %q, want 5#5", s.name, s.keys)
		}
		if s.connected != 1 || s.length < 20*time.Second {
			t.Errorf("%s was connected %d times, for %v", s.name, s.connected, s.length)
		}
	}
	if !maps.Equal(got, reasons) {
		t.Errorf("calls ended %v, want %v", got, reasons)
	}
}

// A sipp is one run of it.
type sipp struct {
	cmd  *exec.Cmd
	dir  string
	name string
	out  strings.Builder
}

// startSipp runs a scenario of testdata/sipp against server, in dir, at 10 calls
// a second. Its media is at a port of its own.
func startSipp(t *testing.T, dir, scenario, server string, media int, args ...string) *sipp {
	t.Helper()
	file, err := filepath.Abs(filepath.Join("testdata", "sipp", scenario+".xml"))
	if err != nil {
		t.Fatal(err)
	}
	sip := listenUDP(t) // where sipp will be
	port := sip.LocalAddr().(*net.UDPAddr).Port
	_ = sip.Close()
	s := &sipp{dir: dir, name: scenario}
	s.cmd = exec.Command("sipp", append([]string{
		server, "-sf", file, "-i", "127.0.0.1", "-mi", "127.0.0.1", "-p", fmt.Sprint(port), "-mp", fmt.Sprint(media),
		"-r", "10", "-l", "100", "-t", "u1", "-nostdin", "-timeout", "100s", "-timeout_error",
		"-trace_err", "-error_file", scenario + ".err", "-trace_stat", "-stf", scenario + ".csv",
	}, args...)...)
	s.cmd.Dir, s.cmd.Stdout, s.cmd.Stderr = dir, &s.out, &s.out
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if s.cmd.ProcessState == nil {
			_ = s.cmd.Process.Kill()
			_ = s.cmd.Wait()
		}
	})
	return s
}

// wait wants all calls to succeed, by sipp's own statistics.
func (s *sipp) wait(t *testing.T, calls int) {
	t.Helper()
	err := s.cmd.Wait()
	mistakes, _ := os.ReadFile(filepath.Join(s.dir, s.name+".err")) // absent when there are none
	if err != nil {
		t.Fatalf("sipp %s: %v\n%s\n%s", s.name, err, mistakes, tail(s.out.String(), 3000))
	}
	file, err := os.Open(filepath.Join(s.dir, s.name+".csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	r := csv.NewReader(file)
	r.Comma, r.FieldsPerRecord = ';', -1
	rows, err := r.ReadAll()
	if err != nil || len(rows) < 2 {
		t.Fatalf("sipp's statistics: %d rows, %v", len(rows), err)
	}
	last := rows[len(rows)-1]
	for column, want := range map[string]int{"SuccessfulCall(C)": calls, "FailedCall(C)": 0} {
		if i := slices.Index(rows[0], column); i < 0 || last[i] != fmt.Sprint(want) {
			t.Errorf("sipp %s: %s is not %d\n%s", s.name, column, want, mistakes)
		}
	}
}

// needRawSockets skips without the right to play captures as sipp does.
func needRawSockets(t *testing.T) {
	t.Helper()
	conn, err := net.ListenIP("ip4:udp", &net.IPAddr{IP: net.IPv4(127, 0, 0, 1)})
	switch {
	case err == nil:
		_ = conn.Close()
	case os.Getenv("SKYBRIDGE_PEERS") == "all":
		t.Fatalf("sipp plays captures on a raw socket: %v", err)
	default:
		t.Skipf("sipp plays captures on a raw socket: %v", err)
	}
}

// writeTone makes a file of 1 s as sipp plays them.
func writeTone(t *testing.T, dir, name string, hz float64) {
	t.Helper()
	samples := make(pcm.Frame, g711.Rate)
	tone.New(g711.Rate, -12, hz).Read(samples)
	enc, err := g711.PCMU.NewEncoder(codecs.AudioOptions{})
	if err != nil {
		t.Fatal(err)
	}
	data, err := enc.Encode(nil, samples)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A story is what the events tell of one participant.
type story struct {
	name                     string
	joined, connected, ended int
	keys                     string
	left                     string // why
	length                   time.Duration
}

// An audience follows the events of a node as a consumer outside does.
type audience struct {
	mu      sync.Mutex // guards what follows
	stories map[string]*story
	ended   int
}

func listen(t *testing.T, url string) *audience {
	t.Helper()
	b, err := natsbus.Connect(t.Context(), natsbus.Config{URL: url, Node: "audience"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	a := &audience{stories: map[string]*story{}}
	var wg sync.WaitGroup
	wg.Go(func() { _ = b.Subscribe(ctx, bus.AllEvents, time.Now(), a.take) }) // ends with ctx
	t.Cleanup(func() {
		cancel()
		wg.Wait()
		_ = b.Close(context.Background()) // the server may have gone first
	})
	return a
}

func (a *audience) take(r bus.Received) {
	a.mu.Lock()
	defer a.mu.Unlock()
	of := func(id string) *story {
		if a.stories[id] == nil {
			a.stories[id] = &story{}
		}
		return a.stories[id]
	}
	switch e := r.Event.(type) {
	case bus.ParticipantJoined:
		of(e.Participant).name = e.Name
		of(e.Participant).joined++
	case bus.ParticipantConnected:
		of(e.Participant).connected++
	case bus.ParticipantPressed:
		of(e.Participant).keys += e.Digit
	case bus.ParticipantLeft:
		s := of(e.Participant)
		s.ended++
		s.left, s.length = e.Reason, time.Duration(e.Duration)
		a.ended++
	}
}

// after waits until n calls have ended and returns their stories. The stream
// keeps the order: nothing of a call comes after its end.
func (a *audience) after(t *testing.T, n int) (stories map[string]*story) {
	t.Helper()
	eventually(t, 10*time.Second, func() error {
		a.mu.Lock()
		defer a.mu.Unlock()
		if len(a.stories) != n || a.ended < n {
			return fmt.Errorf("the events tell of %d calls and %d ends, want %d", len(a.stories), a.ended, n)
		}
		stories, a.stories, a.ended = a.stories, map[string]*story{}, 0
		return nil
	})
	return stories
}

// footprint are the metrics that say what calls take: when these have ended,
// all are what they were before.
var footprint = []string{
	"go_goroutines", "process_open_fds",
	"skybridge_sip_dialogs", "skybridge_rtp_sessions", "skybridge_rtp_port_pairs_used",
	`skybridge_port_open{protocol="sip"}`, `skybridge_port_open{protocol="webrtc"}`, "skybridge_webrtc_calls_active",
	"skybridge_node_calls", "skybridge_node_conferences_owned", "skybridge_claim_names_held",
	"skybridge_conference_active", "skybridge_conference_participants",
	"skybridge_transcoder_active", "skybridge_transcoder_legs", "skybridge_bridge_active", "skybridge_bridge_legs",
	`skybridge_participant_calls{protocol="sip"}`, `skybridge_participant_calls{protocol="webrtc"}`, `skybridge_participant_calls{protocol="whip"}`,
}

// warm makes one call, so that what is made once exists, and returns what the
// program takes when nobody calls.
func (p *program) warm(t *testing.T, events *audience) map[string]float64 {
	t.Helper()
	call, err := caller.DialSIP(t.Context(), netip.MustParseAddrPort(p.SIP), "warm", caller.Config{Name: "warm", Audio: &g711.PCMU})
	if err != nil {
		t.Fatal(err)
	}
	if err := call.Close(); err != nil {
		t.Fatal(err)
	}
	events.after(t, 1)
	var before map[string]float64
	eventually(t, 10*time.Second, func() error {
		before = p.samples(t)
		if n := before["skybridge_conference_active"] + before["skybridge_node_calls"]; n != 0 {
			return fmt.Errorf("%v calls and conferences", n)
		}
		return nil
	})
	return before
}

// wantAsBefore waits until the program's footprint is no larger than it was.
func (p *program) wantAsBefore(t *testing.T, before map[string]float64) {
	t.Helper()
	insecure.CloseIdleConnections()
	begin := time.Now()
	p.wantFootprint(t, before, footprint)
	t.Logf("nothing left after %v", time.Since(begin).Round(time.Millisecond))
}

// wantFootprint waits until metrics are no larger than they were. Goroutines
// may be two more: those of timers and of NATS come and go by themselves.
func (p *program) wantFootprint(t *testing.T, before map[string]float64, metrics []string) {
	t.Helper()
	eventually(t, 20*time.Second, func() error {
		now := p.samples(t)
		for _, name := range metrics {
			most := before[name]
			if name == "go_goroutines" {
				most += 2
			}
			if now[name] > most {
				return fmt.Errorf("%s is %v, was %v", name, now[name], before[name])
			}
		}
		return nil
	})
}

// samples reads the whole exposition; series as they stand there.
func (p *program) samples(t *testing.T) map[string]float64 {
	t.Helper()
	resp, err := insecure.Get(p.Metrics)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	all := map[string]float64{}
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if i := strings.LastIndexByte(lines.Text(), ' '); i > 0 {
			if v, err := strconv.ParseFloat(lines.Text()[i+1:], 64); err == nil { // else a comment
				all[lines.Text()[:i]] = v
			}
		}
	}
	return all
}
