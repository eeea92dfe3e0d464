package sip

import (
	"context"
	"errors"
	"time"

	"github.com/skybridge-media/skybridge/actors"
	"github.com/skybridge-media/skybridge/actors/node"
	"github.com/skybridge-media/skybridge/media/sdp"
)

// leasePatience is how long the node may take to say whether there is room for
// video. It knows without asking anybody, so that is its mailbox; and the call
// waits with all that it has to do, so it is less than what peers notice.
const leasePatience = 2 * time.Second

// lease asks the node for room for video before the peer is promised any. Where
// there is none, the call goes on with sound.
func (c *call) lease() error {
	if c.leased {
		return nil
	}
	ctx, cancel := context.WithTimeout(c.s.life, leasePatience)
	defer cancel()
	_, err := actors.Ask[*node.Reserved](ctx, c.s.deps.System, c.s.deps.Node, &node.Reserve{
		Call: c.id, Audio: true, Video: true, Content: c.slides,
	})
	if err == nil {
		c.leased = true
		return nil
	}
	c.log.Info("video refused", "err", err)
	if !errors.Is(err, node.ErrCapacity) {
		c.leaseSound() // it may be granted yet, when nobody waits for it any more
	}
	return err
}

// afford leaves video out of an agreement that adds it where there is no room
// for it. It fails when nothing else is in it.
func (c *call) afford(a *sdp.Agreement) (*sdp.Agreement, error) {
	if a.Stream(sdp.Video) == nil {
		return c.affordSlides(a), nil
	}
	err := c.lease()
	if err == nil {
		return c.affordSlides(a), nil
	}
	if a = a.Without(sdp.Slides).Without(sdp.Video); len(a.Streams) == 0 {
		return nil, err
	}
	return a, nil
}

// affordSlides leaves out of an agreement what is presented, in a stream of its
// own, where there is no room for it, or no picture beside it. It is seen in the
// composed picture then.
func (c *call) affordSlides(a *sdp.Agreement) *sdp.Agreement {
	switch {
	case a.Stream(sdp.Slides) == nil || c.slides:
		return a
	case a.Stream(sdp.Video) == nil:
		return a.Without(sdp.Slides)
	}
	if c.leaseSlides() != nil {
		return a.Without(sdp.Slides)
	}
	return a
}

// leaseSlides asks the node for room for what is presented, beside video.
func (c *call) leaseSlides() error {
	ctx, cancel := context.WithTimeout(c.s.life, leasePatience)
	defer cancel()
	_, err := actors.Ask[*node.Reserved](ctx, c.s.deps.System, c.s.deps.Node, &node.Reserve{
		Call: c.id, Audio: true, Video: true, Content: true,
	})
	if err == nil {
		c.slides = true
		return nil
	}
	c.log.Info("presentation refused", "err", err)
	if !errors.Is(err, node.ErrCapacity) {
		c.leaseWithoutSlides() // it may be granted yet, when nobody waits for it any more
	}
	return err
}

func (c *call) leaseWithoutSlides() {
	c.slides = false
	c.s.deps.System.Root.Send(c.s.deps.Node, &node.Reserve{Call: c.id, Audio: true, Video: c.leased})
}

// giveBack ends the lease for video that the call does not have, unless the
// answer to an offer of ours may still take it.
func (c *call) giveBack() {
	switch {
	case c.media.offer != nil:
	case c.leased && !c.media.has(sdp.Video):
		c.leaseSound()
	case c.slides && !c.media.has(sdp.Slides):
		c.leaseWithoutSlides()
	}
}

// leaseSound keeps room for sound only: also for a call that has switched all
// off, as it may be back with sound at any moment and is not to be refused then.
func (c *call) leaseSound() {
	c.leased, c.slides = false, false
	c.s.deps.System.Root.Send(c.s.deps.Node, &node.Reserve{Call: c.id, Audio: true})
}
