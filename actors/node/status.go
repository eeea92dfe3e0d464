package node

import (
	"bytes"
	"math"
	"slices"
	"strings"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/skybridge-media/skybridge/actors/conference"
)

func (n *node) status() *Status {
	return &Status{
		Node: n.Name, Address: n.address(), Draining: n.draining, Calls: len(n.calls), Conferences: n.owned(),
		BusConnected: n.Directory.Valid(),
		Capacity:     n.ledger.capacity, Leased: n.ledger.leased, Load: n.ledger.load(), BackplaneReserve: n.backplaneReserve(),
	}
}

// load is the part of the capacity that is leased, in percent. It may be above
// 100 when less was measured than had been thought.
func (l *ledger) load() int {
	if l.capacity.units() == 0 {
		return 0
	}
	return int(math.Round(100 * l.leased.HD() / l.capacity.HD))
}

// address is what the others know this node by; empty while they do not.
func (n *node) address() string {
	for _, other := range n.Directory.Nodes() {
		if other.Name == n.Name {
			return other.Address
		}
	}
	return ""
}

func (n *node) owned() (count int) {
	for _, r := range n.table {
		if r.mine {
			count++
		}
	}
	return count
}

func (n *node) conferences() *Conferences {
	reply := &Conferences{}
	for _, r := range n.table {
		if r.mine {
			reply.Owned = append(reply.Owned, Owned{Room: r.cfg.Name, Conference: r.conference, Epoch: r.epoch})
		}
	}
	slices.SortFunc(reply.Owned, func(a, b Owned) int { return strings.Compare(a.Room, b.Room) })
	return reply
}

// conferenceList is conferences for other nodes.
func (n *node) conferenceList() *ConferenceList {
	reply := &ConferenceList{}
	for _, o := range n.conferences().Owned {
		reply.Conferences = append(reply.Conferences, &OwnedConference{Room: o.Room, Conference: conference.AddressOf(o.Conference)})
	}
	return reply
}

// nodes is what the directory shows of every node, and what this one knows of
// itself.
func (n *node) nodes() *Nodes {
	own := NodeInfo{Name: n.Name, Address: n.address(), Node: n.placement.self}
	own.fill(*n.placement.own.Load())
	reply := &Nodes{Nodes: []NodeInfo{own}}
	for _, other := range n.placement.others() {
		info := NodeInfo{Name: other.Name, Address: other.Address, Node: actor.NewPID(other.Address, ActorName)}
		info.fill(parseAnnouncement(other.Meta))
		reply.Nodes = append(reply.Nodes, info)
	}
	slices.SortFunc(reply.Nodes, func(a, b NodeInfo) int { return strings.Compare(a.Name, b.Name) })
	return reply
}

func (i *NodeInfo) fill(a announcement) {
	i.Roles, i.Contacts, i.Draining = a.Roles, a.contacts(), a.Draining
	i.Calls, i.MaxCalls, i.MaxHD, i.UsedHD = a.Calls, a.MaxCalls, a.MaxHD, a.Used
}

func (n *node) drain(c actor.Context, m *Drain) {
	n.setDraining(m.On)
	c.Respond(n.status())
}

func (n *node) setDraining(on bool) {
	if n.draining != on {
		n.draining = on
		n.Log.Info("node draining", "on", on)
	}
	n.announce()
	n.measure()
}

// announce tells the others what this node is and can take, if that is news.
func (n *node) announce() {
	a := announcement{
		Roles: n.Roles, SIP: n.Contacts.SIP, SIPS: n.Contacts.SIPS, HTTPS: n.Contacts.HTTPS,
		Calls: len(n.calls), MaxCalls: n.MaxCalls, Draining: n.draining || n.stopping.begun(),
	}
	if l := &n.ledger; l.capacity.limited() {
		a.MaxHD, a.MaxSD = l.capacity.HD, l.capacity.SD
		a.MaxAudio, a.MaxFullHD = l.capacity.Audio, l.capacity.FullHD
		a.Used, a.Load = l.leased.HD(), l.load()
	}
	n.placement.own.Store(&a)
	if meta := a.meta(); !bytes.Equal(meta, n.announced) {
		n.announced = meta
		n.Directory.Announce(meta)
	}
}

func (n *node) measureLeases() {
	m := n.Metrics.Node
	m.capacity.Set(n.ledger.capacity.HD)
	m.leased.Set(n.ledger.leased.HD())
}

func (n *node) measure() {
	m := n.Metrics.Node
	m.calls.Set(float64(len(n.calls)))
	m.owned.Set(float64(n.owned()))
	unclaimed := 0
	for _, r := range n.table {
		if r.mine && r.epoch == 0 {
			unclaimed++
		}
	}
	m.unclaimed.Set(float64(unclaimed))
	m.draining.Set(0)
	if n.draining {
		m.draining.Set(1)
	}
}
