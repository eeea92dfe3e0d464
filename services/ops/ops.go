// Package ops is what operators' tools look at: metrics, health, readiness and
// profiles, over plain HTTP on an address of its own, which is not for the
// public.
package ops

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/pprof"
	"sort"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// A Check says whether one part of the process does its work. It returns nil
// or the reason why not, and does not block.
type Check func() error

// Config says what the handler shows.
type Config struct {
	Metrics prometheus.Gatherer

	// Ready holds the checks behind /readyz, by name. A process that is alive
	// but not ready is to be left running and sent no new calls.
	Ready map[string]Check

	// Conference returns what is known of a conference, to be shown as JSON,
	// wherever in the cluster it is. found is false when there is none.
	Conference func(ctx context.Context, alias string) (state any, found bool, err error)

	// Worker returns what this node can carry, and carries.
	Worker func(ctx context.Context) (*Worker, error)
}

// Worker is a node as /status/worker_vm shows it. Calls are counted as if all
// were of one kind.
type Worker struct {
	Name        string  `json:"name"`
	Version     string  `json:"version"`
	Maintenance bool    `json:"maintenance_mode"` // it takes no new conferences
	Calls       int     `json:"total_calls"`
	Conferences int     `json:"total_conferences"` // that it owns
	MaxHD       int     `json:"max_hd_calls"`      // all zero: no limit
	MaxSD       int     `json:"max_sd_calls"`
	MaxAudio    int     `json:"max_audio_calls"`
	MaxFullHD   int     `json:"max_full_hd_calls"`
	CapacityHD  float64 `json:"capacity_hd_units"` // max_hd_calls with its fraction
	Used        float64 `json:"media_tokens_used"` // leased, in HD calls
	Load        int     `json:"media_load"`        // percent of the capacity that is leased
	Backplane   float64 `json:"backplane_reserve"` // HD calls that links to other nodes would take; not leased
}

// New returns the handler:
//
//	/metrics       Prometheus exposition
//	/healthz       200 while the process answers at all
//	/readyz        200 when every check passes, else 503; the body names each
//	/debug/pprof/  profiles
//
//	/conferences/ALIAS  the roster of a conference, as JSON; 404 without one
//	/status/worker_vm   what the node can carry, and carries; see [Worker]
func New(cfg Config) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(cfg.Metrics, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", ready(cfg.Ready))
	mux.HandleFunc("GET /conferences/{alias}", conference(cfg.Conference))
	mux.HandleFunc("GET /status/worker_vm", worker(cfg.Worker))
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}

func ready(checks map[string]Check) http.HandlerFunc {
	names := make([]string, 0, len(checks))
	for name := range checks {
		names = append(names, name)
	}
	sort.Strings(names)
	return func(w http.ResponseWriter, _ *http.Request) {
		type result struct {
			Check string `json:"check"`
			OK    bool   `json:"ok"`
			Why   string `json:"why,omitempty"`
		}
		results, code := make([]result, 0, len(names)), http.StatusOK
		for _, name := range names {
			r := result{Check: name, OK: true}
			if err := checks[name](); err != nil {
				r.OK, r.Why = false, err.Error()
				code = http.StatusServiceUnavailable
			}
			results = append(results, r)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(results) // the client has gone; nobody is left to tell
	}
}

func conference(find func(context.Context, string) (any, bool, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		state, found, err := find(r.Context(), r.PathValue("alias"))
		switch {
		case err != nil:
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		case !found:
			http.Error(w, "no such conference now", http.StatusNotFound)
		default:
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(state) // the client has gone; nobody is left to tell
		}
	}
}

func worker(ask func(context.Context) (*Worker, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		state, err := ask(r.Context())
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(state) // the client has gone; nobody is left to tell
	}
}
