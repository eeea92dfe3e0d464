package calls

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/skybridge-media/skybridge/bench/load"
	"github.com/skybridge-media/skybridge/bench/result"
)

const (
	// settle is how long a server gets to come to rest before it is measured:
	// jitter buffers and rate controls adapt, and the heap finds its size.
	settleAudio = 4 * time.Second
	settleVideo = 6 * time.Second
	settleObey  = 8 * time.Second // less is asked for after five
	settleSmoke = 3 * time.Second // both sides of a comparison

	// lateTicks is the share of audio ticks that may begin more than 5 ms late.
	lateTicks = 0.001

	// caughtUp is how long ticks may be late that follow one that was.
	caughtUp = 200 * time.Millisecond
)

// measure runs one scenario with a server of its own. What the generator found is
// returned beside the row that it is part of.
func (b *bench) measure(ctx context.Context, s scenario) (*result.Row, *load.Report, error) {
	b.deps.Log.Info("measuring", "calls", s.key().String(), "participants", s.participants)
	spec, err := b.spec(s)
	if err != nil {
		return nil, nil, err
	}
	args, log, h := s.serve(), (*os.File)(nil), (*hang)(nil)
	if b.cfg.Hang {
		if h, err = newHang(ctx, b.deps); err != nil {
			return nil, nil, err
		}
		defer h.close()
		args, log = append(args, h.serve()...), h.log
	}
	if h == nil {
		args = append(args, "--log", "error")
	}
	server, err := b.deps.Start(ctx, log, args...)
	if err != nil {
		return nil, nil, err
	}
	defer server.Stop()
	spec.Server = server.SIP
	if s.transport == webrtc {
		spec.Web = server.Web
	}
	idle, err := read(ctx, server)
	if err != nil {
		return nil, nil, err
	}
	g, err := startGenerator(b.deps.Generator(ctx))
	if err != nil {
		return nil, nil, err
	}
	defer g.stop()
	if err := json.NewEncoder(g.in).Encode(spec); err != nil {
		return nil, nil, fmt.Errorf("generator: %w", err)
	}
	ready, err := g.answer()
	if err != nil {
		return nil, nil, err
	}
	if ready.Ready == nil {
		return nil, nil, errors.New("generator: not ready")
	}
	if err := pause(ctx, b.settle(s)); err != nil {
		return nil, nil, err
	}
	if h != nil {
		if err := h.attach(ctx, server, spec.Prefix+"0"); err != nil {
			return nil, nil, err
		}
		if err := h.begin(); err != nil {
			return nil, nil, err
		}
	}
	w, err := b.window(ctx, server, g)
	if err != nil {
		return nil, nil, err
	}
	if h != nil {
		if err := h.end(); err != nil {
			return nil, nil, err
		}
	}
	found, err := g.answer()
	if err != nil {
		return nil, nil, err
	}
	return s.row(idle, w, ready.Ready, found.Report), found.Report, nil
}

// A window is what was counted while everything was steady.
type window struct {
	seconds []usage  // at the beginning, and after every second
	busy    float64  // share of all processors
	machine *machine // nil: nobody could look
}

// window counts for as long as is configured.
func (b *bench) window(ctx context.Context, server *Server, g *generator) (*window, error) {
	if err := g.say("begin"); err != nil {
		return nil, err
	}
	look, err := startWatch()
	if err != nil {
		return nil, err
	}
	w := &window{}
	begin := time.Now()
	for n := range b.seconds() + 1 {
		if err = pause(ctx, time.Until(begin.Add(time.Duration(n)*time.Second))); err != nil {
			break
		}
		var u usage
		if u, err = read(ctx, server); err != nil {
			break
		}
		w.seconds = append(w.seconds, u)
	}
	var endErr error
	if w.machine, w.busy, endErr = look.end(); err != nil || endErr != nil {
		return nil, errors.Join(err, endErr)
	}
	return w, g.say("end")
}

