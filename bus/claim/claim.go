// Package claim decides, once in the cluster, who owns a name. It keeps one
// renewed session per node and one record per name in JetStream key-value
// buckets; a record's revision is the fencing epoch.
//
// # How it works
//
// The key node.<name> in the bucket sky-sessions expires unless its node renews
// it. A record in the bucket sky-records says which address owns a name; it
// is valid while the session of that node says the same address. So the write
// load is one renewal per node, however many names there are.
//
// Only what is present is trusted when read: a read may come from a replica
// that is behind. That a session is absent is proven by creating it, which
// goes through the leader; the marker that this leaves also makes a late
// renewal by its owner fail, and the owner then knows that its address is
// dead. For the first lifetime of the bucket absence proves nothing, because
// sessions are in memory and may have been lost with the server.
//
// A node stops acting as owner by its own clock, a quarter of the session's
// lifetime before anybody else could see it expire. That, and the epoch on
// every command, is what makes "exactly one owner" true in effect: a lease
// alone cannot.
//
// A record or session that cannot be read may be that of a live owner, so it is
// [ErrUnreadable], and never "nobody". A record stays so until somebody removes
// it.
//
// # When NATS goes away
//
// Every method fails at once with [bus.Unavailable]; [Directory.Valid] becomes
// false when the lifetime is over. When NATS is back and nobody has taken this
// node for dead, its sessions and what it owned are its own again, with higher
// epochs. Nothing that runs has to stop meanwhile.
package claim

import (
	"fmt"
	"strings"

	"github.com/skybridge-media/skybridge/bus"
)

// An Owner is who holds a name.
type Owner struct {
	Address string // actor address: node@incarnation
	Epoch   uint64 // rises with every change of ownership
	Mine    bool
}

// A Node is a live member of the cluster, as its session announces it.
type Node struct {
	Name    string
	Address string
	Meta    []byte // what the node says of itself; opaque here
}

// What a directory tells through its Notify.
type (
	// Expired says that this node must not act as owner of anything for now:
	// its session could not be renewed in time.
	Expired struct{}

	// Restored says that it may again. The epochs of what it still owns have
	// risen: Claim tells them.
	Restored struct{}

	// Lost says that names were taken over by others, or given up because this
	// node has another address now.
	Lost struct{ Names []string }

	// Fenced says that the others have taken this node for dead, so that its
	// address can own nothing any more. It needs another; see Readdress.
	Fenced struct{ Address string }

	// Replaced says that a younger process has this node's session. This one
	// is out for good.
	Replaced struct{ By string }
)

// Errors of directories. Those of the network are in the tree of ErrUnavailable.
var (
	ErrUnavailable = &bus.Error{Code: bus.Unavailable, Text: "claim: directory out of reach"}
	ErrExpired     = &bus.Error{Code: bus.Unavailable, Text: "claim: this node's session is not valid"}
	ErrUnreadable  = &bus.Error{Code: bus.Unavailable, Text: "claim: what the directory says of that name cannot be read"}
	ErrNoOwner     = &bus.Error{Code: bus.NotFound, Text: "claim: nobody owns that name"}
)

// maxNameBytes bounds names, because they become subjects.
const maxNameBytes = 256

// key returns the key of a name such as "conference.standup": its kind, and the
// rest as one token.
func key(name string) (string, error) {
	kind, rest, ok := strings.Cut(name, ".")
	if name == "" || len(name) > maxNameBytes {
		return "", &bus.Error{Code: bus.Invalid, Text: fmt.Sprintf("claim: a name has 1 to %d bytes", maxNameBytes)}
	}
	if !ok {
		return bus.Token(kind), nil
	}
	return bus.Token(kind) + "." + bus.Token(rest), nil
}

// nodeOf returns the name of the node that an address belongs to.
func nodeOf(address string) string {
	node, _, _ := strings.Cut(address, "@")
	return node
}
