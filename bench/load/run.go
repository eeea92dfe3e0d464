package load

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// An Answer is a line that a generator writes. Exactly one field is set.
type Answer struct {
	Ready  *Ready  `json:"ready,omitempty"`  // all calls are up
	Begun  bool    `json:"begun,omitempty"`  // the window has begun
	Ended  bool    `json:"ended,omitempty"`  // it has ended
	Report *Report `json:"report,omitempty"` // what was found; all calls are over
	Error  string  `json:"error,omitempty"`  // it cannot go on
}

// Ready says how calls were set up.
type Ready struct {
	Calls int     `json:"calls"`
	P50   float64 `json:"setup_p50_ms"` // from INVITE to ACK
	P99   float64 `json:"setup_p99_ms"`
	Took  float64 `json:"took_s"`
}

// Run reads a [Spec] from the first line of in, places its calls, and writes
// [Answer.Ready]. The lines "begin" and "end" bound the window that is counted;
// after "end" it hangs up, verifies and writes the [Report]. It ends with in.
func Run(ctx context.Context, in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	answers := json.NewEncoder(out)
	err := run(ctx, lines, answers)
	if err != nil {
		_ = answers.Encode(Answer{Error: err.Error()}) // who reads it may be gone
	}
	return err
}

func run(ctx context.Context, lines *bufio.Scanner, answers *json.Encoder) error {
	if !lines.Scan() {
		return errors.Join(errors.New("load: no specification on standard input"), lines.Err())
	}
	spec := &Spec{}
	if err := json.Unmarshal(lines.Bytes(), spec); err != nil {
		return fmt.Errorf("load: specification: %w", err)
	}
	if err := spec.validate(); err != nil {
		return err
	}
	g, err := newGenerator(ctx, spec)
	if err != nil {
		return err
	}
	defer g.close()
	ready, err := g.join(ctx)
	if err != nil {
		return err
	}
	if err := answers.Encode(Answer{Ready: ready}); err != nil {
		return err
	}
	for lines.Scan() {
		switch lines.Text() {
		case "begin":
			g.engine.enter(1)
			err = answers.Encode(Answer{Begun: true})
		case "end":
			err = g.end(answers)
		default:
			err = fmt.Errorf("load: unknown command %q", lines.Text())
		}
		if err != nil {
			return err
		}
	}
	return lines.Err()
}

// A generator is all the members and what carries them.
type generator struct {
	spec    *Spec
	sounds  *sounds
	clips   map[int][]*clip // by packetization mode
	dialer  dialer
	engine  *engine
	members []*member

	mu   sync.Mutex  // guards clips and lost
	lost int         // calls that the server ended
	over atomic.Bool // the server is asked to end them
}

func newGenerator(ctx context.Context, spec *Spec) (*generator, error) {
	g := &generator{spec: spec, clips: map[int][]*clip{}}
	var err error
	if g.sounds, err = newSounds(spec); err != nil {
		return nil, err
	}
	if g.engine, err = newEngine(spec); err != nil {
		return nil, err
	}
	lost := func() {
		if !g.over.Load() {
			g.mu.Lock()
			g.lost++
			g.mu.Unlock()
		}
	}
	if spec.Web != "" {
		g.dialer = newBrowser(spec, lost)
	} else {
		g.dialer, err = newPhone(ctx, spec, lost)
	}
	return g, err
}

// A dialer places calls.
type dialer interface {
	// dial calls for m and returns once media may flow.
	dial(ctx context.Context, m *member) (call, error)
	close()
}

// join places all calls at the pace of the specification, room by room.
func (g *generator) join(ctx context.Context) (*Ready, error) {
	const patience = 20 * time.Second
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	total := g.spec.Rooms * g.spec.RoomSize
	begin, setups := time.Now(), make([]time.Duration, 0, total)
	var wg sync.WaitGroup
	for n := range total {
		due := begin.Add(time.Duration(float64(n) / g.spec.Pace * float64(time.Second)))
		select {
		case <-ctx.Done():
		case <-time.After(time.Until(due)):
		}
		if ctx.Err() != nil {
			break
		}
		m, err := newMember(g.spec, n/g.spec.RoomSize, n%g.spec.RoomSize)
		if err != nil {
			cancel(err)
			break
		}
		g.members = append(g.members, m)
		g.prepare(m)
		wg.Go(func() {
			dialing, stop := context.WithTimeout(ctx, patience)
			defer stop()
			at := time.Now()
			call, err := g.dialer.dial(dialing, m)
			if err == nil {
				err = g.equip(m)
			}
			if err == nil {
				err = g.engine.join(m)
			}
			if err != nil {
				cancel(fmt.Errorf("call %d into %s: %w", m.index, m.room, err))
				return
			}
			g.mu.Lock()
			m.call = call
			setups = append(setups, time.Since(at))
			g.mu.Unlock()
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	return &Ready{Calls: total, P50: percentile(setups, 50), P99: percentile(setups, 99), Took: time.Since(begin).Seconds()}, nil
}

// prepare gives m its voice, and decides what is kept of what it receives.
func (g *generator) prepare(m *member) {
	m.sound = g.sounds.quiet
	if m.talks = m.index < g.spec.Talkers; m.talks {
		m.sound = g.sounds.talkers[m.index]
	}
	m.audio.keep = keptAudio
	if v := g.spec.Video; v != nil && len(g.members) <= g.spec.Watched {
		m.video.keep = keptVideo
	}
}

// equip gives m what it sends once it is known how.
func (g *generator) equip(m *member) error {
	v := g.spec.Video
	if v == nil {
		return nil
	}
	mode := m.video.stream.Video.Mode
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.clips[mode] == nil {
		for _, layer := range v.Layers {
			c, err := newClip(v.Codec, mode, layer.File)
			if err != nil {
				return err
			}
			g.clips[mode] = append(g.clips[mode], c)
		}
	}
	m.clips = g.clips[mode]
	switch v.Senders {
	case TMMBR:
		m.version = len(m.clips) - 1 // nobody has asked for less
	case Simulcast:
		for range len(m.clips) - 1 {
			m.upper = append(m.upper, layer{rand.Uint32(), uint16(rand.Uint32N(1 << 15))})
		}
	}
	return nil
}

// end closes the window, hangs up, and reports.
func (g *generator) end(answers *json.Encoder) error {
	g.engine.enter(2)
	if err := answers.Encode(Answer{Ended: true}); err != nil {
		return err
	}
	g.engine.close()
	g.over.Store(true)
	var errs []error
	for _, m := range g.members {
		errs = append(errs, m.call.hangUp())
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return answers.Encode(Answer{Report: g.report()})
}

func (g *generator) close() {
	g.dialer.close()
	for _, m := range g.members {
		m.close()
	}
}
