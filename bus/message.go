package bus

// MessageSent is published when a participant has written to the others. What
// is written to one of them alone is nobody else's business: its text is left
// out.
type MessageSent struct {
	Room        string `json:"room"`        // name of the room
	Participant string `json:"participant"` // who wrote it
	Node        string `json:"node"`        // node that has the call
	Name        string `json:"name"`        // display name of who wrote it
	To          string `json:"to"`          // participant that it is for; empty for everybody
	Type        string `json:"type"`        // media type: "text/plain" or "application/json"
	Text        string `json:"text"`        // what was written; empty if it is for one participant
}

// Subject implements [Event].
func (e MessageSent) Subject() string {
	return subject("evt", "message", "sent", Token(e.Room), Token(e.Participant))
}
