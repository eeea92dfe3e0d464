// Package remote lets actors of different processes exchange messages over
// NATS as if they were in one: it plugs into protoactor's process registry, so
// that Send, Request, Watch and Stop work for PIDs of other nodes.
package remote
