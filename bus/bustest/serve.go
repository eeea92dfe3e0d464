package bustest

import (
	"testing"

	"github.com/skybridge-media/skybridge/bus/embedded"
)

// Serve starts a server, in a directory of its own unless cfg names one, and
// stops it with the test.
func Serve(t *testing.T, cfg embedded.Config) *embedded.Server {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	s, err := embedded.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}
