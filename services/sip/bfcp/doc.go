// Package bfcp controls who presents in a call: the Binary Floor Control
// Protocol (RFC 8855), as room systems use it for the second picture of a SIP
// call. What both sides are to each other is agreed on in SDP (RFC 8856), by
// media/sdp.
//
// # Messages
//
// [Parse] and [Message.Marshal] are the codec: pure, for all primitives and
// attributes of the RFC. Attributes that are not known are kept if they may be
// ignored, and refused if they may not. [Fragment] and [Assembler] cut what is
// too long for a datagram.
//
// # Endpoints
//
// An [Endpoint] is one side of one call with one floor. It is the server that
// the peer asks for the floor, the client that asks, or both at once ("c-s").
// The owner gets events and answers whenever it likes:
//
//	end, err := bfcp.Datagrams(socket, bfcp.Config{Floor: *agreed.Floor, Notify: func(event any) {
//		if r, ok := event.(bfcp.Requested); ok {
//			conference.Ask(r.ID) // leads to end.Grant(r.ID) or end.Deny(r.ID, reason)
//		}
//	}})
//	end.SetPresenter(&bfcp.Presenter{Name: "Alice"}) // somebody else: the peer's floor is revoked
//	defer end.Close()
//
// [Datagrams] takes a UDP socket, [Listen] a TCP listener where the peer
// connects (setup:passive), [Dial] connects to it (setup:active). TLS and DTLS
// are not spoken, and sdp does not agree to them.
//
// # What the peer sees
//
// Its request is answered with the decision, if that comes within 200 ms, else
// with "pending" and the decision later. It is told of every change of the
// floor, unless it asks not to be by a FloorQuery without a floor. It may have
// one request at a time; another replaces it. It is no chair.
//
// A client says Hello when it begins and when it has been silent for a while,
// which keeps the way through a NAT open, and shows that the server is there. A
// server answers. Peers that send STUN to that end (RFC 8855 section 6.2.4) are
// not answered.
//
// # Who is the peer
//
// Over UDP it is whoever first sends the identifiers that SDP gave it, from
// wherever: the address in the SDP may be one behind a NAT. From then on it is
// that address, until [Endpoint.SetAddress]. Over TCP a new connection with the
// right identifiers replaces the old.
//
// # Concurrency
//
// All state belongs to one goroutine per endpoint; methods post to it and do
// not block. Events come from it, one at a time. An endpoint never ends by
// itself: a peer that is silent for 7.5 s is [Lost], and [Ready] when it is
// back. What that means for its presentation is its owner's to decide.
package bfcp
