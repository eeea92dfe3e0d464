package node_test

import (
	"context"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/goleak"

	"github.com/skybridge-media/skybridge/actors"
	"github.com/skybridge-media/skybridge/actors/actortest"
	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/actors/node"
	"github.com/skybridge-media/skybridge/actors/participant"
	"github.com/skybridge-media/skybridge/actors/transcoder"
	"github.com/skybridge-media/skybridge/bus"
	"github.com/skybridge-media/skybridge/bus/claim"
	"github.com/skybridge-media/skybridge/bus/embedded"
	"github.com/skybridge-media/skybridge/bus/natsbus"
	"github.com/skybridge-media/skybridge/bus/remote"
	plan "github.com/skybridge-media/skybridge/media/bridge"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long things may take that the network has a part in.
const patience = 20 * time.Second

// process is a node with all that a process has: NATS, remote actors and a
// directory on JetStream. Several of them are in this process.
type process struct {
	t         *testing.T
	name      string
	sys       *actor.ActorSystem
	nats      *natsbus.Bus
	remote    *remote.Remote
	directory *claim.Directory
	node      *actor.PID
	events    actortest.Events
	bridges   actortest.Bridges
}

func startProcess(t *testing.T, url, name string, roles ...string) *process {
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
	p.remote, err = remote.New(p.sys, p.nats.Actors(), remote.Config{Node: name, Registry: registry, Allow: node.Reachable})
	must(err)
	tell := func(e any) { p.sys.Root.Send(p.sys.NewLocalPID(node.ActorName), e) }
	p.directory, err = claim.New(t.Context(), p.nats.Data(), claim.Config{
		Node: name, Address: p.remote.Address(), Notify: tell,
	})
	must(err)
	must(p.directory.Joined(t.Context()))
	p.node, err = node.Start(p.sys, node.Config{
		Name: name, Roles: roles, AdHoc: &conference.Config{}, Contacts: node.Contacts{SIP: name + ":5060"},
	}, node.Deps{
		Log: log, Events: &p.events, Directory: p.directory,
		NewBridge: func(room string, notify func(any)) transcoder.Bridge { return p.bridges.New(room, notify) },
		Metrics: node.Collectors{
			Node: node.NewMetrics(nil), Actors: actors.NewMetrics(nil), Conference: conference.NewMetrics(nil),
			Transcoder: transcoder.NewMetrics(nil), Participant: participant.NewMetrics(nil),
		},
	})
	must(err)
	t.Cleanup(p.stop)
	return p
}

// stop ends the process in order, also one that was cut off.
func (p *process) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := node.Stop(ctx, p.sys, p.node); err != nil {
		p.t.Errorf("%s: %v", p.name, err)
	}
	_ = p.directory.Close()
	_ = p.remote.Close()
	_ = p.nats.Close(ctx)
	p.sys.Shutdown()
}

// cut ends the process as far as the others can tell, without a word.
func (p *process) cut() {
	p.nats.Actors().Close()
	p.nats.Data().Close()
}

// Hangup implements participant.Signalling.
func (p *process) Hangup(participant.Reason) {}

func askIt[R any](p *process, to *actor.PID, msg any) (R, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return actors.Ask[R](ctx, p.sys, to, msg)
}

// admit returns the participant, or the node that the caller is sent to.
func (p *process) admit(call, alias string) (*actor.PID, string) {
	p.t.Helper()
	r, err := askIt[any](p, p.node, &node.Admit{
		Call: participant.ID(call), Alias: alias, Protocol: "sip", Audio: true, Signalling: p,
	})
	switch r := r.(type) {
	case *node.Admitted:
		return r.Participant, ""
	case *node.Redirect:
		return nil, r.Node
	}
	p.t.Errorf("admit %s at %s: %v", call, p.name, err)
	return nil, ""
}

// find returns the conference, nil while there is none or it is out of reach.
func (p *process) find(alias string, create bool) *node.Found {
	f, err := askIt[*node.Found](p, p.node, &node.Find{Alias: alias, Create: create})
	if err != nil || f.Conference == nil {
		return nil
	}
	return f
}

func (p *process) roster(alias string) *conference.Roster {
	f := p.find(alias, false)
	if f == nil {
		return nil
	}
	r, _ := askIt[*conference.Roster](p, f.Conference, &conference.GetRoster{})
	return r
}

// eventually waits for something that happens by itself, and says how long it
// took.
func eventually(t *testing.T, what string, f func() bool) time.Duration {
	t.Helper()
	start := time.Now()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		if time.Since(start) > patience {
			t.Fatalf("still not so after %v: %s", patience, what)
		}
		<-tick.C
	}
	return time.Since(start)
}

func names(r *conference.Roster) string {
	var ids []string
	for _, p := range r.GetParticipants() {
		ids = append(ids, p.Id)
	}
	slices.Sort(ids)
	return strings.Join(ids, " ")
}

func (p *process) kinds(want string) (count int) {
	for _, e := range p.events.All() {
		if bus.KindOf(e) == want {
			count++
		}
	}
	return count
}

