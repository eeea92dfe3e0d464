package integration_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nats.go/micro"
	"go.uber.org/goleak"

	"github.com/skybridge-media/skybridge/actors"
	"github.com/skybridge-media/skybridge/actors/actortest"
	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/actors/node"
	"github.com/skybridge-media/skybridge/actors/participant"
	"github.com/skybridge-media/skybridge/actors/transcoder"
	"github.com/skybridge-media/skybridge/bus"
	"github.com/skybridge-media/skybridge/bus/bustest"
	"github.com/skybridge-media/skybridge/bus/claim"
	"github.com/skybridge-media/skybridge/bus/embedded"
	"github.com/skybridge-media/skybridge/bus/natsbus"
	"github.com/skybridge-media/skybridge/bus/remote"
	"github.com/skybridge-media/skybridge/media/compose"
	"github.com/skybridge-media/skybridge/services/integration"
)

func TestMain(m *testing.M) {
	// protoactor's dead-letter throttle leaves a ticker behind for a second.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/asynkron/protoactor-go/actor.NewDeadLetter.NewThrottle.func4.1"))
}

// patience is for what takes milliseconds when it works.
const patience = 20 * time.Second

// process is a node with all that a process has: NATS, remote actors, a
// directory on JetStream, and the commands.
type process struct {
	t       *testing.T
	name    string
	sys     *actor.ActorSystem
	nats    *natsbus.Bus
	node    *actor.PID
	events  actortest.Events
	bridges actortest.Bridges

	mu     sync.Mutex // guards dialled
	dialed []node.Dial
}

// Dial implements node.Dialer.
func (p *process) Dial(_ participant.ID, d node.Dial) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dialed = append(p.dialed, d)
}

// Hangup implements participant.Signalling.
func (p *process) Hangup(participant.Reason) {}

func start(t *testing.T, url, name string) *process {
	t.Helper()
	p := &process{t: t, name: name}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	log := slog.New(slog.DiscardHandler)
	p.sys = actors.NewSystem(log, actors.NewMetrics(nil))
	p.nats, err = natsbus.Connect(t.Context(), natsbus.Config{URL: url, Node: name})
	must(err)
	registry := remote.NewRegistry()
	node.Register(registry)
	r, err := remote.New(p.sys, p.nats.Actors(), remote.Config{Node: name, Registry: registry, Allow: node.Reachable})
	must(err)
	tell := func(e any) { p.sys.Root.Send(p.sys.NewLocalPID(node.ActorName), e) }
	directory, err := claim.New(t.Context(), p.nats.Data(), claim.Config{Node: name, Address: r.Address(), Notify: tell})
	must(err)
	must(directory.Joined(t.Context()))
	p.node, err = node.Start(p.sys, node.Config{
		Name: name, Roles: []string{"media", "signalling"}, Contacts: node.Contacts{SIP: name + ":5060"},
		Rooms: []conference.Config{{Name: "standup", Aliases: []string{"9000"}, Layout: "1+7"}, {Name: "other", Layout: "1+7"}},
	}, node.Deps{
		Log: log, Events: &p.events, Directory: directory, Dialer: p,
		NewBridge: func(room string, notify func(any)) transcoder.Bridge { return p.bridges.New(room, notify) },
		Metrics: node.Collectors{
			Node: node.NewMetrics(nil), Actors: actors.NewMetrics(nil), Conference: conference.NewMetrics(nil),
			Transcoder: transcoder.NewMetrics(nil), Participant: participant.NewMetrics(nil),
		},
	})
	must(err)
	commands := integration.New(integration.Deps{System: p.sys, Node: p.node, Name: name})
	stop, err := p.nats.Serve(natsbus.Service{Version: "1.0.0", Node: name, Program: "test", Endpoints: commands.Endpoints()})
	must(err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := stop(ctx); err != nil {
			t.Errorf("%s: stop serving: %v", name, err)
		}
		if err := node.Stop(ctx, p.sys, p.node); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		_ = directory.Close()
		_ = r.Close()
		_ = p.nats.Close(ctx)
		p.sys.Shutdown()
	})
	return p
}

