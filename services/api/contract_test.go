package api_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/skybridge-media/skybridge/actors/conference"
)

// TestContract lets the client library that this API is made for judge it: the
// npm package validates every answer.
func TestContract(t *testing.T) {
	modules := npm(t)
	w := newWorld(t)
	w.update(func(r *conference.Roster) {
		r.Participants = append(r.Participants, &conference.Participant{
			Id: "sip-1", Name: "Room 7", Protocol: "sip", Remote: "sip:room7@example.com", State: "connected", Audio: true, Video: true,
			HandRaised: true, Spotlight: true, Role: "guest", JoinedUnixMs: 1_700_000_002_000,
		})
	})
	server := httptest.NewServer(w.Server)
	defer server.Close()

	cmd := exec.Command("node", "--import", "./resolve.mjs", "contract.mjs", server.URL)
	cmd.Dir = modules
	out, err := cmd.CombinedOutput()
	for l := range strings.Lines(string(out)) {
		if strings.HasPrefix(l, "ok ") {
			t.Log(strings.TrimSpace(l))
		}
	}
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// npm returns a directory with the contract's scripts and modules. Modules are
// kept in the user's cache, by what they are. Without node or the registry the
// test is skipped, and fails where all peers are required.
func npm(t *testing.T) string {
	t.Helper()
	missing := func(why ...any) {
		t.Helper()
		if os.Getenv("SKYBRIDGE_PEERS") == "all" {
			t.Fatal(why...)
		}
		t.Skip(why...)
	}
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			missing(tool, "is not installed")
		}
	}
	want, err := os.ReadFile("testdata/contract/package.json")
	if err != nil {
		t.Fatal(err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	sum := sha256.Sum256(want)
	dir := filepath.Join(cache, "skybridge-test", "contract-"+hex.EncodeToString(sum[:6]))
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "@pexip", "infinity-api", "package.json")); err != nil {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "package.json"), want, 0o644); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock")
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			missing("npm install: ", err, "\n", string(bytes.TrimSpace(out)))
		}
	}
	for _, script := range []string{"contract.mjs", "resolve.mjs"} {
		b, err := os.ReadFile(filepath.Join("testdata/contract", script))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, script), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
