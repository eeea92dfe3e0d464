package embedded_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/skybridge-media/skybridge/bus"
	"github.com/skybridge-media/skybridge/bus/embedded"
	"github.com/skybridge-media/skybridge/bus/natsbus"
)

// TestAccess holds the users of the embedded server to what they may do.
func TestAccess(t *testing.T) { testAccess(t, startEmbedded(t)) }

// TestDocumentedAccess does the same with the configuration that docs/subjects.md
// shows for a server of one's own.
func TestDocumentedAccess(t *testing.T) { testAccess(t, startDocumented(t)) }

// startEmbedded runs the embedded server, and returns the URL of each user.
func startEmbedded(t *testing.T) map[string]string {
	t.Helper()
	var users []embedded.User
	for _, a := range bus.Accesses() {
		users = append(users, embedded.User{Name: a.Name, Password: "secret-of-" + a.Name})
	}
	s := start(t, embedded.Config{Dir: t.TempDir(), Users: users})
	urls := map[string]string{}
	for _, u := range users {
		urls[u.Name] = s.URLFor("127.0.0.1", u)
	}
	return urls
}

// startDocumented runs a server with the configuration on docs/subjects.md, and
// returns the URL of each user.
func startDocumented(t *testing.T) map[string]string {
	t.Helper()
	page, err := os.ReadFile("../../docs/subjects.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```conf\n(.*?)```").FindSubmatch(page)
	if block == nil {
		t.Fatal("docs/subjects.md has no configuration of a NATS server")
	}
	dir := t.TempDir()
	text := strings.ReplaceAll(string(block[1]), "/var/lib/nats", dir)
	for _, a := range bus.Accesses() {
		t.Setenv("SKYBRIDGE_"+strings.ToUpper(a.Name), "secret-of-"+a.Name)
	}
	path := filepath.Join(dir, "nats.conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	opts, err := server.ProcessConfigFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !opts.SyncAlways {
		t.Error("the documented server does not sync always")
	}
	opts.Port, opts.HTTPPort, opts.NoSigs, opts.NoLog = server.RANDOM_PORT, 0, true, true
	opts.Host = "127.0.0.1"
	s, err := server.NewServer(opts)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("not ready")
	}
	urls := map[string]string{}
	for _, a := range bus.Accesses() {
		urls[a.Name] = strings.Replace(s.ClientURL(), "nats://", "nats://"+a.Name+":secret-of-"+a.Name+"@", 1)
	}
	return urls
}

// who is a client with what the server has refused it.
type who struct {
	*nats.Conn
	mu     sync.Mutex // guards denied
	denied []string
}

func logIn(t *testing.T, url string) *who {
	t.Helper()
	w := &who{}
	nc, err := nats.Connect(url, nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.denied = append(w.denied, err.Error())
	}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	w.Conn = nc
	return w
}

// mayPublish reports whether the server lets a message through.
func (w *who) mayPublish(t *testing.T, subject string) bool {
	t.Helper()
	return w.allowed(t, func() error { return w.Publish(subject, []byte("{}")) })
}

func (w *who) mayListen(t *testing.T, subject string) bool {
	t.Helper()
	return w.allowed(t, func() error { _, err := w.SubscribeSync(subject); return err })
}

func (w *who) allowed(t *testing.T, f func() error) bool {
	t.Helper()
	w.mu.Lock()
	before := len(w.denied)
	w.mu.Unlock()
	if err := errors.Join(f(), w.Flush()); err != nil {
		t.Fatal(err)
	}
	// The refusal came before the answer to the flush, but another goroutine
	// tells of it.
	for range 20 {
		w.mu.Lock()
		denied := len(w.denied) > before
		w.mu.Unlock()
		if denied {
			return false
		}
		<-time.After(5 * time.Millisecond)
	}
	return true
}

