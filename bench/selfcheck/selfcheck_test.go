package selfcheck_test

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/skybridge-media/skybridge/bench/selfcheck"
)

// TestMeasure wants figures in the order that nature demands, in the time that
// a start may take.
func TestMeasure(t *testing.T) {
	begin := spent(t)
	r, err := selfcheck.Measure(t.Context(), selfcheck.Here("test"))
	if err != nil {
		t.Fatal(err)
	}
	took := spent(t) - begin
	c := r.Calls(0)
	t.Logf("%v for %+v\n%+v\n%+v", took.Round(time.Millisecond), r.Machine, r.Costs, c)
	if took > 5*time.Second && !raceEnabled {
		t.Errorf("took %v of CPU, want 5 s at most", took)
	}
	for _, pair := range []struct {
		what string
		more float64
		less float64
	}{
		{"HD and full HD", c.HD, c.FullHD},
		{"SD and HD", c.SD, c.HD},
		{"audio and SD", c.Audio, c.SD},
		{"shown and own composition", c.Shown, c.HD},
		{"viewers and shown", c.Viewers, c.Shown},
		{"listeners and audio", c.Listeners, c.Audio},
		{"listeners and viewers", c.Listeners, c.Viewers},
	} {
		if !(pair.more > pair.less) {
			t.Errorf("%s: %.2f calls are not more than %.2f", pair.what, pair.more, pair.less)
		}
	}
	// A picture has 2.25 and 0.37 times the macroblocks of HD, at 2 and 0.5
	// times the bitrate.
	if ratio := c.HD / c.FullHD; ratio < 1.4 || ratio > 3.5 {
		t.Errorf("a full HD call costs %.2f HD calls", ratio)
	}
	if ratio := c.SD / c.HD; ratio < 1.5 || ratio > 4 {
		t.Errorf("an HD call costs %.2f SD calls", ratio)
	}
}

// spent is the CPU time of this process: other tests may keep the machine busy.
func spent(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func TestMeasureStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := selfcheck.Measure(ctx, selfcheck.Here("test")); !errors.Is(err, context.Canceled) {
		t.Errorf("measured on: %v", err)
	}
}

var result = &selfcheck.Result{
	Machine: selfcheck.Machine{CPU: "Z80", CPUs: 8, Build: "1"},
	Costs: selfcheck.Costs{
		HD:     selfcheck.Video{Decode: 0.08, Encode: 0.19, Packets: 0.004},
		SD:     selfcheck.Video{Decode: 0.03, Encode: 0.07, Packets: 0.002},
		FullHD: selfcheck.Video{Decode: 0.18, Encode: 0.42, Packets: 0.008},
		Audio:  selfcheck.Audio{Codec: 0.0255, Packets: 0.0005},
	},
}

func TestCalls(t *testing.T) {
	for _, tt := range []struct {
		reserved             int
		hd, audio, listeners float64
	}{
		{0, 22.67, 261.5, 13600},
		{2, 17, 196.2, 10200},
		{8, 0, 0, 0},
		{9, 0, 0, 0},
	} {
		c := result.Calls(tt.reserved)
		for _, v := range []struct {
			what      string
			got, want float64
		}{{"HD", c.HD, tt.hd}, {"audio", c.Audio, tt.audio}, {"listeners", c.Listeners, tt.listeners}} {
			if v.want == 0 && v.got != 0 || math.Abs(v.got-v.want) > 0.02*v.want {
				t.Errorf("%d CPUs reserved: %v %s calls, want %v", tt.reserved, v.got, v.what, v.want)
			}
		}
	}
}

// TestKept wants a result back, but not on another machine or of another build.
func TestKept(t *testing.T) {
	file := filepath.Join(t.TempDir(), "capacity.json")
	load := func(m selfcheck.Machine) *selfcheck.Result {
		t.Helper()
		r, err := selfcheck.Load(file, m)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := load(result.Machine); r != nil {
		t.Errorf("%+v out of nothing", r)
	}
	for range 2 { // the second replaces the first
		if err := result.Save(file); err != nil {
			t.Fatal(err)
		}
	}
	if r := load(result.Machine); r == nil || *r != *result {
		t.Errorf("kept %+v, want %+v", r, result)
	}
	for _, m := range []selfcheck.Machine{
		{CPU: "6502", CPUs: 8, Build: "1"}, {CPU: "Z80", CPUs: 4, Build: "1"}, {CPU: "Z80", CPUs: 8, Build: "2"},
	} {
		if r := load(m); r != nil {
			t.Errorf("%+v holds for %+v", r.Machine, m)
		}
	}
	if files, _ := os.ReadDir(filepath.Dir(file)); len(files) != 1 {
		t.Errorf("left behind: %v", files)
	}
	for _, damaged := range []string{"", "{", `{"machine":{"cpu":"Z80","cpus":8,"build":"1"}}`} {
		if err := os.WriteFile(file, []byte(damaged), 0o600); err != nil {
			t.Fatal(err)
		}
		if r := load(result.Machine); r != nil {
			t.Errorf("%+v out of %q", r, damaged)
		}
	}
}

func TestNotSaved(t *testing.T) {
	if err := result.Save(filepath.Join(t.TempDir(), "absent", "capacity.json")); err == nil {
		t.Error("no error where no file can be")
	}
}
