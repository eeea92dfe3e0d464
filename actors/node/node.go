// Package node is the top supervisor of a process. It knows the rooms, finds or
// starts the conference behind an alias, has the actors of this process's calls
// and media as children, and tells the other nodes what it can take.
//
//	node
//	├── conference/<room>/<n>    those that this node owns
//	├── transcoder/<room>/<n>    those whose media is here
//	└── participant/<call>       every call of this process
//
// # One conference in the cluster
//
// Whoever needs a conference claims its name in the [Directory]. The winner
// starts the actor; the others ask the winner's node for it ([Locate]). When an
// owner is lost, every node that has something of the conference claims again;
// the transcoder brings the winner the roster, and then the calls follow. When
// the directory is out of reach, a conference is started here without its word,
// so that rooms can be entered all the same; it is claimed later. If somebody
// else has it by then, both go on until one is empty, or until the other wants
// its media here, which makes them one.
//
// # Capacity
//
// A call leases what it will cost of the node's CPU before it is answered, so
// that those who come at the same moment cannot all be promised the same. What
// a conference leases is worked out from the calls that it has here: a unit for
// each that needs a picture encoded for itself, a fraction for the audience
// that shares one. A call that does not fit is sent to the node that has the
// conference's media, or could have it, and is refused at once where there is
// none. Those that were admitted keep what they have, and ask ([Reserve]) before
// they take more: a call that adds video where there is no room stays as it is.
//
// # Failures
//
// A panic in a child ends that child. A panic in the node actor itself loses
// the message at hand and nothing else ([actors.Survive]).
//
// # Mailbox
//
// Bounded to 10,000 messages; a call that does not fit is refused at once, as
// when no capacity is left.
package node

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/skybridge-media/skybridge/actors"
	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/actors/participant"
	"github.com/skybridge-media/skybridge/actors/testcall"
	"github.com/skybridge-media/skybridge/actors/transcoder"
	"github.com/skybridge-media/skybridge/bus"
	"github.com/skybridge-media/skybridge/bus/claim"
	"github.com/skybridge-media/skybridge/bus/remote"
)

const (
	mailboxLimit = 10_000

	// tickEvery is how often the node looks after what nobody tells it.
	tickEvery = time.Second
)

// Config says what the node is.
type Config struct {
	Name    string   // unique in the cluster
	Version string   // of the program, for events
	Roles   []string // see [RoleMedia]

	// Rooms are those that exist; AdHoc is the template for any other that
	// somebody calls, nil when there are none. The name of an ad hoc room is
	// what was dialled.
	Rooms []conference.Config
	AdHoc *conference.Config

	// MaxCalls is the most calls at a time. Zero means no limit.
	MaxCalls int

	// Capacity is what calls lease from, if the node has [RoleMedia]; see
	// [SetCapacity]. The zero value means no limit.
	Capacity Capacity

	// Contacts are where this node takes calls, for the others to know.
	Contacts Contacts
}

// Deps are the node's collaborators. Log, Events, Metrics, Directory and, with
// RoleMedia, NewBridge are required.
type Deps struct {
	Log       *slog.Logger
	Events    bus.Publisher
	Metrics   Collectors
	Directory Directory

	// NewBridge makes the media of a conference; see transcoder.Deps.
	NewBridge func(room string, notify func(event any)) transcoder.Bridge

	// TestCall is what test calls are made with; required if a room has Test.
	TestCall testcall.Media

	// Reception is where callers are asked for a PIN. Without Reception.Open
	// nobody is.
	Reception participant.Reception

	// Dialer places outgoing calls. nil: there are none.
	Dialer Dialer
}

// Collectors are the metrics of the node actor and of its children.
type Collectors struct {
	Node        *Metrics
	Actors      *actors.Metrics
	Conference  *conference.Metrics
	Transcoder  *transcoder.Metrics
	Participant *participant.Metrics
	TestCall    *testcall.Metrics // required if a room has Test
}

// Start starts the node actor of a system. It fails when the rooms contradict
// each other, and when the system has a node actor already.
func Start(sys *actor.ActorSystem, cfg Config, deps Deps) (*actor.PID, error) {
	props, err := Props(cfg, deps)
	if err != nil {
		return nil, err
	}
	pid, err := sys.Root.SpawnNamed(props.Configure(actors.Survive()), ActorName)
	if err != nil {
		return nil, fmt.Errorf("start node: %w", err)
	}
	return pid, nil
}

// Stop ends every call with reason node_stopping, gives every conference up and
// stops the node actor, within the time of ctx.
func Stop(ctx context.Context, sys *actor.ActorSystem, pid *actor.PID) error {
	if _, err := actors.Ask[*Status](ctx, sys, pid, &Shutdown{}); err != nil {
		sys.Logger().Warn("node did not shut down in order", "err", err)
	}
	return actors.Stop(ctx, sys, pid)
}

// Props describes the node actor, whose name is [ActorName].
func Props(cfg Config, deps Deps) (*actor.Props, error) {
	rooms, err := newRooms(cfg.Rooms, cfg.AdHoc)
	if err != nil {
		return nil, err
	}
	return actor.PropsFromProducer(func() actor.Actor {
		return &node{
			Config: cfg, Deps: deps, rooms: rooms,
			table: map[string]*room{}, calls: map[participant.ID]*call{},
			ledger: ledger{capacity: cfg.capacity()},
		}
	}, actors.Supervise(), actors.Mailbox("node", mailboxLimit, deps.Log, deps.Metrics.Actors)), nil
}

