package bus

// PresentationStarted is published when a participant gets the floor: what it
// presents is shown to the others from now on.
type PresentationStarted struct {
	Room        string `json:"room"`        // name of the room
	Participant string `json:"participant"` // who presents
	Node        string `json:"node"`        // node that has the call
}

// Subject implements [Event].
func (e PresentationStarted) Subject() string {
	return subject("evt", "presentation", "started", Token(e.Room), Token(e.Participant))
}

// PresentationStopped is published when a participant gives the floor back, or
// loses it to another one.
type PresentationStopped struct {
	Room        string `json:"room"`        // name of the room
	Participant string `json:"participant"` // who presented
	Node        string `json:"node"`        // node that has the call
}

// Subject implements [Event].
func (e PresentationStopped) Subject() string {
	return subject("evt", "presentation", "stopped", Token(e.Room), Token(e.Participant))
}
