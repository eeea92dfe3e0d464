package bus

import (
	"encoding/json"
	"time"
)

// ConferenceStarted is published when a room becomes a running conference.
type ConferenceStarted struct {
	Room   string `json:"room"`   // name of the room
	Node   string `json:"node"`   // node that runs the conference
	Layout string `json:"layout"` // layout of the composed picture
}

// Subject implements [Event].
func (e ConferenceStarted) Subject() string {
	return subject("evt", "conference", "started", Token(e.Room), Token(e.Node))
}

// ConferenceEnded is published when a conference is over.
type ConferenceEnded struct {
	Room         string  `json:"room"`             // name of the room
	Node         string  `json:"node"`             // node that ran the conference
	Reason       string  `json:"reason"`           // token: "empty", "disconnected", "node_stopping", "failed"
	Duration     Seconds `json:"duration_seconds"` // from start to end
	Participants int     `json:"participants"`     // how many took part in all
}

// Subject implements [Event].
func (e ConferenceEnded) Subject() string {
	return subject("evt", "conference", "ended", Token(e.Room), Token(e.Node))
}

// ConferenceMoved is published when another node has taken a running
// conference over from one that was lost.
type ConferenceMoved struct {
	Room string `json:"room"` // name of the room
	Node string `json:"node"` // node that runs the conference now
	From string `json:"from"` // node that ran it before; empty when unknown
}

// Subject implements [Event].
func (e ConferenceMoved) Subject() string {
	return subject("evt", "conference", "moved", Token(e.Room), Token(e.Node))
}

// ConferenceLocked is published when newcomers are kept out.
type ConferenceLocked struct {
	Room string `json:"room"` // name of the room
	Node string `json:"node"` // node that runs the conference
}

// Subject implements [Event].
func (e ConferenceLocked) Subject() string {
	return subject("evt", "conference", "locked", Token(e.Room), Token(e.Node))
}

// ConferenceUnlocked is published when newcomers are let in again.
type ConferenceUnlocked struct {
	Room string `json:"room"` // name of the room
	Node string `json:"node"` // node that runs the conference
}

// Subject implements [Event].
func (e ConferenceUnlocked) Subject() string {
	return subject("evt", "conference", "unlocked", Token(e.Room), Token(e.Node))
}

// ConferenceLayout is published when a conference gets another layout.
type ConferenceLayout struct {
	Room   string `json:"room"`   // name of the room
	Node   string `json:"node"`   // node that runs the conference
	Layout string `json:"layout"` // layout of the composed picture from now on
}

// Subject implements [Event].
func (e ConferenceLayout) Subject() string {
	return subject("evt", "conference", "layout", Token(e.Room), Token(e.Node))
}

// SpeakerChanged is published when the active speaker of a conference is
// another one, at most a few times per second.
type SpeakerChanged struct {
	Room        string `json:"room"`        // name of the room
	Participant string `json:"participant"` // who speaks now; empty for nobody
	Node        string `json:"node"`        // node that runs the conference
}

// Subject implements [Event].
func (e SpeakerChanged) Subject() string {
	return subject("evt", "speaker", "changed", Token(e.Room), Token(e.Participant))
}

// NodeStarted is published when a node is ready to serve.
type NodeStarted struct {
	Node    string `json:"node"`    // name of the node
	Address string `json:"address"` // node@incarnation
	Version string `json:"version"` // of the program
	Roles   string `json:"roles"`   // separated by commas
}

// Subject implements [Event].
func (e NodeStarted) Subject() string { return subject("evt", "node", "started", Token(e.Node)) }

// NodeStopped is published when a node stops in an orderly way.
type NodeStopped struct {
	Node    string `json:"node"`    // name of the node
	Address string `json:"address"` // node@incarnation
	Reason  string `json:"reason"`  // token: "signal", "drained", "failed"
}

// Subject implements [Event].
func (e NodeStopped) Subject() string { return subject("evt", "node", "stopped", Token(e.Node)) }

// NodeLost is published by every node that no longer hears another one.
type NodeLost struct {
	Node     string `json:"node"`     // name of the node that is silent
	Address  string `json:"address"`  // node@incarnation, never used again
	Observer string `json:"observer"` // name of the node that says so
	Reason   string `json:"reason"`   // token: "silent", "bye", "replaced", "unreachable", "version"
}

// Subject implements [Event].
func (e NodeLost) Subject() string {
	return subject("evt", "node", "lost", Token(e.Node), Token(e.Observer))
}

// Seconds is a duration that is a number of seconds in JSON, to the
// millisecond.
type Seconds time.Duration

// MarshalJSON implements [json.Marshaler].
func (s Seconds) MarshalJSON() ([]byte, error) {
	return json.Marshal(time.Duration(s).Round(time.Millisecond).Seconds())
}

// UnmarshalJSON implements [json.Unmarshaler].
func (s *Seconds) UnmarshalJSON(b []byte) error {
	var f float64
	if err := json.Unmarshal(b, &f); err != nil {
		return err
	}
	*s = Seconds(time.Duration(f * float64(time.Second)).Round(time.Millisecond))
	return nil
}

func (s Seconds) String() string { return time.Duration(s).String() }
