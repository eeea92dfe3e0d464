package bus

// ParticipantJoined is published when a conference has admitted a participant.
type ParticipantJoined struct {
	Room        string `json:"room"`        // name of the room
	Participant string `json:"participant"` // id of the participant, and of its call
	Node        string `json:"node"`        // node that has the call
	Protocol    string `json:"protocol"`    // "sip", "webrtc", "whip", "whep" or "test"
	Name        string `json:"name"`        // display name
	Remote      string `json:"remote"`      // the peer's URI or address
	Outgoing    bool   `json:"outgoing"`    // true when we called them
	Audio       bool   `json:"audio"`       // the call has sound
	Video       bool   `json:"video"`       // the call has a picture
	Role        string `json:"role"`        // "host", "guest" or "viewer"
}

// Subject implements [Event].
func (e ParticipantJoined) Subject() string {
	return subject("evt", "participant", "joined", Token(e.Room), Token(e.Participant))
}

// ParticipantConnected is published when a participant's media has entered the
// conference.
type ParticipantConnected struct {
	Room        string  `json:"room"`          // name of the room
	Participant string  `json:"participant"`   // id of the participant, and of its call
	Node        string  `json:"node"`          // node that has the call
	Audio       bool    `json:"audio"`         // the call has sound
	Video       bool    `json:"video"`         // the call has a picture
	Setup       Seconds `json:"setup_seconds"` // from admission to media
}

// Subject implements [Event].
func (e ParticipantConnected) Subject() string {
	return subject("evt", "participant", "connected", Token(e.Room), Token(e.Participant))
}

// ParticipantWaiting is published when a conference has admitted a participant
// who must wait, and neither hears nor sees the others until then.
type ParticipantWaiting struct {
	Room        string `json:"room"`        // name of the room
	Participant string `json:"participant"` // id of the participant, and of its call
	Node        string `json:"node"`        // node that has the call
	For         string `json:"for"`         // "lock": to be let in; "host": for a host to come
}

// Subject implements [Event].
func (e ParticipantWaiting) Subject() string {
	return subject("evt", "participant", "waiting", Token(e.Room), Token(e.Participant))
}

// ParticipantEntered is published when a participant need not wait any more.
type ParticipantEntered struct {
	Room        string `json:"room"`        // name of the room
	Participant string `json:"participant"` // id of the participant
	Node        string `json:"node"`        // node that has the call
}

// Subject implements [Event].
func (e ParticipantEntered) Subject() string {
	return subject("evt", "participant", "entered", Token(e.Room), Token(e.Participant))
}

// ParticipantLeft is published when a participant has left a conference.
type ParticipantLeft struct {
	Room        string  `json:"room"`             // name of the room
	Participant string  `json:"participant"`      // id of the participant, and of its call
	Node        string  `json:"node"`             // node that had the call
	Reason      string  `json:"reason"`           // token, such as "hangup", "disconnected", "media_lost", "node_lost"
	Duration    Seconds `json:"duration_seconds"` // from admission to the end
}

// Subject implements [Event].
func (e ParticipantLeft) Subject() string {
	return subject("evt", "participant", "left", Token(e.Room), Token(e.Participant))
}

// ParticipantMuted is published when a medium of a participant is no longer
// sent to the others.
type ParticipantMuted struct {
	Room        string `json:"room"`        // name of the room
	Participant string `json:"participant"` // id of the participant
	Node        string `json:"node"`        // node that has the call
	Medium      string `json:"medium"`      // "audio" or "video"
}

// Subject implements [Event].
func (e ParticipantMuted) Subject() string {
	return subject("evt", "participant", "muted", Token(e.Room), Token(e.Participant))
}

// ParticipantUnmuted is published when a medium of a participant is sent to
// the others again.
type ParticipantUnmuted struct {
	Room        string `json:"room"`        // name of the room
	Participant string `json:"participant"` // id of the participant
	Node        string `json:"node"`        // node that has the call
	Medium      string `json:"medium"`      // "audio" or "video"
}

