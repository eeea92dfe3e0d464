package sip

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"github.com/skybridge-media/skybridge/actors"
	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/actors/watcher"
	"github.com/skybridge-media/skybridge/bus"
	"github.com/skybridge-media/skybridge/media/sdp"
	"github.com/skybridge-media/skybridge/services/sip/bfcp"
)

const (
	// floorPatience is how long the conference may take to decide.
	floorPatience = 5 * time.Second

	// againPause is how long to wait before it is told again what it has not heard.
	againPause = time.Second
)

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
//
// It answers from the moment that the call is up: room systems switch their
// presentation off for the whole call when nobody does, and a caller may be asked
// for a PIN for longer than they wait. Until there is a conference nobody presents.
//
// Where the peer is the server it has a conference of its own, as another bridge
// has. What it says of who presents there is as if it had asked for our floor,
// and who presents here is who we ask for its floor for.
type floor struct {
	call      *call
	agreed    sdp.Floor
	end       *bfcp.Endpoint
	news      atomic.Pointer[bfcp.Presenter] // who presents where the peer is the server, not heard yet
	following *watcher.Following             // nil: the caller is asked for a PIN

	request   uint16 // the peer's latest; 0: none; of a peer that is the server any number
	granted   bool   // and it has the floor by it
	presenter string // participant who else has it, as the peer knows
	seen      *conference.Roster

	// The conference is asked for one thing at a time, and for what is wanted
	// when its turn comes: a peer that changes its mind all the time costs no
	// more than one that does not.
	asking bool
	holds  bool // what was asked for may have made us the presenter
}

// controlFloor begins, continues or ends floor control as it is agreed on now.
func (c *call) controlFloor() {
	agreed := c.media.agreed.Floor
	switch f := c.floor; {
	case agreed == nil:
		c.closeFloor()
		return
	case f == nil:
		c.openFloor(agreed)
	case !sameWay(&f.agreed, agreed):
		c.closeFloor()
		c.openFloor(agreed)
	case f.agreed.Role != agreed.Role || f.agreed.Server != agreed.Server || f.agreed.Client != agreed.Client:
		c.restartFloor(agreed)
	case !agreed.TCP() && agreed.Address.IsValid():
		f.end.SetAddress(agreed.Address)
	}
	if c.floor != nil {
		c.floor.enter()
	}
}

// sameWay reports whether what was agreed on goes on over the socket or the
// connection of before.
func sameWay(before, now *sdp.Floor) bool {
	switch {
	case before.TCP() != now.TCP():
		return false
	case !now.TCP() || now.Existing:
		return true
	}
	return before.Active == now.Active && (!now.Active || before.Address == now.Address)
}

// openFloor begins floor control.
func (c *call) openFloor(agreed *sdp.Floor) {
	f := &floor{call: c, agreed: *agreed}
	end, err := c.media.openFloor(bfcp.Config{Floor: *agreed, Log: c.log, Notify: f.notify})
	if err != nil {
		c.log.Warn("no floor control", "err", err)
		return
	}
	f.end = end
	c.floor = f
}

// restartFloor begins it anew over the same socket.
func (c *call) restartFloor(agreed *sdp.Floor) {
	before := c.floor
	f := &floor{call: c, agreed: *agreed, end: before.end}
	before.end.Restart(*agreed, f.notify)
	c.floor = f
	c.background(func(context.Context) { before.leave() })
	before.giveUp()
}

// notify takes events of the endpoint, on its goroutine.
func (f *floor) notify(event any) {
	c := f.call
	switch e := event.(type) {
	case bfcp.Requested, bfcp.Withdrawn:
		c.inbox.post(func() { f.hear(event) })
	case bfcp.Presenter: // only the newest counts
		if f.news.Swap(&e) == nil {
			c.inbox.post(func() { f.hear(*f.news.Swap(nil)) })
		}
	case bfcp.Lost:
		c.log.Info("floor control lost", "err", e.Err)
	case bfcp.GaveUp:
		c.log.Info("floor control given up", "err", e.Err)
		c.inbox.post(func() {
			if c.floor == f {
				c.closeFloor()
			}
		})
	}
}

