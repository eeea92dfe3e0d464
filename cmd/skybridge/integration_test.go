package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/skybridge-media/skybridge/bus"
)

// access returns the URL of one of the users of the embedded NATS server.
func (p *program) access(t *testing.T, user string) string {
	t.Helper()
	path := filepath.Join(p.dir, "data", "access", user)
	url, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%s is open to others: %v, %v", path, info.Mode(), err)
	}
	return strings.TrimSpace(string(url))
}

// blocks returns the code on a page of the manual by language.
func blocks(t *testing.T, page string) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../../docs/manual/" + page)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, m := range regexp.MustCompile("(?sm)^```(\\w+)\n(.*?)^```").FindAllStringSubmatch(string(text), -1) {
		if found[m[1]] != "" {
			t.Fatalf("%s has two blocks in %s", page, m[1])
		}
		found[m[1]] = m[2]
	}
	return found
}

// TestExampleGo runs the program of docs/manual/integrations.md as it stands
// there: who joins by phone is muted, and is not heard any more.
func TestExampleGo(t *testing.T) {
	needPeer(t, "go")
	p := startProgram(t, "serve", "--adhoc", "--rtp-ports", "43200-43299")
	dir := t.TempDir()
	source, binary := filepath.Join(dir, "main.go"), filepath.Join(dir, "example")
	if err := os.WriteFile(source, []byte(blocks(t, "integrations.md")["go"]), 0o600); err != nil {
		t.Fatal(err)
	}
	// Built here, so that it finds the NATS library of this module.
	if out, err := exec.Command("go", "build", "-o", binary, source).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	example := exec.Command(binary)
	example.Env = append(os.Environ(), "NATS_URL="+p.access(t, "control"))
	out, err := example.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := example.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = example.Process.Kill()
		_ = example.Wait()
	})
	lines := bufio.NewScanner(out)
	if !lines.Scan() || !strings.Contains(lines.Text(), "ready") {
		t.Fatalf("the example says %q", lines.Text())
	}
	dial(t, p, "standup", "ann", 600)
	if !lines.Scan() || !strings.Contains(lines.Text(), "ann: {}") {
		t.Fatalf("the example says %q", lines.Text())
	}
	r, err := p.roster("standup")
	if err != nil || len(r.Participants) != 1 || !r.Participants[0].AudioMuted {
		t.Errorf("the roster is %+v, %v", r, err)
	}
}

// TestExampleShell runs the script of docs/manual/integrations.md, and the
// commands below it.
func TestExampleShell(t *testing.T) {
	needPeer(t, "bash")
	p := startProgram(t, "serve", "--adhoc", "--rtp-ports", "43300-43399")
	dial(t, p, "standup", "Zoë", 600)
	page, dir := blocks(t, "integrations.md"), t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "sky"), []byte(page["bash"]), 0o700); err != nil {
		t.Fatal(err)
	}
	run := func(line string) (string, error) {
		cmd := exec.Command("bash", "-c", line)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "NATS_URL="+p.access(t, "control"))
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	last := ""
	for line := range strings.Lines(page["console"]) {
		var err error
		if last, err = run(strings.TrimPrefix(line, "$ ")); err != nil {
			t.Fatalf("%s: %v\n%s", line, err, last)
		}
	}
	var v bus.Conference
	if err := json.Unmarshal([]byte(last), &v); err != nil || !v.Locked || len(v.Participants) != 1 || v.Participants[0].Name != "Zoë" {
		t.Errorf("the conference is %s (%v)", last, err)
	}
	for line, want := range map[string]string{
		`./sky conference.lock '{"room":"Ж"}'`: "Nats-Service-Error: room: no conference runs in it now\n",
		`./sky conference.lock`:                "Nats-Service-Error: room: is required\n",
		`./sky conference.dance`:               "NATS/1.0 503\n",
	} {
		if out, err := run(line); err == nil || out != want {
			t.Errorf("%s: %q, %v; want %q and a failure", line, out, err, want)
		}
	}
}

