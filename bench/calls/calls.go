// Package calls measures how many calls a node can carry: the CPU seconds that
// a server of its own process spends per second and call, while receivers
// verify that everybody gets what they should.
//
// The server runs with its ordinary configuration and real SIP and RTP on
// loopback; the calls come from another process (package load). A run whose
// verification fails reports no capacity.
package calls

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/skybridge-media/skybridge/bench/load"
	"github.com/skybridge-media/skybridge/bench/result"
)

// A Server is a process under measurement, with its listeners on loopback.
type Server struct {
	SIP     netip.AddrPort // UDP
	Web     string         // origin of the client API
	Metrics string         // URL of its Prometheus metrics
	PID     int
	Stop    func()
}

// Deps are what measuring needs from the program.
type Deps struct {
	// Start starts a server with these arguments of "skybridge serve", that logs
	// to a file; nil is our own standard error.
	Start func(ctx context.Context, log *os.File, args ...string) (*Server, error)

	// StartNATS starts a NATS server.
	StartNATS func(ctx context.Context) (*NATS, error)

	// Generator returns the command of a load generator: see load.Run.
	Generator func(ctx context.Context) *exec.Cmd

	Log *slog.Logger
}

// Config says what to measure. Zero fields take what the scenario says.
type Config struct {
	Profile, Mode    string // "all" or "" is every one
	Codec, Transport string
	Senders          string // of video: see [load.Video]; "" is what the published table says

	Participants, RoomSize, Talkers int

	Seconds  int    // length of the window; zero means 21: one late tick of one room is below 0.1 %
	Clip     string // H.264 Annex B file; "" generates one
	Saturate bool   // then load the machine to 85 % and verify that quality holds
	Smoke    bool   // measure a few small scenarios only
	Hang     bool   // freeze NATS, the log and a browser while measuring
}

// Run measures every scenario that cfg selects, one after another, each with a
// fresh server.
func Run(ctx context.Context, cfg Config, deps Deps) (*result.File, error) {
	chosen, err := choose(cfg)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "skybridge-calls-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	b := &bench{cfg: cfg, deps: deps, material: &material{dir: dir, path: cfg.Clip}}
	file := &result.File{CPU: result.Machine()}
	// Whoever looks at the machine must not wait for a place in the scheduler.
	runtime.GOMAXPROCS(2 * runtime.NumCPU())
	for _, s := range chosen {
		row, err := b.compare(ctx, s)
		if err != nil {
			return file, fmt.Errorf("%s: %w", s.key(), err)
		}
		if cfg.Saturate {
			if row.Saturated, err = b.saturate(ctx, s, row); err != nil {
				return file, fmt.Errorf("%s, saturated: %w", s.key(), err)
			}
		}
		row.Derive()
		file.Results = append(file.Results, *row)
	}
	return file, nil
}

// compare measures s, and what the codecs alone cost in it.
func (b *bench) compare(ctx context.Context, s scenario) (*result.Row, error) {
	// What senders that obey send is known afterwards only.
	costs := make([]float64, 0, 2)
	codecs := func(found *load.Report) error {
		cost, err := b.codecCost(ctx, s, found)
		if err != nil {
			return fmt.Errorf("codecs alone: %w", err)
		}
		costs = append(costs, cost)
		return nil
	}
	if s.senders != load.TMMBR {
		if err := codecs(&load.Report{}); err != nil {
			return nil, err
		}
	}
	row, found, err := b.measure(ctx, s)
	if err != nil {
		return nil, err
	}
	if err := codecs(found); err != nil {
		return nil, err
	}
	// The machine's speed changes slowly: between the two it was, on average, theirs.
	for _, cost := range costs {
		row.CodecCost += cost / float64(len(costs))
	}
	return row, nil
}

// saturate measures s again with as many rooms as fill the machine to what
// capacity is reckoned with, and fills up what is left by wasting time.
func (b *bench) saturate(ctx context.Context, s scenario, row *result.Row) (*result.Saturated, error) {
	room := row.Verified.Busy / float64(s.participants/s.roomSize)
	rooms := max(1, int(result.Usable/room))
	s.participants, s.fill = rooms*s.roomSize, result.Usable
	full, _, err := b.measure(ctx, s)
	if err != nil {
		return nil, err
	}
	return &result.Saturated{Participants: s.participants, Cost: full.Cost, Verified: full.Verified}, nil
}

// bench is one run.
type bench struct {
	cfg      Config
	deps     Deps
	material *material
}

func (b *bench) seconds() int {
	if b.cfg.Seconds > 0 {
		return b.cfg.Seconds
	}
	return 21
}

// usage is what a process has used so far.
type usage struct {
	cpu        time.Duration // user and system
	rss        int           // bytes, now
	ticks      float64       // of all audio mixers
	late       float64       // of them, more than 5 ms late
	at         time.Time
	goroutines float64
}

var errGone = errors.New("calls: the server has ended")

// read takes a server's usage.
func read(ctx context.Context, s *Server) (usage, error) {
	u := usage{at: time.Now()}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.PID))
	if err != nil {
		return u, errors.Join(errGone, err)
	}
	// Fields are counted behind the program's name, which may contain spaces
	// (proc(5)): utime and stime are the 14th and 15th of all.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	const utime, stime, rss = 14 - 3, 15 - 3, 24 - 3
	if len(fields) <= rss {
		return u, fmt.Errorf("calls: /proc/%d/stat: %q", s.PID, stat)
	}
	number := func(i int) int {
		n, _ := strconv.Atoi(fields[i]) // the kernel writes numbers
		return n
	}
	const hertz = 100 // USER_HZ on every architecture that Go runs on
	u.cpu = time.Duration(number(utime)+number(stime)) * time.Second / hertz
	u.rss = number(rss) * os.Getpagesize()
	m, err := scrape(ctx, s.Metrics)
	if err != nil {
		return u, err
	}
	u.ticks, u.late, u.goroutines = m["skybridge_bridge_ticks_total"], m["skybridge_bridge_ticks_late_total"], m["go_goroutines"]
	return u, nil
}
