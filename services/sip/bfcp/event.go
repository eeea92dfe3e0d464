package bfcp

// What an [Endpoint] tells its owner. Requested and Withdrawn come from its
// server, Decided and Presenter from its client, Ready and Lost from both.
type (
	// Requested asks for the floor, for the peer. Answer it with
	// [Endpoint.Grant] or [Endpoint.Deny], whenever that is decided.
	Requested struct {
		ID       uint16 // of the request
		Priority uint8  // 0 to 4; 2 is normal
		Info     string // what the peer says about it
	}

	// Withdrawn says that the peer has given a request, or the floor that it
	// had by it, back.
	Withdrawn struct{ ID uint16 }

	// Decided says what has become of our request.
	Decided struct {
		Status Status
		Place  uint8  // in the queue, while it is pending; zero: not said
		Info   string // for a human
	}

	// Presenter says who has the floor of the peer. The zero value is nobody.
	Presenter struct {
		User uint16
		Name string
		Mine bool // it is us
	}

	// Ready says that the peer is there: after the first message from it, and
	// again after Lost.
	Ready struct{}

	// Lost says that the peer does not answer, or that its connection has
	// ended. Nothing is undone by it: a presentation whose media goes on may go
	// on, and if the peer comes back there is another Ready.
	Lost struct{ Err error }

	// GaveUp says that a peer to which we connect cannot be reached, or has hung up
	// each time: it is not tried any more.
	GaveUp struct{ Err error }
)
