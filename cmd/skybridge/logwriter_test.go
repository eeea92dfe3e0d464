package main

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/synctest"
)

// A pipe that nobody reads holds up nobody. When somebody reads again, the log
// goes on and says how much is missing.
func TestLogNobodyReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, out := io.Pipe()
		w := newLogWriter(out)
		told := int64(0)
		w.tell = func(lost int64) { told = lost }
		go w.run()
		const lines = logLines + 1000
		for range lines {
			if n, err := w.Write([]byte("line\n")); n != 5 || err != nil {
				t.Fatalf("write: %d, %v", n, err)
			}
		}
		synctest.Wait()
		lost := w.dropped.Load()
		if lost < 900 || lost > 1000 {
			t.Errorf("%d lines lost, want the 1000 that found no place, less one that was being written", lost)
		}
		var read bytes.Buffer
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = io.Copy(&read, r)
		}()
		w.Close()
		_ = out.Close()
		<-done
		if got := int64(strings.Count(read.String(), "line\n")); got != lines-lost {
			t.Errorf("%d lines read, %d lost, of %d", got, lost, lines)
		}
		if told != lost {
			t.Errorf("told of %d lost lines, want %d", told, lost)
		}
	})
}

// A writer that never returns does not keep the program from ending.
func TestLogStuckAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, out := io.Pipe()
		w := newLogWriter(out)
		go w.run()
		_, _ = w.Write([]byte("line\n"))
		w.Close()
		_ = r.Close() // now it may go
	})
}
