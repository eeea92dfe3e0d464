// Package sip answers and places SIP calls (RFC 3261) and hands each of them to
// a conference as a participant.
//
// # What is whose
//
// sipgo gives the message types, the parser and the transaction state machines
// (RFC 3261 section 17, RFC 6026). Everything else is here: sockets, because an
// address is no identity for a connection, the order of messages must survive
// the trip to the dialog, and what strangers send must cost nothing that lasts;
// and the whole of a user agent, from validation to session timers.
//
//	bytes   transport   udp, stream        sockets, limits, framing
//	           │  flow                     one way to one peer
//	message  wire        normalise, validate: what comes out is well-formed
//	           │
//	         transactions                  retransmissions; CANCEL and ACK find theirs
//	           │
//	call     call        one goroutine, one mailbox per call
//	         ├ dialog    tags, sequence numbers, route set, target (pure)
//	         ├ uas, uac  how a call begins
//	         ├ modify    re-INVITE, UPDATE, hold, session timers
//	         ├ media     offers, answers, RTP sessions, the port
//	         └ floor     BFCP with the peer, the roster of the conference
//
// # One call
//
// An INVITE is negotiated first, without touching anything: what cannot be
// answered is refused at once. Then the node is asked to admit the call, then
// sockets are opened, then the call is answered. The port goes to the
// participant when the ACK has come, and no RTP leaves before. Whatever fails
// on the way frees everything again.
//
// # Concurrency
//
// A call's state belongs to the call's goroutine. Everybody else (sockets,
// timers, the participant) posts to its mailbox, which does not block. Messages
// of one dialog are handled in the order in which they arrived; INFO requests
// over UDP, which the network may reorder, in the order of CSeq.
package sip
