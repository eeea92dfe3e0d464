package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/spf13/pflag"

	"github.com/skybridge-media/skybridge/actors"
	"github.com/skybridge-media/skybridge/actors/actortest"
	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/actors/node"
	"github.com/skybridge-media/skybridge/actors/participant"
	"github.com/skybridge-media/skybridge/actors/transcoder"
	"github.com/skybridge-media/skybridge/bus/claim"
)

// manyRooms writes a configuration with n rooms, each with two aliases.
func manyRooms(t testing.TB, n int) (file string) {
	t.Helper()
	var b bytes.Buffer
	b.WriteString("name: n1\nrooms:\n")
	for i := range n {
		fmt.Fprintf(&b, "  - name: Meeting of team %d\n    aliases: [\"%d\", team-%d]\n    layout: 2x2\n", i, 100_000+i, i)
	}
	file = filepath.Join(t.TempDir(), "skybridge.yaml")
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// loadFile reads a configuration as serve does.
func loadFile(t testing.TB, file string) *config {
	t.Helper()
	c := &config{}
	fs := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	c.flags(fs)
	if err := fs.Parse([]string{"--config", file}); err != nil {
		t.Fatal(err)
	}
	if err := c.load(fs, nil); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestIdleRooms configures 100,000 rooms that nobody calls. Each takes less
// than 1 KiB from the file to the node's table, none has an actor, and the node
// has nothing to do for them.
func TestIdleRooms(t *testing.T) {
	const rooms = 100_000
	file := manyRooms(t, rooms)
	before := heapInUse()
	began := time.Now()
	c := loadFile(t, file)
	took := time.Since(began)
	sys := actors.NewSystem(slog.New(slog.DiscardHandler), actors.NewMetrics(nil))
	pid, err := node.Start(sys, node.Config{Name: c.Name, Roles: c.Roles, Rooms: c.conferences()}, node.Deps{
		Log: slog.New(slog.DiscardHandler), Events: &actortest.Events{}, Directory: claim.NewMemory("n1", "n1@1"),
		Metrics: node.Collectors{
			Node: node.NewMetrics(nil), Actors: actors.NewMetrics(nil), Conference: conference.NewMetrics(nil),
			Transcoder: transcoder.NewMetrics(nil), Participant: participant.NewMetrics(nil),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	each := float64(heapInUse()-before) / rooms
	t.Logf("%.0f bytes per room; read and checked in %v", each, took.Round(time.Millisecond))
	if each > 1024 {
		t.Errorf("a room takes %.0f bytes, want 1024 at most", each)
	}
	if took > 10*time.Second && !raceEnabled {
		t.Errorf("the configuration took %v to read", took)
	}
	if names := actorsOf(sys); len(names) != 1 || names[0] != node.ActorName {
		t.Errorf("actors %q, want that of the node alone", names)
	}
	f, err := actors.Ask[*node.Found](t.Context(), sys, pid, &node.Find{Alias: "team-99999"})
	if err != nil || f.Room != "Meeting of team 99999" || f.Conference != nil {
		t.Errorf("the last room: %+v, %v", f, err)
	}
	if err := node.Stop(t.Context(), sys, pid); err != nil {
		t.Fatal(err)
	}
	sys.Shutdown()
	runtime.KeepAlive(c)
}

// actorsOf lists the actors of a system, but for those that are protoactor's own.
func actorsOf(sys *actor.ActorSystem) (names []string) {
	for _, bucket := range sys.ProcessRegistry.LocalPIDs.LocalPIDs {
		for _, name := range bucket.Keys() {
			if name != "deadletter" && name != "eventstream" && !strings.HasPrefix(name, "guardian") {
				names = append(names, name)
			}
		}
	}
	return names
}

// heapInUse is what is left after a collection.
func heapInUse() int64 {
	runtime.GC()
	runtime.GC() // what finalizers have let go
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func BenchmarkLoad(b *testing.B) {
	file := manyRooms(b, 10_000)
	for b.Loop() {
		loadFile(b, file)
	}
}
