package node

import (
	"errors"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/skybridge-media/skybridge/actors"
	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/actors/participant"
)

const (
	// rosterPatience is how long a conference may take to say who is there.
	rosterPatience = 2 * time.Second

	// placePatience is how long another node may take to begin a call.
	placePatience = 5 * time.Second
)

// locateFor answers another node that was told that this one has a conference.
func (n *node) locateFor(c actor.Context, m *Locate) {
	sender := c.Sender()
	cfg, err := n.rooms.resolve(m.Room)
	if err == nil && n.stopping.begun() {
		err = ErrStopping
	}
	if err != nil {
		n.reply(c, sender, conference.Refuse(err))
		return
	}
	r := n.room(cfg)
	n.want(c, r, waiter{toOwn, func(c actor.Context, err error) {
		switch {
		case err != nil:
			n.reply(c, sender, conference.Refuse(err))
		case !r.mine:
			n.reply(c, sender, conference.Refuse(ErrUnavailable))
		default:
			n.reply(c, sender, &Located{Conference: conference.AddressOf(r.conference), Epoch: r.epoch})
		}
	}})
}

// findFor answers who asks for a conference without joining it.
func (n *node) findFor(c actor.Context, m *Find) {
	sender := c.Sender()
	cfg, err := n.rooms.resolve(m.Alias)
	if err == nil && n.stopping.begun() {
		err = ErrStopping
	}
	if err != nil {
		n.reply(c, sender, err)
		return
	}
	need := toLook
	if m.Create && !n.draining {
		need = toEnter
	}
	n.lookUp(c, cfg, need, false, func(c actor.Context, f *Found, err error) {
		if err != nil {
			n.reply(c, sender, err)
			return
		}
		n.reply(c, sender, f)
	})
}

// lookUp finds a conference and where its media is: where it would be, if there
// is none so far, on another node than this one if full.
func (n *node) lookUp(c actor.Context, cfg conference.Config, need need, full bool, then func(actor.Context, *Found, error)) {
	r := n.room(cfg)
	n.want(c, r, waiter{need, func(c actor.Context, err error) {
		f := &Found{Room: r.cfg.Name}
		switch {
		case errors.Is(err, errNoConference):
			n.place(f, "", full)
			then(c, f, nil)
			return
		case err != nil:
			then(c, nil, err)
			return
		}
		f.Conference = r.conference
		actors.Request(c, f.Conference, &conference.GetRoster{}, rosterPatience, func(ro *conference.Roster, err error) {
			if err != nil {
				then(c, nil, ErrUnavailable)
				return
			}
			n.place(f, ro.MediaNode, full)
			then(c, f, nil)
		})
	}})
}

// place fills in where the media of a conference is.
func (n *node) place(f *Found, media string, full bool) {
	if media == "" {
		prefer, except := n.placement.self.Address, []string(nil)
		if full {
			prefer, except = "", []string{n.placement.self.Address}
		}
		if pid := n.placement.Media(prefer, except); pid != nil {
			media = n.placement.nameOf(pid)
		}
	}
	f.Node, f.Here = media, media == n.Name
	f.Contacts, _ = n.placement.contacts(media)
}

func (n *node) reply(c actor.Context, to *actor.PID, msg any) {
	if to != nil {
		c.Send(to, msg)
	}
}

// dial calls somebody into a conference, from the node that has its media.
func (n *node) dial(c actor.Context, m *Dial) {
	sender := c.Sender()
	cfg, err := n.rooms.resolve(m.Alias)
	switch {
	case err != nil:
	case n.stopping.begun():
		err = ErrStopping
	case !isSIP(m.URI):
		err = ErrURI
	}
	if err != nil {
		n.reply(c, sender, err)
		return
	}
	n.lookUp(c, cfg, toEnter, false, func(c actor.Context, f *Found, err error) {
		switch {
		case err != nil:
			n.reply(c, sender, err)
		case f.Here:
			n.reply(c, sender, n.call(m))
		default:
			n.dialFrom(c, f.Node, m, sender)
		}
	})
}

// dialFrom has another node call.
func (n *node) dialFrom(c actor.Context, name string, m *Dial, sender *actor.PID) {
	target := n.placement.node(name)
	if target == nil {
		n.reply(c, sender, ErrUnavailable)
		return
	}
	ask := &PlaceCall{Alias: m.Alias, Uri: m.URI, Name: m.Name, Role: m.Role}
	actors.Request(c, target, ask, placePatience, func(r *CallPlaced, err error) {
		if err != nil {
			n.reply(c, sender, err)
			return
		}
		n.reply(c, sender, &Dialing{Call: participant.ID(r.Call)})
	})
}

// placeCall calls on behalf of another node.
func (n *node) placeCall(c actor.Context, m *PlaceCall) {
	if !isSIP(m.Uri) {
		c.Respond(conference.Refuse(ErrURI))
		return
	}
	switch r := n.call(&Dial{Alias: m.Alias, URI: m.Uri, Name: m.Name, Role: m.Role}).(type) {
	case *Dialing:
		c.Respond(&CallPlaced{Call: string(r.Call)})
	case error:
		c.Respond(conference.Refuse(r))
	}
}

// call starts an outgoing call and returns the reply to Dial.
func (n *node) call(m *Dial) any {
	switch {
	case n.Dialer == nil:
		return ErrNoDialer
	case n.stopping.begun():
		return ErrStopping
	case n.MaxCalls > 0 && len(n.calls) >= n.MaxCalls:
		return ErrCapacity
	}
	d := *m
	if d.Name == "" {
		d.Name = conference.NormalizeAlias(d.URI)
	}
	id := NewCall()
	n.Dialer.Dial(id, d)
	return &Dialing{Call: id}
}

func isSIP(uri string) bool {
	scheme, rest, _ := strings.Cut(uri, ":")
	scheme = strings.ToLower(scheme)
	return (scheme == "sip" || scheme == "sips") && rest != ""
}
