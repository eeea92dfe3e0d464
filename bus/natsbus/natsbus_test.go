package natsbus_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"github.com/skybridge-media/skybridge/bus"
	"github.com/skybridge-media/skybridge/bus/bustest"
	"github.com/skybridge-media/skybridge/bus/embedded"
	"github.com/skybridge-media/skybridge/bus/natsbus"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	bustest.Run(t, func(t *testing.T) bustest.Bus {
		return connect(t, natsbus.Config{URL: bustest.Serve(t, embedded.Config{}).URL()})
	})
}

// TestOutage stops the server, publishes meanwhile, starts it again and expects
// every event exactly once and in order, both by a subscriber that was there
// all the time and by one that comes afterwards.
func TestOutage(t *testing.T) {
	cfg := embedded.Config{Dir: t.TempDir(), Port: freePort(t)}
	srv := bustest.Serve(t, cfg)
	reg := prometheus.NewRegistry()
	b := connect(t, natsbus.Config{URL: srv.URL(), Metrics: natsbus.NewMetrics(reg)})
	var there recorder
	there.follow(t, b)

	publish(t, b, 0, 10)
	there.wait(t, 10)
	wantGauge(t, reg, "skybridge_nats_connected", 1)
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}
	wantGauge(t, reg, "skybridge_nats_connected", 0)
	began := time.Now()
	publish(t, b, 10, 100)
	if d := time.Since(began); d > time.Second {
		t.Errorf("publishing into an outage took %v: it blocks", d)
	}
	wantGauge(t, reg, "skybridge_natsbus_spool_events", 90)
	if b.Connected() {
		t.Error("connected to a server that is away")
	}

	bustest.Serve(t, cfg)
	began = time.Now()
	there.wait(t, 100)
	t.Logf("everything delivered %v after the server returned", time.Since(began).Round(time.Millisecond))
	wantGauge(t, reg, "skybridge_nats_connected", 1)
	wantGauge(t, reg, "skybridge_natsbus_spool_events", 0)
	var late recorder
	late.follow(t, b)
	late.wait(t, 100)
	there.wantExactly(t, 100)
	late.wantExactly(t, 100)
}

// TestServerFrozen freezes the server without closing a connection, so that
// acknowledgements are lost for events that it has, and expects every event
// exactly once all the same.
func TestServerFrozen(t *testing.T) {
	link := bustest.NewProxy(t, bustest.Serve(t, embedded.Config{}).URL())
	b := connect(t, natsbus.Config{URL: link.URL})
	var r recorder
	r.follow(t, b)
	publish(t, b, 0, 10)
	r.wait(t, 10)
	link.Freeze()
	publish(t, b, 10, 50)
	began := time.Now()
	for b.Connected() { // noticed by pings alone
		if time.Since(began) > 20*time.Second {
			t.Fatal("a dead link is not noticed")
		}
		<-time.After(10 * time.Millisecond)
	}
	if d := time.Since(began); d > 6*time.Second {
		t.Errorf("noticed after %v", d)
	}
	t.Logf("noticed after %v", time.Since(began).Round(time.Millisecond))
	link.Thaw()
	began = time.Now()
	r.wait(t, 50)
	t.Logf("everything delivered %v after the server woke up", time.Since(began).Round(time.Millisecond))
	r.wantExactly(t, 50)
}

