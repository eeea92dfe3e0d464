package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/skybridge-media/skybridge/bus"
)

// store is a directory that this process alone may write to.
type store struct{ lock *os.File }

// openStore creates dir if need be, takes its lock and proves that it can be
// written to.
func openStore(dir string, log *slog.Logger) (*store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("store directory: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("store directory cannot be written: %w", err)
	}
	s := &store{lock}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = errors.New("another process uses it")
		}
		return nil, fmt.Errorf("store directory %s: %w", dir, errors.Join(err, s.close()))
	}
	if err := prove(lock); err != nil {
		return nil, fmt.Errorf("store directory %s cannot be written: %w", dir, errors.Join(err, s.close()))
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err == nil && fs.Type == unix.TMPFS_MAGIC {
		log.Warn("store directory is in memory and will not survive a restart of the machine", "dir", dir)
	}
	return s, nil
}

// prove writes the process id into the lock file and syncs it, as the server
// will do with its data.
func prove(lock *os.File) error {
	if err := lock.Truncate(0); err != nil {
		return err
	}
	if _, err := lock.WriteAt(fmt.Appendln(nil, os.Getpid()), 0); err != nil {
		return err
	}
	return lock.Sync()
}

// adopt gives the nodes' account what a server had before there were accounts:
// then all was in the one that has no name.
func adopt(dir string, log *slog.Logger) error {
	before, now := filepath.Join(dir, "jetstream", "$G"), filepath.Join(dir, "jetstream", bus.NodesAccount)
	if _, err := os.Stat(before); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	switch _, err := os.Stat(now); {
	case err == nil:
		log.Warn("what a version without accounts has stored since is not used",
			"unused", before, "used", now, "remedy", "remove "+before+", or stop, remove "+now+" and start to go on with the other")
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("store directory: %w", err)
	}
	if err := os.Rename(before, now); err != nil {
		return fmt.Errorf("store directory: %w", err)
	}
	return nil
}

// close gives the lock up. The file stays: removing it would let two processes
// hold locks on two files of the same name.
func (s *store) close() error {
	if err := s.lock.Close(); !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}