// admit lets a participant without media into a room.
func (p *process) admit(room, name, role string) string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	id := node.NewCall()
	if _, err := actors.Ask[*node.Admitted](ctx, p.sys, p.node, &node.Admit{
		Call: id, Alias: room, Protocol: "webrtc", Name: name, API: true, Role: role, Signalling: p,
	}); err != nil {
		p.t.Fatalf("admit %s: %v", name, err)
	}
	return string(id)
}

// kinds are the events that this node has published, about participants and
// conferences.
func (p *process) take() (kinds []string) {
	for _, e := range p.events.Take() {
		kinds = append(kinds, bus.KindOf(e))
	}
	return kinds
}

// client is an integration.
type client struct {
	*testing.T
	*nats.Conn
}

func connect(t *testing.T, url string) client {
	t.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return client{t, nc}
}

// ask sends a command, and returns the answer as "CODE text" or as its JSON.
func (c client) ask(command, request string, header ...string) string {
	c.Helper()
	m := nats.NewMsg("sky.api." + command)
	m.Data = []byte(request)
	for i := 0; i+1 < len(header); i += 2 {
		m.Header.Set(header[i], header[i+1])
	}
	r, err := c.RequestMsg(m, patience)
	if err != nil {
		c.Fatalf("%s %s: %v", command, request, err)
	}
	code := r.Header.Get(micro.ErrorCodeHeader)
	if code == "" {
		return string(r.Data)
	}
	var body bus.Error
	if err := json.Unmarshal(r.Data, &body); err != nil || body.Text != r.Header.Get(micro.ErrorHeader) || body.Code == "" {
		c.Errorf("%s: the error's body is %s (%v), its header %q", command, r.Data, err, r.Header.Get(micro.ErrorHeader))
	}
	return code + " " + body.Text
}

func (c client) want(want, command, request string, header ...string) {
	c.Helper()
	if got := c.ask(command, request, header...); got != want {
		c.Errorf("%s %s: got %s, want %s", command, request, got, want)
	}
}

func (c client) conference(room string) (v bus.Conference) {
	c.Helper()
	if err := json.Unmarshal([]byte(c.ask("conference.get", fmt.Sprintf(`{"room":%q}`, room))), &v); err != nil {
		c.Fatal(err)
	}
	return v
}

// cluster is two nodes and one integration. The first node runs the conference
// in "standup", with ann, a host, and bob, a guest.
func cluster(t *testing.T) (a, b *process, c client, ann, bob string) {
	t.Helper()
	url := bustest.Serve(t, embedded.Config{}).URL()
	a, b = start(t, url, "a"), start(t, url, "b")
	c = connect(t, url)
	eventually(t, "both nodes are known everywhere", func() bool {
		for range 20 { // either may answer
			if strings.Count(c.ask("node.list", ""), `"node":`) != 2 {
				return false
			}
		}
		return true
	})
	ann, bob = a.admit("standup", "ann", "host"), a.admit("standup", "bob", "guest")
	eventually(t, "both are in the roster", func() bool {
		v := c.conference("9000")
		return len(v.Participants) == 2
	})
	return a, b, c, ann, bob
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for began := time.Now(); !f(); <-tick.C {
		if time.Since(began) > patience {
			t.Fatalf("not so after %v: %s", patience, what)
		}
	}
}

func TestEveryCommandHasItsEndpoint(t *testing.T) {
	var have, want []string
	for _, e := range integration.New(integration.Deps{}).Endpoints() {
		have = append(have, e.Name)
	}
	for _, c := range bus.Commands() {
		want = append(want, c.Name)
	}
	if !slices.Equal(have, want) {
		t.Errorf("endpoints %v\nwant %v", have, want)
	}
}

