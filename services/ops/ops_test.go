package ops_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/skybridge-media/skybridge/services/ops"
)

func TestPages(t *testing.T) {
	reg := prometheus.NewRegistry()
	promauto.With(reg).NewCounter(prometheus.CounterOpts{Name: "skybridge_test_total", Help: "Tests."}).Inc()
	h := ops.New(ops.Config{Metrics: reg})
	tests := []struct {
		path string
		code int
		want string
	}{
		{"/metrics", 200, "skybridge_test_total 1"},
		{"/healthz", 200, "ok"},
		{"/readyz", 200, "[]"},
		{"/debug/pprof/", 200, "goroutine"},
		{"/debug/pprof/cmdline", 200, ""},
		{"/nothing", 404, ""},
	}
	for _, tt := range tests {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, tt.path, nil))
		if w.Code != tt.code || !strings.Contains(w.Body.String(), tt.want) {
			t.Errorf("GET %s = %d %.80q, want %d with %q", tt.path, w.Code, w.Body, tt.code, tt.want)
		}
	}
}

func TestReady(t *testing.T) {
	var bus error
	h := ops.New(ops.Config{
		Metrics: prometheus.NewRegistry(),
		Ready:   map[string]ops.Check{"bus": func() error { return bus }, "sip": func() error { return nil }},
	})
	get := func() (int, string) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/readyz", nil))
		return w.Code, strings.TrimSpace(w.Body.String())
	}
	if code, body := get(); code != 200 || body != `[{"check":"bus","ok":true},{"check":"sip","ok":true}]` {
		t.Errorf("all well: %d %s", code, body)
	}
	bus = errors.New("not connected")
	if code, body := get(); code != 503 || body != `[{"check":"bus","ok":false,"why":"not connected"},{"check":"sip","ok":true}]` {
		t.Errorf("bus away: %d %s", code, body)
	}
}

func TestWorker(t *testing.T) {
	var away error
	h := ops.New(ops.Config{
		Metrics: prometheus.NewRegistry(),
		Worker: func(context.Context) (*ops.Worker, error) {
			if away != nil {
				return nil, away
			}
			return &ops.Worker{
				Name: "eu-1", MaxHD: 17, MaxSD: 39, MaxAudio: 324, MaxFullHD: 8, CapacityHD: 17.4, Used: 4.25, Load: 24,
			}, nil
		},
	})
	get := func() string {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/status/worker_vm", nil))
		return fmt.Sprint(w.Code, " ", strings.TrimSpace(w.Body.String()))
	}
	got := get()
	for _, want := range []string{
		`200 {"name":"eu-1"`, `"max_hd_calls":17,`, `"max_sd_calls":39,`, `"max_audio_calls":324,`, `"max_full_hd_calls":8,`,
		`"media_tokens_used":4.25,`, `"media_load":24,`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%s has no %s", got, want)
		}
	}
	away = errors.New("no answer")
	if got := get(); got != "503 no answer" {
		t.Errorf("got %s while the node does not answer", got)
	}
}

func TestConference(t *testing.T) {
	h := ops.New(ops.Config{
		Metrics: prometheus.NewRegistry(),
		Conference: func(_ context.Context, alias string) (any, bool, error) {
			switch alias {
			case "standup":
				return map[string]int{"participants": 3}, true, nil
			case "lost":
				return nil, false, errors.New("its node does not answer")
			}
			return nil, false, nil
		},
	})
	for path, want := range map[string]string{
		"/conferences/standup": `200 {"participants":3}`,
		"/conferences/lost":    `503 its node does not answer`,
		"/conferences/other":   `404 no such conference now`,
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if got := fmt.Sprint(w.Code, " ", strings.TrimSpace(w.Body.String())); got != want {
			t.Errorf("GET %s = %s, want %s", path, got, want)
		}
	}
}
