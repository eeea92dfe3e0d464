package participant

import (
	"context"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/skybridge-media/skybridge/actors"
	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/actors/transcoder"
	"github.com/skybridge-media/skybridge/bus"
	"github.com/skybridge-media/skybridge/media/port"
)

var _ Port = (*port.Port)(nil)

// detachPatience is how long a port may wait to be taken off the bridge. A
// bridge lets go within a tick, unless its transcoder is gone and the bridge
// with it.
const detachPatience = time.Second

// ending is what has been done, and must be done once, at the end of a call.
type ending struct {
	hungUp   bool
	told     bool // ParticipantLeft is published
	released bool // begun; the port is closed in the background
	open     int  // background work that the actor waits for before it stops
}

// Messages to self.
type (
	released struct{}
	left     struct{}
)

// end ends the call: the peer is hung up on, the conference told, the port
// closed. The actor stops when the last two are done.
func (p *participant) end(c actor.Context, reason Reason) {
	switch p.state {
	case ended:
		return
	case asked:
		p.turnAway(c, reason)
		return
	case joining:
		if p.Ask != nil {
			p.turnAway(c, reason)
			return
		}
		// There is nothing to hang up yet.
		p.refused(c, &bus.Error{Code: bus.Unavailable, Text: "participant: " + reason.Code})
		return
	}
	p.state, p.reason = ended, reason
	p.stopTimer()
	p.Log.Info("call ended", "reason", reason.Code, "duration", time.Since(p.began))

	p.hangUp(reason)
	p.tellLeft()
	p.ending.open = 1
	self, root := c.Self(), c.ActorSystem().Root
	leave := &conference.Leave{Id: string(p.ID), Reason: reason.Code}
	actors.Request(c, p.Conference, leave, leavePatience, func(*conference.Done, error) {
		// Without an answer the conference sees the end of this actor.
		root.Send(self, &left{})
	})
	if p.release(c, func() { root.Send(self, &released{}) }) {
		p.ending.open++
	}
}

// ended stops the actor when everything is done.
func (p *participant) ended(c actor.Context) {
	if p.ending.open--; p.ending.open == 0 {
		c.Stop(c.Self())
	}
}

// tellLeft publishes the end of the call, once.
func (p *participant) tellLeft() {
	e := bus.ParticipantLeft{
		Room: p.Room, Participant: string(p.ID), Node: p.Node, Reason: p.reason.Code,
		Duration: bus.Seconds(time.Since(p.admitted)),
	}
	p.publish(e)
	p.ending.told = true
}

// hangUp ends the call towards the peer, once.
func (p *participant) hangUp(reason Reason) {
	if p.ending.hungUp || p.Signalling == nil {
		return
	}
	p.ending.hungUp = true
	p.Signalling.Hangup(reason)
}

// release takes the leg off the bridge and then closes the port, in the
// background, and calls done. It reports false when that has begun before or
// there is nothing to do.
func (p *participant) release(c actor.Context, done func()) bool {
	if p.ending.released || p.port == nil {
		return false
	}
	p.ending.released = true
	sys, log, metrics := c.ActorSystem(), p.Log, p.Metrics
	media, id, t, desk := p.port, string(p.ID), p.transcoder, p.asking.desk
	go func() {
		defer done()
		if desk != nil {
			contain(log, metrics, "close desk", desk.Close)
		}
		if t != nil {
			ctx, cancel := context.WithTimeout(context.Background(), detachPatience)
			defer cancel()
			if _, err := actors.Ask[*transcoder.Detached](ctx, sys, t, &transcoder.Detach{ID: id}); err != nil {
				log.Debug("leg not detached", "err", err)
			}
		}
		closePort(log, metrics, media)
	}()
	return true
}

// stopped does what is left to do, however the actor came to stop: by [end], by
// a panic, or with its node.
func (p *participant) stopped(c actor.Context) {
	if p.stopTimer != nil {
		p.stopTimer()
	}
	p.stopAsking()
	if p.state != ended {
		p.reason = Reason{Code: "failed", Text: "Internal error"}
	}
	if p.transcoder != nil {
		c.Unwatch(p.transcoder) // or it remembers us for as long as the conference lasts
	}
	p.release(c, func() {})
	p.Metrics.over(p.Protocol, p.reason.Code, p.isAdmitted())
	if p.isAdmitted() || p.Ask != nil {
		contain(p.Log, p.Metrics, "hang up", func() { p.hangUp(p.reason) })
		contain(p.Log, p.Metrics, "publish", p.tellLeft)
	}
}

func closePort(log *slog.Logger, m *Metrics, media Port) { contain(log, m, "close port", media.Close) }

// contain runs f where a panic would not end one actor but the process, or
// keep the actor's watchers from hearing of its end.
func contain(log *slog.Logger, m *Metrics, what string, f func()) {
	defer func() {
		if r := recover(); r != nil {
			m.panics.Inc()
			log.Error("panic contained", "while", what, "err", r, "stack", string(debug.Stack()))
		}
	}()
	f()
}
