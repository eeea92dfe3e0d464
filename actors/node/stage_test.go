package node_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	"github.com/skybridge-media/skybridge/actors"
	"github.com/skybridge-media/skybridge/actors/actortest"
	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/actors/node"
	"github.com/skybridge-media/skybridge/actors/participant"
	"github.com/skybridge-media/skybridge/actors/transcoder"
	"github.com/skybridge-media/skybridge/bus"
	media "github.com/skybridge-media/skybridge/media/bridge"
)

// stage is a cluster of nodes with calls, and with notes of what they do.
type stage struct {
	*testing.T
	cluster *actortest.Cluster
	nodes   map[string]*member
	calls   map[string]*call

	newBridge func(room string, notify func(any)) transcoder.Bridge // nil: without media

	mu    sync.Mutex
	notes []string
}

// member is a node of the stage, and its Dialer and Publisher. What its actors
// call can be made to panic.
type member struct {
	*actortest.Node
	s        *stage
	pid      *actor.PID
	events   actortest.Events
	bridges  actortest.Bridges
	metrics  node.Collectors
	registry *prometheus.Registry   // of the actors' metrics
	fault    atomic.Pointer[string] // what panics next
	parting  atomic.Int64           // how long a desk takes to let go of a caller
}

func (n *member) panicNext(what string) { n.fault.Store(&what) }

// mayPanic is called where what happens.
func (n *member) mayPanic(what string) {
	if p := n.fault.Load(); p != nil && *p == what && n.fault.CompareAndSwap(p, nil) {
		panic(what)
	}
}

// Publish implements bus.Publisher.
func (n *member) Publish(ctx context.Context, e bus.Event) error {
	n.mayPanic(bus.KindOf(e))
	return n.events.Publish(ctx, e)
}

// bridge is a member's bridge.
type bridge struct {
	*actortest.Bridge
	n *member
}

// Apply implements transcoder.Bridge.
func (b bridge) Apply(p *media.Plan) {
	b.n.mayPanic("plan")
	b.Bridge.Apply(p)
}

// call is one call, and its Signalling.
type call struct {
	s    *stage
	id   string
	node *member
	pid  *actor.PID
	port *actortest.Port
	conf *actor.PID // as the answer to Admit named it

	mu    sync.Mutex
	ended []string // reasons of hang-ups
}

// run runs f in a bubble with an empty stage, and ends what is left of it.
func run(t *testing.T, f func(s *stage)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		wire := []proto.Message{}
		for _, w := range []map[uint32]proto.Message{conference.Wire(), node.Wire()} {
			for _, m := range w {
				wire = append(wire, m)
			}
		}
		s := &stage{
			T: t, nodes: map[string]*member{}, calls: map[string]*call{},
			cluster: actortest.NewCluster(t, wire, &conference.Address{}, "node"),
		}
		defer s.end() // also when f gives up, or nobody would hear why
		f(s)
	})
}

// end stops what is left, and checks that nothing remains of it.
func (s *stage) end() {
	for _, n := range s.nodes {
		n.stop()
	}
	synctest.Wait()
	for _, n := range s.nodes {
		n.System.Shutdown()
	}
	time.Sleep(time.Minute) // let timers and the dead-letter throttle run out
	for name, n := range s.nodes {
		if open := n.bridges.Open(); len(open) != 0 {
			s.Errorf("%s: %d bridges are still open", name, len(open))
		}
	}
	for _, c := range s.calls {
		if c.port != nil && (c.port.Closed() != 1 || c.port.ClosedEarly()) {
			s.Errorf("%s: port closed %d times, early: %v", c.id, c.port.Closed(), c.port.ClosedEarly())
		}
		if len(c.ended) > 1 {
			s.Errorf("%s: hung up %d times: %q", c.id, len(c.ended), c.ended)
		}
	}
}

// start adds a node.
func (s *stage) start(name string, cfg node.Config) *member {
	s.Helper()
	registry := prometheus.NewRegistry()
	n := &member{Node: s.cluster.Join(name), s: s, registry: registry, metrics: node.Collectors{
		Node: node.NewMetrics(nil), Actors: actors.NewMetrics(registry), Conference: conference.NewMetrics(nil),
		Transcoder: transcoder.NewMetrics(nil), Participant: participant.NewMetrics(nil),
	}}
	cfg.Name = name
	cfg.Contacts = node.Contacts{SIP: name + ":5060"}
	pid, err := node.Start(n.System, cfg, node.Deps{
		Log: slog.New(slog.DiscardHandler), Events: n, Directory: n.Directory,
		Dialer: n,
		NewBridge: func(room string, notify func(any)) transcoder.Bridge {
			if s.newBridge != nil {
				return s.newBridge(room, notify)
			}
			return bridge{n.bridges.New(room, notify), n}
		},
		Metrics: n.metrics, Reception: n.reception(),
	})
	if err != nil {
		s.Fatal(err)
	}
	n.pid = pid
	s.nodes[name] = n
	synctest.Wait()
	n.events.Take()
	return n
}

