package claim

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/skybridge-media/skybridge/bus"
)

// sighting is a node as we saw it last.
type sighting struct {
	node Node
	at   time.Time
}

// Nodes lists the live nodes by name, this one included. It does not block, and
// can be behind by a lifetime. While NATS is away it is this node alone.
func (d *Directory) Nodes() []Node {
	d.mu.Lock()
	defer d.mu.Unlock()
	nodes := []Node{{Name: d.cfg.Node, Address: d.address, Meta: slices.Clone(d.meta)}}
	for name, s := range d.seen {
		if name != d.cfg.Node && time.Since(s.at) < d.cfg.TTL*3/2 {
			n := s.node
			n.Meta = slices.Clone(n.Meta)
			nodes = append(nodes, n)
		}
	}
	slices.SortFunc(nodes, func(a, b Node) int { return strings.Compare(a.Name, b.Name) })
	return nodes
}

// watch follows the sessions until ctx is done.
func (d *Directory) watch(ctx context.Context) {
	for ctx.Err() == nil {
		if d.Joined(ctx) != nil {
			return
		}
		if err := d.watchOnce(ctx); err != nil && ctx.Err() == nil {
			d.cfg.Log.Debug("watch of sessions interrupted", "err", err)
			select {
			case <-time.After(d.cfg.TTL / 16):
			case <-ctx.Done():
			}
		}
	}
}

// watchOnce follows the sessions until it does not see our own any more although
// it is renewed: the bucket was lost with the server, and there is another.
func (d *Directory) watchOnce(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	sessions, _, err := d.buckets(ctx, false)
	if err != nil {
		return err
	}
	watcher, err := sessions.Watch(ctx, "node.*")
	if err != nil {
		return err
	}
	defer watcher.Stop() //nolint:errcheck // it fails when the connection is closed
	check := time.NewTicker(d.cfg.TTL / 4)
	defer check.Stop()
	own := time.Now()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case e, ok := <-watcher.Updates():
			if !ok {
				return errMoved
			}
			if e != nil && d.see(e) {
				own = time.Now()
			}
		case <-check.C:
			if d.Valid() && time.Since(own) > d.cfg.TTL {
				return errMoved
			}
		}
	}
}

// see takes note of a session, and reports whether it is this node's.
func (d *Directory) see(e jetstream.KeyValueEntry) (own bool) {
	name, ok := bus.Untoken(strings.TrimPrefix(e.Key(), "node."))
	if !ok {
		return false
	}
	var s session
	live := e.Operation() == jetstream.KeyValuePut && json.Unmarshal(e.Value(), &s) == nil && s.Address != ""
	d.mu.Lock()
	defer d.mu.Unlock()
	if live {
		d.seen[name] = sighting{Node{Name: name, Address: s.Address, Meta: s.Meta}, time.Now()}
	} else {
		delete(d.seen, name)
	}
	d.cfg.Metrics.nodes.Set(float64(len(d.seen)))
	return live && s.Address == d.address
}
