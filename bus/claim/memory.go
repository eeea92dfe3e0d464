package claim

import (
	"context"
	"slices"
	"strings"
	"sync"
)

// Memory is a directory inside one process: for one node alone, and for tests
// with several. It needs no clock. It is safe for concurrent use.
type Memory struct {
	store *memoryStore
	node  string

	// Guarded by store.mu.
	address string
	meta    []byte
	closed  bool
	cut     bool
}

// memoryStore is what the nodes of one cluster share.
type memoryStore struct {
	mu      sync.Mutex
	epoch   uint64
	owners  map[string]Owner
	members map[string]*Memory
}

// NewMemory returns the directory of a cluster of one node.
func NewMemory(node, address string) *Memory {
	s := &memoryStore{owners: map[string]Owner{}, members: map[string]*Memory{}}
	return s.join(node, address)
}

// Join adds another node to the cluster, in place of one with the same name, and
// returns its directory.
func (m *Memory) Join(node, address string) *Memory { return m.store.join(node, address) }

func (s *memoryStore) join(node, address string) *Memory {
	m := &Memory{store: s, node: node, address: address}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.members[node] = m
	return m
}

// Claim is as [Directory.Claim].
func (m *Memory) Claim(ctx context.Context, name string) (Owner, error) {
	if _, err := key(name); err != nil {
		return Owner{}, err
	}
	m.store.mu.Lock()
	defer m.store.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return Owner{}, err
	}
	if o, ok := m.store.owners[name]; ok && m.store.alive(o.Address) {
		return m.seen(o), nil
	}
	m.store.epoch++
	o := Owner{Address: m.address, Epoch: m.store.epoch}
	m.store.owners[name] = o
	return m.seen(o), nil
}

// Lookup is as [Directory.Lookup].
func (m *Memory) Lookup(ctx context.Context, name string) (Owner, error) {
	if _, err := key(name); err != nil {
		return Owner{}, err
	}
	m.store.mu.Lock()
	defer m.store.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return Owner{}, err
	}
	o, ok := m.store.owners[name]
	if !ok || !m.store.alive(o.Address) {
		return Owner{}, ErrNoOwner
	}
	return m.seen(o), nil
}

// Release is as [Directory.Release].
func (m *Memory) Release(ctx context.Context, name string, epoch uint64) error {
	m.store.mu.Lock()
	defer m.store.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return err
	}
	if o := m.store.owners[name]; o.Epoch == epoch && o.Address == m.address {
		delete(m.store.owners, name)
	}
	return nil
}

// Nodes is as [Directory.Nodes].
func (m *Memory) Nodes() []Node {
	m.store.mu.Lock()
	defer m.store.mu.Unlock()
	nodes := []Node{{m.node, m.address, slices.Clone(m.meta)}}
	for name, other := range m.store.members {
		if other != m && name != m.node && !m.cut && !other.cut {
			nodes = append(nodes, Node{name, other.address, slices.Clone(other.meta)})
		}
	}
	slices.SortFunc(nodes, func(a, b Node) int { return strings.Compare(a.Name, b.Name) })
	return nodes
}

// Valid is as [Directory.Valid].
func (m *Memory) Valid() bool {
	m.store.mu.Lock()
	defer m.store.mu.Unlock()
	return m.usable(context.Background()) == nil
}

// Announce is as [Directory.Announce].
func (m *Memory) Announce(meta []byte) {
	m.store.mu.Lock()
	defer m.store.mu.Unlock()
	m.meta = slices.Clone(meta)
}

// Readdress is as [Directory.Readdress].
func (m *Memory) Readdress(address string) {
	m.store.mu.Lock()
	defer m.store.mu.Unlock()
	m.address = address
}

// Cut puts this node out of reach of the directory, or back. What it owns is
// anybody's meanwhile.
func (m *Memory) Cut(on bool) {
	m.store.mu.Lock()
	defer m.store.mu.Unlock()
	m.cut = on
}

// Close is as [Directory.Close].
func (m *Memory) Close() error {
	m.store.mu.Lock()
	defer m.store.mu.Unlock()
	m.closed = true
	if m.store.members[m.node] == m {
		delete(m.store.members, m.node)
	}
	return nil
}

// usable is called with the store's mu held.
func (m *Memory) usable(ctx context.Context) error {
	switch {
	case ctx.Err() != nil:
		return unavailable(ctx.Err())
	case m.cut:
		return ErrUnavailable
	case m.closed, m.store.members[m.node] != m:
		return ErrExpired
	}
	return nil
}

// seen returns an owner as this node sees it.
func (m *Memory) seen(o Owner) Owner {
	o.Mine = o.Address == m.address
	return o
}

func (s *memoryStore) alive(address string) bool {
	m := s.members[nodeOf(address)]
	return m != nil && m.address == address && !m.cut
}
