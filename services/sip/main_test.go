package sip_test

import (
	"log/slog"
	"testing"
	"time"

	gosip "github.com/emiago/sipgo/sip"
	"go.uber.org/goleak"
)

// TestMain makes sipgo's timers ten times as fast, and finds goroutines that
// outlive the tests. The one of protoactor's dead letters ends by itself, a
// second after the last of them.
func TestMain(m *testing.M) {
	gosip.SetTimers(50*time.Millisecond, 400*time.Millisecond, 500*time.Millisecond)
	gosip.Timer_D = 64 * gosip.T1
	gosip.SetDefaultLogger(slog.New(slog.DiscardHandler))
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/asynkron/protoactor-go/actor.NewDeadLetter.NewThrottle.func4.1"))
}
