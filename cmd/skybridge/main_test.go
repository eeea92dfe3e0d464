package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"skybridge": main})
}

func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/script"})
}

// A program is skybridge in a process of its own, with all its ports free ones.
type program struct {
	cmd  *exec.Cmd
	dir  string
	done chan struct{} // closed when the process has ended

	Web, SIP, SIPS, WebRTC, Metrics, NATS string // as printed at start: URLs, or host:port

	mu  sync.Mutex // guards log
	log strings.Builder
}

// startProgram runs "skybridge COMMAND args" until the test ends.
func startProgram(t *testing.T, command string, args ...string) *program {
	t.Helper()
	p := &program{dir: t.TempDir(), done: make(chan struct{})}
	args = append([]string{
		command, "--data", filepath.Join(p.dir, "data"), "--bind", "127.0.0.1", "--sip-port", "0", "--sips-port", "0",
		"--https-port", "0", "--webrtc-port", "0", "--ops", "127.0.0.1:0",
		"--capacity", "1000", // tests do not measure, and load what runs them as they like
	}, args...)
	p.cmd = exec.Command("skybridge", args...)
	for _, kv := range os.Environ() { // what steers the tests is no setting
		if !strings.HasPrefix(kv, "SKYBRIDGE_") {
			p.cmd.Env = append(p.cmd.Env, kv)
		}
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stderr = p
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // the exit status is in ProcessState
		close(p.done)
	}()
	t.Cleanup(func() {
		p.stop(t)
		if t.Failed() {
			t.Logf("what the program logged:\n%s", p.logged())
		}
	})
	p.readLinks(t, out)
	return p
}

// Write takes what the program logs.
func (p *program) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(b)
}

func (p *program) logged() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// link matches one line of what is printed at start: what, where.
var link = regexp.MustCompile(`^ *(web|sip|sips|webrtc|metrics|nats) +(\S+)`)

func (p *program) readLinks(t *testing.T, out io.Reader) {
	t.Helper()
	ready := make(chan struct{})
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if m := link.FindStringSubmatch(lines.Text()); m != nil {
				_, host, _ := strings.Cut(m[2], "@")
				switch m[1] {
				case "web":
					p.Web = strings.TrimSuffix(m[2], "/")
				case "sip":
					p.SIP = host
				case "sips":
					p.SIPS = host
				case "webrtc":
					p.WebRTC = m[2]
				case "metrics":
					p.Metrics = m[2]
				case "nats":
					p.NATS = m[2]
				}
			}
			if strings.Contains(lines.Text(), "Ctrl-C") {
				close(ready)
			}
		}
	}()
	select {
	case <-ready:
		if url, err := os.ReadFile(filepath.Join(p.dir, "data", "access", "node")); err == nil {
			p.NATS = strings.TrimSpace(string(url)) // an embedded server admits nobody without
		}
	case <-p.done:
		t.Fatalf("the program ended: %v\n%s", p.cmd.ProcessState, p.logged())
	case <-time.After(30 * time.Second):
		t.Fatalf("the program is not ready after 30 s:\n%s", p.logged())
	}
}

// stop ends the program as an operator does, and wants it gone in 5 s.
func (p *program) stop(t *testing.T) {
	t.Helper()
	select {
	case <-p.done:
		return
	default:
	}
	_ = p.cmd.Process.Signal(syscall.SIGINT) // it may end at this very moment
	select {
	case <-p.done:
		if code := p.cmd.ProcessState.ExitCode(); code != 0 {
			t.Errorf("exit status %d after SIGINT", code)
		}
	case <-time.After(5 * time.Second):
		t.Error("still running 5 s after SIGINT")
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// insecure talks to programs, whose certificates nobody signed.
var insecure = &http.Client{
	Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}},
	Timeout:   10 * time.Second,
}

// metric reads one sample of the exposition; series as it stands there.
func (p *program) metric(t *testing.T, series string) float64 {
	t.Helper()
	resp, err := insecure.Get(p.Metrics)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), series+" "); ok {
			var v float64
			if _, err := fmt.Sscan(rest, &v); err != nil {
				t.Fatal(err)
			}
			return v
		}
	}
	t.Fatalf("no metric %s", series)
	return 0
}

// eventually wants cond to hold within d, and says what was wrong if not.
func eventually(t *testing.T, d time.Duration, cond func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := cond()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("after %v: %v", d, err)
		case <-tick.C:
		}
	}
}

// needPeer skips the test without a command, and fails it where all peers are
// required.
func needPeer(t *testing.T, commands ...string) {
	t.Helper()
	for _, c := range commands {
		if _, err := exec.LookPath(c); err == nil {
			continue
		}
		if os.Getenv("SKYBRIDGE_PEERS") == "all" {
			t.Fatalf("%s is not installed; make peers installs it", c)
		}
		t.Skipf("%s is not installed; make peers installs it", c)
	}
}
