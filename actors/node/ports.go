package node

import (
	"context"

	"github.com/skybridge-media/skybridge/bus/claim"
)

var (
	_ Directory = (*claim.Directory)(nil)
	_ Directory = (*claim.Memory)(nil)
)

// Directory is the port that says who owns what in the cluster. bus/claim
// implements it over JetStream, and in memory for one process alone. Its
// methods may wait for the network: actors call them through actors.Go. What
// claim.Config.Notify is called with is to be sent to the node actor.
type Directory interface {
	// Claim makes this node the owner of name unless a live node is already,
	// and returns who is. It fails with bus.Unavailable when the directory
	// cannot be reached.
	Claim(ctx context.Context, name string) (claim.Owner, error)

	// Lookup returns the live owner of name, or an error with bus.NotFound.
	Lookup(ctx context.Context, name string) (claim.Owner, error)

	// Release gives name up if epoch is still current.
	Release(ctx context.Context, name string, epoch uint64) error

	// Nodes lists the live nodes, this one included. It does not block.
	Nodes() []claim.Node

	// Announce changes what this node says of itself. It does not block.
	Announce(meta []byte)

	// Valid reports whether this node may act as owner now: its session was
	// renewed less than three quarters of its lifetime ago. It does not block.
	Valid() bool
}
