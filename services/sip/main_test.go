package sip_test

import (
	"log/slog"
	"testing"
	"time"

	gosip "github.com/emiago/sipgo/sip"
	"go.uber.org/goleak"
)

// TestMain makes sipgo's timers ten times as fast, and finds goroutines that
// outlive the tests.
func TestMain(m *testing.M) {
	gosip.SetTimers(50*time.Millisecond, 400*time.Millisecond, 500*time.Millisecond)
	gosip.Timer_D, gosip.Timer_1xx = 3200*time.Millisecond, 20*time.Millisecond
	gosip.SetDefaultLogger(slog.New(slog.DiscardHandler))
	goleak.VerifyTestMain(m)
}
