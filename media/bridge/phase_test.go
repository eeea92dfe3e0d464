package bridge_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skybridge-media/skybridge/codecs/g711"
	"github.com/skybridge-media/skybridge/media/bridge"
)

// Rooms that begin at the same moment, or whole ticks apart, take turns.
func TestRoomsTakeTurns(t *testing.T) {
	for _, apart := range []time.Duration{0, 10 * bridge.Tick} {
		synctest.Test(t, func(t *testing.T) {
			begin := time.Now()
			var at []time.Duration
			var callers []*caller
			for i := range 16 {
				b := bridge.New(bridge.Config{})
				defer b.Close()
				c := newCaller(t, &g711.PCMU)
				callers = append(callers, c)
				b.Apply(&bridge.Plan{Members: []bridge.Member{{ID: "0", Name: fmt.Sprint(i)}}})
				b.Attach("0", c, false)
				time.Sleep(apart)
			}
			time.Sleep(2 * bridge.Tick)
			// When each of them ticks, within a Tick.
			was := make([]int, len(callers))
			for i, c := range callers {
				was[i], _, _ = c.counts()
			}
			const step = bridge.Tick / 16
			for range 16 {
				time.Sleep(step)
				synctest.Wait()
				for i, c := range callers {
					if n, _, _ := c.counts(); n != was[i] {
						was[i] = n
						at = append(at, time.Since(begin)%bridge.Tick/step)
					}
				}
			}
			slices.Sort(at)
			if at = slices.Compact(at); len(at) != 16 {
				t.Errorf("%v apart: 16 rooms tick at %d different times", apart, len(at))
			}
		})
	}
}
