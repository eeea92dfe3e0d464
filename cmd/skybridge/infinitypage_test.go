package main

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/chromedp/chromedp"
)

// An infinityPage is a browser with a page that uses @pexip/infinity, the
// library that existing applications join conferences with.
type infinityPage struct {
	*chromium
	origin *site
}

// A site is a page that uses the library, and an API beside it.
type site struct {
	*httptest.Server
	api atomic.Pointer[url.URL] // where requests for the API go
}

// point makes p the server of the API.
func (s *site) point(t *testing.T, p *program) {
	t.Helper()
	to, err := url.Parse(p.Web)
	if err != nil {
		t.Fatal(err)
	}
	s.api.Store(to)
}

// openInfinity opens testdata/infinity/page.html next to the API of p, as one
// origin.
func openInfinity(t *testing.T, p *program, colour string, toneHz int) *infinityPage {
	t.Helper()
	needPeer(t, "chromium", "ffmpeg", "sox")
	origin := serveInfinity(t, p, "/{$}", read(t, "testdata/infinity/page.html"), "/bundle.js", read(t, "testdata/infinity/page.js"))
	c := &infinityPage{startChromium(t, origin.URL, colour, "640x360", toneHz), origin}
	t.Cleanup(func() {
		if t.Failed() {
			state, err := try(c.chromium, chromedp.Evaluate[string](`JSON.stringify({answers, complaints, errors: [told.onError, told.onDisconnected, told.onFailedRequest]})`))
			t.Logf("the page: %s %v", state, err)
		}
	})
	c.do(t, until("window.client !== undefined"))
	return c
}

// serveInfinity serves a page and a bundle of its script, and the API of p beside
// them.
func serveInfinity(t *testing.T, p *program, pageAt string, page []byte, scriptAt string, script []byte) *site {
	t.Helper()
	s := &site{}
	s.point(t, p)
	mux := http.NewServeMux()
	mux.Handle("/api/", &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(s.api.Load()) },
		Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}},
		ErrorLog:  slog.NewLogLogger(slog.DiscardHandler, slog.LevelError), // tests break connections
	})
	serve := func(at, kind string, content []byte) {
		mux.HandleFunc(at, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind+"; charset=utf-8")
			_, _ = w.Write(content)
		})
	}
	serve(pageAt, "text/html", page)
	serve(scriptAt, "text/javascript", bundle(t, script))
	s.Server = httptest.NewServer(mux)
	t.Cleanup(func() {
		s.CloseClientConnections() // event streams do not end by themselves
		s.Close()
	})
	return s
}

// bundle makes one script of an application's and what it imports.
func bundle(t *testing.T, script []byte) []byte {
	t.Helper()
	dir := infinityModules(t)
	out := filepath.Join(t.TempDir(), "bundle.js")
	app, err := os.CreateTemp(dir, "*.js")
	if err != nil {
		t.Fatal(err)
	}
	defer os.Remove(app.Name())
	if _, err := app.Write(script); err != nil {
		t.Fatal(err)
	}
	if err := app.Close(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(dir, "node_modules", ".bin", "esbuild"), app.Name(), "--bundle", "--format=esm", "--outfile="+out, "--log-level=warning")
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("esbuild: %v\n%s", err, b)
	}
	return read(t, out)
}

// infinityModules returns a directory with the npm packages of
// testdata/infinity, kept in the user's cache by what they are. Without npm or
// the registry the test is skipped, and fails where all peers are required.
func infinityModules(t *testing.T) string {
	t.Helper()
	needPeer(t, "node", "npm")
	want := read(t, "testdata/infinity/package.json")
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	sum := sha256.Sum256(want)
	dir := filepath.Join(cache, "skybridge-test", fmt.Sprintf("infinity-%x", sum[:6]))
	if _, err := os.Stat(filepath.Join(dir, "node_modules", ".bin", "esbuild")); err == nil {
		return dir
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "package.json"), want, 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		if os.Getenv("SKYBRIDGE_PEERS") == "all" {
			t.Fatalf("npm install: %v\n%s", err, out)
		}
		t.Skipf("npm install: %v\n%s", err, out)
	}
	return dir
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// js evaluates an expression in the page, a promise to its end.
func js[T any](t *testing.T, c *chromium, expression string) T {
	t.Helper()
	v, err := try(c, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// wants lets the page do something, if anything is given, which must not fail,
// and waits until conditions are true.
func (c *infinityPage) wants(t *testing.T, action string, conditions ...string) {
	t.Helper()
	if action != "" {
		failed := js[string](t, c.chromium, `(async () => { try { await (`+action+`); return ""; } catch (e) { return String(e); } })()`)
		if failed != "" {
			t.Fatalf("%s: %s", action, failed)
		}
	}
	for _, condition := range conditions {
		c.do(t, until(condition))
	}
}

// quote is a JavaScript literal.
func quote(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // the tests quote strings
	}
	return string(b)
}