// TestUsersOfEmbeddedNATS lets an integration do what it may, and no more, also
// after a restart with the passwords that there were.
func TestUsersOfEmbeddedNATS(t *testing.T) {
	p := startProgram(t, "serve", "--adhoc", "--rtp-ports", "43400-43499")
	observe, err := nats.Connect(p.access(t, "observe"))
	if err != nil {
		t.Fatal(err)
	}
	defer observe.Close()
	events, err := observe.SubscribeSync("sky.evt.participant.joined.>")
	if err != nil {
		t.Fatal(err)
	}
	if err := observe.Flush(); err != nil {
		t.Fatal(err)
	}
	dial(t, p, "standup", "ann", 600)
	m, err := events.NextMsg(10 * time.Second)
	if err != nil || m.Header.Get("Sky-Type") != "participant.joined" {
		t.Fatalf("%v, %v", m, err)
	}
	if m, err := observe.Request("sky.api.conference.list", nil, 10*time.Second); err != nil || !strings.Contains(string(m.Data), `"room":"standup"`) {
		t.Errorf("conference.list: %v, %v", m, err)
	}
	if m, err := observe.Request("sky.api.conference.lock", []byte(`{"room":"standup"}`), time.Second); err == nil {
		t.Errorf("conference.lock is answered: %s", m.Data)
	}
	if r, err := p.roster("standup"); err != nil || len(r.Participants) != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	if n := p.metric(t, `skybridge_natsbus_requests_total{endpoint="conference.list"}`); n != 1 {
		t.Errorf("%v requests are counted, want 1", n)
	}
	if strings.Contains(p.logged(), "assword") || strings.Contains(p.logged(), strings.Split(p.access(t, "node"), ":")[2][:16]) {
		t.Error("the log tells about passwords")
	}
	shown := fmt.Sprintf("nats://%s", hostPort.FindString(p.NATS))
	if nc, err := nats.Connect(shown); err == nil {
		nc.Close()
		t.Error("anybody may connect")
	}
}

// TestUsersStay starts twice with one data directory: passwords are those from
// before, and one whose file has gone is new.
func TestUsersStay(t *testing.T) {
	dir := t.TempDir()
	first, err := loadUsers(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range first {
		if err := writeSecret(filepath.Join(dir, u.Name), "nats://"+u.Name+":"+u.Password+"@127.0.0.1:4222"); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(filepath.Join(dir, "observe")); err != nil {
		t.Fatal(err)
	}
	second, err := loadUsers(dir)
	if err != nil {
		t.Fatal(err)
	}
	for i, u := range second {
		if same := u.Password == first[i].Password; same != (u.Name != "observe") {
			t.Errorf("%s: the same password: %v", u.Name, same)
		}
	}
	for _, bad := range []string{"", "nats://node@127.0.0.1", "nats://node:short@127.0.0.1", "nats://a b", "nats://node:" + strings.Repeat("x", 73) + "@h"} {
		if err := os.WriteFile(filepath.Join(dir, "node"), []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := loadUsers(dir); err == nil || !strings.Contains(err.Error(), "remove") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// TestIntegrationAcrossNodes runs a second node on the first one's embedded
// server, as the manual says. Either answers an integration, for a conference on
// the first.
func TestIntegrationAcrossNodes(t *testing.T) {
	a := startProgram(t, "serve", "--name", "a", "--adhoc", "--rtp-ports", "43500-43599")
	b := startProgram(t, "serve", "--name", "b", "--adhoc", "--nats", a.NATS, "--rtp-ports", "43600-43699")
	ann := dial(t, a, "standup", "ann", 600)
	bob := dial(t, a, "standup", "bob", 900)
	r := wantRoster(t, 10*time.Second, "standup", "ann bob", a, b)
	bob.hears(t, 600, true)
	control, err := nats.Connect(a.access(t, "control"))
	if err != nil {
		t.Fatal(err)
	}
	defer control.Close()
	served := func(p *program, endpoint string) float64 {
		return p.metric(t, fmt.Sprintf(`skybridge_natsbus_requests_total{endpoint=%q}`, endpoint))
	}
	request := fmt.Appendf(nil, `{"room":"standup","participant":%q}`, r.Participants[0].ID)
	for range 20 { // each by one of the two
		if m, err := control.Request("sky.api.participant.mute", request, 10*time.Second); err != nil || string(m.Data) != "{}" {
			t.Fatalf("%v, %v", m, err)
		}
	}
	bob.hears(t, 600, false)
	ann.hears(t, 900, true)
	if x, y := served(a, "participant.mute"), served(b, "participant.mute"); x+y != 20 || x == 0 || y == 0 {
		t.Errorf("a answered %v and b %v of 20", x, y)
	}
	if strings.Contains(a.logged()+b.logged(), "ermission") {
		t.Error("a node was refused something")
	}
}
