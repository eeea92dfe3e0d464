package node

import (
	"net/netip"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/google/uuid"

	"github.com/skybridge-media/skybridge/actors/participant"
)

// ActorName is the name of the one node actor of a process.
const ActorName = "node"

// Commands and queries that a node accepts.
type (
	// Admit asks for a place in the conference behind Alias for one call. The
	// reply is *Admitted, *Redirect, or an error: [ErrNotFound], [ErrPIN],
	// [ErrHostPIN], [ErrWrongPIN], [ErrPINBlocked], conference.ErrLocked,
	// conference.ErrFull, [ErrCapacity], or another with bus.Unavailable. It takes
	// milliseconds, and 16 s at most when owners are lost just then; [ErrCapacity]
	// comes at once, unless another node may have room. Nothing remains of a call
	// that was not admitted.
	Admit struct {
		Call     participant.ID // from [NewCall]
		Alias    string         // what was dialled: the user part of a URI, or a room name
		Protocol string         // "sip", "webrtc", "whip" or "whep"
		Outgoing bool           // we called them
		Name     string         // display name, may be empty
		Remote   string         // the peer's URI or address, for the roster
		Audio    bool           // media that the call wants
		Video    bool
		API      bool       // present in the roster without media until Connect (client API); no time limit for that
		Role     string     // "host", "guest" or "viewer"; empty means host. A PIN decides between host and guest where the room has any
		PIN      string     // what the caller has given; [NoPIN] to come as a guest, or to watch, without; empty for nothing yet
		Asks     bool       // the caller can be asked for a PIN when the call is answered, if PIN is NoPIN
		Source   netip.Addr // where the caller's signalling comes from: its wrong PINs are counted by it

		Referred   bool // was sent here by a host of another conference: Role is as authorized, and no PIN is needed
		Waits      bool // to be let into a locked conference, rather than to be refused
		DirectChat bool // takes messages that are for it alone

		Signalling participant.Signalling
	}

	// Authorize asks whether somebody with that PIN may enter the room behind Alias
	// as Role, without entering. The reply is *Authorized, [ErrNotFound],
	// [ErrPIN], [ErrHostPIN], [ErrWrongPIN], [ErrPINBlocked] or [ErrRole].
	Authorize struct {
		Alias, Role, PIN string
		Source           netip.Addr // as that of Admit
	}

	// Reserve asks for what a call will take with other media than it has leased
	// for, before the peer is promised any. The reply is *Reserved, or
	// [ErrCapacity], and then the call keeps what it has. Only more is refused:
	// video besides sound, a stream for what is presented, or media where there was
	// none. So who gives something
	// back need not wait for the reply; without a sender there is none. A call's
	// signalling is the only one who sends it, and so the last one counts.
	Reserve struct {
		Call    participant.ID
		Audio   bool
		Video   bool
		Content bool // a video stream for what is presented, now or later
	}

	// SetCapacity says what the node's CPU can carry, as it is now known. It
	// changes nothing on a node without [RoleMedia]. No reply.
	SetCapacity struct{ Capacity Capacity }

	// Find asks which conference Alias leads to, without joining. The reply is
	// *Found, or [ErrNotFound]. Create makes it exist when the room does.
	Find struct {
		Alias  string
		Create bool
	}

	// Dial asks to call URI and to let whoever answers into the conference
	// behind Alias. The reply is *Dialing, or an error.
	Dial struct {
		Alias string
		URI   string // sip: or sips:
		Name  string // shown in the roster; the URI's user part when empty
		Role  string // "host" or "guest"; empty means host
	}

	// GetConferences asks for the conferences that this node owns. The reply is
	// *Conferences.
	GetConferences struct{}

	// GetNodes asks for every node of the cluster that lives. The reply is
	// *Nodes. What it says of the others can be seconds old.
	GetNodes struct{}

	// Shutdown ends every call of this node with reason node_stopping, and gives
	// up its conferences. The reply is *Status, when that is done or has taken
	// too long. See [Stop].
	Shutdown struct{}

	// GetStatus asks how the node is. The reply is *Status.
	GetStatus struct{}

	// Drain refuses new conferences; running ones go on. The reply is *Status.
	Drain struct{ On bool }
)

// Replies.
type (
	// Admitted says that the call has its place. The participant waits for
	// Connect or Ended from the signalling service; after a minute without
	// either it ends by itself.
	Admitted struct {
		Participant *actor.PID
		Conference  *actor.PID // its owner, on this node or another; nil while the caller is asked for a PIN
		Room        string     // the room's name
		Role        string     // "host", "guest" or "viewer"; empty while the caller is asked for a PIN
		Waiting     string     // what it has to wait for in the conference, such as conference.WaitLock
	}

	// Authorized says that an Admit with Role and Referred will pass the door.
	Authorized struct{}

	// Reserved says that there is room.
	Reserved struct{}

	// Redirect says on which other node the conference has its media.
	Redirect struct {
		Node     string
		Contacts Contacts
	}

	// Found is a conference that exists.
	Found struct {
		Room       string
		Conference *actor.PID // nil when it does not exist now
		Node       string     // where its media is
		Here       bool       // true when that is this node
		Contacts   Contacts
	}

	// Dialing says that the outgoing call has begun; its outcome is seen in
	// the roster and in events.
	Dialing struct{ Call participant.ID }

	// Conferences lists what the node owns, by room name. Ask a Conference for
	// its roster with conference.GetRoster.
	Conferences struct{ Owned []Owned }

	// Owned is a conference whose owner is on the node that says so.
	Owned struct {
		Room       string
		Conference *actor.PID
		Epoch      uint64 // zero while no directory has confirmed it
	}

	// Nodes lists the nodes of the cluster by name.
	Nodes struct{ Nodes []NodeInfo }

	// NodeInfo is what a node announces of itself. Its actor takes
	// ListConferences and SetDrain, wherever it is.
	NodeInfo struct {
		Name     string
		Address  string // protoactor address: node@incarnation
		Node     *actor.PID
		Roles    []string
		Contacts Contacts
		Draining bool
		Calls    int
		MaxCalls int     // zero: no limit
		MaxHD    float64 // capacity in HD calls; zero: no limit
		UsedHD   float64 // that part of it which is leased
	}

	// Status is what a node reports of itself.
	Status struct {
		Node         string
		Address      string // protoactor address: node@incarnation
		Draining     bool
		Calls        int
		Conferences  int // conferences owned here
		BusConnected bool

		Capacity Capacity // zero: no limit
		Leased   Units    // by the conferences here
		Load     int      // that part of the capacity, in percent

		// BackplaneReserve is what the conferences here would set aside for
		// links to other nodes; see [Capacity.BackplaneReserve]. Not leased.
		BackplaneReserve Units
	}
)

// NewCall returns an ID for a new call.
func NewCall() participant.ID { return participant.ID(uuid.NewString()) }

// Contacts are the addresses at which a node takes calls, as it announces them
// to the others. A field is empty when the node does not listen that way.
type Contacts struct {
	SIP   string // host:port, UDP and TCP
	SIPS  string // host:port, TLS
	HTTPS string // base URL
}

// Dialer is the port through which outgoing calls are placed. services/sip
// implements it.
type Dialer interface {
	// Dial starts a call and returns at once. The implementation asks the node
	// to Admit it (Outgoing), then calls, then sends Connect or Ended.
	Dial(call participant.ID, d Dial)
}