// TestCommands gives every command, twenty times to whichever node takes it:
// about half of them go to the node that does not run the conference. What is
// so already is no event.
func TestCommands(t *testing.T) {
	a, _, c, ann, bob := cluster(t)
	state := func(id string) bus.Participant {
		t.Helper()
		for _, p := range c.conference("standup").Participants {
			if p.ID == id {
				return p
			}
		}
		t.Fatalf("%s is not in the roster", id)
		return bus.Participant{}
	}
	of := func(id string) string { return fmt.Sprintf(`{"room":"standup","participant":%q}`, id) }
	room := `{"room":"standup"}`
	tests := []struct {
		command, request string
		event            string
		so               func() bool
	}{
		{"conference.lock", room, "conference.locked", func() bool { return c.conference("standup").Locked }},
		{"conference.unlock", room, "conference.unlocked", func() bool { return !c.conference("standup").Locked }},
		{"conference.layout", `{"room":"9000","layout":"2x2"}`, "conference.layout", func() bool { return c.conference("standup").Layout == "2x2" }},
		{"conference.mute_guests", room, "participant.muted", func() bool { return state(bob).AudioMuted && !state(ann).AudioMuted }},
		{"conference.unmute_guests", room, "participant.unmuted", func() bool { return !state(bob).AudioMuted }},
		{"participant.mute", of(ann), "participant.muted", func() bool { return state(ann).AudioMuted && !state(bob).AudioMuted }},
		{"participant.unmute", of(ann), "participant.unmuted", func() bool { return !state(ann).AudioMuted }},
		{"participant.mute_video", of(bob), "participant.muted", func() bool { return state(bob).VideoMuted && !state(bob).AudioMuted }},
		{"participant.unmute_video", of(bob), "participant.unmuted", func() bool { return !state(bob).VideoMuted }},
		{"participant.spotlight", of(bob), "participant.spotlit", func() bool { return state(bob).Spotlight }},
		{"participant.unspotlight", of(bob), "participant.spotlit", func() bool { return !state(bob).Spotlight }},
		{"participant.raise_hand", of(bob), "participant.raised", func() bool { return state(bob).HandRaised }},
		{"participant.lower_hand", of(bob), "participant.lowered", func() bool { return !state(bob).HandRaised }},
		{"participant.role", fmt.Sprintf(`{"room":"standup","participant":%q,"role":"host"}`, bob), "participant.role", func() bool { return state(bob).Role == "host" }},
	}
	a.take()
	for _, tt := range tests {
		if tt.so() {
			t.Errorf("%s: was so before", tt.command)
		}
		for range 20 {
			c.want("{}", tt.command, tt.request)
		}
		if !tt.so() {
			t.Errorf("%s: is not so", tt.command)
		}
		if got := a.take(); !slices.Equal(got, []string{tt.event}) {
			t.Errorf("%s: events %v, want one %s", tt.command, got, tt.event)
		}
	}

	c.want("{}", "conference.message", fmt.Sprintf(`{"room":"standup","participant":%q,"text":"hello"}`, ann))
	if got := a.take(); !slices.Equal(got, []string{"message.sent"}) {
		t.Errorf("conference.message: events %v", got)
	}
	c.want("{}", "participant.disconnect", of(bob))
	if v := c.conference("standup"); len(v.Participants) != 1 || v.Participants[0].ID != ann {
		t.Errorf("after participant.disconnect: %+v", v.Participants)
	}
	c.want("404 participant: nobody with that id is in the conference", "participant.disconnect", of(bob))
	c.want("{}", "conference.disconnect", room)
	eventually(t, "the conference is over", func() bool {
		return c.ask("conference.get", room) == "404 room: no conference runs in it now"
	})
}

