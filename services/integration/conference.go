package integration

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/asynkron/protoactor-go/actor"
	"golang.org/x/sync/errgroup"

	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/actors/node"
	"github.com/skybridge-media/skybridge/bus"
	"github.com/skybridge-media/skybridge/bus/remote"
	"github.com/skybridge-media/skybridge/media/compose"
)

const (
	// listPatience is how long a list waits for a node or a conference that does
	// not answer: it is shown without it.
	listPatience = 2 * time.Second

	// askers is how many of them are asked at a time.
	askers = 32

	maxText = 256 // bytes of what is shown to people
)

var (
	errLayout = &bus.Error{Code: bus.Invalid, Text: "layout: want one of " + strings.Join(compose.Layouts(), ", ")}
	errRole   = &bus.Error{Code: bus.Invalid, Text: "role: want host or guest"}
)

// listConferences asks every node for what it owns, and each of these
// conferences how it is. Who has gone meanwhile is not in the list.
func (s *Service) listConferences(ctx context.Context, _ *bus.Nothing) (*bus.Conferences, error) {
	nodes, err := ask[*node.Nodes](ctx, s, s.Node, &node.GetNodes{})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, listPatience)
	defer cancel()
	var mu sync.Mutex // guards found and list
	found, list := []*actor.PID{}, []bus.ConferenceSummary{}
	each(nodes.Nodes, func(n node.NodeInfo) {
		owned, err := ask[*node.ConferenceList](ctx, s, n.Node, &node.ListConferences{})
		if err != nil {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		for _, c := range owned.Conferences {
			if pid := c.GetConference().PID(); pid != nil {
				found = append(found, pid)
			}
		}
	})
	each(found, func(pid *actor.PID) {
		r, err := ask[*conference.Roster](ctx, s, pid, &conference.GetRoster{})
		if err != nil {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		list = append(list, bus.ConferenceSummary{
			Room: r.Room, Node: s.nodeOf(pid.Address), MediaNode: r.MediaNode, Locked: r.Locked, Layout: r.Layout,
			Participants: len(r.Participants), Started: moment(r.StartedUnixMs),
		})
	})
	slices.SortFunc(list, func(a, b bus.ConferenceSummary) int {
		return cmp.Or(strings.Compare(a.Room, b.Room), strings.Compare(a.Node, b.Node))
	})
	return &bus.Conferences{Conferences: list}, nil
}

// each calls f for every item, several at a time.
func each[T any](items []T, f func(T)) {
	var g errgroup.Group
	g.SetLimit(askers)
	for _, item := range items {
		g.Go(func() error { f(item); return nil })
	}
	_ = g.Wait() // they have no errors
}

func (s *Service) getConference(ctx context.Context, req *bus.InRoom) (*bus.Conference, error) {
	pid, err := s.find(ctx, req.Room)
	if err != nil {
		return nil, err
	}
	r, err := ask[*conference.Roster](ctx, s, pid, &conference.GetRoster{})
	if err != nil {
		return nil, err
	}
	c := &bus.Conference{
		Room: r.Room, Node: s.nodeOf(pid.Address), MediaNode: r.MediaNode, Locked: r.Locked, Layout: r.Layout,
		Started: moment(r.StartedUnixMs), Speaker: r.Speaker, Presenter: r.Presenter, Participants: make([]bus.Participant, 0, len(r.Participants)),
	}
	for _, p := range r.Participants {
		c.Participants = append(c.Participants, bus.Participant{
			ID: p.Id, Node: s.nodeOf(p.Address.GetNode()), Name: p.Name, Protocol: p.Protocol, Remote: p.Remote, Outgoing: p.Outgoing,
			State: p.State, Role: cmp.Or(p.Role, conference.RoleHost), Audio: p.Audio, Video: p.Video,
			AudioMuted: p.AudioMuted, VideoMuted: p.VideoMuted, Held: p.Held, Speaking: p.Speaking,
			Spotlight: p.Spotlight, HandRaised: p.HandRaised, Joined: moment(p.JoinedUnixMs),
		})
	}
	return c, nil
}

// nodeOf is the name of the node with an actor address.
func (s *Service) nodeOf(address string) string {
	if name := remote.NodeOf(address); name != address {
		return name
	}
	return s.Name // its own actors have an address without a node
}

// moment is a time as commands and events show it.
func moment(unixMs int64) string {
	if unixMs == 0 {
		return ""
	}
	return time.UnixMilli(unixMs).UTC().Format("2006-01-02T15:04:05.000Z07:00")
}

func (s *Service) layout(ctx context.Context, req *bus.InRoomLayout) (bus.Nothing, error) {
	if req.Layout == "" {
		return bus.Nothing{}, missing("layout")
	}
	return s.tell(ctx, req.Room, &conference.SetLayout{Layout: req.Layout})
}

func (s *Service) role(ctx context.Context, req *bus.OfParticipantRole) (bus.Nothing, error) {
	switch {
	case req.Participant == "":
		return bus.Nothing{}, missing("participant")
	case req.Role == "":
		return bus.Nothing{}, missing("role")
	}
	return s.tell(ctx, req.Room, &conference.SetRole{Id: req.Participant, Role: req.Role})
}

func (s *Service) disconnect(ctx context.Context, req *bus.OfParticipantFor) (bus.Nothing, error) {
	if req.Participant == "" { // which conferences would take for everybody
		return bus.Nothing{}, missing("participant")
	}
	if err := readable("reason", req.Reason); err != nil {
		return bus.Nothing{}, err
	}
	return s.tell(ctx, req.Room, &conference.Disconnect{Id: req.Participant, Reason: cmp.Or(req.Reason, "Disconnected by an integration")})
}

func (s *Service) endConference(ctx context.Context, req *bus.InRoomFor) (bus.Nothing, error) {
	if err := readable("reason", req.Reason); err != nil {
		return bus.Nothing{}, err
	}
	return s.tell(ctx, req.Room, &conference.Disconnect{Reason: cmp.Or(req.Reason, "Conference terminated by an integration")})
}

func (s *Service) dial(ctx context.Context, req *bus.InRoomDial) (*bus.Dialed, error) {
	switch {
	case req.Room == "":
		return nil, missing("room")
	case req.URI == "":
		return nil, missing("uri")
	case len(req.URI) > 512 || strings.ContainsFunc(req.URI, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return nil, errURI
	case req.Role != "" && req.Role != conference.RoleHost && req.Role != conference.RoleGuest:
		return nil, errRole
	}
	if err := readable("name", req.Name); err != nil {
		return nil, err
	}
	d, err := ask[*node.Dialing](ctx, s, s.Node, &node.Dial{Alias: req.Room, URI: req.URI, Name: req.Name, Role: req.Role})
	if err != nil {
		return nil, err
	}
	return &bus.Dialed{Participant: string(d.Call)}, nil
}

// message checks what conferences would, who call the text otherwise.
func (s *Service) message(ctx context.Context, req *bus.InRoomMessage) (bus.Nothing, error) {
	if req.Participant == "" {
		return bus.Nothing{}, missing("participant")
	}
	m := &conference.SendMessage{From: req.Participant, To: req.To, Type: cmp.Or(req.Type, "text/plain"), Payload: req.Text}
	if err := conference.ValidMessage(m.Type, "text", m.Payload); err != nil {
		return bus.Nothing{}, err
	}
	return s.tell(ctx, req.Room, m)
}

// readable checks what will be shown to people.
func readable(field, text string) error {
	switch {
	case len(text) > maxText:
		return invalid(field, "longer than 256 bytes")
	case !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return invalid(field, "has control characters")
	}
	return nil
}
