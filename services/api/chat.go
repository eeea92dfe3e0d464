package api

import (
	"net/http"
	"slices"
	"time"

	"golang.org/x/time/rate"

	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/actors/participant"
)

// What clients send to each other through the conference: chat messages, and
// movements of cameras.

// How often a client may send.
const (
	messageRate  = rate.Limit(2) // per second
	messageBurst = 20
	cameraRate   = rate.Limit(10)
	cameraBurst  = 20
)

// maxMoving is the longest time that a camera may be told to move by itself.
const maxMoving = 10 * time.Second

var errRate = &failure{status: http.StatusTooManyRequests, reason: reasonRate, text: "Too many messages", retry: 1}

// messageJSON is the data of message_received.
type messageJSON struct {
	Origin  string `json:"origin"` // name of who sent it
	UUID    string `json:"uuid"`
	Type    string `json:"type"`
	Payload string `json:"payload"`
	Direct  bool   `json:"direct"` // it is for the receiver alone
}

// message sends to everybody, or to the participant in the path.
func (s *Server) message(st *seat, w http.ResponseWriter, r *http.Request) (any, error) {
	body, err := decode[struct {
		Type    string `json:"type"`
		Payload string `json:"payload"`
	}](w, r)
	if err != nil {
		return nil, err
	}
	if err := conference.ValidMessage(body.Type, "payload", body.Payload); err != nil {
		return nil, err
	}
	if !st.messages.Allow() {
		return nil, errRate
	}
	v, err := st.room.now(r.Context())
	if err != nil {
		return nil, err
	}
	return s.order(r, v, &conference.SendMessage{
		From: string(st.id), To: r.PathValue("participant"), Type: body.Type, Payload: body.Payload,
	})
}

// movementJSON is the data of fecc, and the body of requests for it.
type movementJSON struct {
	Action   string     `json:"action"`
	Movement []axisJSON `json:"movement"`
	Timeout  float64    `json:"timeout"` // milliseconds
}

type axisJSON struct {
	Axis      string `json:"axis"`
	Direction string `json:"direction"`
}

// moveCamera moves the camera of the participant in the path.
func (s *Server) moveCamera(st *seat, w http.ResponseWriter, r *http.Request) (any, error) {
	body, err := decode[movementJSON](w, r)
	if err != nil {
		return nil, err
	}
	return s.move(st, r, r.PathValue("participant"), body)
}

// moveFarEnd moves the camera at the other end of a call, which there is in a
// conference of two.
func (s *Server) moveFarEnd(st *seat, w http.ResponseWriter, r *http.Request) (any, error) {
	body, err := decode[movementJSON](w, r)
	if err != nil {
		return nil, err
	}
	if _, err := st.current(r); err != nil {
		return nil, err
	}
	v, err := st.room.now(r.Context())
	if err != nil {
		return nil, err
	}
	far := ""
	for _, p := range v.Participants {
		switch {
		case p.Id == string(st.id):
		case far != "":
			return nil, unsupported(http.StatusForbidden, "far end camera control without a target, in a conference of more than two")
		default:
			far = p.Id
		}
	}
	return s.move(st, r, far, body)
}

// movable checks what the conference does not.
func movable(m movementJSON) error {
	if m.Timeout < 0 || m.Timeout > float64(maxMoving/time.Millisecond) {
		return invalid("timeout", "want 0 to 10000 ms")
	}
	return nil
}

func (s *Server) move(st *seat, r *http.Request, target string, m movementJSON) (any, error) {
	if err := movable(m); err != nil {
		return nil, err
	}
	if !st.cameras.Allow() {
		return nil, errRate
	}
	v, err := st.room.now(r.Context())
	switch {
	case err != nil:
		return nil, err
	case !st.mayHost(v):
		return nil, errRole
	}
	msg := &conference.MoveCamera{From: string(st.id), To: target, Action: m.Action, TimeoutMs: int64(m.Timeout)}
	for _, axis := range m.Movement {
		msg.Movements = append(msg.Movements, &conference.Movement{Axis: axis.Axis, Direction: axis.Direction})
	}
	return s.order(r, v, msg)
}

// lend notes whether the client lets others move its camera.
func (st *seat) lend(on bool) {
	st.server.deps.System.Root.Send(st.pid, &participant.SetCamera{On: on})
}

// maxNotes is how many notes a room remembers, for streams that are being
// opened again.
const maxNotes = 200

// A note is an event that is told once, and is no state of the room.
type note struct {
	serial uint64
	to     string // participant; empty: everybody
	not    string // participant that is not told
	event  string
	data   []byte

	outside []string // participants that waited when it was said
}

func (n *note) isFor(id string) bool { return n.not != id && (n.to == "" || n.to == id) }

// wasKeptFrom reports whether a participant waited when everybody was told. It is
// not told after it was let in, either.
func (n *note) wasKeptFrom(id string) bool { return n.to == "" && slices.Contains(n.outside, id) }

// hear takes what the conference has passed on.
func (s *Server) hear(m *room, msg any) {
	n := note{}
	switch msg := msg.(type) {
	case *conference.Transfer:
		s.refer(m, msg)
		return
	case *conference.Message:
		n.to, n.not, n.event = msg.To, msg.From, "message_received"
		n.data = encode(messageJSON{Origin: msg.Name, UUID: msg.From, Type: msg.Type, Payload: msg.Payload, Direct: msg.To != ""})
	case *conference.MoveCamera:
		j := movementJSON{Action: msg.Action, Movement: []axisJSON{}, Timeout: float64(msg.TimeoutMs)}
		for _, v := range msg.Movements {
			j.Movement = append(j.Movement, axisJSON{v.Axis, v.Direction})
		}
		n.to, n.event, n.data = msg.To, "fecc", encode(j)
	}
	m.note(n)
}

// note tells the streams of something, once.
func (m *room) note(n note) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.noted++
	n.serial = m.noted
	if v := m.view.Load(); v != nil && n.to == "" {
		n.outside = v.outside() // the roster comes before what is said
	}
	if len(m.notes) == maxNotes {
		m.notes = append(m.notes[:0:0], m.notes[1:]...) // streams may be reading the old ones
	}
	m.notes = append(m.notes, n)
	m.signal()
}

// since returns the notes after the one with a serial, and the last serial.
func (m *room) since(serial uint64) ([]note, uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := len(m.notes)
	for i > 0 && m.notes[i-1].serial > serial {
		i--
	}
	return m.notes[i:len(m.notes):len(m.notes)], m.noted
}