// Subject implements [Event].
func (e ParticipantUnmuted) Subject() string {
	return subject("evt", "participant", "unmuted", Token(e.Room), Token(e.Participant))
}

// ParticipantHeld is published when a participant has put the conference on
// hold.
type ParticipantHeld struct {
	Room        string `json:"room"`        // name of the room
	Participant string `json:"participant"` // id of the participant
	Node        string `json:"node"`        // node that has the call
}

// Subject implements [Event].
func (e ParticipantHeld) Subject() string {
	return subject("evt", "participant", "held", Token(e.Room), Token(e.Participant))
}

// ParticipantResumed is published when a participant comes back from hold.
type ParticipantResumed struct {
	Room        string `json:"room"`        // name of the room
	Participant string `json:"participant"` // id of the participant
	Node        string `json:"node"`        // node that has the call
}

// Subject implements [Event].
func (e ParticipantResumed) Subject() string {
	return subject("evt", "participant", "resumed", Token(e.Room), Token(e.Participant))
}

// ParticipantRenamed is published when a participant shows another name.
type ParticipantRenamed struct {
	Room        string `json:"room"`        // name of the room
	Participant string `json:"participant"` // id of the participant
	Node        string `json:"node"`        // node that has the call
	Name        string `json:"name"`        // display name from now on
}

// Subject implements [Event].
func (e ParticipantRenamed) Subject() string {
	return subject("evt", "participant", "renamed", Token(e.Room), Token(e.Participant))
}

// ParticipantRole is published when a participant is host or guest from now on.
type ParticipantRole struct {
	Room        string `json:"room"`        // name of the room
	Participant string `json:"participant"` // id of the participant
	Node        string `json:"node"`        // node that has the call
	Role        string `json:"role"`        // "host" or "guest"
}

// Subject implements [Event].
func (e ParticipantRole) Subject() string {
	return subject("evt", "participant", "role", Token(e.Room), Token(e.Participant))
}

// ParticipantSpotlit is published when a participant gets, or loses, a fixed
// place at the top of the layout.
type ParticipantSpotlit struct {
	Room        string `json:"room"`        // name of the room
	Participant string `json:"participant"` // id of the participant
	Node        string `json:"node"`        // node that has the call
	On          bool   `json:"on"`          // false when the spotlight is taken away
}

// Subject implements [Event].
func (e ParticipantSpotlit) Subject() string {
	return subject("evt", "participant", "spotlit", Token(e.Room), Token(e.Participant))
}

// ParticipantRaised is published when a participant raises a hand.
type ParticipantRaised struct {
	Room        string `json:"room"`        // name of the room
	Participant string `json:"participant"` // id of the participant
	Node        string `json:"node"`        // node that has the call
}

// Subject implements [Event].
func (e ParticipantRaised) Subject() string {
	return subject("evt", "participant", "raised", Token(e.Room), Token(e.Participant))
}

// ParticipantLowered is published when a raised hand goes down.
type ParticipantLowered struct {
	Room        string `json:"room"`        // name of the room
	Participant string `json:"participant"` // id of the participant
	Node        string `json:"node"`        // node that has the call
}

// Subject implements [Event].
func (e ParticipantLowered) Subject() string {
	return subject("evt", "participant", "lowered", Token(e.Room), Token(e.Participant))
}

// ParticipantPressed is published once for every key that a participant
// presses, however often the network repeated it.
type ParticipantPressed struct {
	Room        string `json:"room"`        // name of the room
	Participant string `json:"participant"` // id of the participant
	Node        string `json:"node"`        // node that has the call
	Digit       string `json:"digit"`       // one of 0-9, *, #, A-D
}

// Subject implements [Event].
func (e ParticipantPressed) Subject() string {
	return subject("evt", "participant", "pressed", Token(e.Room), Token(e.Participant))
}