// testAccess tries out what nodes and integrations may do. A node of the real
// thing must come up with its rights alone.
func testAccess(t *testing.T, urls map[string]string) {
	t.Helper()
	b := node(t, urls[bus.AccessNode])
	if err := b.Publish(t.Context(), bus.NodeStarted{Node: "n1"}); err != nil {
		t.Fatal(err)
	}

	anonymous := strings.Replace(urls[bus.AccessObserve], bus.AccessObserve+":secret-of-"+bus.AccessObserve+"@", "", 1)
	for _, url := range []string{anonymous, strings.Replace(urls[bus.AccessObserve], "secret", "guess", 1)} {
		if nc, err := nats.Connect(url); err == nil {
			nc.Close()
			t.Error("admitted without the right password")
		}
	}

	trusted, control, observe := logIn(t, urls[bus.AccessNode]), logIn(t, urls[bus.AccessControl]), logIn(t, urls[bus.AccessObserve])
	everybody := map[string]*who{bus.AccessNode: trusted, bus.AccessControl: control, bus.AccessObserve: observe}
	const n, c, o = 1, 2, 4
	tests := []struct {
		subject         string
		publish, listen int // who may
	}{
		{"sky.evt.participant.joined.r.p", n, n | c | o},
		{"sky.evt.>", 0, n | c | o},
		{"sky.api.conference.list", n | c | o, n},
		{"sky.api.conference.get", n | c | o, n},
		{"sky.api.node.list", n | c | o, n},
		{"sky.api.conference.disconnect", n | c, n},
		{"sky.api.participant.mute", n | c, n},
		{"sky.api.>", 0, n},
		{"sky.a.n1.x.u", n, n},
		{"sky.a.>", 0, n},
		{"sky.hb.n1.x", n, n},
		{"sky.js.observe.CONSUMER.CREATE.SKYBRIDGE_EVT.x", n, n},
		{"sky.js.control.CONSUMER.CREATE.SKYBRIDGE_EVT.x", n, n},
		{"sky.srv.x", n, n},
		{"sky.>", 0, n},
		{">", 0, 0},
		{"_INBOX.mine", n, n | c | o},
		{"_INBOX.>", 0, n | c | o},
		{"_R_.>", 0, 0},
		{"$SRV.INFO", n | c | o, n},
		{"$SRV.PING.skybridge", n | c | o, n},
		{"$KV.sky-records.conference.x", n, n},
		{"$KV.sky-sessions.node.n1", n, n},
		{"$JS.API.STREAM.DELETE.SKYBRIDGE_EVT", 0, n},
		{"$JS.API.STREAM.PURGE.SKYBRIDGE_EVT", 0, n},
		{"$JS.API.STREAM.UPDATE.SKYBRIDGE_EVT", 0, n},
		{"$JS.API.STREAM.CREATE.MINE", 0, n},
		{"$JS.API.STREAM.MSG.GET.KV_sky-records", 0, n},
		{"$JS.API.DIRECT.GET.KV_sky-records.x", 0, n},
		{"$JS.API.CONSUMER.CREATE.KV_sky-records.x.y", 0, n},
		{"$JS.n1.API.STREAM.DELETE.SKYBRIDGE_EVT", 0, n},
	}
	names := map[int]string{n: bus.AccessNode, c: bus.AccessControl, o: bus.AccessObserve}
	for _, tt := range tests {
		for bit, name := range names {
			w := everybody[name]
			deletes := strings.HasPrefix(tt.subject, "$JS.") && bit == n
			if !strings.HasSuffix(tt.subject, ">") && !deletes {
				if got, want := w.mayPublish(t, tt.subject), tt.publish&bit != 0; got != want {
					t.Errorf("%s may publish to %s: %v, want %v", name, tt.subject, got, want)
				}
			}
			if got, want := w.mayListen(t, tt.subject), tt.listen&bit != 0; got != want {
				t.Errorf("%s may listen to %s: %v, want %v", name, tt.subject, got, want)
			}
		}
	}

	// Who observes may keep a durable consumer on the events.
	js, err := jetstream.New(observe.Conn)
	if err != nil {
		t.Fatal(err)
	}
	consumer, err := js.CreateOrUpdateConsumer(t.Context(), natsbus.Stream, jetstream.ConsumerConfig{Durable: "mine", AckPolicy: jetstream.AckExplicitPolicy})
	if err != nil {
		t.Fatal(err)
	}
	m, err := consumer.Next(jetstream.FetchMaxWait(10 * time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if m.Subject() != "sky.evt.node.started.n1" && !strings.HasPrefix(m.Subject(), "sky.evt.participant.joined") {
		t.Errorf("the first event is at %s", m.Subject())
	}
	if err := m.DoubleAck(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestDataFromBefore starts a server with accounts on a directory that one without
// has left: the nodes find their state.
func TestDataFromBefore(t *testing.T) {
	dir := t.TempDir()
	before := start(t, embedded.Config{Dir: dir})
	b := node(t, before.URL())
	for _, name := range []string{"a", "b"} {
		if err := b.Publish(t.Context(), bus.NodeStarted{Node: name}); err != nil {
			t.Fatal(err)
		}
	}
	js, err := jetstream.New(b.Data())
	if err != nil {
		t.Fatal(err)
	}
	kv, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "sky-records"})
	if err != nil {
		t.Fatal(err)
	}
	was, err := kv.PutString(t.Context(), "conference.x", "a@1")
	if err != nil {
		t.Fatal(err)
	}
	mine := jetstream.ConsumerConfig{Durable: "mine", AckPolicy: jetstream.AckExplicitPolicy}
	consumer, err := js.CreateConsumer(t.Context(), natsbus.Stream, mine)
	if err != nil {
		t.Fatal(err)
	}
	m, err := consumer.Next()
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(m.DoubleAck(t.Context()), b.Close(t.Context()), before.Close()); err != nil {
		t.Fatal(err)
	}

	user := embedded.User{Name: bus.AccessNode, Password: "secret-of-the-node"}
	observer := embedded.User{Name: bus.AccessObserve, Password: "secret-of-the-observer"}
	for range 2 { // and again
		after := start(t, embedded.Config{Dir: dir, Users: []embedded.User{user, observer}})
		if js, err = jetstream.New(node(t, after.URL()).Data()); err != nil {
			t.Fatal(err)
		}
		if kv, err = js.KeyValue(t.Context(), "sky-records"); err != nil {
			t.Fatal(err)
		}
		if e, err := kv.Get(t.Context(), "conference.x"); err != nil || string(e.Value()) != "a@1" || e.Revision() != was {
			t.Errorf("the record is %v, %v", e, err)
		}
		// An integration goes on where it was.
		if js, err = jetstream.New(logIn(t, after.URLFor("127.0.0.1", observer)).Conn); err != nil {
			t.Fatal(err)
		}
		if consumer, err = js.CreateOrUpdateConsumer(t.Context(), natsbus.Stream, mine); err != nil {
			t.Fatal(err)
		}
		if m, err = consumer.Next(); err != nil || m.Subject() != "sky.evt.node.started.b" {
			t.Fatalf("%v, %v", m, err)
		}
		if meta, err := m.Metadata(); err != nil || meta.Sequence.Stream != 2 {
			t.Errorf("%+v, %v", meta, err)
		}
		if err := errors.Join(m.Nak(), after.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDataOfBoth starts a server with accounts on a directory in which one without has
// been at work since: the operator is told what is not used.
func TestDataOfBoth(t *testing.T) {
	dir := t.TempDir()
	users := []embedded.User{{Name: bus.AccessNode, Password: "secret-of-the-node"}}
	const said = "is not used"
	for i, cfg := range []embedded.Config{{Dir: dir}, {Dir: dir, Users: users}, {Dir: dir}, {Dir: dir, Users: users}} {
		var log bytes.Buffer
		cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
		s := start(t, cfg)
		if err := errors.Join(node(t, s.URL()).Close(t.Context()), s.Close()); err != nil {
			t.Fatal(err)
		}
		unused, used := filepath.Join(dir, "jetstream", "$G"), filepath.Join(dir, "jetstream", "SKYBRIDGE")
		told := strings.Contains(log.String(), said) && strings.Contains(log.String(), "unused="+unused) && strings.Contains(log.String(), "used="+used)
		if told != (i == 3) {
			t.Errorf("start %d: %s", i, log.String())
		}
	}
}

// TestConsumerFlood has an integration ask for many consumers: it is refused what is too
// much at a time, at once, and the other kind is not held up.
func TestConsumerFlood(t *testing.T) {
	urls := startEmbedded(t)
	b := node(t, urls[bus.AccessNode])
	observe, control := logIn(t, urls[bus.AccessObserve]), logIn(t, urls[bus.AccessControl])
	const many = 400
	answers := make(chan *nats.Msg, many)
	inbox := observe.NewInbox()
	if _, err := observe.Subscribe(inbox, func(m *nats.Msg) { answers <- m }); err != nil {
		t.Fatal(err)
	}
	for i := range many {
		name := fmt.Sprint("flood", i)
		body := fmt.Sprintf(`{"stream_name":"SKYBRIDGE_EVT","config":{"durable_name":%q,"name":%[1]q,"ack_policy":"explicit"},"action":"create"}`, name)
		if err := observe.PublishRequest("$JS.API.CONSUMER.CREATE.SKYBRIDGE_EVT."+name, inbox, []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	js, err := jetstream.New(control.Conn)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateConsumer(t.Context(), natsbus.Stream, jetstream.ConsumerConfig{Durable: "mine", AckPolicy: jetstream.AckExplicitPolicy}); err != nil {
		t.Errorf("the other kind: %v", err)
	}
	refused := 0
	for range many {
		select {
		case m := <-answers:
			if bytes.Contains(m.Data, []byte(`"err_code":10008`)) {
				refused++
			}
		case <-time.After(20 * time.Second):
			t.Fatal("not all are answered")
		}
	}
	if refused == 0 {
		t.Error("nothing is refused")
	}
	own, err := jetstream.New(b.Data())
	if err != nil {
		t.Fatal(err)
	}
	stream, err := own.Stream(t.Context(), natsbus.Stream)
	if err != nil {
		t.Fatal(err)
	}
	if n := stream.CachedInfo().State.Consumers; n != many-refused+1 {
		t.Errorf("%d consumers, and %d of %d were refused", n, refused, many)
	}
	<-time.After(200 * time.Millisecond) // four more are allowed
	if js, err = jetstream.New(observe.Conn); err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateConsumer(t.Context(), natsbus.Stream, jetstream.ConsumerConfig{Durable: "later", AckPolicy: jetstream.AckExplicitPolicy}); err != nil {
		t.Errorf("later: %v", err)
	}
}

// node connects a node.
func node(t *testing.T, url string) *natsbus.Bus {
	t.Helper()
	b, err := natsbus.Connect(t.Context(), natsbus.Config{URL: url, Node: "n1"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close(context.Background()) })
	return b
}

// TestReplay reads the events as an integration may: in order, each once, from any
// position and time, again after a break, and only by asking for them.
func TestReplay(t *testing.T) {
	for server, start := range map[string]func(*testing.T) map[string]string{"embedded": startEmbedded, "documented": startDocumented} {
		for _, user := range []string{bus.AccessObserve, bus.AccessControl} {
			t.Run(server+"/"+user, func(t *testing.T) {
				urls := start(t)
				replay(t, node(t, urls[bus.AccessNode]), logIn(t, urls[user]))
			})
		}
	}
}

func replay(t *testing.T, b *natsbus.Bus, w *who) {
	t.Helper()
	const events = 300
	live, err := w.SubscribeSync(bus.AllEvents)
	if err := errors.Join(err, w.Flush()); err != nil {
		t.Fatal(err)
	}
	for i := range events {
		if err := b.Publish(t.Context(), bus.NodeStarted{Node: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	js, err := jetstream.New(w.Conn)
	if err != nil {
		t.Fatal(err)
	}
	at := func(m jetstream.Msg, want uint64) {
		t.Helper()
		meta, err := m.Metadata()
		if err != nil || meta.Sequence.Stream != want || m.Subject() != fmt.Sprint("sky.evt.node.started.", want-1) {
			t.Fatalf("%s at %+v, %v; want %d", m.Subject(), meta, err, want)
		}
	}
	cfg := jetstream.ConsumerConfig{Durable: "mine", AckPolicy: jetstream.AckExplicitPolicy, FilterSubject: "sky.evt.node.started.>"}
	for seq := uint64(1); seq <= events; {
		consumer, err := js.CreateOrUpdateConsumer(t.Context(), natsbus.Stream, cfg)
		if err != nil {
			t.Fatal(err)
		}
		batch, err := consumer.Fetch(events/3, jetstream.FetchMaxWait(20*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		for m := range batch.Messages() {
			at(m, seq)
			if err := m.Ack(); err != nil {
				t.Fatal(err)
			}
			seq++
		}
		if err := batch.Error(); err != nil {
			t.Fatal(err)
		}
		if _, err := consumer.Info(t.Context()); err != nil {
			t.Error(err)
		}
	}
	ordered, err := js.OrderedConsumer(t.Context(), natsbus.Stream, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: 100,
	})
	if err != nil {
		t.Fatal(err)
	}
	messages, err := ordered.Messages()
	if err != nil {
		t.Fatal(err)
	}
	for seq := uint64(100); seq <= events; seq++ {
		m, err := messages.Next(jetstream.NextMaxWait(20 * time.Second))
		if err != nil {
			t.Fatal(err)
		}
		at(m, seq)
	}
	messages.Stop()

	stream, err := js.Stream(t.Context(), natsbus.Stream)
	if err != nil {
		t.Fatal(err)
	}
	if n := stream.CachedInfo().State.Msgs; n != events {
		t.Errorf("%d events are kept", n)
	}
	m, err := stream.GetMsg(t.Context(), 7)
	if err != nil || m.Subject != "sky.evt.node.started.6" {
		t.Fatalf("%+v, %v", m, err)
	}
	since, err := js.CreateConsumer(t.Context(), natsbus.Stream, jetstream.ConsumerConfig{DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &m.Time})
	if err != nil {
		t.Fatal(err)
	}
	first, err := since.Next()
	if err != nil || first.Subject() != "sky.evt.node.started.6" {
		t.Errorf("%v, %v", first, err)
	}
	_, err = js.CreatePushConsumer(t.Context(), natsbus.Stream, jetstream.ConsumerConfig{DeliverSubject: w.NewInbox()})
	if err == nil || !strings.Contains(err.Error(), "deliver_subject: only pull consumers are allowed") {
		t.Errorf("a consumer that delivers: %v", err)
	}
	if err := js.DeleteConsumer(t.Context(), natsbus.Stream, "mine"); err != nil {
		t.Error(err)
	}
	for i := range events {
		m, err := live.NextMsg(10 * time.Second)
		if err != nil || m.Subject != fmt.Sprint("sky.evt.node.started.", i) {
			t.Fatalf("%v, %v", m, err)
		}
	}
}

// TestTLS admits over the network only who speaks TLS and trusts the certificate;
// in the process nobody needs to.
func TestTLS(t *testing.T) {
	certificate, pool := selfSigned(t)
	user := embedded.User{Name: bus.AccessNode, Password: "secret-of-the-node"}
	s := start(t, embedded.Config{
		Dir: t.TempDir(), Users: []embedded.User{user}, TLS: &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12},
	})
	url := s.URLFor("127.0.0.1", user)
	if !strings.HasPrefix(url, "tls://node:") {
		t.Errorf("the URL is %s", url)
	}
	for name, tt := range map[string]struct {
		url     string
		options []nats.Option
		ok      bool
	}{
		"trusted":    {url, []nats.Option{nats.Secure(&tls.Config{RootCAs: pool})}, true},
		"untrusted":  {url, nil, false},
		"in process": {strings.Replace(url, "tls:", "nats:", 1), []nats.Option{nats.InProcessServer(s)}, true},
	} {
		nc, err := nats.Connect(tt.url, append(tt.options, nats.Timeout(5*time.Second))...)
		if err == nil {
			nc.Close()
		}
		if (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
	}

	// A client that asks for no TLS gets it all the same, or nothing.
	conn, err := net.Dial("tcp", strings.TrimPrefix(url[strings.Index(url, "@"):], "@"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "CONNECT {\"user\":\"node\",\"pass\":\"secret-of-the-node\"}\r\nPING\r\n")
	said, err := io.ReadAll(conn)
	if strings.Contains(string(said), "PONG") || !strings.Contains(string(said), `"tls_required":true`) {
		t.Errorf("without TLS it says %s (%v)", said, err)
	}

	b, err := natsbus.Connect(t.Context(), natsbus.Config{URL: s.URL(), InProcess: s, Node: "n1"})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Publish(t.Context(), bus.NodeStarted{Node: "n1"}); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := b.Close(ctx); err != nil {
		t.Error(err)
	}
}

func selfSigned(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}