// TestLists runs conferences on both nodes: every node lists both.
func TestLists(t *testing.T) {
	_, b, c, _, _ := cluster(t)
	b.admit("other", "eve", "guest")
	want := map[string]string{"standup": "a 2", "other": "b 1"}
	for range 10 {
		var v bus.Conferences
		if err := json.Unmarshal([]byte(c.ask("conference.list", "{}")), &v); err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, x := range v.Conferences {
			got[x.Room] = fmt.Sprintf("%s %d", x.Node, x.Participants)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
	for range 10 {
		for _, p := range c.conference("standup").Participants {
			if p.Node != "a" || p.Joined == "" || p.Protocol != "webrtc" {
				t.Fatalf("participant %+v", p)
			}
		}
	}
}

// TestDrain drains the node that is asked for, through any.
func TestDrain(t *testing.T) {
	_, _, c, _, _ := cluster(t)
	draining := func(name string) bool {
		var v bus.Node
		if err := json.Unmarshal([]byte(c.ask("node.get", fmt.Sprintf(`{"node":%q}`, name))), &v); err != nil || v.SIP != name+":5060" {
			t.Fatalf("%+v, %v", v, err)
		}
		return v.Draining
	}
	for range 5 {
		c.want("{}", "node.drain", `{"node":"b"}`)
	}
	eventually(t, "b drains", func() bool { return draining("b") })
	if draining("a") {
		t.Error("a drains too")
	}
	c.want("{}", "node.undrain", `{"node":"b"}`)
	eventually(t, "b drains no more", func() bool { return !draining("b") })
}

// TestDialOnce repeats a command that came with an id, at both nodes: one call
// is made, and everybody is told the same.
func TestDialOnce(t *testing.T) {
	a, b, c, _, _ := cluster(t)
	const request = `{"room":"standup","uri":"sip:eve@example.net","name":"Eve","role":"guest"}`
	answers := map[string]bool{}
	for range 20 {
		answers[c.ask("conference.dial", request, nats.MsgIdHdr, "one")] = true
	}
	var d bus.Dialed
	for answer := range answers {
		if err := json.Unmarshal([]byte(answer), &d); err != nil || d.Participant == "" || len(answers) != 1 {
			t.Fatalf("answers %v", answers)
		}
	}
	c.want("409 Nats-Msg-Id: was used for another request", "conference.dial", `{"room":"standup","uri":"sip:bob@example.net"}`, nats.MsgIdHdr, "one")
	if again := c.ask("conference.dial", request, nats.MsgIdHdr, "two"); answers[again] {
		t.Error("another id is another command")
	}
	calls := append(append([]node.Dial{}, a.dialed...), b.dialed...)
	want := node.Dial{Alias: "standup", URI: "sip:eve@example.net", Name: "Eve", Role: "guest"}
	if len(calls) != 2 || calls[0] != want || calls[1] != want {
		t.Errorf("calls %+v, want %+v twice", calls, want)
	}
}

// TestRefusals names the field and the reason.
func TestRefusals(t *testing.T) {
	_, _, c, ann, _ := cluster(t)
	long := strings.Repeat("x", 300)
	tests := []struct{ command, request, want string }{
		{"conference.lock", ``, "400 room: is required"},
		{"conference.lock", `{"room":""}`, "400 room: is required"},
		{"conference.lock", `{"room":7}`, "400 room: want a string, not number"},
		{"conference.lock", `[]`, "400 body: want an object, not array"},
		{"conference.lock", `{"room":"standup"}{}`, "400 body: more than one JSON value"},
		{"conference.lock", `{"room":"standup"`, "400 body: not JSON: unexpected EOF"},
		{"conference.lock", `{"room":"standup","romm":"x"}`, "400 romm: no such field"},
		{"conference.lock", `{"room":"nowhere"}`, "404 room: no such room"},
		{"conference.lock", `{"room":"other"}`, "404 room: no conference runs in it now"},
		{"conference.lock", strings.Repeat(" ", 65<<10), "400 body: more than 65536 bytes"},
		{"conference.list", `{"room":"standup"}`, "400 room: no such field"},
		{"conference.layout", `{"room":"standup"}`, "400 layout: is required"},
		{"conference.layout", `{"room":"standup","layout":"9x9"}`, "400 layout: want one of " + strings.Join(compose.Layouts(), ", ")},
		{"conference.dial", `{"room":"standup"}`, "400 uri: is required"},
		{"conference.dial", `{"room":"standup","uri":"tel:1"}`, "400 uri: want sip:user@host or sips:user@host"},
		{"conference.dial", `{"room":"standup","uri":"sip:a@b\r\nEvil: x"}`, "400 uri: want sip:user@host or sips:user@host"},
		{"conference.dial", `{"room":"standup","uri":"sip:a@b","role":"king"}`, "400 role: want host or guest"},
		{"conference.dial", `{"room":"standup","uri":"sip:a@b","name":"` + long + `"}`, "400 name: longer than 256 bytes"},
		{"conference.dial", `{"room":"standup","uri":"sip:a@b","name":"a\nb"}`, "400 name: has control characters"},
		{"conference.message", `{"room":"standup","text":"x"}`, "400 participant: is required"},
		{"conference.message", `{"room":"standup","participant":"x"}`, "400 text: is required"},
		{"conference.message", `{"room":"standup","participant":"x","text":"x","type":"image/png"}`, "400 type: want text/plain or application/json"},
		{"participant.mute", `{"room":"standup"}`, "400 participant: is required"},
		{"participant.mute", `{"room":"standup","participant":"x"}`, "404 participant: nobody with that id is in the conference"},
		{"participant.disconnect", `{"room":"standup"}`, "400 participant: is required"},
		{"participant.role", `{"room":"standup","participant":"` + ann + `"}`, "400 role: is required"},
		{"participant.role", `{"room":"standup","participant":"` + ann + `","role":"king"}`, "400 role: want host or guest"},
		{"node.get", `{}`, "400 node: is required"},
		{"node.drain", `{"node":"zz"}`, "404 node: no such node now"},
	}
	for _, tt := range tests {
		c.want(tt.want, tt.command, tt.request)
	}
	if v := c.conference("standup"); v.Locked || len(v.Participants) != 2 {
		t.Errorf("something was done all the same: %+v", v)
	}
}

// TestEventsAreNoCommands has the stream push an event to a command's subject, as
// anybody can who may keep a consumer: it has what the command needs, and more.
func TestEventsAreNoCommands(t *testing.T) {
	_, b, c, ann, _ := cluster(t)
	js, err := jetstream.New(c.Conn)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateOrUpdatePushConsumer(t.Context(), natsbus.Stream, jetstream.ConsumerConfig{
		DeliverSubject: "sky.api.participant.disconnect", DeliverGroup: natsbus.ServiceName, FilterSubject: "sky.evt.participant.raised.>", AckPolicy: jetstream.AckNonePolicy,
	}); err != nil {
		t.Fatal(err)
	}
	if err := b.nats.Publish(t.Context(), bus.ParticipantRaised{Room: "standup", Participant: ann, Node: "a"}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the command has been refused", func() bool {
		inbox := nats.NewInbox()
		replies, err := c.SubscribeSync(inbox)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.PublishRequest("$SRV.STATS.skybridge", inbox, nil); err != nil {
			t.Fatal(err)
		}
		refused := 0
		for range 2 { // nodes
			m, err := replies.NextMsg(patience)
			if err != nil {
				t.Fatal(err)
			}
			var stats struct {
				Endpoints []struct {
					Name string
					Data struct{ Errors int }
				}
			}
			if err := json.Unmarshal(m.Data, &stats); err != nil {
				t.Fatal(err)
			}
			for _, e := range stats.Endpoints {
				if e.Name == "participant-disconnect" {
					refused += e.Data.Errors
				}
			}
		}
		return refused == 1
	})
	if v := c.conference("standup"); len(v.Participants) != 2 {
		t.Errorf("%+v", v.Participants)
	}
}