// TestVouchedFor expects no warning about a server that this program embeds.
func TestVouchedFor(t *testing.T) {
	var log logBuffer
	url := bustest.Serve(t, embedded.Config{Users: []embedded.User{{Name: bus.AccessNode, Password: "secret"}}}).URL()
	connect(t, natsbus.Config{URL: url, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if strings.Contains(log.String(), "WARN") {
		t.Errorf("log: %s", log.String())
	}
}

// TestServerAwayAtStart expects a bus without a server to take events, and to
// deliver them once there is one.
func TestServerAwayAtStart(t *testing.T) {
	cfg := embedded.Config{Dir: t.TempDir(), Port: freePort(t)}
	b := connectNowhere(t, natsbus.Config{URL: fmt.Sprint("nats://127.0.0.1:", cfg.Port)})
	publish(t, b, 0, 5)
	bustest.Serve(t, cfg)
	var r recorder
	r.follow(t, b)
	r.wait(t, 5)
	r.wantExactly(t, 5)
}

func TestSpoolFull(t *testing.T) {
	b := connectNowhere(t, natsbus.Config{URL: fmt.Sprint("nats://127.0.0.1:", freePort(t)), SpoolEvents: 3})
	publish(t, b, 0, 3)
	if err := b.Publish(t.Context(), event(3)); bus.CodeOf(err) != bus.Unavailable {
		t.Errorf("publish to a full spool = %v, want %s", err, bus.Unavailable)
	}
}

// TestCloseDelivers expects Close to wait for what is still in the spool.
func TestCloseDelivers(t *testing.T) {
	srv := bustest.Serve(t, embedded.Config{})
	b := connect(t, natsbus.Config{URL: srv.URL()})
	publish(t, b, 0, 200)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := b.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if err := b.Publish(ctx, event(200)); bus.CodeOf(err) != bus.Unavailable {
		t.Errorf("publish after Close = %v, want %s", err, bus.Unavailable)
	}
	var r recorder
	r.follow(t, connect(t, natsbus.Config{URL: srv.URL()}))
	r.wait(t, 200)
	r.wantExactly(t, 200)
}

func TestCloseGivesUp(t *testing.T) {
	b := connectNowhere(t, natsbus.Config{URL: fmt.Sprint("nats://127.0.0.1:", freePort(t))})
	publish(t, b, 0, 2)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := b.Close(ctx); err == nil || !strings.Contains(err.Error(), "2 events") {
		t.Errorf("Close = %v, want it to say that 2 events are lost", err)
	}
}

// TestUnsafeServers is reliability row A2: a server that acknowledges what it
// can still lose is refused, with the reason, within a second.
func TestUnsafeServers(t *testing.T) {
	plain := external(t, &server.Options{JetStream: true, StoreDir: t.TempDir()})
	safe := external(t, &server.Options{JetStream: true, StoreDir: t.TempDir(), SyncAlways: true})
	none := external(t, &server.Options{})
	token := external(t, &server.Options{JetStream: true, StoreDir: t.TempDir(), Authorization: "x"})
	memory := external(t, &server.Options{JetStream: true, StoreDir: t.TempDir(), SyncAlways: true})
	makeMemoryStream(t, memory)
	const unseen = "cannot see whether" // in the log
	tests := []struct {
		name    string
		srv     *server.Server
		monitor string
		want    string // in the error; "" and unseen: accepted
	}{
		{"syncs every two minutes", plain, monitor(t, plain), "sync_interval: always"},
		{"syncs always", safe, monitor(t, safe), ""},
		{"cannot be seen", plain, "", unseen},
		{"monitor of nothing", plain, "http://127.0.0.1:1", unseen},
		{"monitor is something else", plain, httpServer(t, `{"hello":1}`), unseen},
		{"monitor sends garbage", plain, httpServer(t, `<html>`), unseen},
		{"no JetStream", none, "", "jetstream not enabled"},
		{"wants credentials", token, "", "uthorization"},
		{"stream in memory", memory, monitor(t, memory), "SKYBRIDGE_EVT"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var log logBuffer
			began := time.Now()
			b, err := natsbus.Connect(t.Context(), natsbus.Config{
				URL: tt.srv.ClientURL(), Node: "n", Monitor: tt.monitor, Log: slog.New(slog.NewTextHandler(&log, nil)),
			})
			took := time.Since(began)
			if err == nil {
				closeBus(t, b)
			}
			accept := tt.want == "" || tt.want == unseen
			switch {
			case accept && err != nil:
				t.Errorf("refused: %v", err)
			case !accept && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got %v, want an error that says %q", err, tt.want)
			case !accept && took > time.Second:
				t.Errorf("took %v to refuse", took)
			}
			if warned := strings.Contains(log.String(), unseen); warned != (tt.want == unseen) {
				t.Errorf("warned %v, log: %s", warned, log.String())
			}
		})
	}
	if _, err := natsbus.Connect(t.Context(), natsbus.Config{URL: plain.ClientURL(), Node: "n", Monitor: monitor(t, plain)}); !errors.Is(err, natsbus.ErrUnsafe) {
		t.Errorf("got %v, want %v in its tree", err, natsbus.ErrUnsafe)
	}
}

// TestOneAccount connects to servers in which integrations have, and have not, an
// account apart from that of the nodes: the operator is told once.
func TestOneAccount(t *testing.T) {
	bare := external(t, &server.Options{JetStream: true, StoreDir: t.TempDir(), SyncAlways: true}).ClientURL()
	accounts := bustest.Serve(t, embedded.Config{Users: []embedded.User{{Name: bus.AccessNode, Password: "secret"}}}).URL()
	for url, want := range map[string]int{bare: 1, accounts: 0} {
		var log logBuffer
		closeBus(t, connect(t, natsbus.Config{URL: url, Log: slog.New(slog.NewTextHandler(&log, nil))}))
		if got := strings.Count(log.String(), "docs/nats.conf"); got != want {
			t.Errorf("told %d times, want %d: %s", got, want, log.String())
		}
		if strings.Contains(log.String(), "ermissions") {
			t.Errorf("asked what it may not: %s", log.String())
		}
	}
}

func TestConfigRefused(t *testing.T) {
	for want, cfg := range map[string]natsbus.Config{
		"URL":         {Node: "n"},
		"Node":        {URL: "nats://127.0.0.1:1"},
		"Replicas":    {URL: "nats://127.0.0.1:1", Node: "n", Replicas: 6},
		"SpoolEvents": {URL: "nats://127.0.0.1:1", Node: "n", SpoolEvents: -1},
	} {
		if _, err := natsbus.Connect(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error about %s", err, want)
		}
	}
}

func TestMetricsLint(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	natsbus.NewMetrics(reg)
	problems, err := testutil.GatherAndLint(reg)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// recorder keeps what a subscription has seen. Safe for concurrent use.
type recorder struct {
	mu   sync.Mutex
	seen []string
	more chan struct{}
}

func (r *recorder) follow(t *testing.T, b *natsbus.Bus) {
	ctx, cancel := context.WithCancel(context.Background())
	r.more = make(chan struct{}, 10_000)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = b.Subscribe(ctx, bus.AllEvents, time.Time{}, func(e bus.Received) {
			r.mu.Lock()
			r.seen = append(r.seen, e.Event.(bus.NodeStarted).Node)
			r.mu.Unlock()
			r.more <- struct{}{}
		})
	}()
	t.Cleanup(func() { cancel(); <-done })
}

// wait returns once n events have been seen in all.
func (r *recorder) wait(t *testing.T, n int) {
	t.Helper()
	timeout := time.After(20 * time.Second)
	for {
		r.mu.Lock()
		have := len(r.seen)
		r.mu.Unlock()
		if have >= n {
			return
		}
		select {
		case <-r.more:
		case <-timeout:
			t.Fatalf("have %d events, want %d", have, n)
		}
	}
}

func (r *recorder) wantExactly(t *testing.T, n int) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.seen) != n {
		t.Errorf("saw %d events, want %d", len(r.seen), n)
	}
	for i, node := range r.seen {
		if node != event(i).Node {
			t.Fatalf("event %d is %s", i, node)
		}
	}
}

