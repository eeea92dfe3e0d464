// Package latency measures how long a running server takes to pass sound and
// pictures on: from the packet that brought them in to the packet that takes
// them out to somebody else, everything in between included.
//
// Both ends are on this machine and read one clock. One participant sends a
// beep and a white picture now and then; another notes when each arrives. The
// rest of the room, and as many rooms as it takes, load the machine.
package latency

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"slices"
	"time"

	"github.com/skybridge-media/skybridge/bench/caller"
	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/g711"
	"github.com/skybridge-media/skybridge/codecs/h264"
	"github.com/skybridge-media/skybridge/codecs/yuv"
)

// Config says what to measure.
type Config struct {
	Server  netip.AddrPort // SIP over UDP; a server of one's own, on this machine
	Seconds int            // how long to measure
	Load    float64        // share of this machine's CPU to use at most while measuring, 0 to 1
	Room    int            // participants in a room
	Log     *slog.Logger
}

// A Result is what was found. Durations are milliseconds.
type Result struct {
	Participants int     `json:"participants"` // HD participants that shared the server
	CPUs         int     `json:"cpus"`
	Load         float64 `json:"load"` // share of all CPUs that was busy while measuring
	Audio        Figures `json:"audio"`
	Video        Figures `json:"video"`
}

// Figures sum up samples.
type Figures struct {
	Samples int     `json:"samples"`
	Sent    int     `json:"sent"` // how many could have arrived
	Median  float64 `json:"median_ms"`
	P95     float64 `json:"p95_ms"`
	Max     float64 `json:"max_ms"`
}

// hd is what the load sends: 720p30 at the bitrate of the published figures.
var hd = codecs.VideoOptions{Width: 1280, Height: 720, FrameRate: 30, Bitrate: 1_500_000, MaxSlice: 1200}

// Run adds participants until the machine is loaded as wanted, then measures.
func Run(ctx context.Context, cfg Config) (*Result, error) {
	clip, err := caller.NewClip(&h264.H264, hd, 3*hd.FrameRate, caller.Moving(yuv.Color{Y: 110, U: 120, V: 140}, 2))
	if err != nil {
		return nil, err
	}
	var callers []*caller.SIP
	defer func() {
		for _, c := range callers {
			_ = c.Close() // a server that is gone is told of elsewhere
		}
	}()
	dial := func(room string, c caller.Config) error {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		call, err := caller.DialSIP(ctx, cfg.Server, room, c)
		if err == nil {
			callers = append(callers, call)
		}
		return err
	}
	beeps, flashes := newWatch(), newWatch()
	source := caller.Config{
		Name: "source", Audio: &g711.PCMU, Video: &h264.H264, Width: 640, Height: 360, FrameRate: 30,
		Sound: beeps.beep, Draw: flash, Sent: flashes.sentPicture, Log: cfg.Log,
	}
	eye := &eye{watch: flashes}
	sink := caller.Config{
		Name: "sink", Audio: &g711.PCMU, Video: &h264.H264, Width: hd.Width, Height: hd.Height, FrameRate: hd.FrameRate,
		Clip: clip, Tap: beeps.listen, Seen: eye.look, Log: cfg.Log,
	}
	for _, c := range []caller.Config{source, sink} {
		if err := dial("latency-0", c); err != nil {
			return nil, err
		}
	}
	for n := 2; ; n++ {
		load, err := busy(ctx, 2*time.Second)
		if err != nil {
			return nil, err
		}
		cfg.Log.Info("load", "participants", n, "busy", fmt.Sprintf("%.2f", load))
		// The next one must fit as well: it costs about what the others cost on average.
		if load+load/float64(n) > cfg.Load {
			break
		}
		err = dial(fmt.Sprintf("latency-%d", n/cfg.Room), caller.Config{
			Name: fmt.Sprintf("load %d", n), Audio: &g711.PCMU, Video: &h264.H264,
			Width: hd.Width, Height: hd.Height, FrameRate: hd.FrameRate, Clip: clip, Log: cfg.Log,
		})
		if err != nil {
			return nil, err
		}
	}
	beeps.begin()
	flashes.begin()
	load, err := busy(ctx, time.Duration(cfg.Seconds)*time.Second)
	if err != nil {
		return nil, err
	}
	r := &Result{
		Participants: len(callers), CPUs: runtime.NumCPU(), Load: load,
		Audio: beeps.figures(), Video: flashes.figures(),
	}
	if r.Audio.Samples == 0 || r.Video.Samples == 0 {
		return r, fmt.Errorf("nothing measured: %d of %d beeps and %d of %d flashes arrived", r.Audio.Samples, r.Audio.Sent, r.Video.Samples, r.Video.Sent)
	}
	return r, nil
}

func figures(sent int, samples []time.Duration) Figures {
	f := Figures{Samples: len(samples), Sent: sent}
	if len(samples) == 0 {
		return f
	}
	slices.Sort(samples)
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	f.Median, f.P95, f.Max = ms(samples[len(samples)/2]), ms(samples[(len(samples)*95-1)/100]), ms(samples[len(samples)-1])
	return f
}
