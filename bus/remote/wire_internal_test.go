package remote

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/skybridge-media/skybridge/bus"
)

// TestTranslate sends addresses at every depth and expects each to mean on
// arrival what it meant to the sender.
func TestTranslate(t *testing.T) {
	place, tree := treeTypes(t)
	reg := NewRegistry()
	reg.Add(100, dynamicpb.NewMessage(tree))
	reg.AddAddress(dynamicpb.NewMessage(place), "node")
	reg = reg.compile()

	sent := dynamicpb.NewMessage(tree)
	if err := prototext.Unmarshal([]byte(`
		one { node: "nonhost" id: "a" }
		many { node: "me@1-1" id: "b" }
		many { node: "third@1-1" id: "c" }
		keyed { key: "k" value { node: "nonhost" id: "d" } }
		below { one { node: "me@0-9" id: "e" } text: "nonhost" }
		pid { Address: "nonhost" Id: "f" }
	`), sent); err != nil {
		t.Fatal(err)
	}
	body, err := reg.encode(nil, &envelope{target: "x"}, sent)
	if err != nil {
		t.Fatal(err)
	}
	var e envelope
	if err := e.decode(seal(body, 1, "src@1-1")); err != nil {
		t.Fatal(err)
	}
	got, err := reg.unmarshal(e.number, e.payload)
	if err != nil {
		t.Fatal(err)
	}
	r := &Remote{}
	r.own.Store(&map[string]bool{"me@1-1": true, "me@0-9": true})
	reg.translate(got.ProtoReflect(), func(node string) string { return r.localize(node, e.source) })

	want := dynamicpb.NewMessage(tree)
	if err := prototext.Unmarshal([]byte(`
		one { node: "src@1-1" id: "a" }
		many { node: "nonhost" id: "b" }
		many { node: "third@1-1" id: "c" }
		keyed { key: "k" value { node: "src@1-1" id: "d" } }
		below { one { node: "nonhost" id: "e" } text: "nonhost" }
		pid { Address: "src@1-1" Id: "f" }
	`), want); err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if reg.carries["google.protobuf.StringValue"] {
		t.Error("text is taken for an address")
	}
}

// treeTypes returns a type of addresses and one that holds them in every way,
// itself included.
func treeTypes(t *testing.T) (place, tree protoreflect.MessageDescriptor) {
	t.Helper()
	file := &descriptorpb.FileDescriptorProto{}
	if err := prototext.Unmarshal([]byte(`
		name: "tree.proto" package: "test" syntax: "proto3"
		message_type {
			name: "Place"
			field { name: "node" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
			field { name: "id" number: 2 type: TYPE_STRING label: LABEL_OPTIONAL }
		}
		message_type {
			name: "Tree"
			field { name: "one" number: 1 type: TYPE_MESSAGE type_name: ".test.Place" label: LABEL_OPTIONAL }
			field { name: "many" number: 2 type: TYPE_MESSAGE type_name: ".test.Place" label: LABEL_REPEATED }
			field { name: "keyed" number: 3 type: TYPE_MESSAGE type_name: ".test.Tree.KeyedEntry" label: LABEL_REPEATED }
			field { name: "below" number: 4 type: TYPE_MESSAGE type_name: ".test.Tree" label: LABEL_REPEATED }
			field { name: "text" number: 5 type: TYPE_STRING label: LABEL_OPTIONAL }
			field { name: "pid" number: 6 type: TYPE_MESSAGE type_name: ".actor.PID" label: LABEL_OPTIONAL }
			nested_type {
				name: "KeyedEntry" options { map_entry: true }
				field { name: "key" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
				field { name: "value" number: 2 type: TYPE_MESSAGE type_name: ".test.Place" label: LABEL_OPTIONAL }
			}
		}
	`), file); err != nil {
		t.Fatal(err)
	}
	pids := (&actor.PID{}).ProtoReflect().Descriptor().ParentFile()
	file.Dependency = []string{pids.Path()}
	f, err := protodesc.NewFile(file, resolver{pids})
	if err != nil {
		t.Fatal(err)
	}
	return f.Messages().ByName("Place"), f.Messages().ByName("Tree")
}

// resolver knows one file.
type resolver struct{ file protoreflect.FileDescriptor }

func (r resolver) FindFileByPath(string) (protoreflect.FileDescriptor, error) { return r.file, nil }

func (r resolver) FindDescriptorByName(name protoreflect.FullName) (protoreflect.Descriptor, error) {
	if d := r.file.Messages().ByName(name.Name()); d != nil {
		return d, nil
	}
	return nil, errors.New("not found")
}