// stop ends a node in order, within a minute.
func (n *member) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := node.Stop(ctx, n.System, n.pid); err != nil {
		n.Error(err)
	}
	if err := actors.Stop(ctx, n.System, n.Self); err != nil {
		n.Error(err)
	}
}

// Dial implements node.Dialer.
func (n *member) Dial(_ participant.ID, d node.Dial) {
	n.mayPanic("dial")
	n.s.note("%s dials %s as %s into %s", n.Name, d.URI, d.Name, d.Alias)
}

// admit asks for a place and says what was answered.
func (s *stage) admit(n *member, m node.Admit) string {
	s.Helper()
	c := &call{s: s, id: string(m.Call), node: n}
	m.Signalling = c
	reply, err := actortest.Ask[any](n.Bench, n.pid, &m)
	switch r := reply.(type) {
	case nil:
		return fmt.Sprintf("refused: %v (%s)", err, bus.CodeOf(err))
	case *node.Redirect:
		return fmt.Sprintf("redirected to %s, %s", r.Node, r.Contacts.SIP)
	case *node.Admitted:
		c.pid, c.conf = r.Participant, r.Conference
		s.calls[c.id] = c
		return "admitted to " + r.Room
	default:
		return fmt.Sprintf("%T", r)
	}
}

// connect gives a call its media.
func (c *call) connect() {
	c.port = &actortest.Port{}
	c.node.Send(c.pid, &participant.Connect{Port: c.port})
	synctest.Wait()
}

// Hangup implements participant.Signalling.
func (c *call) Hangup(r participant.Reason) {
	c.mu.Lock()
	c.ended = append(c.ended, r.Code)
	c.mu.Unlock()
	c.s.note("%s is hung up on: %s", c.id, r.Code)
	c.node.mayPanic("hangup")
}

func (s *stage) note(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notes = append(s.notes, fmt.Sprintf(format, args...))
}

// flush says what has been noted and published since last asked.
func (s *stage) flush() string {
	synctest.Wait()
	var out strings.Builder
	s.mu.Lock()
	slices.Sort(s.notes)
	for _, l := range s.notes {
		fmt.Fprintln(&out, l)
	}
	s.notes = nil
	s.mu.Unlock()
	for _, name := range s.names() {
		for _, e := range s.nodes[name].events.Take() {
			fmt.Fprintf(&out, "%s: %s\n", name, brief(e))
		}
	}
	return out.String()
}

func (s *stage) names() (names []string) {
	for name := range s.nodes {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// conference returns the conference of a room as a node finds it; nil if there
// is none.
func (s *stage) conference(n *member, room string) *actor.PID {
	s.Helper()
	f, err := actortest.Ask[*node.Found](n.Bench, n.pid, &node.Find{Alias: room})
	if err != nil {
		s.Errorf("find %s: %v", room, err)
		return nil
	}
	return f.Conference
}

// roster asks a node for who is in a room.
func (s *stage) roster(n *member, room string) *conference.Roster {
	s.Helper()
	pid := s.conference(n, room)
	if pid == nil {
		return nil
	}
	r, err := actortest.Ask[*conference.Roster](n.Bench, pid, &conference.GetRoster{})
	if err != nil {
		s.Errorf("roster of %s: %v", room, err)
	}
	return r
}

// brief is an event in few words.
func brief(e bus.Event) string {
	kind := bus.KindOf(e)
	switch e := e.(type) {
	case bus.ConferenceStarted:
		return kind + " " + e.Room
	case bus.ConferenceEnded:
		return fmt.Sprintf("%s %s %s, %d in all", kind, e.Room, e.Reason, e.Participants)
	case bus.ConferenceMoved:
		return fmt.Sprintf("%s %s from %s", kind, e.Room, e.From)
	case bus.ParticipantJoined:
		return kind + " " + e.Participant + " " + e.Room
	case bus.ParticipantConnected:
		return kind + " " + e.Participant
	case bus.ParticipantLeft:
		return kind + " " + e.Participant + " " + e.Reason
	case bus.ParticipantMuted:
		return kind + " " + e.Participant + " " + e.Medium
	case bus.ParticipantPressed:
		return kind + " " + e.Participant + " " + e.Digit
	case bus.NodeStopped:
		return kind + " " + e.Node + " " + e.Reason
	}
	return kind
}