func event(i int) bus.NodeStarted { return bus.NodeStarted{Node: fmt.Sprintf("n%04d", i)} }

func publish(t *testing.T, b *natsbus.Bus, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		if err := b.Publish(t.Context(), event(i)); err != nil {
			t.Fatal(err)
		}
	}
}

func connect(t *testing.T, cfg natsbus.Config) *natsbus.Bus {
	t.Helper()
	return connectWithin(t, cfg, 10*time.Second)
}

// connectNowhere does not wait for a server that is known to be away.
func connectNowhere(t *testing.T, cfg natsbus.Config) *natsbus.Bus {
	t.Helper()
	return connectWithin(t, cfg, 100*time.Millisecond)
}

func connectWithin(t *testing.T, cfg natsbus.Config, patience time.Duration) *natsbus.Bus {
	t.Helper()
	cfg.Node = "n1"
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	b, err := natsbus.Connect(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeBus(t, b) })
	return b
}

// closeBus closes without waiting for what can no longer be delivered.
func closeBus(t *testing.T, b *natsbus.Bus) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	cancel()
	_ = b.Close(ctx)
}

// external is a server that we did not configure.
func external(t *testing.T, o *server.Options) *server.Server {
	t.Helper()
	o.NoSigs, o.NoLog, o.Host, o.Port = true, true, "127.0.0.1", -1
	o.HTTPHost, o.HTTPPort = "127.0.0.1", -1
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("server not ready")
	}
	return s
}

func monitor(t *testing.T, s *server.Server) string {
	t.Helper()
	return "http://" + s.MonitorAddr().String()
}

func httpServer(t *testing.T, body string) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) }))
	t.Cleanup(s.Close)
	return s.URL
}

func makeMemoryStream(t *testing.T, s *server.Server) {
	t.Helper()
	nc, err := nats.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: natsbus.Stream, Subjects: []string{bus.AllEvents}, Storage: jetstream.MemoryStorage,
	}); err != nil {
		t.Fatal(err)
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// wantGauge waits until a metric without labels has the value.
func wantGauge(t *testing.T, reg *prometheus.Registry, name string, want float64) {
	t.Helper()
	var got float64
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() == name {
				got = f.GetMetric()[0].GetGauge().GetValue()
			}
		}
		if got == want {
			return
		}
		<-time.After(5 * time.Millisecond)
	}
	t.Errorf("%s is %v, want %v", name, got, want)
}

// logBuffer is a writer that many goroutines may write to.
type logBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
