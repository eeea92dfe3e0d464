// Package integration carries out what other programs ask for: the commands of
// package bus, on the conferences of the whole cluster, whichever node was asked.
// It knows no protocol; natsbus serves its endpoints.
//
// A command is a state to be reached ("muted", "locked"), not a switch: asked for
// twice it changes nothing the second time, and no event tells of it. Those that
// are not so, conference.dial above all, are made so by an id, which natsbus
// keeps.
package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/skybridge-media/skybridge/actors"
	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/actors/node"
	"github.com/skybridge-media/skybridge/bus"
)

// Deps are what a Service works on. All are required.
type Deps struct {
	System *actor.ActorSystem
	Node   *actor.PID // the node actor of this process
	Name   string     // of this node
}

// Service carries commands out. It is safe for concurrent use.
type Service struct{ Deps }

// New returns a Service.
func New(d Deps) *Service { return &Service{d} }

// Endpoints returns one endpoint for each command of package bus.
func (s *Service) Endpoints() []bus.Endpoint {
	how := map[string]func(context.Context, []byte) (any, error){
		"conference.list":          handle(s.listConferences),
		"conference.get":           handle(s.getConference),
		"conference.lock":          inRoom(s, &conference.Lock{On: true}),
		"conference.unlock":        inRoom(s, &conference.Lock{}),
		"conference.mute_guests":   inRoom(s, &conference.Mute{On: true}),
		"conference.unmute_guests": inRoom(s, &conference.Mute{}),
		"conference.layout":        handle(s.layout),
		"conference.dial":          handle(s.dial),
		"conference.message":       handle(s.message),
		"conference.disconnect":    handle(s.endConference),
		"participant.mute":         ofParticipant(s, func(id string) any { return &conference.Mute{Id: id, On: true} }),
		"participant.unmute":       ofParticipant(s, func(id string) any { return &conference.Mute{Id: id} }),
		"participant.mute_video":   ofParticipant(s, func(id string) any { return &conference.MuteVideo{Id: id, On: true} }),
		"participant.unmute_video": ofParticipant(s, func(id string) any { return &conference.MuteVideo{Id: id} }),
		"participant.spotlight":    ofParticipant(s, func(id string) any { return &conference.Spotlight{Id: id, On: true} }),
		"participant.unspotlight":  ofParticipant(s, func(id string) any { return &conference.Spotlight{Id: id} }),
		"participant.raise_hand":   ofParticipant(s, func(id string) any { return &conference.RaiseHand{Id: id, On: true} }),
		"participant.lower_hand":   ofParticipant(s, func(id string) any { return &conference.RaiseHand{Id: id} }),
		"participant.role":         handle(s.role),
		"participant.disconnect":   handle(s.disconnect),
		"node.list":                handle(s.listNodes),
		"node.get":                 handle(s.getNode),
		"node.drain":               handle(s.drain(true)),
		"node.undrain":             handle(s.drain(false)),
	}
	var list []bus.Endpoint
	for _, c := range bus.Commands() {
		if h := how[c.Name]; h != nil { // a test wants all of them
			list = append(list, bus.Endpoint{Command: c, Handle: h})
		}
	}
	return list
}

// handle makes a function of a request's type one of its JSON.
func handle[Req, Resp any](f func(context.Context, *Req) (Resp, error)) func(context.Context, []byte) (any, error) {
	return func(ctx context.Context, data []byte) (any, error) {
		var req Req
		if err := decode(data, &req); err != nil {
			return nil, err
		}
		return f(ctx, &req)
	}
}

// inRoom is the handler of a command to a conference that always is the same.
func inRoom(s *Service, msg any) func(context.Context, []byte) (any, error) {
	return handle(func(ctx context.Context, r *bus.InRoom) (bus.Nothing, error) { return s.tell(ctx, r.Room, msg) })
}

