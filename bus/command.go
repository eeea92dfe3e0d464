package bus

import (
	"context"
	"strings"
)

// A Command is something that integrations may ask for at [Command.Subject],
// with a request and a response in JSON. Its types are a public contract as
// those of events are: fields are added, never renamed.
type Command struct {
	Name     string // entity and verb, such as "conference.lock"
	Doc      string // what it does, one sentence
	Reads    bool   // changes nothing
	Request  any    // zero value of its type, a struct
	Response any    // the same
}

// Subject is where the command is taken.
func (c Command) Subject() string { return subject("api", c.Name) }

// An Endpoint carries a command out. Handle gets the JSON of the request, and
// returns a response of the command's type, or an error with a [Code]. It is
// called by several goroutines.
type Endpoint struct {
	Command
	Handle func(ctx context.Context, request []byte) (response any, err error)
}

// Requests.
type (
	// Nothing is the request of commands that need no more than their name, and
	// the response of those that succeed without a word.
	Nothing struct{}

	// InRoom names a conference.
	InRoom struct {
		Room string `json:"room" jsonschema:"name of the room, or an alias of it"`
	}

	// InRoomFor ends a conference.
	InRoomFor struct {
		Room   string `json:"room" jsonschema:"name of the room, or an alias of it"`
		Reason string `json:"reason,omitempty" jsonschema:"what the participants are told"`
	}

	// InRoomLayout chooses a layout.
	InRoomLayout struct {
		Room   string `json:"room" jsonschema:"name of the room, or an alias of it"`
		Layout string `json:"layout" jsonschema:"layout of the composed picture, such as 1+7, 2x2 or adaptive"`
	}

	// InRoomDial calls somebody.
	InRoomDial struct {
		Room string `json:"room" jsonschema:"name of the room, or an alias of it; the conference starts if need be"`
		URI  string `json:"uri" jsonschema:"whom to call: a sip: or sips: URI"`
		Name string `json:"name,omitempty" jsonschema:"name that the roster shows; the URI's user part when absent"`
		Role string `json:"role,omitempty" jsonschema:"host or guest; host when absent"`
	}

	// InRoomMessage says something to others.
	InRoomMessage struct {
		Room        string `json:"room" jsonschema:"name of the room, or an alias of it"`
		Participant string `json:"participant" jsonschema:"in whose name: id of a participant"`
		To          string `json:"to,omitempty" jsonschema:"id of the participant that it is for; everybody when absent"`
		Type        string `json:"type,omitempty" jsonschema:"media type, text/plain or application/json; text/plain when absent"`
		Text        string `json:"text" jsonschema:"what is said, at most 8192 bytes"`
	}

	// OfParticipant names a participant.
	OfParticipant struct {
		Room        string `json:"room" jsonschema:"name of the room, or an alias of it"`
		Participant string `json:"participant" jsonschema:"id of the participant, as in events and in conference.get"`
	}

	// OfParticipantFor ends the call of a participant.
	OfParticipantFor struct {
		Room        string `json:"room" jsonschema:"name of the room, or an alias of it"`
		Participant string `json:"participant" jsonschema:"id of the participant, as in events and in conference.get"`
		Reason      string `json:"reason,omitempty" jsonschema:"what the participant is told"`
	}

	// OfParticipantRole makes a participant host or guest.
	OfParticipantRole struct {
		Room        string `json:"room" jsonschema:"name of the room, or an alias of it"`
		Participant string `json:"participant" jsonschema:"id of the participant, as in events and in conference.get"`
		Role        string `json:"role" jsonschema:"host or guest"`
	}

	// OfNode names a node.
	OfNode struct {
		Node string `json:"node" jsonschema:"name of the node"`
	}
)

