package embedded

import (
	"fmt"
	"log/slog"
	"sync/atomic"
)

// logger turns the server's log lines into slog records. What the server calls
// fatal it expects not to survive; here it makes Start fail, or is an error.
type logger struct {
	log    *slog.Logger
	failed *atomic.Pointer[error]
}

func newLogger(log *slog.Logger) logger {
	return logger{log.With("component", "nats"), new(atomic.Pointer[error])}
}

// fatal returns what the server would have exited for.
func (l logger) fatal() error {
	if err := l.failed.Load(); err != nil {
		return *err
	}
	return nil
}

func (l logger) line(level func(string, ...any), format string, v []any) {
	level("nats server", "line", fmt.Sprintf(format, v...))
}

// Noticef is for lines about the server's life; ours has its own.
func (l logger) Noticef(format string, v ...any) { l.line(l.log.Debug, format, v) }
func (l logger) Warnf(format string, v ...any)   { l.line(l.log.Warn, format, v) }
func (l logger) Errorf(format string, v ...any)  { l.line(l.log.Error, format, v) }
func (l logger) Debugf(format string, v ...any)  { l.line(l.log.Debug, format, v) }
func (l logger) Tracef(format string, v ...any)  { l.line(l.log.Debug, format, v) }

func (l logger) Fatalf(format string, v ...any) {
	err := fmt.Errorf(format, v...)
	l.failed.CompareAndSwap(nil, &err)
	l.line(l.log.Error, format, v)
}
