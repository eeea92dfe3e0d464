package actortest

import (
	"fmt"
	"sync"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/skybridge-media/skybridge/bus"
	"github.com/skybridge-media/skybridge/bus/claim"
)

// local is the address of every system's own actors.
const local = "nonhost"

// A Cluster joins several actor systems of one bubble the way bus/remote joins
// processes: messages are copied, addresses translated, watchers told when a
// node is lost. There is no network, so everything happens in fake time. Safe
// for concurrent use.
type Cluster struct {
	t       *testing.T
	wire    map[protoreflect.FullName]bool // types that may cross
	address map[protoreflect.FullName]string

	mu     sync.Mutex
	nodes  map[string]*Node // by address
	memory *claim.Memory    // the first node's
}

// A Node is one system of a Cluster.
type Node struct {
	Name, Address string
	*Bench
	Directory *Directory

	cluster  *Cluster
	watchers []watch // of actors here, with addresses as a third node sees them
	dead     bool
}

// NewCluster returns a cluster without nodes, in the caller's bubble. wire
// lists the messages that may cross nodes; address is the type of actors'
// addresses in them, and field the name of its field for the node.
func NewCluster(t *testing.T, wire []proto.Message, address proto.Message, field string) *Cluster {
	c := &Cluster{
		t: t, nodes: map[string]*Node{},
		wire: map[protoreflect.FullName]bool{nameOf(&actor.DeadLetterResponse{}): true},
		address: map[protoreflect.FullName]string{
			nameOf(&actor.PID{}): "Address", nameOf(address): field,
		},
	}
	for _, m := range wire {
		c.wire[nameOf(m)] = true
	}
	return c
}

func nameOf(m proto.Message) protoreflect.FullName { return m.ProtoReflect().Descriptor().FullName() }

// Join adds a node with a system of its own.
func (c *Cluster) Join(name string) *Node {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	n := &Node{Name: name, Address: fmt.Sprintf("%s@%d", name, len(c.nodes)+1), Bench: New(c.t), cluster: c}
	n.System.ProcessRegistry.RegisterAddressResolver(func(pid *actor.PID) (actor.Process, bool) {
		return link{n, pid.Address}, pid.Address != n.Address
	})
	c.nodes[n.Address] = n
	if c.memory == nil {
		c.memory = claim.NewMemory(name, n.Address)
		n.Directory = &Directory{Memory: c.memory}
	} else {
		n.Directory = &Directory{Memory: c.memory.Join(name, n.Address)}
	}
	return n
}

// Kill loses a node: nothing reaches it or leaves it any more, whoever watches
// its actors is told, and its session in the directory runs out.
func (c *Cluster) Kill(n *Node) {
	c.mu.Lock()
	n.dead = true
	c.mu.Unlock()
	n.Directory.lose()
	c.Presume(n)
}

// Presume makes everybody believe that a node is lost, which is not: whoever
// watches its actors is told.
func (c *Cluster) Presume(n *Node) {
	c.mu.Lock()
	watchers := n.watchers
	n.watchers = nil
	c.mu.Unlock()
	for _, w := range watchers {
		if to := c.node(w.watcher.Address); to != nil {
			to.deliver(actor.NewPID(local, w.watcher.Id),
				&actor.Terminated{Who: w.watched, Why: actor.TerminatedReason_AddressTerminated})
		}
	}
}

// node returns a living node.
func (c *Cluster) node(address string) *Node {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := c.nodes[address]; n != nil && !n.dead {
		return n
	}
	return nil
}

// link is what one node sees of another.
type link struct {
	from *Node
	to   string
}

// SendUserMessage implements [actor.Process].
func (l link) SendUserMessage(pid *actor.PID, message any) {
	c := l.from.cluster
	to := c.node(l.to)
	_, msg, sender := actor.UnwrapEnvelope(message)
	if to == nil || c.node(l.from.Address) == nil {
		l.from.System.DeadLetter.SendUserMessage(pid, message)
		return
	}
	switch m := msg.(type) {
	case *bus.Error:
		e := *m
		msg = &e
	case proto.Message:
		if !c.wire[nameOf(m)] {
			c.t.Errorf("%s sends %T to %s, which may not cross nodes", l.from.Name, m, pid.Id)
		}
		m = proto.Clone(m)
		c.translate(m.ProtoReflect(), l.from, to)
		msg = m
	default:
		c.t.Errorf("%s sends %T to %s, which cannot cross nodes", l.from.Name, m, pid.Id)
		return
	}
	target := actor.NewPID(local, pid.Id)
	if sender == nil {
		to.System.Root.Send(target, msg)
		return
	}
	to.System.Root.RequestWithCustomSender(target, msg, actor.NewPID(c.translated(sender.Address, l.from, to), sender.Id))
}

// SendSystemMessage implements [actor.Process].
func (l link) SendSystemMessage(pid *actor.PID, message any) {
	c := l.from.cluster
	to := c.node(l.to)
	if to == nil || c.node(l.from.Address) == nil {
		if m, ok := message.(*actor.Watch); ok {
			if p, ok := l.from.System.ProcessRegistry.Get(m.Watcher); ok {
				p.SendSystemMessage(m.Watcher, &actor.Terminated{Who: pid, Why: actor.TerminatedReason_AddressTerminated})
			}
		}
		return
	}
	if m, ok := message.(*actor.Watch); ok {
		c.mu.Lock()
		to.watchers = append(to.watchers, watch{
			watcher: actor.NewPID(c.translated(m.Watcher.Address, l.from, nil), m.Watcher.Id),
			watched: actor.NewPID(l.to, pid.Id),
		})
		c.mu.Unlock()
	}
	m := proto.Clone(message.(proto.Message))
	c.translate(m.ProtoReflect(), l.from, to)
	to.deliver(actor.NewPID(local, pid.Id), m)
}

// Stop implements [actor.Process].
func (l link) Stop(pid *actor.PID) { l.SendSystemMessage(pid, &actor.Stop{}) }

func (n *Node) deliver(to *actor.PID, m any) {
	p, ok := n.System.ProcessRegistry.Get(to)
	switch {
	case ok:
		if _, stop := m.(*actor.Stop); stop {
			p.Stop(to)
			return
		}
		p.SendSystemMessage(to, m)
	default:
		n.System.DeadLetter.SendSystemMessage(to, m)
	}
}

// translate rewrites the addresses in m, sent by one node, for another.
func (c *Cluster) translate(m protoreflect.Message, from, to *Node) {
	if field, ok := c.address[m.Descriptor().FullName()]; ok {
		fd := m.Descriptor().Fields().ByName(protoreflect.Name(field))
		m.Set(fd, protoreflect.ValueOfString(c.translated(m.Get(fd).String(), from, to)))
	}
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case fd.Message() == nil || fd.IsMap():
		case fd.IsList():
			for i := range v.List().Len() {
				c.translate(v.List().Get(i).Message(), from, to)
			}
		default:
			c.translate(v.Message(), from, to)
		}
		return true
	})
}

func (c *Cluster) translated(address string, from, to *Node) string {
	switch {
	case address == local:
		return from.Address
	case to != nil && address == to.Address:
		return local
	}
	return address
}