// Responses.
type (
	// Conferences lists the conferences of the cluster.
	Conferences struct {
		Conferences []ConferenceSummary `json:"conferences" jsonschema:"by room name"`
	}

	// ConferenceSummary is an entry of Conferences.
	ConferenceSummary struct {
		Room         string `json:"room" jsonschema:"name of the room"`
		Node         string `json:"node" jsonschema:"node that runs the conference"`
		MediaNode    string `json:"media_node" jsonschema:"node that has its media; empty while there is none"`
		Locked       bool   `json:"locked" jsonschema:"newcomers are kept out"`
		Layout       string `json:"layout" jsonschema:"layout of the composed picture"`
		Participants int    `json:"participants" jsonschema:"how many are in it"`
		Started      string `json:"started" jsonschema:"when the first participant came, RFC 3339 in UTC; empty before"`
	}

	// Conference is all that is known of a conference.
	Conference struct {
		Room         string        `json:"room" jsonschema:"name of the room"`
		Node         string        `json:"node" jsonschema:"node that runs the conference"`
		MediaNode    string        `json:"media_node" jsonschema:"node that has its media; empty while there is none"`
		Locked       bool          `json:"locked" jsonschema:"newcomers are kept out"`
		Layout       string        `json:"layout" jsonschema:"layout of the composed picture"`
		Started      string        `json:"started" jsonschema:"when the first participant came, RFC 3339 in UTC; empty before"`
		Speaker      string        `json:"speaker" jsonschema:"id of who speaks now; empty for nobody"`
		Presenter    string        `json:"presenter" jsonschema:"id of who presents now; empty for nobody"`
		Participants []Participant `json:"participants" jsonschema:"in the order in which they came"`
	}

	// Participant is an entry of Conference.
	Participant struct {
		ID         string `json:"participant" jsonschema:"id of the participant, and of its call"`
		Node       string `json:"node" jsonschema:"node that has the call"`
		Name       string `json:"name" jsonschema:"display name"`
		Protocol   string `json:"protocol" jsonschema:"sip, webrtc, whip, whep or test"`
		Remote     string `json:"remote" jsonschema:"the peer's URI or address"`
		Outgoing   bool   `json:"outgoing" jsonschema:"true when we called them"`
		State      string `json:"state" jsonschema:"connecting or connected"`
		Role       string `json:"role" jsonschema:"host, guest or viewer"`
		Audio      bool   `json:"audio" jsonschema:"the call has sound"`
		Video      bool   `json:"video" jsonschema:"the call has a picture"`
		AudioMuted bool   `json:"audio_muted" jsonschema:"the others do not hear it"`
		VideoMuted bool   `json:"video_muted" jsonschema:"the others do not see it"`
		Held       bool   `json:"held" jsonschema:"it has put the conference on hold"`
		Speaking   bool   `json:"speaking" jsonschema:"it is the active speaker"`
		Spotlight  bool   `json:"spotlight" jsonschema:"it has a fixed place at the top of the layout"`
		HandRaised bool   `json:"hand_raised" jsonschema:"it has raised a hand"`
		Joined     string `json:"joined" jsonschema:"when it was admitted, RFC 3339 in UTC"`
	}

	// Dialed says that a call has begun.
	Dialed struct {
		Participant string `json:"participant" jsonschema:"id that the participant will have; events tell the outcome"`
	}

	// Nodes lists the nodes of the cluster.
	Nodes struct {
		Nodes []Node `json:"nodes" jsonschema:"by name"`
	}

	// Node is what a node announces of itself; it can be seconds old.
	Node struct {
		Node     string   `json:"node" jsonschema:"name of the node"`
		Address  string   `json:"address" jsonschema:"node@incarnation; empty while the directory does not show it"`
		Roles    []string `json:"roles" jsonschema:"what it does: signalling, media, management"`
		Draining bool     `json:"draining" jsonschema:"it takes no new conferences"`
		Calls    int      `json:"calls" jsonschema:"calls on it"`
		MaxCalls int      `json:"max_calls" jsonschema:"most calls it takes; 0: no limit"`
		MaxHD    float64  `json:"max_hd_calls" jsonschema:"capacity in HD calls; 0: no limit"`
		UsedHD   float64  `json:"used_hd_calls" jsonschema:"the part of it that calls have leased"`
		SIP      string   `json:"sip" jsonschema:"host:port for SIP over UDP and TCP; empty for none"`
		SIPS     string   `json:"sips" jsonschema:"host:port for SIP over TLS; empty for none"`
		HTTPS    string   `json:"https" jsonschema:"base URL of page and client API; empty for none"`
	}
)

// Commands lists every command, in the order of the documentation.
func Commands() []Command {
	return []Command{
		{"conference.list", "Lists the conferences that run, on all nodes.", true, Nothing{}, Conferences{}},
		{"conference.get", "Says everything about a conference and who is in it.", true, InRoom{}, Conference{}},
		{"conference.lock", "Keeps newcomers out.", false, InRoom{}, Nothing{}},
		{"conference.unlock", "Lets newcomers in again.", false, InRoom{}, Nothing{}},
		{"conference.layout", "Gives the conference another layout.", false, InRoomLayout{}, Nothing{}},
		{"conference.mute_guests", "Mutes the sound of everybody who is no host.", false, InRoom{}, Nothing{}},
		{"conference.unmute_guests", "Undoes conference.mute_guests.", false, InRoom{}, Nothing{}},
		{"conference.dial", "Calls somebody into the conference.", false, InRoomDial{}, Dialed{}},
		{"conference.message", "Says something to everybody, or to one participant, in the name of a participant.", false, InRoomMessage{}, Nothing{}},
		{"conference.disconnect", "Ends every call of the conference, and the conference.", false, InRoomFor{}, Nothing{}},
		{"participant.mute", "Mutes the sound of a participant.", false, OfParticipant{}, Nothing{}},
		{"participant.unmute", "Undoes participant.mute.", false, OfParticipant{}, Nothing{}},
		{"participant.mute_video", "Hides the picture of a participant from the others.", false, OfParticipant{}, Nothing{}},
		{"participant.unmute_video", "Undoes participant.mute_video.", false, OfParticipant{}, Nothing{}},
		{"participant.spotlight", "Gives a participant a fixed place at the top of the layout.", false, OfParticipant{}, Nothing{}},
		{"participant.unspotlight", "Takes that place away.", false, OfParticipant{}, Nothing{}},
		{"participant.raise_hand", "Raises the hand of a participant.", false, OfParticipant{}, Nothing{}},
		{"participant.lower_hand", "Lowers the hand of a participant.", false, OfParticipant{}, Nothing{}},
		{"participant.role", "Makes a participant host or guest.", false, OfParticipantRole{}, Nothing{}},
		{"participant.disconnect", "Ends the call of a participant.", false, OfParticipantFor{}, Nothing{}},
		{"node.list", "Lists the nodes of the cluster and how busy they are.", true, Nothing{}, Nodes{}},
		{"node.get", "Says how busy a node is.", true, OfNode{}, Node{}},
		{"node.drain", "Has a node refuse new conferences; running ones go on.", false, OfNode{}, Nothing{}},
		{"node.undrain", "Undoes node.drain.", false, OfNode{}, Nothing{}},
	}
}

// Entity is the first part of a command's name, such as "conference".
func (c Command) Entity() string {
	entity, _, _ := strings.Cut(c.Name, ".")
	return entity
}
