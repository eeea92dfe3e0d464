package api

import (
	"context"

	"github.com/skybridge-media/skybridge/bus"
	"github.com/skybridge-media/skybridge/media/port"
)

// Media is the port through which browsers' offers are answered.
// services/webrtc implements it; its Engine.Answer takes and returns its own
// types of the same shape.
type Media interface {
	// Inspect says which media of an offer would be answered, without
	// answering. It fails as Answer does.
	Inspect(sdp string) (audio, video bool, err error)

	// InspectPublisher and InspectViewer do the same for peers that only send,
	// and that only receive.
	InspectPublisher(sdp string) (audio, video bool, err error)
	InspectViewer(sdp string) (audio, video bool, err error)

	// Answer answers an offer. It fails with ErrNoCodec, or an error of code
	// bus.Invalid that says what is wrong with the offer.
	Answer(ctx context.Context, o Offer) (Call, error)
}

// ErrNoCodec says that an offer has no codec in common with us.
var ErrNoCodec = &bus.Error{Code: bus.Invalid, Text: "no common codec"}

// Offer is a call that wants to be answered.
type Offer struct {
	ID   string     // of the participant, for logs
	SDP  string     // what the peer offers
	Port *port.Port // where its media goes

	Publisher bool // the peer only sends
	Viewer    bool // the peer only receives

	// Slides says that the connection is one beside the call on the same Port,
	// and carries what is presented, and nothing else.
	Slides bool

	Connected func() // media can flow; does not block

	// Content asks for room for a stream of what is presented, or tells that
	// there is none any more. It is called while an offer is answered.
	Content func(ctx context.Context, on bool) (granted bool)

	Ended func(cause string) // the connection is lost; may close the call
}

// A Call is a peer connection that was answered. It is safe for concurrent use.
type Call interface {
	// SDP returns our last answer.
	SDP() string

	// Media says which media the call has now.
	Media() (audio, video bool)

	// Slides reports whether it has a stream for what is presented, now or later.
	Slides() bool

	// Update answers another offer of the same peer; with sound only, unless
	// withVideo, and with a stream for what is presented only withSlides.
	Update(ctx context.Context, sdp string, withVideo, withSlides bool) (answer string, err error)

	// AddCandidate takes a candidate of the peer's; empty ends them. ufrag may
	// be empty.
	AddCandidate(candidate, ufrag string) error

	// Trickle takes the candidates of an SDP fragment (RFC 8840). Restart
	// restarts ICE with one and returns ours; it is empty if the credentials
	// are those in force, and only candidates were taken.
	Trickle(fragment string) error
	Restart(ctx context.Context, fragment string) (string, error)

	// Close ends the call and waits until nothing of it runs any more.
	Close()
}
