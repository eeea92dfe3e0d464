package calls

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/skybridge-media/skybridge/bench/clip"
	"github.com/skybridge-media/skybridge/bench/codeccost"
	"github.com/skybridge-media/skybridge/bench/load"
	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/yuv"
	"github.com/skybridge-media/skybridge/media/compose"
)

const (
	// pacedFor is how long codecs run alone, before calls and after them.
	pacedFor = 2 * time.Second

	// composed is how many pictures are made to be encoded in turns.
	composed = 45
)

// codecCost returns what the codecs alone cost in s, in CPU seconds per second
// and call: as many instances as calls need, fed with the same pictures at the
// same pace, and nothing else. What was sent is as found. The pace matters. A processor that sleeps
// between two pictures finds its caches cold; decoding on and on is a third
// cheaper, and nothing that a server could do.
func (b *bench) codecCost(ctx context.Context, s scenario, found *load.Report) (float64, error) {
	if s.width == 0 {
		// Sound is not on film: what a meter measures of pictures is not asked for. It
		// remembers what it has measured, so each time it is another one.
		meter := codeccost.NewMeter(clip.Generate(64, 36, clipPictures))
		return meter.Cost(codeccost.Call{
			Profile: audio, Mode: s.mode, Codec: s.codec, RoomSize: s.roomSize, Talkers: s.talkers,
		})
	}
	jobs, closeAll, err := b.pictureJobs(s, found.Video)
	if err != nil {
		return 0, err
	}
	defer closeAll()
	return paced(ctx, jobs, s.participants)
}

// pictureJobs makes the decoders and encoders of s. Each job handles one picture.
func (b *bench) pictureJobs(s scenario, found *load.VideoReport) (jobs []func() error, closeAll func(), err error) {
	var closers []func() error
	closeAll = func() {
		for _, f := range closers {
			_ = f() // frees memory
		}
	}
	defer func() {
		if err != nil {
			closeAll()
		}
	}()
	layers, err := b.material.layers(s)
	if err != nil {
		return nil, nil, err
	}
	views, err := b.material.compose(s)
	if err != nil {
		return nil, nil, err
	}
	codec := load.VideoCodec(s.codec)
	rooms := s.participants / s.roomSize
	decoders, encoders := s.participants, rooms
	switch s.mode {
	case personal:
		encoders = s.participants
	case auditorium:
		decoders = rooms
	}
	for i := range decoders {
		units, err := load.ReadUnits(layers[s.decoded(i, decoders, found)].File)
		if err != nil {
			return nil, nil, err
		}
		d, err := codec.NewDecoder()
		if err != nil {
			return nil, nil, err
		}
		closers = append(closers, d.Close)
		n := 0
		jobs = append(jobs, func() error {
			if len(units[n]) > 0 {
				if _, err := d.Decode(units[n]); err != nil {
					return err
				}
			}
			n = (n + 1) % len(units)
			return nil
		})
	}
	for range encoders {
		e, err := codec.NewEncoder(codecs.VideoOptions{Width: s.width, Height: s.height, FrameRate: frameRate, Bitrate: s.bitrate})
		if err != nil {
			return nil, nil, err
		}
		closers = append(closers, e.Close)
		n, unit := rand.IntN(len(views)), []byte(nil)
		jobs = append(jobs, func() (err error) {
			unit, _, err = e.Encode(unit[:0], views[n], false)
			n = (n + 1) % len(views)
			return err
		})
	}
	return jobs, closeAll, nil
}

// decoded returns which layer decoder i of n is fed with.
func (s scenario) decoded(i, n int, found *load.VideoReport) int {
	switch s.senders {
	case load.Simulcast:
		return 1 // what a tile of a third of the width needs
	case load.TMMBR:
		// As many as sent it, but for fractions.
		at := (float64(i) + 0.5) / float64(n)
		for layer, share := range found.Versions {
			if at -= share; at < 0 {
				return layer
			}
		}
		return len(shares) - 1
	}
	return 0
}

// compose returns pictures as receivers of s see them.
func (m *material) compose(s scenario) ([]*yuv.Picture, error) {
	source, err := m.source()
	if err != nil {
		return nil, err
	}
	film := source.Scaled(s.width, s.height)
	layout, err := compose.Parse(s.layout)
	if err != nil {
		return nil, err
	}
	seen := s.roomSize
	if !s.selfView {
		seen--
	}
	var members []compose.Member
	for i := range seen {
		members = append(members, compose.Member{ID: fmt.Sprint(i)})
	}
	arrangement := layout.Arrange(members, nil, "", nil)
	var (
		pool    compose.Pool
		painter compose.Painter
		views   []*yuv.Picture
	)
	for n := range composed {
		canvas := compose.NewCanvas(s.width, s.height)
		var tiles []compose.Tile
		for i := range arrangement.Seats {
			pic := film.Pictures[(n+i*len(film.Pictures)/len(arrangement.Seats))%len(film.Pictures)]
			tiles = append(tiles, compose.Tile{
				Rect: arrangement.Rect(i, s.width, s.height), Name: fmt.Sprintf("load %d", i), Source: pool.NewSource(pic, nil),
			})
		}
		painter.Paint(canvas, tiles)
		views = append(views, canvas.Picture)
	}
	// Back and forth, so that there is no cut.
	for i := len(views) - 2; i > 0; i-- {
		views = append(views, views[i])
	}
	return views, nil
}

// paced does every job once per picture, spread over the time between two
// pictures, on as many threads as there are processors, and returns the CPU time that
// took, per second and call.
func paced(ctx context.Context, jobs []func() error, calls int) (float64, error) {
	const period = time.Second / frameRate
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex // guards spent
		spent time.Duration
	)
	rounds := int(pacedFor / period)
	begin := time.Now()
	for _, mine := range share(jobs, runtime.NumCPU()) {
		wg.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			took, err := turns(ctx, mine, rounds, begin, period)
			if err != nil {
				cancel(err)
			}
			mu.Lock()
			spent += took
			mu.Unlock()
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return 0, err
	}
	// Of media time: where processors are too slow for the pace, it stretches.
	return spent.Seconds() / (float64(rounds) * period.Seconds()) / float64(calls), nil
}

// share divides jobs among n.
func share(jobs []func() error, n int) [][]func() error {
	out := make([][]func() error, n)
	for i, j := range jobs {
		out[i%n] = append(out[i%n], j)
	}
	return slices.DeleteFunc(out, func(s []func() error) bool { return len(s) == 0 })
}

// turns does jobs in turns and returns the CPU time of the jobs alone.
func turns(ctx context.Context, jobs []func() error, rounds int, begin time.Time, period time.Duration) (spent time.Duration, err error) {
	for round := range rounds {
		for i, job := range jobs {
			due := begin.Add(time.Duration(round)*period + time.Duration(i)*period/time.Duration(len(jobs)))
			if err := pause(ctx, time.Until(due)); err != nil {
				return spent, err
			}
			before := threadTime()
			if err := job(); err != nil {
				return spent, err
			}
			spent += threadTime() - before
		}
	}
	return spent, nil
}

// threadTime is the CPU time that the calling thread has used.
func threadTime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		panic(err) // every Linux has this clock
	}
	return time.Duration(t.Nano())
}
