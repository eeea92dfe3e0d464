// Package claim decides, once in the cluster, who owns a name. It keeps one
// renewed session per node and one record per name in JetStream key-value
// buckets; a record's revision is the fencing epoch.
package claim

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
