package main

import (
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// logLines is how many lines wait for a log that is slow: some seconds of a
	// busy server at level debug.
	logLines = 4096

	// logFarewell is how long the last lines may take at the end.
	logFarewell = 500 * time.Millisecond
)

// A logWriter keeps a log that does not take lines, because its disk is full or
// nobody reads its pipe, from holding up whoever logs: lines that find no place
// are left out and counted, and the log says so when it takes lines again. Safe
// for concurrent use.
type logWriter struct {
	out     io.Writer
	tell    func(lost int64) // may log
	lines   chan []byte
	dropped atomic.Int64
	done    chan struct{}
	closing sync.Once
	stop    chan struct{}
}

// newLogWriter returns a writer whose run is to be started when tell, which is
// called when lines were lost and there is room again, has been set.
func newLogWriter(out io.Writer) *logWriter {
	return &logWriter{out: out, lines: make(chan []byte, logLines), done: make(chan struct{}), stop: make(chan struct{})}
}

// Write implements [io.Writer] for a log handler, which writes a line at a time.
// It never waits and never fails.
func (w *logWriter) Write(line []byte) (int, error) {
	select {
	case w.lines <- append([]byte(nil), line...):
	default:
		w.dropped.Add(1)
	}
	return len(line), nil
}

// run writes until Close.
func (w *logWriter) run() {
	defer close(w.done)
	told := int64(0)
	write := func(line []byte) {
		_, _ = w.out.Write(line) // there is nowhere to tell
		if lost := w.dropped.Load(); lost > told && len(w.lines) == 0 {
			w.tell(lost - told)
			told = lost
		}
	}
	for {
		select {
		case line := <-w.lines:
			write(line)
		case <-w.stop:
			for {
				select {
				case line := <-w.lines:
					write(line)
				default:
					return
				}
			}
		}
	}
}

// Close writes what waits, for [logFarewell] at most.
func (w *logWriter) Close() {
	w.closing.Do(func() { close(w.stop) })
	select {
	case <-w.done:
	case <-time.After(logFarewell):
	}
}

// lost is the metric that says how many lines were left out.
func (w *logWriter) lost() prometheus.Collector {
	return prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "skybridge_log_lines_lost_total", Help: "Lines that were not logged because the log did not take them in time.",
	}, func() float64 { return float64(w.dropped.Load()) })
}
