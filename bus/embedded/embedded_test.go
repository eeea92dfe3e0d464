package embedded_test

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/skybridge-media/skybridge/bus"
	"github.com/skybridge-media/skybridge/bus/embedded"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T, cfg embedded.Config) *embedded.Server {
	t.Helper()
	s, err := embedded.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func connect(t *testing.T, url string) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// TestRestart expects what was acknowledged to be there after a restart, on
// the same port.
func TestRestart(t *testing.T) {
	cfg := embedded.Config{Dir: t.TempDir()}
	first := start(t, cfg)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	js, err := jetstream.New(connect(t, first.URL()))
	if err != nil {
		t.Fatal(err)
	}
	kv, err := js.CreateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: "b"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.Put(ctx, "k", []byte("v")); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}

	second := start(t, cfg)
	if js, err = jetstream.New(connect(t, second.URL())); err != nil {
		t.Fatal(err)
	}
	if kv, err = js.KeyValue(ctx, "b"); err != nil {
		t.Fatal(err)
	}
	if e, err := kv.Get(ctx, "k"); err != nil || string(e.Value()) != "v" {
		t.Errorf("after restart got %v, %v, want v", e, err)
	}
}

func TestVouchesForSync(t *testing.T) {
	nc := connect(t, start(t, embedded.Config{Dir: t.TempDir(), Token: "s3cret"}).URL())
	m, err := nc.Request(bus.ServerSubject(nc.ConnectedServerId()), nil, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	var said struct {
		SyncAlways bool `json:"sync_always"`
	}
	if err := json.Unmarshal(m.Data, &said); err != nil || !said.SyncAlways {
		t.Errorf("server says %s (%v), want sync_always", m.Data, err)
	}
}

func TestToken(t *testing.T) {
	url := start(t, embedded.Config{Dir: t.TempDir(), Token: "s3cret"}).URL()
	connect(t, url)
	nc, err := nats.Connect(strings.Replace(url, "s3cret@", "", 1))
	if err == nil {
		nc.Close()
		t.Error("admitted without the token")
	}
}

func TestRefusesToStart(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	running := t.TempDir()
	start(t, embedded.Config{Dir: running})
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}

	tests := []struct {
		name string
		cfg  embedded.Config
		want string
	}{
		{"no directory", embedded.Config{}, "store directory is required"},
		{"locked directory", embedded.Config{Dir: running}, "another process uses it"},
		{"directory is a file", embedded.Config{Dir: file}, "not a directory"},
		{"directory cannot be made", embedded.Config{Dir: "/proc/skybridge"}, "store directory"},
		{"port taken", embedded.Config{Dir: t.TempDir(), Port: taken.Addr().(*net.TCPAddr).Port}, "address already in use"},
		{"no such port", embedded.Config{Dir: t.TempDir(), Port: 65536}, "is not a port"},
		{"open to everybody", embedded.Config{Dir: t.TempDir(), Host: "0.0.0.0"}, "needs a Token"},
		{"passwords in the clear", embedded.Config{Dir: t.TempDir(), Host: "0.0.0.0", Users: []embedded.User{{Password: "x"}}}, "without TLS"},
		{"token and users", embedded.Config{Dir: t.TempDir(), Token: "x", Users: []embedded.User{{Password: "x"}}}, "there are Users"},
		{"password too long", embedded.Config{Dir: t.TempDir(), Users: []embedded.User{{Name: "node", Password: strings.Repeat("x", 73)}}}, "user node: "},
		{"nobody we know", embedded.Config{Dir: t.TempDir(), Users: []embedded.User{{Name: "node"}, {Name: "x"}}}, `user "x": not one of node, control, observe`},
		{"a user twice", embedded.Config{Dir: t.TempDir(), Users: []embedded.User{{Name: "node", Password: "a"}, {Name: "node", Password: "b"}}}, `user "node": there is one already`},
		{"token with punctuation", embedded.Config{Dir: t.TempDir(), Token: "a@b/c"}, "Token"},
		{"domain with dots", embedded.Config{Dir: t.TempDir(), Domain: "a.b"}, "Domain"},
		{"name with spaces", embedded.Config{Dir: t.TempDir(), Name: "a b"}, "Name"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			began := time.Now()
			s, err := embedded.Start(tt.cfg)
			if err == nil {
				_ = s.Close()
				t.Fatal("started")
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %q does not say %q", err, tt.want)
			}
			if d := time.Since(began); d > 5*time.Second {
				t.Errorf("took %v to refuse", d)
			}
		})
	}
}

// TestLockOutlivesRefusal expects a refused second server to leave the first
// one's lock alone, and the directory to be free once the first has closed.
func TestLockOutlivesRefusal(t *testing.T) {
	dir := t.TempDir()
	first := start(t, embedded.Config{Dir: dir})
	for range 2 {
		if s, err := embedded.Start(embedded.Config{Dir: dir}); err == nil {
			_ = s.Close()
			t.Fatal("two servers on one directory")
		}
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	start(t, embedded.Config{Dir: dir})
}
