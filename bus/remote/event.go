package remote

// What a Remote tells the actors of its own process, through the EventStream
// of their system. Subscribers run in the Remote's goroutines: they send the
// event on to an actor and return.
type (
	// PeerUp says that another node is heard for the first time.
	PeerUp struct{ Address string }

	// PeerDown says that a node is no longer heard. The address is final: a
	// node that comes back has another one. Watchers of its actors get
	// Terminated{AddressTerminated} as well.
	PeerDown struct {
		Address string
		Reason  string // "silent", "bye", "replaced", "unreachable" or "version"
	}

	// LinkGap says that messages from a node were lost on the way. Whoever
	// keeps state about that node asks for it again.
	LinkGap struct {
		Address string
		Lost    uint64 // how many
	}

	// Renewed says that the others had given this node up, and that it goes on
	// under another address with the same actors. The others have been told
	// that our actors terminated: those that want to be known announce
	// themselves again.
	Renewed struct{ Old, Address string }

	// Replaced says that a younger process uses this node's name. This one is
	// cut off for good and should exit.
	Replaced struct{ By string }
)
