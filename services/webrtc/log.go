package webrtc

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/pion/logging"
)

// pionLogs gives pion loggers that write to ours. All that pion says is a
// protocol trace here: what it calls an error is, with few exceptions, what
// some peer did.
type pionLogs struct{ log *slog.Logger }

func (f pionLogs) NewLogger(scope string) logging.LeveledLogger {
	return pionLog{f.log.With("scope", scope)}
}

type pionLog struct{ log *slog.Logger }

// trace is below debug: one line per packet in places.
const trace = slog.LevelDebug - 4

func (l pionLog) say(level slog.Level, msg string) {
	l.log.Log(context.Background(), level, "pion", "said", msg)
}

func (l pionLog) sayf(level slog.Level, format string, args ...any) {
	if l.log.Enabled(context.Background(), level) {
		l.say(level, fmt.Sprintf(format, args...))
	}
}

func (l pionLog) Trace(msg string)                  { l.say(trace, msg) }
func (l pionLog) Tracef(format string, args ...any) { l.sayf(trace, format, args...) }
func (l pionLog) Debug(msg string)                  { l.say(trace, msg) }
func (l pionLog) Debugf(format string, args ...any) { l.sayf(trace, format, args...) }
func (l pionLog) Info(msg string)                   { l.say(slog.LevelDebug, msg) }
func (l pionLog) Infof(format string, args ...any)  { l.sayf(slog.LevelDebug, format, args...) }
func (l pionLog) Warn(msg string)                   { l.say(slog.LevelDebug, msg) }
func (l pionLog) Warnf(format string, args ...any)  { l.sayf(slog.LevelDebug, format, args...) }
func (l pionLog) Error(msg string)                  { l.say(slog.LevelDebug, msg) }
func (l pionLog) Errorf(format string, args ...any) { l.sayf(slog.LevelDebug, format, args...) }
