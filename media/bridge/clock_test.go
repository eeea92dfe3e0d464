package bridge_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skybridge-media/skybridge/media/bridge"
)

// ticksAt runs a clock whose n-th tick takes work[n], and returns when ticks
// began, in milliseconds, and how late they were said to be.
func ticksAt(t *testing.T, n int, patience time.Duration, work map[int]time.Duration) (at, late []int64) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		c := bridge.NewClock(20*time.Millisecond, patience)
		defer c.Close()
		for i := range n {
			l := c.Wait()
			at = append(at, time.Since(start).Milliseconds())
			late = append(late, l.Milliseconds())
			time.Sleep(work[i])
		}
	})
	return at, late
}

func TestClock(t *testing.T) {
	const ms = time.Millisecond
	tests := []struct {
		name     string
		patience time.Duration
		work     map[int]time.Duration
		at, late []int64
	}{
		{
			"on time", 200 * ms, nil,
			[]int64{20, 40, 60, 80, 100},
			[]int64{0, 0, 0, 0, 0},
		},
		{
			"work does not delay", 200 * ms,
			map[int]time.Duration{0: 15 * ms, 1: 19 * ms},
			[]int64{20, 40, 60, 80, 100},
			[]int64{0, 0, 0, 0, 0},
		},
		{
			"one long tick is made up for without a burst", 200 * ms,
			map[int]time.Duration{0: 45 * ms},
			[]int64{20, 65, 75, 85, 100},
			[]int64{0, 25, 15, 5, 0},
		},
		{
			"what is beyond patience is let go, and the beat kept", 200 * ms,
			map[int]time.Duration{0: 1020 * ms},
			[]int64{20, 1040, 1060, 1080, 1100},
			[]int64{0, 1000, 0, 0, 0},
		},
		{
			"without patience", 0,
			map[int]time.Duration{1: 45 * ms},
			[]int64{20, 40, 85, 100, 120},
			[]int64{0, 0, 25, 0, 0},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			at, late := ticksAt(t, 5, tt.patience, tt.work)
			if !slices.Equal(at, tt.at) || !slices.Equal(late, tt.late) {
				t.Errorf("ticks at %v, late by %v; want %v, %v", at, late, tt.at, tt.late)
			}
		})
	}
}