// enter begins to follow the conference, once there is one.
func (f *floor) enter() {
	c := f.call
	if c.conference == nil || f.following != nil {
		return
	}
	f.following = c.s.deps.Watchers.Follow(c.room, c.conference, watcher.Follower{Roster: func(r *conference.Roster) {
		c.inbox.post(func() {
			if c.floor == f {
				f.see(r)
			}
		})
	}})
	f.pursue() // who presents where the peer is the server, since before
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
		f.leave()
	})
	f.giveUp()
}

// leave follows the conference no more. It waits.
func (f *floor) leave() {
	if f.following == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), floorPatience)
	defer cancel()
	if err := f.following.Stop(ctx); err != nil {
		f.call.log.Warn("conference still followed", "err", err)
	}
}

// giveUp wants nothing of the conference any more.
func (f *floor) giveUp() {
	f.request, f.granted = 0, false
	f.pursue()
}

// hear takes what the peer does.
func (f *floor) hear(event any) {
	if f.call.floor != f {
		return
	}
	switch e := event.(type) {
	case bfcp.Requested:
		f.request, f.granted = e.ID, false
		if f.call.conference == nil {
			f.deny(e.ID, "not in the conference yet")
			return
		}
		f.pursue()
	case bfcp.Withdrawn:
		if f.request == e.ID {
			f.request, f.granted = 0, false
			f.pursue()
		}
	case bfcp.Presenter:
		f.follow(e)
	}
}

// follow takes over from the peer, who is the server, who presents there.
func (f *floor) follow(p bfcp.Presenter) {
	switch there := p != (bfcp.Presenter{}) && !p.Mine; {
	case there:
		f.request++
		f.request, f.granted = max(f.request, 1), false
		f.pursue()
	case f.request != 0:
		f.request, f.granted = 0, false
		f.pursue()
	}
	if p == (bfcp.Presenter{}) {
		f.want(f.seen) // it is free: who presents here is shown there again
	}
}

// want asks a peer that is the server for its floor while somebody else presents
// here, and gives it back.
func (f *floor) want(r *conference.Roster) {
	switch {
	case r == nil || r.Presenter == string(f.call.id) || f.waits(r):
	case r.Presenter == "":
		f.end.Release()
	default:
		name := ""
		if p := presenterOf(r); p != nil {
			name = p.Name
		}
		f.end.Request(name)
	}
}

// pursue asks the conference for what the peer wants, unless it is being asked.
func (f *floor) pursue() {
	switch {
	case f.asking || f.call.conference == nil || f.call.state != up:
	case f.request != 0 && !f.granted:
		f.take(f.request)
	case f.request == 0 && f.holds:
		f.release()
	}
}

// take asks for the floor, and then who has it: rosters that are on their way
// meanwhile may be older than the answer.
func (f *floor) take(request uint16) {
	c, owner, held := f.call, f.call.conference, f.holds
	f.asking, f.holds = true, true
	c.background(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, floorPatience)
		defer cancel()
		var r *conference.Roster
		_, err := actors.Ask[*conference.Done](ctx, c.s.deps.System, owner, &conference.TakeFloor{Id: string(c.id)})
		refused := err != nil && isRefusal(err)
		if err == nil {
			r, err = actors.Ask[*conference.Roster](ctx, c.s.deps.System, owner, &conference.GetRoster{})
		}
		c.inbox.post(func() { f.taken(request, r, err, refused && !held) })
	})
}

// taken is what has become of a request. Who got no answer may have the floor
// all the same: it is given back, unless nothing was given.
func (f *floor) taken(request uint16, r *conference.Roster, err error, nothing bool) {
	f.asking = false
	if nothing {
		f.holds = false
	}
	switch {
	case f.call.floor != f:
	case err != nil:
		f.call.log.Info("floor refused", "err", err)
		f.deny(request, textOf(err))
	default:
		f.see(r)
		switch {
		case f.request != request: // not wanted any more
		case f.seen.Presenter == string(f.call.id):
			f.granted = true
			f.end.Grant(request)
		default: // somebody has taken it at once
			f.deny(request, "")
		}
	}
	f.pursue()
}

