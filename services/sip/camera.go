package sip

import (
	"context"
	"errors"
	"time"

	"golang.org/x/time/rate"

	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/actors/participant"
	"github.com/skybridge-media/skybridge/actors/watcher"
	"github.com/skybridge-media/skybridge/media/rtp"
	"github.com/skybridge-media/skybridge/media/sdp"
	"github.com/skybridge-media/skybridge/services/sip/h224"
)

// No hand moves a camera more often than this.
const (
	movesPerSecond = 10
	movesAtOnce    = 20
)

// A camera passes movements on between the peer, which speaks H.281, and the
// conference. It belongs to the call's goroutine.
type camera struct {
	call      *call
	following *watcher.Following
	seen      *conference.Roster
	movable   bool // what the participant was told of the peer's camera
	frames    *rtp.DataSender
}

// controlCamera begins, continues or ends control of cameras as it is agreed on
// now.
func (c *call) controlCamera() {
	agreed := c.media.agreed.Camera
	if agreed == nil {
		c.closeCamera()
		return
	}
	if c.conference == nil { // the caller is asked for a PIN
		return
	}
	if c.camera == nil {
		x := &camera{
			call: c, frames: rtp.NewDataSender(sdp.CameraClock),
		}
		x.following = c.s.deps.Watchers.Follow(c.room, c.conference, watcher.Follower{
			Roster: func(r *conference.Roster) { c.inbox.post(func() { x.see(r) }) },
			Said: func(msg any) {
				if m, ok := msg.(*conference.MoveCamera); ok {
					c.inbox.post(func() { x.pass(m) })
				}
			},
		})
		c.camera = x
		x.send(&h224.ClientList{})
		x.send(&h224.Capabilities{})
	}
	// Who takes no commands has no camera for them (RFC 4573 section 5.1).
	c.camera.lend(agreed.Send)
}

// hearCamera returns what takes the frames that come for the camera from the
// network. Anybody may send there, and there may be no control of cameras yet or
// any more: what is too much does not get as far as the call.
func (c *call) hearCamera() func(frame []byte) {
	limit := rate.NewLimiter(movesPerSecond, movesAtOnce)
	return func(frame []byte) {
		if !limit.Allow() {
			return
		}
		c.inbox.postForeign(func() {
			if c.camera != nil {
				c.camera.hear(frame)
			}
		})
	}
}

// closeCamera ends it.
func (c *call) closeCamera() {
	x := c.camera
	if x == nil {
		return
	}
	x.lend(false)
	c.camera = nil
	c.background(func(context.Context) {
		ctx, cancel := context.WithTimeout(context.Background(), floorPatience)
		defer cancel()
		if err := x.following.Stop(ctx); err != nil {
			c.log.Warn("conference still followed", "err", err)
		}
	})
}

func (x *camera) lend(on bool) {
	if on != x.movable {
		x.movable = on
		x.call.tell(&participant.SetCamera{On: on})
	}
}

// see takes a roster.
func (x *camera) see(r *conference.Roster) {
	if x.call.camera != x {
		return
	}
	x.seen = r
	x.call.follow(r)
}

// pass has the peer move its camera.
func (x *camera) pass(m *conference.MoveCamera) {
	if x.call.camera != x || m.To != string(x.call.id) || !x.movable {
		return
	}
	actions := map[string]h224.Action{"start": h224.Start, "continue": h224.Continue, "stop": h224.Stop}
	cmd := &h224.Command{Action: actions[m.Action], Timeout: time.Duration(m.TimeoutMs) * time.Millisecond}
	for _, v := range m.Movements {
		direction := h224.Forth
		switch v.GetDirection() {
		case "left", "down", "out":
			direction = h224.Back
		}
		switch v.GetAxis() {
		case "pan":
			cmd.Pan = direction
		case "tilt":
			cmd.Tilt = direction
		case "zoom":
			cmd.Zoom = direction
		}
	}
	x.send(cmd)
}

func (x *camera) send(m interface{ Marshal() []byte }) {
	s := x.call.media.agreed.Camera
	if s == nil || !s.Send {
		return
	}
	if err := x.call.media.sendCamera(x.frames, s.SendType, m.Marshal()); err != nil {
		x.call.log.Debug("camera not moved", "err", err)
	}
}

// hear takes a frame of the peer.
func (x *camera) hear(frame []byte) {
	m, err := h224.Parse(frame)
	switch m := m.(type) {
	case *h224.Command:
		x.move(m)
	case *h224.Query:
		if m.Capabilities {
			x.send(&h224.Capabilities{})
		} else {
			x.send(&h224.ClientList{})
		}
	case nil:
		if !errors.Is(err, h224.ErrOther) {
			x.call.log.Debug("camera control not understood", "err", err)
		}
	}
}

// move has the conference move the camera of the other participant. Where there
// are several, nobody says whose is meant.
func (x *camera) move(m *h224.Command) {
	to := x.far()
	if to == "" {
		return
	}
	msg := &conference.MoveCamera{
		From: string(x.call.id), To: to, Action: map[h224.Action]string{h224.Start: "start", h224.Continue: "continue", h224.Stop: "stop"}[m.Action],
		TimeoutMs: m.Timeout.Milliseconds(),
	}
	for _, a := range []struct {
		axis, back, forth string
		d                 h224.Direction
	}{{"pan", "left", "right", m.Pan}, {"tilt", "down", "up", m.Tilt}, {"zoom", "out", "in", m.Zoom}} {
		switch a.d {
		case h224.Back:
			msg.Movements = append(msg.Movements, &conference.Movement{Axis: a.axis, Direction: a.back})
		case h224.Forth:
			msg.Movements = append(msg.Movements, &conference.Movement{Axis: a.axis, Direction: a.forth})
		}
	}
	// Sent in order, and nobody waits: a camera that does not move is seen.
	x.call.s.deps.System.Root.Send(x.call.conference, msg)
}

// far is whose camera the peer may move: of the only other participant, if the
// peer is a host.
func (x *camera) far() (id string) {
	if x.seen == nil {
		return ""
	}
	host := false
	for _, p := range x.seen.Participants {
		switch {
		case p.Id == string(x.call.id):
			host = p.Role == conference.RoleHost
		case p.Waiting != "":
		case id != "":
			return ""
		default:
			id = p.Id
		}
	}
	if !host {
		return ""
	}
	return id
}

// sendCamera sends a frame of camera control.
func (m *media) sendCamera(s *rtp.DataSender, payloadType uint8, frame []byte) error {
	m.mu.Lock()
	l := m.lines[sdp.Camera]
	m.mu.Unlock()
	if l == nil {
		return errMediaClosed
	}
	return s.Send(l, l.ssrc, payloadType, frame)
}
