package sip

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/skybridge-media/skybridge/actors"
	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/bus"
	"github.com/skybridge-media/skybridge/media/sdp"
	"github.com/skybridge-media/skybridge/services/sip/bfcp"
)

// floorPatience is how long the conference may take to decide.
const floorPatience = 5 * time.Second

// A floorSocket is where the peer reaches us for floor control: one of its
// fields, or none where it is us who connect.
type floorSocket struct {
	packets     net.PacketConn
	connections net.Listener
}

// port is what the description says of it.
func (s *floorSocket) port() int {
	switch {
	case s == nil:
		return 0
	case s.packets != nil:
		return s.packets.LocalAddr().(*net.UDPAddr).Port
	case s.connections != nil:
		return s.connections.Addr().(*net.TCPAddr).Port
	}
	return 9 // who connects listens nowhere (RFC 4145 section 4.1)
}

func (s *floorSocket) close() {
	switch {
	case s == nil:
	case s.packets != nil:
		_ = s.packets.Close()
	case s.connections != nil:
		_ = s.connections.Close()
	}
}

// A floor is between a peer that controls its presentation by BFCP and the
// conference, which decides who presents. It belongs to the call's goroutine.
type floor struct {
	call    *call
	end     *bfcp.Endpoint
	watcher *actor.PID

	request   uint16 // the peer's latest; 0: none
	granted   bool   // and it has the floor by it
	presenter string // participant who else has it, as the peer knows
	owner     *actor.PID

	commands []command // for the conference, in order; the first is under way
}

// A command is something that the conference is asked for.
type command struct {
	msg  any
	then func(error) // on the call's goroutine; may be nil
}

// controlFloor begins, continues or ends floor control as it is agreed on now.
func (c *call) controlFloor() {
	agreed := c.media.agreed.Floor
	switch {
	case agreed == nil:
		c.closeFloor()
	case c.floor != nil:
		if !agreed.TCP() && agreed.Address.IsValid() {
			c.floor.end.SetAddress(agreed.Address)
		}
	default:
		f := &floor{call: c, owner: c.conference}
		end, err := c.media.openFloor(bfcp.Config{Floor: *agreed, Log: c.log, Notify: func(event any) {
			c.inbox.post(func() { f.hear(event) })
		}})
		if err != nil {
			c.log.Warn("no floor control", "err", err)
			return
		}
		f.end = end
		f.watcher = c.s.watchRoster(c)
		c.floor = f
	}
}

// closeFloor ends floor control. The conference takes the floor from who leaves.
func (c *call) closeFloor() {
	f := c.floor
	if f == nil {
		return
	}
	c.floor = nil
	c.background(func(context.Context) {
		f.end.Close()
		ctx, cancel := context.WithTimeout(context.Background(), floorPatience)
		defer cancel()
		if err := actors.Stop(ctx, c.s.deps.System, f.watcher); err != nil {
			c.log.Warn("watcher not stopped", "err", err)
		}
	})
	if f.request != 0 && c.state == up {
		f.tell(&conference.ReleaseFloor{Id: string(c.id)}, nil)
	}
}

// hear takes what the peer does.
func (f *floor) hear(event any) {
	if f.call.floor != f {
		return
	}
	switch e := event.(type) {
	case bfcp.Requested:
		f.request, f.granted = e.ID, false
		f.tell(&conference.TakeFloor{Id: string(f.call.id)}, func(err error) {
			if err != nil && f.request == e.ID {
				f.request = 0
				f.end.Deny(e.ID, textOf(err))
			}
		})
	case bfcp.Withdrawn:
		if f.request == e.ID {
			f.request, f.granted = 0, false
			f.tell(&conference.ReleaseFloor{Id: string(f.call.id)}, nil)
		}
	case bfcp.Lost:
		f.call.log.Info("floor control lost", "err", e.Err)
	}
}

// tell asks the conference for something, after what it was asked for before: a
// request may follow the end of another one at once.
func (f *floor) tell(msg any, then func(error)) {
	f.commands = append(f.commands, command{msg, then})
	if len(f.commands) == 1 {
		f.next()
	}
}

// next asks for the first of commands.
func (f *floor) next() {
	c, owner, now := f.call, f.owner, f.commands[0]
	c.background(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, floorPatience)
		defer cancel()
		_, err := actors.Ask[*conference.Done](ctx, c.s.deps.System, owner, now.msg)
		if err != nil {
			c.log.Info("floor refused", "err", err)
		}
		c.inbox.post(func() {
			if now.then != nil && c.floor == f {
				now.then(err)
			}
			if f.commands = f.commands[1:]; len(f.commands) > 0 {
				f.next()
			}
		})
	})
}

// see takes a roster: who presents there is who has the floor. So a grant is
// the conference's, and so is what revokes it.
func (f *floor) see(r *conference.Roster) {
	if owner := r.Conference.PID(); owner != nil {
		f.owner = owner
	}
	own := string(f.call.id)
	switch {
	case r.Presenter == own:
		f.presenter = ""
		if f.request != 0 && !f.granted {
			f.granted = true
			f.end.Grant(f.request)
		}
	case f.granted || r.Presenter != f.presenter:
		if f.granted {
			f.end.Deny(f.request, "")
			f.request, f.granted = 0, false
		}
		f.presenter = r.Presenter
		f.end.SetPresenter(presenterOf(r))
	}
}

// textOf is why the conference has refused, for a human.
func textOf(err error) string {
	if e, ok := errors.AsType[*bus.Error](err); ok {
		return e.Text
	}
	return ""
}

// presenterOf is what a peer is told of who presents; nil of nobody.
func presenterOf(r *conference.Roster) *bfcp.Presenter {
	for _, p := range r.Participants {
		if p.Id == r.Presenter {
			return &bfcp.Presenter{Name: p.Name}
		}
	}
	return nil
}

// openFloorSocket binds what a describes.
func (m *media) openFloorSocket(a *sdp.Agreement) (err error) {
	switch {
	case a.Floor == nil || m.floor != nil:
		return nil
	case !a.Floor.TCP():
		m.floor = &floorSocket{}
		m.floor.packets, err = m.ports.ListenPacket(m.bind)
	case !a.Floor.Active:
		m.floor = &floorSocket{}
		m.floor.connections, err = m.ports.Listen(m.bind)
	default:
		m.floor = &floorSocket{}
	}
	if err != nil {
		m.floor = nil
	}
	return err
}

// openFloor begins floor control on the socket that was described, which it
// owns from now on.
func (m *media) openFloor(cfg bfcp.Config) (*bfcp.Endpoint, error) {
	m.mu.Lock()
	s := m.floor
	m.mu.Unlock()
	switch {
	case s == nil:
		return nil, errMediaClosed
	case s.packets != nil:
		return bfcp.Datagrams(s.packets, cfg)
	case s.connections != nil:
		return bfcp.Listen(s.connections, cfg)
	}
	return bfcp.Dial(nil, cfg)
}
