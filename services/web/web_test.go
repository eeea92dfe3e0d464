package web_test

import (
	"bytes"
	"crypto/x509"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/skybridge-media/skybridge/services/web"
)

func get(t *testing.T, at string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	web.New().ServeHTTP(w, httptest.NewRequest(http.MethodGet, at, nil))
	return w
}

func TestPage(t *testing.T) {
	for _, at := range []string{"/", "/join/standup"} {
		w := get(t, at)
		if w.Code != 200 || !strings.Contains(w.Body.String(), "<title>Skybridge</title>") {
			t.Errorf("GET %s = %d, want the page", at, w.Code)
		}
		if w.Header().Get("Content-Security-Policy") == "" {
			t.Errorf("GET %s: no content security policy", at)
		}
	}
	if w := get(t, "/join/a/b"); w.Code != 404 {
		t.Errorf("GET /join/a/b = %d, want 404", w.Code)
	}
}

// reference matches what pages and modules refer to.
var reference = regexp.MustCompile(`(?:href|src)="([^"#]+)"|from "([^"]+)"|url\(([^)]+)\)`)

// TestSelfContained follows every reference of the page and of what it refers
// to: nothing may leave the origin, everything must be there, all of it weighs
// little, and nothing is embedded that nobody needs.
func TestSelfContained(t *testing.T) {
	weight, seen := 0, map[string]bool{}
	var follow func(at string)
	follow = func(at string) {
		if seen[at] {
			return
		}
		seen[at] = true
		w := get(t, at)
		if w.Code != 200 {
			t.Errorf("GET %s = %d", at, w.Code)
		}
		body := w.Body.String()
		weight += len(body)
		if strings.Contains(body, "https://") {
			t.Errorf("%s names another origin", at)
		}
		for _, m := range reference.FindAllStringSubmatch(body, -1) {
			to := m[1] + m[2] + m[3]
			if strings.HasPrefix(to, "./") {
				to = path.Join(path.Dir(at), to)
			}
			switch {
			case to == "/":
			case strings.HasPrefix(to, "/static/"):
				follow(to)
			default:
				t.Errorf("%s refers to %s", at, to)
			}
		}
	}
	follow("/")
	if limit := 500 << 10; weight > limit {
		t.Errorf("the page weighs %d bytes, want at most %d", weight, limit)
	}
	embedded := 0
	err := filepath.WalkDir("static", func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		embedded++
		if !seen["/"+filepath.ToSlash(file)] && file != filepath.Join("static", "index.html") {
			t.Errorf("nothing refers to %s", file)
		}
		return nil
	})
	if err != nil || embedded < 10 {
		t.Errorf("walked over %d files (%v)", embedded, err)
	}
	t.Logf("%d files, %d bytes", len(seen), weight)
}

// TestLogic lets node judge what the modules calculate.
func TestLogic(t *testing.T) {
	if _, err := exec.LookPath("node"); err != nil {
		if os.Getenv("SKYBRIDGE_PEERS") == "all" {
			t.Fatal("node is not installed")
		}
		t.Skip("node is not installed")
	}
	if out, err := exec.Command("node", "--test", "testdata/").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestModulesAreSmall keeps them so.
func TestModulesAreSmall(t *testing.T) {
	modules, err := filepath.Glob("static/js/*.js")
	if err != nil || len(modules) < 10 {
		t.Fatalf("%d modules (%v)", len(modules), err)
	}
	for _, m := range modules {
		text, err := os.ReadFile(m)
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(text, []byte("\n")); n >= 300 {
			t.Errorf("%s has %d lines, want fewer than 300", m, n)
		}
	}
}

func TestCertificate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tls")
	first, err := web.Certificate(dir, []string{"127.0.0.1", "localhost"})
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(first.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"127.0.0.1", "localhost"} {
		if err := leaf.VerifyHostname(host); err != nil {
			t.Error(err)
		}
	}
	if got, want := testutil.ToFloat64(web.Expiry(first)), float64(leaf.NotAfter.Unix()); got != want {
		t.Errorf("the metric says that it expires at %v, want %v", got, want)
	}
	again, err := web.Certificate(dir, []string{"127.0.0.1"})
	if err != nil || !bytes.Equal(first.Certificate[0], again.Certificate[0]) {
		t.Errorf("second start made another certificate (%v)", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "tls.key"), []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := web.Certificate(dir, []string{"localhost"}); err == nil {
		t.Error("a broken key was replaced silently; it may be somebody's own")
	}
}
