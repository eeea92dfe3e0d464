// Package remote lets the actors of different processes exchange messages over
// NATS as if they were in one: it plugs into protoactor's process registry, so
// that Send, Request, Watch, Stop and Poison work for PIDs of other nodes.
//
// # Addresses
//
// A node's address is node@incarnation. It is final: a node that was given up
// by others never comes back under the same address, so a PID can not lead to
// the namesake of an actor that is gone. Inside a process the address of its
// own actors stays protoactor's "nonhost"; PIDs are translated on their way in
// and out, also those inside messages (see [Registry.AddAddress]). So a node
// can take another incarnation, see [Remote.Renew], without its actors
// noticing.
//
// # Guarantees
//
//  1. User messages from one node to another arrive at most once and in the
//     order in which they were sent. Nothing is promised between senders.
//  2. What is lost on the way is noticed, with the next message or within a
//     second, and published as [LinkGap]. So state messages carry full state.
//  3. Watch, Unwatch, Terminated and Stop are repeated until acknowledged, and
//     take effect once and in order. They may overtake user messages, as they
//     do inside a process.
//  4. A node that is silent for [Config.DeadAfter] is dead: whoever watches an
//     actor there gets Terminated{AddressTerminated}, also who asks later, and
//     messages to it are dead letters at once.
//  5. A node that finds out that others took it for dead takes a new
//     incarnation by itself ([Renewed]).
//  6. A message that cannot be delivered becomes a dead letter here or, for a
//     missing actor, at the other end; a request is answered with
//     DeadLetterResponse either way, as far as that can be known.
//  7. Sending never blocks and never waits for the network: there is a bounded
//     queue, and what does not fit is a dead letter.
//
// A node that cannot reach NATS itself judges nobody: its actors keep what they
// know, because calls do not depend on the bus.
//
// # The wire
//
// Messages are protobuf from a closed [Registry]. Their envelope is decoded by
// hand and never trusted; a peer cannot make this process panic, create types
// that are not registered, or reach actors that [Config.Allow] does not name.
// Supervision never crosses nodes.
package remote
