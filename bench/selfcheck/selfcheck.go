// Package selfcheck finds out, in a few seconds, how many calls of each kind
// the CPU of this machine can carry: what a node advertises when it starts.
//
// It runs the real codecs over a generated camera picture and generated
// speech, and the sockets over the loopback interface, and reads the CPU time
// of its own thread: a machine that is busy with something else gives about
// the same figures. It is the short form of a benchmark: what lies between
// codecs and sockets is not run, but reckoned as a multiple of the system calls.
//
// A [Result] holds as long as the CPU and the program stay what they are; it
// is kept in a file ([Load], [Measure]).
package selfcheck

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/skybridge-media/skybridge/media/priority"
)

// Share is the part of the CPUs that calls may use.
const Share = 0.85

// Machine is what a result depends on. Comparable.
type Machine struct {
	CPU   string `json:"cpu"`   // model
	CPUs  int    `json:"cpus"`  // that this process may use
	Build string `json:"build"` // of this program
}

// Here returns the machine that this process runs on. build names the program
// in a way that changes with it.
func Here(build string) Machine {
	return Machine{CPU: model("/proc/cpuinfo"), CPUs: runtime.NumCPU(), Build: build}
}

// model reads the model of the first CPU; without one, the architecture is all
// that is known.
func model(file string) string {
	data, err := os.ReadFile(file)
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.Lines(string(data)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// Costs are what calls cost, in CPU seconds per second.
type Costs struct {
	HD     Video `json:"hd"`      // 1280x720, 30 pictures per second, 1.5 Mbit/s, H.264
	SD     Video `json:"sd"`      // 768x448, 768 kbit/s
	FullHD Video `json:"full_hd"` // 1920x1080, 3 Mbit/s
	Audio  Audio `json:"audio"`   // Opus, 48 kHz, 32 kbit/s
}

// Video is what the picture of one call costs in each direction.
type Video struct {
	Decode  float64 `json:"decode"`  // and scaling to the sizes that it is shown in
	Encode  float64 `json:"encode"`  // and composing what is encoded
	Packets float64 `json:"packets"` // through the server, both ways
}

// Audio is what the sound of one call costs.
type Audio struct {
	Codec   float64 `json:"codec"` // decode, mix, encode
	Packets float64 `json:"packets"`
}

// Result is what was measured on a machine.
type Result struct {
	Machine Machine `json:"machine"`
	Costs   Costs   `json:"costs"`
}

// Calls are how many calls of one kind fit, and nothing else beside them.
type Calls struct {
	HD, SD, FullHD float64 // each with a picture composed and encoded for it alone
	Audio          float64 // each heard by others, with a mix of its own
	Shown          float64 // HD, seen by others; receives a picture that is encoded for several
	Viewers        float64 // HD, not seen; likewise
	Listeners      float64 // audio, not heard; receives a mix that is encoded for several
}

// Calls says how many fit, if reserved CPUs are left for others.
func (r *Result) Calls(reserved int) Calls {
	cpu := Share * float64(max(0, r.Machine.CPUs-reserved))
	c := &r.Costs
	audio := c.Audio.Codec + c.Audio.Packets
	own := func(v Video) float64 { return cpu / (v.Decode + v.Encode + v.Packets + audio) }
	return Calls{
		HD: own(c.HD), SD: own(c.SD), FullHD: own(c.FullHD),
		Audio:     cpu / audio,
		Shown:     cpu / (c.HD.Decode + c.HD.Packets + audio),
		Viewers:   cpu / (c.HD.Packets + c.Audio.Packets),
		Listeners: cpu / c.Audio.Packets,
	}
}

// valid reports whether a result can be worked with: files can be edited.
func (r *Result) valid() bool {
	c := &r.Costs
	for _, v := range []float64{
		c.HD.Decode, c.HD.Encode, c.HD.Packets, c.SD.Decode, c.SD.Encode, c.SD.Packets,
		c.FullHD.Decode, c.FullHD.Encode, c.FullHD.Packets, c.Audio.Codec, c.Audio.Packets,
	} {
		if !(v > 0 && v < 100) { // also for what is not a number
			return false
		}
	}
	return r.Machine.CPUs > 0
}

// Load returns the result in file if it is one of machine m; nil if it is not,
// or there is none. A file that cannot be read for another reason is an error.
func Load(file string, m Machine) (*Result, error) {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("self-check: %w", err)
	}
	var r Result
	if json.Unmarshal(data, &r) != nil || r.Machine != m || !r.valid() {
		return nil, nil // it is measured again, and written anew
	}
	return &r, nil
}

// Save writes the result to file, as a whole or not at all.
func (r *Result) Save(file string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("self-check: %w", err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*")
	if err != nil {
		return fmt.Errorf("self-check: %w", err)
	}
	_, err = tmp.Write(append(data, '\n'))
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), file)
	}
	if err != nil {
		return fmt.Errorf("self-check: %w", errors.Join(err, os.Remove(tmp.Name())))
	}
	return nil
}

// Measure takes about two seconds of one CPU, at a lower priority than the rest
// of the process. It stops between two pictures when ctx is done.
func Measure(ctx context.Context, m Machine) (*Result, error) {
	type outcome struct {
		*Result
		error
	}
	done := make(chan outcome)
	go func() {
		// The clock is that of a thread. It is given up with its priority: it
		// ends with a goroutine that keeps it locked.
		runtime.LockOSThread()
		_ = priority.Background() // without it, calls would notice more of this
		r, err := measure(ctx, m)
		done <- outcome{r, err}
	}()
	o := <-done
	return o.Result, o.error
}

func measure(ctx context.Context, m Machine) (*Result, error) {
	r := &Result{Machine: m}
	wire, err := newWire()
	if err != nil {
		return nil, err
	}
	defer wire.close()
	for _, step := range []func() error{
		func() error { return r.Costs.Audio.measure(ctx, wire) },
		func() error { return r.Costs.SD.measure(ctx, wire, format{768, 448, 768_000}) },
		func() error { return r.Costs.HD.measure(ctx, wire, format{1280, 720, 1_500_000}) },
		func() error { return r.Costs.FullHD.measure(ctx, wire, format{1920, 1080, 3_000_000}) },
	} {
		if err := step(); err != nil {
			return nil, fmt.Errorf("self-check: %w", err)
		}
	}
	if !r.valid() {
		return nil, fmt.Errorf("self-check: the clock gave %+v", r.Costs)
	}
	return r, nil
}
