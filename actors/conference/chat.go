package conference

import (
	"slices"
	"strings"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/skybridge-media/skybridge/bus"
)

// MaxMessage is the most bytes that the payload of a [SendMessage] may have.
const MaxMessage = 8192

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
	kind, _, _ := strings.Cut(m.Type, ";")
	switch {
	case m.Payload == "", len(m.Payload) > MaxMessage, len(m.Type) > 100:
		return nil, ErrMessage
	case kind != "text/plain" && kind != "application/json":
		return nil, ErrMessage
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