// lateness returns the share of ticks that were late: of all, and of those in
// seconds in which the machine itself stood still nowhere, and how many seconds
// it did.
func (w *window) lateness() (all, own float64, stood int) {
	var ticks, late, ownTicks, ownLate float64
	for i, u := range w.seconds[1:] {
		before := w.seconds[i]
		n, l := u.ticks-before.ticks, u.late-before.late
		ticks, late = ticks+n, late+l
		if w.machine != nil && w.machine.stood(before.at.Add(-caughtUp), u.at) {
			stood++
			continue
		}
		ownTicks, ownLate = ownTicks+n, ownLate+l
	}
	return late / max(1, ticks), ownLate / max(1, ownTicks), stood
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func (b *bench) settle(s scenario) time.Duration {
	switch {
	case b.cfg.Smoke:
		return settleSmoke
	case s.senders == load.TMMBR:
		return settleObey
	case s.width > 0:
		return settleVideo
	default:
		return settleAudio
	}
}

// serve is how the server is started for s.
func (s scenario) serve() []string {
	args := []string{"--adhoc", "--rtp-ports", "40000-49999"}
	if s.layout != "" {
		args = append(args, "--adhoc-layout", s.layout)
	}
	if s.selfView {
		args = append(args, "--adhoc-self-view", "shown")
	}
	return args
}

// spec is what the generator is to do for s.
func (b *bench) spec(s scenario) (*load.Spec, error) {
	spec := &load.Spec{
		Prefix: "bench-", Rooms: s.participants / s.roomSize, RoomSize: s.roomSize, Pace: 40,
		Audio: s.audio, Levels: s.levels, Secure: s.transport == srtp, Talkers: s.talkers, Fill: s.fill,
	}
	if s.width == 0 {
		return spec, nil
	}
	// Callers come some pictures apart, so that no two of a room show the same.
	spec.Pace = 1.7
	if s.roomSize > 20 {
		spec.Pace = 20
	}
	spec.Watched = min(s.participants, 3)
	layers, err := b.material.layers(s)
	if err != nil {
		return nil, err
	}
	spec.Video = &load.Video{
		Codec: s.codec, Width: s.width, Height: s.height, FrameRate: frameRate, Bitrate: s.bitrate,
		Layout: s.layout, SelfView: s.selfView, Senders: s.senders, Layers: layers,
	}
	return spec, nil
}

// row sums up one run.
func (s scenario) row(idle usage, w *window, ready *load.Ready, found *load.Report) *result.Row {
	before, after := w.seconds[0], w.seconds[len(w.seconds)-1]
	elapsed, calls := after.at.Sub(before.at).Seconds(), float64(s.participants)
	v := result.Verified{Failures: found.Problems, AudioGaps: found.Audio.Gaps, SetupP99: ready.P99, Busy: w.busy, Details: found}
	found.Problems = nil // they are told once
	if found.Video != nil {
		v.FrameRate, v.PSNR = found.Video.Rate, found.Video.PSNR
	}
	var stood int
	v.LateTicksAll, v.LateTicks, stood = w.lateness()
	if w.machine != nil {
		v.Machine = &result.Stood{Seconds: stood, Longest: w.machine.longest.Seconds() * 1000, Probe: w.machine.probe.Seconds() * 1e6}
	}
	switch {
	case after.ticks == before.ticks:
		v.Failures = append(v.Failures, "the mixer did not run")
	case stood > (len(w.seconds)-1)/2:
		v.Failures = append(v.Failures, fmt.Sprintf("the machine stood still in %d of %d seconds: whether ticks are in time cannot be told", stood, len(w.seconds)-1))
	case v.LateTicks > lateTicks:
		v.Failures = append(v.Failures, fmt.Sprintf("%.2f %% of the mixer's ticks began more than 5 ms late", 100*v.LateTicks))
	}
	v.OK = len(v.Failures) == 0
	return &result.Row{
		Key:          s.key(),
		Participants: s.participants, Talkers: s.talkers, Levels: s.levels, Width: s.width, Height: s.height, Bitrate: s.bitrate,
		Cost:       (after.cpu - before.cpu).Seconds() / elapsed / calls,
		RSSPerCall: int64(float64(after.rss-idle.rss) / calls),
		Goroutines: (after.goroutines - idle.goroutines) / calls,
		Seed:       seeds[s.profile], Reach: s.reach, Verified: v,
	}
}

// A generator is a running load generator.
type generator struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

func startGenerator(cmd *exec.Cmd) (*generator, error) {
	g := &generator{cmd: cmd}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if g.in, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	cmd.Stderr = os.Stderr
	g.out = bufio.NewScanner(out)
	g.out.Buffer(nil, 1<<20)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("generator: %w", err)
	}
	return g, nil
}

// answer waits for the next line.
func (g *generator) answer() (*load.Answer, error) {
	if !g.out.Scan() {
		return nil, errors.Join(errors.New("generator: ended without an answer"), g.out.Err())
	}
	a := &load.Answer{}
	if err := json.Unmarshal(g.out.Bytes(), a); err != nil {
		return nil, fmt.Errorf("generator: %w", err)
	}
	if a.Error != "" {
		return nil, fmt.Errorf("generator: %s", a.Error)
	}
	return a, nil
}

// say sends a command and waits until it has been carried out.
func (g *generator) say(command string) error {
	if _, err := io.WriteString(g.in, command+"\n"); err != nil {
		return fmt.Errorf("generator: %w", err)
	}
	_, err := g.answer()
	return err
}

// stop ends the process and waits for it.
func (g *generator) stop() {
	_ = g.in.Close()
	_ = g.cmd.Wait() // it has said what it had to say
}
