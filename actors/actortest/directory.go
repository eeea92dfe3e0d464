package actortest

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/skybridge-media/skybridge/bus"
	"github.com/skybridge-media/skybridge/bus/claim"
)

// SessionTTL is how long a lost node holds its names.
const SessionTTL = 3 * time.Second

// A Directory says who owns what, for all nodes of a bubble. Safe for
// concurrent use.
type Directory struct {
	// Delay is how long an answer takes, in fake time.
	Delay time.Duration

	mu      sync.Mutex
	epoch   uint64
	records map[string]record
	nodes   map[string]*session // by address
}

type record struct {
	address string
	epoch   uint64
}

type session struct {
	name string
	meta []byte
	lost time.Time // zero: alive
	cut  bool      // the node cannot reach the directory
}

func newDirectory() *Directory {
	return &Directory{records: map[string]record{}, nodes: map[string]*session{}}
}

func (d *Directory) join(name, address string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.nodes[address] = &session{name: name}
}

func (d *Directory) lose(address string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.nodes[address].lost = time.Now()
}

// Cut makes the directory unreachable for a node, or reachable again.
func (d *Directory) Cut(n *Node, on bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.nodes[n.Address].cut = on
}

// Records lists names and the names of the nodes that own them, sorted.
func (d *Directory) Records() (list []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for name, r := range d.records {
		list = append(list, name+" "+d.nodes[r.address].name)
	}
	slices.Sort(list)
	return list
}

func (d *Directory) alive(address string) bool {
	s := d.nodes[address]
	return s != nil && (s.lost.IsZero() || time.Since(s.lost) < SessionTTL)
}

var errDown = &bus.Error{Code: bus.Unavailable, Text: "directory: out of reach"}

// Of returns the directory as one node sees it: a node.Directory.
func (d *Directory) Of(n *Node) View { return View{d, n.Address} }

// View is the directory as one node sees it.
type View struct {
	d    *Directory
	self string
}

func (v View) enter() (unlock func(), err error) {
	time.Sleep(v.d.Delay)
	v.d.mu.Lock()
	if s := v.d.nodes[v.self]; s.cut || !s.lost.IsZero() {
		v.d.mu.Unlock()
		return nil, errDown
	}
	return v.d.mu.Unlock, nil
}

// Claim implements node.Directory.
func (v View) Claim(_ context.Context, name string) (claim.Owner, error) {
	unlock, err := v.enter()
	if err != nil {
		return claim.Owner{}, err
	}
	defer unlock()
	r, ok := v.d.records[name]
	if !ok || !v.d.alive(r.address) {
		v.d.epoch++
		r = record{v.self, v.d.epoch}
		v.d.records[name] = r
	}
	return claim.Owner{Address: r.address, Epoch: r.epoch, Mine: r.address == v.self}, nil
}

// Lookup implements node.Directory.
func (v View) Lookup(_ context.Context, name string) (claim.Owner, error) {
	unlock, err := v.enter()
	if err != nil {
		return claim.Owner{}, err
	}
	defer unlock()
	r, ok := v.d.records[name]
	if !ok || !v.d.alive(r.address) {
		return claim.Owner{}, &bus.Error{Code: bus.NotFound, Text: "directory: no owner"}
	}
	return claim.Owner{Address: r.address, Epoch: r.epoch, Mine: r.address == v.self}, nil
}

// Release implements node.Directory.
func (v View) Release(_ context.Context, name string, epoch uint64) error {
	unlock, err := v.enter()
	if err != nil {
		return err
	}
	defer unlock()
	if r := v.d.records[name]; r.address == v.self && r.epoch == epoch {
		delete(v.d.records, name)
	}
	return nil
}

// Nodes implements node.Directory.
func (v View) Nodes() (nodes []claim.Node) {
	v.d.mu.Lock()
	defer v.d.mu.Unlock()
	for address, s := range v.d.nodes {
		if v.d.alive(address) {
			nodes = append(nodes, claim.Node{Name: s.name, Address: address, Meta: s.meta})
		}
	}
	slices.SortFunc(nodes, func(a, b claim.Node) int { return strings.Compare(a.Name, b.Name) })
	return nodes
}

// Valid implements node.Directory.
func (v View) Valid() bool {
	v.d.mu.Lock()
	defer v.d.mu.Unlock()
	s := v.d.nodes[v.self]
	return !s.cut && s.lost.IsZero()
}

// Announce sets what the node says of itself.
func (v View) Announce(meta []byte) {
	v.d.mu.Lock()
	defer v.d.mu.Unlock()
	v.d.nodes[v.self].meta = meta
}