// deny refuses a request if it is still the peer's.
func (f *floor) deny(request uint16, reason string) {
	if f.request == request {
		f.request = 0
		f.end.Deny(request, reason)
	}
}

// release gives the floor back, and goes on until the conference has heard it.
func (f *floor) release() {
	c, owner := f.call, f.call.conference
	f.asking = true
	c.background(func(life context.Context) {
		ctx, cancel := context.WithTimeout(life, floorPatience)
		defer cancel()
		_, err := actors.Ask[*conference.Done](ctx, c.s.deps.System, owner, &conference.ReleaseFloor{Id: string(c.id)})
		heard := err == nil || isRefusal(err)
		if !heard {
			c.log.Info("floor not given back", "err", err)
			select {
			case <-time.After(againPause):
			case <-life.Done():
			}
		}
		c.inbox.post(func() {
			f.asking = false
			f.holds = f.holds && !heard
			if heard || c.floor == f {
				f.pursue()
			}
		})
	})
}

// see takes a roster: who presents there is who has the floor, and so it is the
// conference that revokes it. Who waits to be let in is told nothing.
func (f *floor) see(r *conference.Roster) {
	if !r.Supersedes(f.seen) {
		return
	}
	f.seen = r
	f.call.follow(r)
	own := string(f.call.id)
	if f.waits(r) {
		return
	}
	switch {
	case r.Presenter == own:
		f.presenter = ""
		f.end.Release() // as a client: what we had asked for somebody else
	case f.granted || r.Presenter != f.presenter:
		if f.granted {
			f.granted, f.holds = false, false
			f.deny(f.request, "")
		}
		f.presenter = r.Presenter
		f.end.SetPresenter(presenterOf(r))
		f.want(r)
	}
}

// waits reports whether the peer is not let in yet.
func (f *floor) waits(r *conference.Roster) bool {
	return slices.ContainsFunc(r.Participants, func(p *conference.Participant) bool { return p.Id == string(f.call.id) && p.Waiting != "" })
}

// isRefusal reports whether the conference has answered, and nothing was done.
func isRefusal(err error) bool {
	e, ok := errors.AsType[*bus.Error](err)
	return ok && e.Code != bus.Unavailable && e.Code != bus.Internal
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

// openFloorSocket binds what a describes. Who controls the floor over another
// socket yet owns and closes that.
func (m *media) openFloorSocket(a *sdp.Agreement) (err error) {
	switch {
	case a.Floor == nil:
		return nil
	case a.Floor.TCP() && a.Floor.Active && !m.mayDial(a):
		return fmt.Errorf("sip: floor control at %v is not where the peer is", a.Floor.Address.Addr())
	case m.floor != nil && (m.agreed == nil || m.agreed.Floor == nil || sameWay(m.agreed.Floor, a.Floor)):
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

// offerFloorSocket binds what an offer of ours describes: UDP, as each first one.
// Without a port the description has a zero there, which offers nothing.
func (m *media) offerFloorSocket() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed || m.floor != nil {
		return
	}
	packets, err := m.ports.ListenPacket(m.bind)
	if err != nil {
		m.log.Warn("no floor control", "err", err)
		return
	}
	m.floor = &floorSocket{packets: packets}
}

// mayDial reports whether floor control is where the rest of the call is: a
// description must not make us connect to anybody else, least of all in our own
// network.
func (m *media) mayDial(a *sdp.Agreement) bool {
	host, audio := a.Floor.Address.Addr().Unmap(), a.Stream(sdp.Audio)
	return host == m.peer || audio != nil && host == audio.RTP.Addr().Unmap() &&
		host.IsGlobalUnicast() && (!host.IsPrivate() || m.peer.IsPrivate())
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