func TestEnvelope(t *testing.T) {
	reg := NewRegistry().compile()
	want := envelope{
		target: "open/1", address: "third@1-1", sender: "future$7", number: numTouched,
		header: map[string]string{"traceparent": "00-a-b-01", "": ""}, seq: 1 << 40, source: "src@1-1",
	}
	body, err := reg.encode(nil, &want, &actor.Touched{Who: actor.NewPID("x@1-1", "y")})
	if err != nil {
		t.Fatal(err)
	}
	body = protowireUnknown(body)
	var got envelope
	if err := got.decode(seal(body, want.seq, want.source)); err != nil {
		t.Fatal(err)
	}
	if got.target != want.target || got.address != want.address || got.sender != want.sender || got.number != want.number ||
		got.seq != want.seq || got.source != want.source || !maps.Equal(got.header, want.header) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// protowireUnknown appends fields that a later version might have.
func protowireUnknown(b []byte) []byte {
	b = appendString(b, 100, "later")
	b = appendVarint(b, 101, 7)
	return append(b, 0xb5, 0x06, 1, 2, 3, 4) // field 102, four bytes
}

func TestEnvelopeRefused(t *testing.T) {
	ok := appendPayload(appendString(nil, fieldTarget, "x"), numTouch, nil)
	tests := map[string][]byte{
		"empty":             nil,
		"without number":    appendString(ok, fieldSource, "s@1-1"),
		"cut off":           seal(ok, 1, "s@1-1")[:5],
		"not protobuf":      []byte("hello, world"),
		"long target":       seal(appendString(ok, fieldTarget, strings.Repeat("x", maxIDBytes+1)), 1, "s@1-1"),
		"long sender":       seal(appendString(ok, fieldSender, strings.Repeat("x", maxIDBytes+1)), 1, "s@1-1"),
		"long address":      seal(appendString(ok, fieldAddress, strings.Repeat("x", maxAddressBytes+1)), 1, "s@1-1"),
		"too much header":   seal(appendString(ok, fieldHeader, strings.Repeat("\x0a\x00", maxHeaderBytes)), 1, "s@1-1"),
		"header of garbage": seal(appendString(ok, fieldHeader, "\xff"), 1, "s@1-1"),
	}
	for name, b := range tests {
		var e envelope
		if err := e.decode(b); err == nil {
			t.Errorf("%s: accepted as %+v", name, e)
		}
	}
}

func FuzzEnvelope(f *testing.F) {
	for _, b := range seeds() {
		f.Add(b)
	}
	reg := NewRegistry().compile()
	f.Fuzz(func(t *testing.T, b []byte) {
		var e envelope
		if e.decode(b) != nil {
			return
		}
		m, err := reg.unmarshal(e.number, e.payload)
		if err != nil {
			return
		}
		reg.translate(m.ProtoReflect(), func(string) string { return "x" })
		body, err := reg.encode(nil, &e, m)
		if err != nil {
			t.Fatal(err)
		}
		var again envelope
		if err := again.decode(seal(body, e.seq, e.source)); err != nil && len(e.header) == 0 {
			t.Errorf("own encoding refused: %v", err)
		}
		if again.target != e.target || again.seq != e.seq && len(e.header) == 0 {
			t.Errorf("got %+v, want %+v", again, e)
		}
	})
}

// seeds are a message of every kind that this package knows.
func seeds() (all [][]byte) {
	reg := NewRegistry()
	reg.Add(100, &wrapperspb.StringValue{})
	reg = reg.compile()
	messages := []any{
		&actor.Watch{Watcher: actor.NewPID("src@1-1", "w")}, &actor.Watch{},
		&actor.Unwatch{Watcher: actor.NewPID("nonhost", "w")}, &actor.Unwatch{},
		&actor.Terminated{Who: actor.NewPID("nonhost", "w"), Why: 2}, &actor.Terminated{},
		&actor.Stop{}, &actor.PoisonPill{}, &actor.DeadLetterResponse{}, &actor.Touch{}, &actor.Touched{},
		&bus.Error{Code: bus.Full, Text: "full"}, wrapperspb.String("text"),
	}
	for _, target := range []string{"open", "guardian$1", "deadletter", "eventstream", "future$1", "nobody", ""} {
		for _, m := range messages {
			body, err := reg.encode(nil, &envelope{target: target, sender: "w", header: map[string]string{"a": "b"}}, m)
			if err != nil {
				panic(err)
			}
			all = append(all, seal(body, 1, "src@1-1"), seal(slices.Clone(body), 9, "dead@1-1"))
		}
	}
	all = append(all,
		seal(appendPayload(nil, numProbe, appendVarint(nil, 1, 1)), 3, "src@1-1"),
		seal(appendPayload(appendString(nil, fieldTarget, "n@x"), numBuried, appendString(nil, 1, "n@y")), 0, "src@1-1"),
		nil, []byte("\x00"), []byte("garbage"))
	return all
}

// FuzzIngress feeds everything that arrives from other nodes into a Remote.
// Nothing may panic, whoever it is for, and afterwards the node still works.
func FuzzIngress(f *testing.F) {
	for _, b := range seeds() {
		f.Add("sky.hb.src.1-1", b)
		f.Add("sky.a.n.1-1.n.src.1-1.future=241", b)
	}
	f.Add("sky.hb.n.zzz-1", []byte{})
	f.Add("sky.hb.=zz.1", []byte("\x08\x01"))
	f.Add("sky.hb.src.1-1", pulse{bye: true}.encode())
	f.Add("sky.a.n.1-1.n.a.b.guardian=241", []byte{})
	g := newOfflineRemote(f)
	f.Fuzz(func(t *testing.T, subject string, data []byte) {
		s := g.self.Load()
		m := &nats.Msg{Subject: subject, Data: data}
		g.onUser(s, m)
		g.onSystem(s, m)
		g.onHeartbeat(m)
		g.onNobody(s, &nats.Msg{Subject: subject, Header: nats.Header{"Status": {"503"}}})
		g.forgetDead(time.Now().Add(2 * keepDead))
		g.state.Store(running) // a heartbeat of a younger namesake is meant to stop it
		if proc, ok := g.sys.ProcessRegistry.GetLocal("open"); !ok {
			spawnOpen(g.sys) // stopping it is meant to work
		} else {
			proc.SendUserMessage(g.sys.NewLocalPID("open"), "still there")
		}
	})
}

// newOfflineRemote returns a Remote that is connected to nothing.
func newOfflineRemote(tb testing.TB) *Remote {
	nc, err := nats.Connect("nats://127.0.0.1:1", nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.ReconnectBufSize(-1))
	if err != nil {
		tb.Fatal(err)
	}
	sys := actor.NewActorSystem(actor.WithLoggerFactory(quiet), actor.WithDeadLetterThrottleInterval(time.Millisecond))
	reg := NewRegistry()
	reg.Add(100, &wrapperspb.StringValue{})
	r, err := New(sys, nc, Config{Node: "n", Registry: reg, Allow: func(string) bool { return true }, Heartbeat: time.Hour})
	if err != nil {
		tb.Fatal(err)
	}
	spawnOpen(sys)
	// A guardian exists, and panics when it is sent a message.
	sys.Root.Spawn(actor.PropsFromFunc(func(actor.Context) {}, actor.WithGuardian(actor.DefaultSupervisorStrategy())))
	tb.Cleanup(func() {
		_ = r.Close()
		nc.Close()
	})
	return r
}

func spawnOpen(sys *actor.ActorSystem) {
	_, _ = sys.Root.SpawnNamed(actor.PropsFromFunc(func(actor.Context) {}), "open")
}

func TestIncarnations(t *testing.T) {
	older := newProcess(time.UnixMilli(1_700_000_000_000))
	younger := newProcess(time.UnixMilli(1_700_000_000_001))
	sorted := []string{
		incarnation(older, 1), incarnation(older, 2), incarnation(older, 10),
		incarnation(younger, 1), incarnation(younger, 3),
	}
	if !slices.IsSortedFunc(sorted, compareIncarnations) {
		t.Errorf("not in order of age: %v", sorted)
	}
	if !sameProcess(sorted[0], sorted[2]) || sameProcess(sorted[0], sorted[3]) {
		t.Error("processes are mixed up")
	}
	if len(older) != 16 || older == newProcess(time.UnixMilli(1_700_000_000_000)) {
		t.Errorf("process %q is not unique", older)
	}
}

func TestParseAddress(t *testing.T) {
	if a, ok := parseAddress("n 1@x-1"); !ok || a.node != "n 1" || a.incarnation != "x-1" || a.String() != "n 1@x-1" {
		t.Errorf("got %+v", a)
	}
	for _, s := range []string{"", "n", "@", "n@", "@x", "n@x@y", strings.Repeat("n", 300) + "@x"} {
		if _, ok := parseAddress(s); ok {
			t.Errorf("%q was accepted", s)
		}
	}
}
