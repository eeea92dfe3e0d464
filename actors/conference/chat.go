package conference

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/skybridge-media/skybridge/bus"
)

// Most bytes of a message and of what is said to be its type.
const (
	maxMessage     = 8192
	maxMessageType = 100
)

// ValidMessage says what is wrong with a message that somebody wants to send.
// field is what the payload is called where it comes from.
func ValidMessage(kind, field, payload string) error {
	invalid := func(field, why string) error {
		return &bus.Error{Code: bus.Invalid, Text: field + ": " + why}
	}
	media, _, _ := strings.Cut(kind, ";")
	switch {
	case len(kind) > maxMessageType, media != "text/plain" && media != "application/json":
		return invalid("type", "want text/plain or application/json")
	case payload == "":
		return invalid(field, "is required")
	case len(payload) > maxMessage:
		return invalid(field, fmt.Sprintf("longer than %d bytes", maxMessage))
	case media == "application/json" && !json.Valid([]byte(payload)):
		return invalid(field, "not JSON, as type says")
	}
	return nil
}

// maxMovements bounds a [MoveCamera]: a camera has three axes.
const maxMovements = 3

// message passes on what one participant writes to the others.
func (x *conference) message(c actor.Context, m *SendMessage) {
	msg, err := x.roster.message(m)
	if err == nil {
		x.passOn(c, msg)
	}
	x.reply(c, err)
}

func (x *conference) moveCamera(c actor.Context, m *MoveCamera) {
	err := x.roster.movable(m)
	if err == nil {
		x.passOn(c, m)
	}
	x.reply(c, err)
}

// message decides whether a message may be sent, and says who sent it.
func (r *roster) message(m *SendMessage) (*Message, error) {
	from := r.find(m.From)
	if from < 0 {
		return nil, ErrNobody
	}
	if r.members[from].Waiting != "" {
		return nil, ErrWaiting
	}
	if m.To != "" {
		to := r.find(m.To)
		switch {
		case to < 0:
			return nil, ErrNobody
		case r.members[to].Waiting != "":
			return nil, ErrWaiting
		case !r.members[to].DirectChat:
			return nil, ErrNoChat
		}
	}
	if err := ValidMessage(m.Type, "payload", m.Payload); err != nil {
		return nil, err
	}
	p := r.members[from]
	e := bus.MessageSent{
		Room: r.cfg.Name, Participant: p.Id, Node: r.here.nameOf(p.Address), Name: p.Name, To: m.To, Type: m.Type,
	}
	if m.To == "" {
		e.Text = m.Payload
	}
	r.fact(e)
	return &Message{From: p.Id, Name: p.Name, To: m.To, Type: m.Type, Payload: m.Payload}, nil
}

// directions are those that the axes of a camera have.
var directions = map[string][]string{
	"pan":  {"left", "right"},
	"tilt": {"up", "down"},
	"zoom": {"in", "out"},
}

// movable decides whether a camera may be moved.
func (r *roster) movable(m *MoveCamera) error {
	to := r.find(m.To)
	switch {
	case to < 0 || r.find(m.From) < 0:
		return ErrNobody
	case r.members[to].Waiting != "" || r.members[r.find(m.From)].Waiting != "":
		return ErrWaiting
	case !r.members[to].Camera:
		return ErrNoCamera
	case !slices.Contains([]string{"start", "continue", "stop"}, m.Action), len(m.Movements) > maxMovements, m.TimeoutMs < 0:
		return ErrMovement
	}
	for _, v := range m.Movements {
		if !slices.Contains(directions[v.GetAxis()], v.GetDirection()) {
			return ErrMovement
		}
	}
	return nil
}