type node struct {
	Config
	Deps
	rooms     *rooms
	doors     doors
	placement *placement
	ledger    ledger
	table     map[string]*room // by key
	calls     map[participant.ID]*call
	seq       int // for names of children

	draining bool
	valid    bool // the directory's word, when last asked
	stopping stopping

	announced []byte
	stopTimer func() bool
	deafen    func() // ends the subscription to the system's events
}

// tick is sent to self every tickEvery.
type tick struct{}

func (n *node) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		n.started(c)
	case *actor.Stopped:
		n.release()
	case *actor.Terminated:
		n.terminated(c, m)
	case *Authorize:
		n.authorize(c, m)
	case *Admit:
		n.admit(c, m)
	case *Reserve:
		n.reserve(c, m)
	case *SetCapacity:
		n.setCapacity(m.Capacity)
	case *participant.Enter:
		n.enter(c, m)
	case *participant.Admitted:
		n.admitted(c, m)
	case *participant.Refused:
		n.refused(c, m)
	case *participant.Elsewhere:
		n.elsewhere(c, m)
	case *participant.Lost:
		n.lostBy(c, m)
	case *conference.OpenMedia:
		n.openMedia(c, m)
	case *conference.Ended:
		n.conferenceEnded(c, m)
	case *transcoder.Arranged:
		n.arranged(m)
	case *transcoder.Closing:
		n.mediaClosing(c, m)
	case *transcoder.Emptied:
		c.Stop(m.Transcoder)
	case *Locate:
		n.locateFor(c, m)
	case *Find:
		n.findFor(c, m)
	case *Dial:
		n.dial(c, m)
	case *PlaceCall:
		n.placeCall(c, m)
	case *Drain:
		n.drain(c, m)
	case *GetStatus:
		c.Respond(n.status())
	case *GetConferences:
		c.Respond(n.conferences())
	case *ListConferences:
		c.Respond(n.conferenceList())
	case *GetNodes:
		c.Respond(n.nodes())
	case *SetDrain:
		n.setDraining(m.On)
		c.Respond(&conference.Done{})
	case *Shutdown:
		n.shutdown(c)
	default:
		n.toSelf(c)
	}
}

// toSelf handles what the node has sent to itself.
func (n *node) toSelf(c actor.Context) {
	switch m := c.Message().(type) {
	case *claimed:
		n.claimed(c, m)
	case *released:
		n.released(c, m)
	case *findAgain:
		n.findAgain(c, m)
	case *followLater:
		n.followLater(c, m)
	case *reclaimed:
		n.reclaimed(c, m)
	case *expired:
		n.expired(c, m)
	case *tick:
		n.tick(c)
	case *remote.Renewed:
		n.renewed(c)
	case *remote.LinkGap:
		n.resync(c, m.Address)
	case *claim.Restored:
		n.reclaimAll(c)
	case *claim.Lost:
		n.lostNames(c, m.Names)
	case *claim.Expired, *claim.Fenced, *claim.Replaced:
		n.Log.Warn("directory", "event", fmt.Sprintf("%T", m))
	case *remote.PeerDown:
		n.publish(bus.NodeLost{
			Node: remote.NodeOf(m.Address), Address: m.Address, Observer: n.Name, Reason: m.Reason,
		})
	default:
		actors.Ignore(c)
	}
}

func (n *node) started(c actor.Context) {
	n.placement = &placement{directory: n.Directory, name: n.Name, self: c.Self()}
	n.valid = n.Directory.Valid()
	n.announce()
	n.measureLeases()
	n.stopTimer = actors.After(c, tickEvery, &tick{})
	n.publish(bus.NodeStarted{
		Node: n.Name, Address: n.address(), Version: n.Version, Roles: strings.Join(n.Roles, ","),
	})

	root, self, events := c.ActorSystem().Root, c.Self(), c.ActorSystem().EventStream
	sub := events.Subscribe(func(e any) {
		switch e.(type) {
		case *remote.Renewed, *remote.LinkGap, *remote.PeerDown:
			root.Send(self, e)
		}
	})
	n.deafen = func() { events.Unsubscribe(sub) }
}

// release gives back what outlives the actor.
func (n *node) release() {
	n.stopTimer()
	n.deafen()
	n.Metrics.Node.calls.Set(0)
	n.Metrics.Node.leased.Set(0)
	n.Metrics.Node.owned.Set(0)
	n.Metrics.Node.unclaimed.Set(0)
}

func (n *node) tick(c actor.Context) {
	n.stopTimer = actors.After(c, tickEvery, &tick{})
	n.reconcile(c)
	n.announce()
	n.measure()
}

// terminated handles the end of children and of conferences elsewhere.
func (n *node) terminated(c actor.Context, m *actor.Terminated) {
	if id, ok := strings.CutPrefix(m.Who.Id, c.Self().Id+"/participant/"); ok {
		if k := n.calls[participant.ID(id)]; k != nil && k.pid != nil && k.pid.Equal(m.Who) {
			n.callGone(c, k)
		}
		return
	}
	for _, r := range n.table {
		switch {
		case r.transcoder != nil && r.transcoder.Equal(m.Who):
			n.mediaHere(r, nil)
			n.tidy(c, r)
			return
		case r.conference != nil && r.conference.Equal(m.Who):
			n.conferenceGone(c, r, m)
			return
		}
	}
}

func (n *node) publish(e bus.Event) {
	if err := n.Events.Publish(context.Background(), e); err != nil {
		n.Log.Warn("event not published", "subject", e.Subject(), "err", err)
	}
}

// childName names an actor for a room. It is never used again: who has it from
// before cannot reach the next one.
func childName(kind, key string, n int) string {
	return fmt.Sprintf("%s/%s/%d", kind, bus.Token(key), n)
}
