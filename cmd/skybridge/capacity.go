package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/skybridge-media/skybridge/actors"
	"github.com/skybridge-media/skybridge/actors/node"
	"github.com/skybridge-media/skybridge/bench/selfcheck"
	"github.com/skybridge-media/skybridge/services/ops"
)

// guess is how many HD calls a CPU carries before it has been measured: about
// what the reference product states for its own nodes, and less than was found
// on any machine so far.
const guess = 2

// capacity is what the node begins with: what was set, what was measured
// before on this machine by this build, or a guess. measured is false for a
// guess only.
func (s *server) capacity() (c node.Capacity, measured bool) {
	switch {
	case !slices.Contains(s.config.Roles, node.RoleMedia):
		return node.Capacity{}, true
	case s.config.Capacity > 0:
		return node.TypicalCapacity(s.config.Capacity), true
	}
	r, err := selfcheck.Load(s.capacityFile(), selfcheck.Here(build()))
	if err != nil {
		s.log.Warn("capacity is measured again", "err", err)
	}
	if r != nil {
		return capacityOf(r, s.config.Reserved), true
	}
	return node.TypicalCapacity(guess * float64(runtime.NumCPU()-s.config.Reserved)), false
}

// capacityFile keeps what was measured.
func (s *server) capacityFile() string { return s.config.path("capacity.json") }

// measureCapacity measures in the background, and tells the node.
func (s *server) measureCapacity() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		began := time.Now()
		r, err := selfcheck.Measure(ctx, selfcheck.Here(build()))
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			s.log.Error("capacity not measured; a guess stands for it", "err", err)
			return
		}
		c := capacityOf(r, s.config.Reserved)
		s.log.Info("capacity measured", "hd", c.HD, "sd", c.SD, "audio", c.Audio, "full_hd", c.FullHD, "took", time.Since(began))
		s.system.Root.Send(s.node, &node.SetCapacity{Capacity: c})
		if err := r.Save(s.capacityFile()); err != nil {
			s.log.Warn("capacity not kept; the next start measures again", "err", err)
		}
	}()
	s.onStop(func(context.Context) error {
		cancel()
		<-done // it is never longer than a picture away
		return nil
	})
}

// capacityOf puts a result into the node's words.
func capacityOf(r *selfcheck.Result, reserved int) node.Capacity {
	return node.Capacity(r.Calls(reserved))
}

// worker is what this node can carry and carries, for the status page.
func (s *server) worker(ctx context.Context) (*ops.Worker, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	st, err := actors.Ask[*node.Status](ctx, s.system, s.node, &node.GetStatus{})
	if err != nil {
		return nil, err
	}
	whole := func(calls float64) int { return int(math.Floor(calls)) }
	return &ops.Worker{
		Name: st.Node, Version: version(), Maintenance: st.Draining, Calls: st.Calls, Conferences: st.Conferences,
		MaxHD: whole(st.Capacity.HD), MaxSD: whole(st.Capacity.SD),
		MaxAudio: whole(st.Capacity.Audio), MaxFullHD: whole(st.Capacity.FullHD),
		CapacityHD: st.Capacity.HD, Used: st.Leased.HD(), Load: st.Load, Backplane: st.BackplaneReserve.HD(),
	}, nil
}

// build names this build: what has the same name costs the same. Programs that
// do not know which commit they are, or were built from changed files, are told
// apart by their size and age.
func build() string {
	name := []string{runtime.Version(), version()}
	clean := false
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				name = append(name, s.Value)
			case "vcs.modified":
				clean = s.Value == "false"
			}
		}
	}
	if !clean {
		if program, err := os.Executable(); err == nil {
			if file, err := os.Stat(program); err == nil {
				name = append(name, fmt.Sprint(file.Size()), file.ModTime().UTC().Format(time.RFC3339))
			}
		}
	}
	return strings.Join(name, " ")
}