// TestOneConferenceOverNATS dials the same room on two nodes at once: there is
// one conference, commands and rosters cross, and the loss of the owner is not
// noticed by calls.
func TestOneConferenceOverNATS(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds of real time")
	}
	server, err := embedded.Start(embedded.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	owner := startProcess(t, server.URL(), "owner")
	media := startProcess(t, server.URL(), "media", node.RoleMedia)

	eventually(t, "both know each other", func() bool {
		return len(owner.directory.Nodes()) == 2 && len(media.directory.Nodes()) == 2
	})
	if f := owner.find("Room", true); f == nil || f.Here || f.Node != "media" || f.Contacts.SIP != "media:5060" {
		t.Fatalf("found %+v, want a conference with media on the other node", f)
	}
	if pid, elsewhere := owner.admit("x", "sip:room@example.com"); pid != nil || elsewhere != "media" {
		t.Fatalf("admitted %v, sent to %q", pid, elsewhere)
	}
	var wg sync.WaitGroup
	calls := make([]*actor.PID, 5)
	ports := make([]actortest.Port, len(calls))
	for i := range calls {
		wg.Go(func() {
			calls[i], _ = media.admit(string(rune('a'+i)), "ROOM")
			if calls[i] != nil {
				media.sys.Root.Send(calls[i], &participant.Connect{Port: &ports[i]})
			}
		})
	}
	wg.Wait()
	eventually(t, "rosters are complete on both nodes", func() bool {
		return names(owner.roster("room")) == "a b c d e" && names(media.roster("room")) == "a b c d e"
	})
	if n := owner.kinds("conference.started") + media.kinds("conference.started"); n != 1 {
		t.Errorf("the conference began %d times", n)
	}

	// Mute across nodes, from the one that has no media.
	if _, err := askIt[*conference.Done](owner, owner.find("room", false).Conference, &conference.Mute{Id: "b", On: true}); err != nil {
		t.Fatal(err)
	}
	bridge := media.bridges.Open()[0]
	took := eventually(t, "b is muted in the mix", func() bool {
		return slices.ContainsFunc(bridge.Plan().Members, func(m plan.Member) bool { return m.ID == "b" && m.AudioMuted })
	})
	t.Logf("muted across nodes after %v", took)
	eventually(t, "all are connected", func() bool { return len(bridge.Legs()) == len(calls) })

	owner.cut()
	took = eventually(t, "the other node owns the conference", func() bool { return media.kinds("conference.moved") == 1 })
	t.Logf("owner replaced after %v", took)
	eventually(t, "the roster is complete again", func() bool { return names(media.roster("room")) == "a b c d e" })
	if open := media.bridges.Open(); len(open) != 1 || open[0] != bridge || len(bridge.Legs()) != len(calls) {
		t.Errorf("the media was touched: %d bridges, legs %v", len(open), bridge.Legs())
	}
	for i := range ports {
		if ports[i].Closed() != 0 {
			t.Errorf("call %d ended", i)
		}
	}
	for _, p := range media.roster("room").GetParticipants() {
		if p.AudioMuted != (p.Id == "b") {
			t.Errorf("%s muted: %v", p.Id, p.AudioMuted)
		}
	}
	if pid, _ := media.admit("late", "room"); pid == nil {
		t.Error("a newcomer is not admitted")
	}
}

// TestWithoutNATS takes NATS away during a call: the call goes on, rooms can
// still be entered, and everything is claimed when NATS is back.
func TestWithoutNATS(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds of real time")
	}
	cfg := embedded.Config{Dir: t.TempDir()}
	server, err := embedded.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	url := server.URL()
	p := startProcess(t, url, "n", node.RoleMedia)
	if pid, _ := p.admit("a", "known"); pid == nil {
		t.Fatal("not admitted")
	}
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the node knows that it is alone", func() bool { return !p.directory.Valid() })
	if pid, _ := p.admit("b", "known"); pid == nil {
		t.Error("not admitted to the running conference")
	}
	if pid, _ := p.admit("c", "new"); pid == nil {
		t.Error("not admitted to another room")
	}
	if got := names(p.roster("known")); got != "a b" {
		t.Errorf("in the conference: %q, want a and b", got)
	}

	_, port, err := net.SplitHostPort(strings.TrimPrefix(url, "nats://"))
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Port, err = strconv.Atoi(port); err != nil {
		t.Fatal(err)
	}
	if server, err = embedded.Start(cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	took := eventually(t, "everything is claimed", func() bool {
		owned, err := askIt[*node.Conferences](p, p.node, &node.GetConferences{})
		return err == nil && len(owned.Owned) == 2 && owned.Owned[0].Epoch > 0 && owned.Owned[1].Epoch > 0
	})
	t.Logf("claimed again after %v", took)
	if n := p.kinds("participant.left") + p.kinds("conference.ended"); n != 0 {
		t.Errorf("%d ends were published", n)
	}
}

// TestNodeLostOverNATS cuts off the node with the media: its participants have
// left within two seconds.
func TestNodeLostOverNATS(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds of real time")
	}
	server, err := embedded.Start(embedded.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	owner := startProcess(t, server.URL(), "owner")
	media := startProcess(t, server.URL(), "media", node.RoleMedia)
	eventually(t, "both know each other", func() bool {
		return len(owner.directory.Nodes()) == 2 && len(media.directory.Nodes()) == 2
	})
	owner.find("room", true)
	if pid, _ := media.admit("a", "room"); pid == nil {
		t.Fatal("not admitted")
	}
	media.cut()
	took := eventually(t, "its participant has left", func() bool { return owner.kinds("participant.left") == 1 })
	t.Logf("participants left after %v", took)
	if took > 2*time.Second {
		t.Errorf("it took %v, want less than 2 s", took)
	}
	for _, e := range owner.events.All() {
		if e, ok := e.(bus.ParticipantLeft); ok && (e.Reason != "node_lost" || e.Node != "media") {
			t.Errorf("published %+v", e)
		}
	}
}
