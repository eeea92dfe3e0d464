package natsbus_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/skybridge-media/skybridge/bus"
	"github.com/skybridge-media/skybridge/bus/bustest"
	"github.com/skybridge-media/skybridge/bus/embedded"
	"github.com/skybridge-media/skybridge/bus/natsbus"
)

// command is a command as it is declared.
func command(t *testing.T, name string) bus.Command {
	t.Helper()
	for _, c := range bus.Commands() {
		if c.Name == name {
			return c
		}
	}
	t.Fatalf("no command %s", name)
	return bus.Command{}
}

// servant is a bus of its own that serves conference.lock with f.
func servant(t *testing.T, url, node string, reg prometheus.Registerer, f func(context.Context, []byte) (any, error)) *natsbus.Bus {
	t.Helper()
	b, err := natsbus.Connect(t.Context(), natsbus.Config{URL: url, Node: node, Metrics: natsbus.NewMetrics(reg)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close(context.Background()) })
	stop, err := b.Serve(natsbus.Service{
		Version: "1.2.3", Node: node, Program: "test", Timeout: 300 * time.Millisecond,
		Endpoints: []bus.Endpoint{{Command: command(t, "conference.lock"), Handle: f}, {Command: command(t, "conference.get"), Handle: f}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return b
}

func client(t *testing.T, url string, options ...nats.Option) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(url, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

func request(t *testing.T, nc *nats.Conn, subject, body string, header ...string) *nats.Msg {
	t.Helper()
	m := nats.NewMsg(subject)
	m.Data = []byte(body)
	for i := 0; i+1 < len(header); i += 2 {
		m.Header.Set(header[i], header[i+1])
	}
	r, err := nc.RequestMsg(m, 10*time.Second)
	if err != nil {
		t.Fatalf("%s: %v", subject, err)
	}
	return r
}

// TestDiscovery asks as the tools of NATS do.
func TestDiscovery(t *testing.T) {
	url := bustest.Serve(t, embedded.Config{}).URL()
	servant(t, url, "a", nil, func(context.Context, []byte) (any, error) { return bus.Nothing{}, nil })
	nc := client(t, url)
	var ping micro.Ping
	var info micro.Info
	for subject, v := range map[string]any{"$SRV.PING": &ping, "$SRV.INFO.skybridge": &info} {
		if err := json.Unmarshal(request(t, nc, subject, "").Data, v); err != nil {
			t.Fatal(err)
		}
	}
	if ping.Name != "skybridge" || ping.Version != "1.2.3" || ping.Metadata["node"] != "a" {
		t.Errorf("PING: %+v", ping)
	}
	if len(info.Endpoints) != 2 {
		t.Fatalf("INFO: %+v", info)
	}
	e := info.Endpoints[0]
	if e.Name != "conference-lock" || e.Subject != "sky.api.conference.lock" || e.QueueGroup != "skybridge" || e.Metadata["description"] != "Keeps newcomers out." {
		t.Errorf("INFO: endpoint %+v", e)
	}
	for _, key := range []string{"request_schema", "response_schema"} {
		var schema struct {
			Type       string
			Properties map[string]struct{ Type, Description string }
			Required   []string
		}
		err := json.Unmarshal([]byte(e.Metadata[key]), &schema)
		if room := schema.Properties["room"]; err != nil || schema.Type != "object" || key == "request_schema" && (room.Type != "string" || room.Description == "" || len(schema.Required) != 1) {
			t.Errorf("%s is %s (%v)", key, e.Metadata[key], err)
		}
	}
	request(t, nc, "sky.api.conference.lock", `{"room":"x"}`)
	var stats struct {
		Endpoints []struct {
			NumRequests int `json:"num_requests"`
			Data        struct {
				Answered, Errors int
			}
		}
	}
	if err := json.Unmarshal(request(t, nc, "$SRV.STATS.skybridge", "").Data, &stats); err != nil {
		t.Fatal(err)
	}
	if s := stats.Endpoints[0]; s.NumRequests != 1 || s.Data.Answered != 1 || s.Data.Errors != 0 {
		t.Errorf("STATS: %+v", s)
	}
}

// TestAnyNodeAnswers expects one answer for each request, from both nodes.
func TestAnyNodeAnswers(t *testing.T) {
	url := bustest.Serve(t, embedded.Config{}).URL()
	var count [2]atomic.Int64
	for i := range count {
		servant(t, url, fmt.Sprint("n", i), nil, func(context.Context, []byte) (any, error) { count[i].Add(1); return bus.Nothing{}, nil })
	}
	nc := client(t, url)
	const requests = 100
	for range requests {
		request(t, nc, "sky.api.conference.lock", "{}")
	}
	if a, b := count[0].Load(), count[1].Load(); a+b != requests || a == 0 || b == 0 {
		t.Errorf("%d and %d of %d requests", a, b, requests)
	}
}

// TestErrors expects every code to arrive as a number, with a text that tells
// nothing of what is inside.
func TestErrors(t *testing.T) {
	url := bustest.Serve(t, embedded.Config{}).URL()
	var mu sync.Mutex
	var fails error
	reg := prometheus.NewRegistry()
	servant(t, url, "a", reg, func(ctx context.Context, _ []byte) (any, error) {
		mu.Lock()
		defer mu.Unlock()
		if errors.Is(fails, context.DeadlineExceeded) {
			<-ctx.Done()
		}
		return nil, fails
	})
	nc := client(t, url)
	tests := []struct {
		err              error
		code, text, body string
	}{
		{&bus.Error{Code: bus.Invalid, Text: "room: is required"}, "400", "room: is required", "invalid"},
		{&bus.Error{Code: bus.Forbidden, Text: "locked"}, "403", "locked", "forbidden"},
		{fmt.Errorf("somewhere: %w", &bus.Error{Code: bus.NotFound, Text: "no"}), "404", "no", "not_found"},
		{&bus.Error{Code: bus.Conflict, Text: "a\r\nEvil: b"}, "409", "a  Evil: b", "conflict"},
		{&bus.Error{Code: bus.Full, Text: "full"}, "503", "full", "full"},
		{&bus.Error{Code: bus.Unavailable, Text: "later"}, "503", "later", "unavailable"},
		{&bus.Error{Code: bus.Internal, Text: "secret"}, "500", "internal error", "internal"},
		{&bus.Error{Code: "new", Text: "secret"}, "500", "internal error", "internal"},
		{errors.New("secret"), "500", "internal error", "internal"},
		{context.DeadlineExceeded, "503", "no answer in time; the command may have been carried out", "unavailable"},
	}
	for _, tt := range tests {
		mu.Lock()
		fails = tt.err
		mu.Unlock()
		m := request(t, nc, "sky.api.conference.lock", "{}")
		code, text := m.Header.Get("Nats-Service-Error-Code"), m.Header.Get("Nats-Service-Error")
		if code != tt.code || text != tt.text || !strings.Contains(string(m.Data), `"code":"`+tt.body+`"`) {
			t.Errorf("%v: got %s %q %s", tt.err, code, text, m.Data)
		}
	}
	if n := testutil.CollectAndCount(reg, "skybridge_natsbus_request_errors_total"); n != 7 {
		t.Errorf("%d codes are counted, want 7", n)
	}
}

// TestStatusIsTotal wants a number for every code that package bus has.
func TestStatusIsTotal(t *testing.T) {
	for _, code := range []bus.Code{bus.Internal, bus.Invalid, bus.NotFound, bus.Conflict, bus.Forbidden, bus.Full, bus.Unavailable} {
		if natsbus.Status(code) == "" {
			t.Errorf("no number for %s", code)
		}
	}
}

// TestSlowCommandsHoldUpNobody has more requests hang than are carried out at a
// time: those beyond are told so at once, and all get an answer.
func TestSlowCommandsHoldUpNobody(t *testing.T) {
	url := bustest.Serve(t, embedded.Config{}).URL()
	servant(t, url, "a", nil, func(ctx context.Context, request []byte) (any, error) {
		if string(request) == "slow" {
			<-ctx.Done()
		}
		return bus.Nothing{}, nil
	})
	nc := client(t, url)
	inbox := nats.NewInbox()
	sub, err := nc.SubscribeSync(inbox)
	if err != nil {
		t.Fatal(err)
	}
	const many = 300
	for i := range many {
		if i == 100 { // a quick one passes those that hang
			if err := nc.PublishRequest("sky.api.conference.lock", inbox, []byte("quick")); err != nil {
				t.Fatal(err)
			}
		}
		if err := nc.PublishRequest("sky.api.conference.lock", inbox, []byte("slow")); err != nil {
			t.Fatal(err)
		}
	}
	first, codes := "", map[string]int{}
	for range many + 1 {
		m, err := sub.NextMsg(10 * time.Second)
		if err != nil {
			t.Fatalf("after %v: %v", codes, err)
		}
		if first == "" && !strings.Contains(string(m.Data), "too many") {
			first = string(m.Data)
		}
		codes[m.Header.Get("Nats-Service-Error")]++
	}
	if first != "{}" {
		t.Errorf("the first answer is %s, want that to the quick request", first)
	}
	if busy := codes["too many commands at a time"]; busy < many-256 || busy == many {
		t.Errorf("answers %v", codes)
	}
}

// TestAnswersGoToInboxes wants no answer where only nodes speak, whoever asks
// for it.
func TestAnswersGoToInboxes(t *testing.T) {
	url := bustest.Serve(t, embedded.Config{}).URL()
	done := make(chan struct{}, 10)
	servant(t, url, "a", nil, func(context.Context, []byte) (any, error) { done <- struct{}{}; return bus.Nothing{}, nil })
	nc := client(t, url)
	heard, err := nc.SubscribeSync(">")
	if err != nil {
		t.Fatal(err)
	}
	for _, reply := range []string{"sky.a.node.inc.u", "sky.evt.x.y.z", "_INBOX.sky.a.x", "$JS.API.STREAM.DELETE.SKYBRIDGE_EVT"} {
		if err := nc.PublishRequest("sky.api.conference.lock", reply, nil); err != nil {
			t.Fatal(err)
		}
		<-done
	}
	request(t, nc, "sky.api.conference.get", "")
	for {
		m, err := heard.NextMsg(10 * time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if m.Subject == "sky.api.conference.get" {
			return
		}
		if string(m.Data) == "{}" {
			t.Errorf("an answer went to %s", m.Subject)
		}
	}
}

// TestOnce repeats requests with an id at two nodes: each is carried out once,
// also while it runs, unless it failed in a way that may pass.
func TestOnce(t *testing.T) {
	url := bustest.Serve(t, embedded.Config{}).URL()
	var calls atomic.Int64
	f := func(ctx context.Context, request []byte) (any, error) {
		n := calls.Add(1)
		switch string(request) {
		case `"hangs"`:
			<-ctx.Done()
			return nil, ctx.Err()
		case `"later"`:
			return nil, &bus.Error{Code: bus.Unavailable, Text: "later"}
		case `"never"`:
			return nil, &bus.Error{Code: bus.NotFound, Text: "never"}
		}
		return map[string]int64{"call": n}, nil
	}
	servant(t, url, "a", nil, f)
	servant(t, url, "b", nil, f)
	nc := client(t, url)
	tests := []struct {
		body, id string
		calls    int64
		want     string // of the second answer and all that follow
	}{
		{`"done"`, "1", 1, ""},
		{`"never"`, "2", 1, "never"},
		{`"later"`, "3", 10, "later"},
		{`"hangs"`, "4", 1, "Nats-Msg-Id: the command is being carried out, or its outcome is not known"},
		{`"done"`, "", 10, ""},
		{`"done"`, strings.Repeat("x", 129), 0, "Nats-Msg-Id: longer than 128 bytes"},
		{`"done"`, "a.b * > é", 1, ""},
	}
	for _, tt := range tests {
		calls.Store(0)
		answers := map[string]bool{}
		for i := range 10 {
			m := request(t, nc, "sky.api.conference.lock", tt.body, nats.MsgIdHdr, tt.id)
			if got := m.Header.Get("Nats-Service-Error"); i > 0 && got != tt.want {
				t.Errorf("%s, id %q: got %q, want %q", tt.body, tt.id, got, tt.want)
			}
			if i > 0 {
				answers[string(m.Data)] = true
			}
		}
		if n := calls.Load(); n != tt.calls {
			t.Errorf("%s, id %q: %d calls, want %d", tt.body, tt.id, n, tt.calls)
		}
		if tt.calls == 1 && len(answers) != 1 {
			t.Errorf("%s, id %q: different answers %v", tt.body, tt.id, answers)
		}
	}
	calls.Store(0)
	for range 5 { // what changes nothing is never remembered
		request(t, nc, "sky.api.conference.get", "{}", nats.MsgIdHdr, "1")
	}
	if n := calls.Load(); n != 5 {
		t.Errorf("%d reads were carried out, want 5", n)
	}
}

// TestServesAgain expects the endpoints to be there again after an outage.
func TestServesAgain(t *testing.T) {
	server := bustest.Serve(t, embedded.Config{})
	proxy := bustest.NewProxy(t, server.URL())
	servant(t, proxy.URL, "a", nil, func(context.Context, []byte) (any, error) { return bus.Nothing{}, nil })
	nc := client(t, server.URL())
	request(t, nc, "sky.api.conference.lock", "{}")
	proxy.Refuse()
	deadline := time.Now().Add(10 * time.Second)
	for {
		if _, err := nc.Request("sky.api.conference.lock", nil, time.Second); errors.Is(err, nats.ErrNoResponders) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("there still is somebody")
		}
	}
	proxy.Forward(server.URL())
	for {
		if m, err := nc.Request("sky.api.conference.lock", nil, time.Second); err == nil && string(m.Data) == "{}" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("there still is nobody")
		}
	}
}
