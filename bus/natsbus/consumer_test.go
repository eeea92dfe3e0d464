package natsbus_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/skybridge-media/skybridge/bus"
	"github.com/skybridge-media/skybridge/bus/bustest"
	"github.com/skybridge-media/skybridge/bus/embedded"
	"github.com/skybridge-media/skybridge/bus/natsbus"
)

// raise sends n events about participants p<from>… and waits until they are in
// the stream.
func raise(t *testing.T, url string, from, n int) {
	t.Helper()
	b, err := natsbus.Connect(t.Context(), natsbus.Config{URL: url, Node: "n"})
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		e := bus.ParticipantRaised{Room: "r", Participant: fmt.Sprintf("p%03d", from+i), Node: "n"}
		if err := b.Publish(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Close(t.Context()); err != nil { // publishes what is held back
		t.Fatal(err)
	}
}

// An integration reads events as one of another program does, with nothing of
// ours but the name of the stream.
type integration struct {
	*testing.T
	js jetstream.JetStream
}

func integrate(t *testing.T, url string) integration {
	t.Helper()
	js, err := jetstream.New(client(t, url))
	if err != nil {
		t.Fatal(err)
	}
	return integration{t, js}
}

func (i integration) consumer(cfg jetstream.ConsumerConfig) jetstream.Consumer {
	i.Helper()
	cfg.AckPolicy, cfg.AckWait = jetstream.AckExplicitPolicy, time.Second
	c, err := i.js.CreateOrUpdateConsumer(i.Context(), "SKYBRIDGE_EVT", cfg)
	if err != nil {
		i.Fatal(err)
	}
	return c
}

// read takes n events and acknowledges those before unacked. It returns the
// participants, and the positions in the stream.
func (i integration) read(c jetstream.Consumer, n, acked int) (who []string, at []uint64) {
	i.Helper()
	for k := range n {
		m, err := c.Next(jetstream.FetchMaxWait(10 * time.Second))
		if err != nil {
			i.Fatalf("event %d of %d: %v", k, n, err)
		}
		r, err := bus.Decode(m.Subject(), m.Data())
		if err != nil || r.ID != m.Headers().Get(nats.MsgIdHdr) || r.Kind != m.Headers().Get("Sky-Type") {
			i.Fatalf("%s %s: %v", m.Subject(), m.Data(), err)
		}
		meta, err := m.Metadata()
		if err != nil {
			i.Fatal(err)
		}
		if k < acked {
			if err := m.DoubleAck(i.Context()); err != nil {
				i.Fatal(err)
			}
		}
		who, at = append(who, r.Event.(bus.ParticipantRaised).Participant), append(at, meta.Sequence.Stream)
	}
	return who, at
}

// empty wants nothing more to come.
func (i integration) empty(c jetstream.Consumer) {
	i.Helper()
	if m, err := c.Next(jetstream.FetchMaxWait(300 * time.Millisecond)); err == nil {
		i.Errorf("unexpected %s %s", m.Subject(), m.Data())
	}
}

func people(from, to int) (list []string) {
	for i := from; i < to; i++ {
		list = append(list, fmt.Sprintf("p%03d", i))
	}
	return list
}

// TestDurableConsumer reads some events, goes away, and so does the server; more
// happen; it comes back under its name and goes on where it was. What it had not
// acknowledged comes again, at the same position.
func TestDurableConsumer(t *testing.T) {
	cfg := embedded.Config{Dir: t.TempDir()}
	first := bustest.Serve(t, cfg)
	raise(t, first.URL(), 0, 20)
	before := integrate(t, first.URL())
	who, at := before.read(before.consumer(jetstream.ConsumerConfig{Durable: "crm"}), 10, 8)
	if !slices.Equal(who, people(0, 10)) {
		t.Errorf("got %v first", who)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}

	second := bustest.Serve(t, cfg)
	raise(t, second.URL(), 20, 10)
	after := integrate(t, second.URL())
	c := after.consumer(jetstream.ConsumerConfig{Durable: "crm"})
	deadline := time.Now().Add(10 * time.Second)
	seen := map[uint64]string{}
	for len(seen) < 22 { // what is repeated comes when AckWait is over, among the others
		who, again := after.read(c, 1, 1)
		if other, twice := seen[again[0]]; twice {
			t.Fatalf("position %d was acknowledged as %s and came again as %s", again[0], other, who[0])
		}
		seen[again[0]] = who[0]
		if time.Now().After(deadline) {
			t.Fatalf("got %v", seen)
		}
	}
	for i, want := range people(8, 30) {
		if got := seen[uint64(9+i)]; got != want {
			t.Errorf("position %d: got %q, want %s", 9+i, got, want)
		}
	}
	if at[8] != 9 || at[9] != 10 {
		t.Errorf("positions %v", at)
	}
	after.empty(c)
}

// TestStoredOnce publishes with an id that the stream has already, as a node
// does that never heard that the first time went well.
func TestStoredOnce(t *testing.T) {
	url := bustest.Serve(t, embedded.Config{}).URL()
	raise(t, url, 0, 1)
	i := integrate(t, url)
	original, err := mustStream(i).GetMsg(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		again := &nats.Msg{Subject: original.Subject, Header: original.Header, Data: original.Data}
		ack, err := i.js.PublishMsg(t.Context(), again)
		if err != nil || !ack.Duplicate || ack.Sequence != 1 {
			t.Errorf("the stream says %+v, %v", ack, err)
		}
	}
	c := i.consumer(jetstream.ConsumerConfig{})
	i.read(c, 1, 1)
	i.empty(c)
}

func mustStream(i integration) jetstream.Stream {
	i.Helper()
	s, err := i.js.Stream(i.Context(), "SKYBRIDGE_EVT")
	if err != nil {
		i.Fatal(err)
	}
	return s
}

// TestReplay reads from a position, from a moment, and again from the start.
func TestReplay(t *testing.T) {
	url := bustest.Serve(t, embedded.Config{}).URL()
	raise(t, url, 0, 5)
	<-time.After(20 * time.Millisecond)
	middle := time.Now()
	<-time.After(20 * time.Millisecond)
	raise(t, url, 5, 5)
	i := integrate(t, url)
	tests := []struct {
		name string
		cfg  jetstream.ConsumerConfig
		want []string
	}{
		{"everything", jetstream.ConsumerConfig{DeliverPolicy: jetstream.DeliverAllPolicy}, people(0, 10)},
		{"once more", jetstream.ConsumerConfig{DeliverPolicy: jetstream.DeliverAllPolicy}, people(0, 10)},
		{"from a position", jetstream.ConsumerConfig{DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: 8}, people(7, 10)},
		{"from a moment", jetstream.ConsumerConfig{DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &middle}, people(5, 10)},
		{"one participant", jetstream.ConsumerConfig{FilterSubject: "sky.evt.*.*.r.p003"}, people(3, 4)},
		{"one room", jetstream.ConsumerConfig{FilterSubject: bus.RoomEvents("r")}, people(0, 10)},
		{"the last one", jetstream.ConsumerConfig{DeliverPolicy: jetstream.DeliverLastPolicy}, people(9, 10)},
	}
	for _, tt := range tests {
		c := i.consumer(tt.cfg)
		who, at := i.read(c, len(tt.want), len(tt.want))
		if !slices.Equal(who, tt.want) || !slices.IsSorted(at) {
			t.Errorf("%s: got %v at %v, want %v", tt.name, who, at, tt.want)
		}
		i.empty(c)
	}
}

// TestWhileNATSIsAway publishes while the server is away: a consumer gets it all,
// once and in order, when both are back.
func TestWhileNATSIsAway(t *testing.T) {
	server := bustest.Serve(t, embedded.Config{})
	proxy := bustest.NewProxy(t, server.URL())
	b, err := natsbus.Connect(t.Context(), natsbus.Config{URL: proxy.URL, Node: "n"})
	if err != nil {
		t.Fatal(err)
	}
	send := func(from, to int) {
		for _, p := range people(from, to) {
			if err := b.Publish(t.Context(), bus.ParticipantRaised{Room: "r", Participant: p, Node: "n"}); err != nil {
				t.Fatal(err)
			}
		}
	}
	send(0, 50)
	proxy.Refuse() // in the middle of it
	send(50, 100)
	proxy.Forward(server.URL())
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := b.Close(ctx); err != nil {
		t.Fatal(err)
	}
	i := integrate(t, server.URL())
	c := i.consumer(jetstream.ConsumerConfig{Durable: "crm"})
	if who, _ := i.read(c, 100, 100); !slices.Equal(who, people(0, 100)) {
		t.Errorf("got %v", who)
	}
	i.empty(c)
}
