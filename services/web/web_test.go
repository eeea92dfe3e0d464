package web_test

import (
	"bytes"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/skybridge-media/skybridge/services/web"
)

func get(t *testing.T, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	web.New().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w
}

func TestPage(t *testing.T) {
	for _, path := range []string{"/", "/join/standup"} {
		w := get(t, path)
		if w.Code != 200 || !strings.Contains(w.Body.String(), "<title>Skybridge</title>") {
			t.Errorf("GET %s = %d, want the page", path, w.Code)
		}
		if w.Header().Get("Content-Security-Policy") == "" {
			t.Errorf("GET %s: no content security policy", path)
		}
	}
	if w := get(t, "/join/a/b"); w.Code != 404 {
		t.Errorf("GET /join/a/b = %d, want 404", w.Code)
	}
}

// TestSelfContained follows every reference of the page: nothing may leave the
// origin, everything must be there, and all of it weighs little.
func TestSelfContained(t *testing.T) {
	page := get(t, "/").Body.Bytes()
	weight, seen := len(page), map[string]bool{}
	for _, m := range regexp.MustCompile(`(?:href|src)="([^"#]+)"`).FindAllSubmatch(page, -1) {
		path := string(m[1])
		if seen[path] {
			continue
		}
		seen[path] = true
		if !strings.HasPrefix(path, "/static/") {
			t.Errorf("the page refers to %s", path)
			continue
		}
		w := get(t, path)
		if w.Code != 200 {
			t.Errorf("GET %s = %d", path, w.Code)
		}
		if bytes.Contains(w.Body.Bytes(), []byte("https://")) {
			t.Errorf("%s names another origin", path)
		}
		weight += w.Body.Len()
	}
	if len(seen) < 3 {
		t.Errorf("found only %d references", len(seen))
	}
	if limit := 500 << 10; weight > limit {
		t.Errorf("the page weighs %d bytes, want at most %d", weight, limit)
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