func ofParticipant(s *Service, msg func(id string) any) func(context.Context, []byte) (any, error) {
	return handle(func(ctx context.Context, r *bus.OfParticipant) (bus.Nothing, error) {
		if r.Participant == "" { // which conferences would take for everybody
			return bus.Nothing{}, missing("participant")
		}
		return s.tell(ctx, r.Room, msg(r.Participant))
	})
}

// decode reads a request; nothing at all reads as one without fields. Fields
// that it does not have are refused: because one that is misspelt would have
// been meant; and because who may command can have the answer to another request
// sent here, an event for one, and that has fields that no command has.
func decode(data []byte, req any) error {
	if len(bytes.TrimSpace(data)) == 0 {
		data = []byte("{}")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	err := d.Decode(req)
	if err == nil {
		if _, err := d.Token(); !errors.Is(err, io.EOF) {
			return invalid("body", "more than one JSON value")
		}
		return nil
	}
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		field := e.Field
		if field == "" {
			field = "body"
		}
		return invalid(field, fmt.Sprintf("want %s, not %s", kind(e.Type.Kind().String()), e.Value))
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return invalid(strings.Trim(name, `"`), "no such field")
	}
	return invalid("body", "not JSON: "+err.Error())
}

// kind is a Go type in the words of JSON.
func kind(k string) string {
	switch k {
	case "struct":
		return "an object"
	case "bool":
		return "a boolean"
	case "string":
		return "a string"
	}
	return "a number"
}

// invalid names the field of a request that is wrong, and why.
func invalid(field, why string) error {
	return &bus.Error{Code: bus.Invalid, Text: field + ": " + why}
}

func missing(field string) error { return invalid(field, "is required") }

// Refusals in the words of requests.
var (
	errNoRoom        = &bus.Error{Code: bus.NotFound, Text: "room: no such room"}
	errNoConference  = &bus.Error{Code: bus.NotFound, Text: "room: no conference runs in it now"}
	errNoParticipant = &bus.Error{Code: bus.NotFound, Text: "participant: nobody with that id is in the conference"}
	errNoChat        = &bus.Error{Code: bus.Conflict, Text: "to: that participant takes no messages"}
	errNoNode        = &bus.Error{Code: bus.NotFound, Text: "node: no such node now"}
	errURI           = &bus.Error{Code: bus.Invalid, Text: "uri: want sip:user@host or sips:user@host"}
	errNoDialer      = &bus.Error{Code: bus.Invalid, Text: "uri: this installation makes no outgoing calls"}
)

// inWords says in the words of requests what actors refuse.
func inWords(err error) error {
	for _, w := range []struct{ err, is error }{
		{node.ErrNotFound, errNoRoom},
		{conference.ErrNobody, errNoParticipant},
		{conference.ErrNoChat, errNoChat},
		{conference.ErrEnded, errNoConference},
		{node.ErrURI, errURI},
		{node.ErrNoDialer, errNoDialer},
		{conference.ErrLayout, errLayout},
		{conference.ErrRole, errRole},
	} {
		if errors.Is(err, w.err) {
			return w.is
		}
	}
	return err
}

func ask[R any](ctx context.Context, s *Service, to *actor.PID, msg any) (R, error) {
	r, err := actors.Ask[R](ctx, s.System, to, msg)
	return r, inWords(err)
}

// find returns the actor of a conference, wherever it is.
func (s *Service) find(ctx context.Context, room string) (*actor.PID, error) {
	if room == "" {
		return nil, missing("room")
	}
	at, err := ask[*node.Found](ctx, s, s.Node, &node.Find{Alias: room})
	switch {
	case err != nil:
		return nil, err
	case at.Conference == nil:
		return nil, errNoConference
	}
	return at.Conference, nil
}

// tell sends a command to a conference.
func (s *Service) tell(ctx context.Context, room string, msg any) (bus.Nothing, error) {
	to, err := s.find(ctx, room)
	if err != nil {
		return bus.Nothing{}, err
	}
	_, err = ask[*conference.Done](ctx, s, to, msg)
	return bus.Nothing{}, err
}
