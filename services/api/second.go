package api

import (
	"context"
	"net/http"

	"github.com/google/uuid"

	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/actors/node"
)

// The call beside that of a seat: a connection of older clients that carries
// only what is presented, by the client or to it. It has the content stream of
// the seat's port; the participant is the same.

// What a client may do with such a call.
const (
	presentSend    = "send"
	presentReceive = "receive"
)

// placeSecond answers the offer of such a call. One that there is already is
// replaced, but not by one that is refused.
func (st *seat) placeSecond(r *http.Request, sdp, present string) (any, error) {
	if _, _, err := st.server.deps.Media.Inspect(sdp); err != nil {
		return nil, err
	}
	st.placing.Lock()
	defer st.placing.Unlock()
	st.mu.Lock()
	first, old := st.call, st.second
	st.mu.Unlock()
	if first != nil && first.Slides() {
		return nil, invalid("present", "the call has a section for presentations already")
	}
	if err := st.leaseSecond(r.Context()); err != nil {
		return nil, err
	}
	floor := old != nil && old.present == presentSend
	if present == presentSend {
		if err := st.takeFloor(r); err != nil {
			if old == nil {
				st.freeSecond()
			}
			return nil, err
		}
		floor = true
	}
	if old != nil {
		st.closeSecond(old)
	}
	c, err := st.answerSecond(r, sdp, present)
	if floor && (err != nil || present != presentSend) {
		st.release(r.Context())
	}
	if err != nil {
		st.freeSecond()
		return nil, err
	}
	return callJSON{c.id, c.SDP()}, nil
}

// leaseSecond asks for room for what is presented. Callers hold placing.
func (st *seat) leaseSecond(ctx context.Context) error {
	had := st.leased
	want := had
	want.Content = true
	if err := st.reserve(ctx, want); err != nil {
		st.setLease(had) // it may be granted yet, when nobody waits for it any more
		return err
	}
	st.paired = true
	return nil
}

// freeSecond gives back what the call has leased. Callers hold placing.
func (st *seat) freeSecond() {
	st.paired = false
	less := st.leased
	less.Content = false
	st.setLease(less)
	st.mu.Lock()
	defer st.mu.Unlock()
	if !st.ended {
		st.tellMedia(st.call)
	}
}

// answerSecond answers an offer. Callers hold placing.
func (st *seat) answerSecond(r *http.Request, sdp, present string) (*call, error) {
	s := st.server
	media, err := st.media()
	if err != nil {
		return nil, err
	}
	c := &call{id: uuid.NewString(), present: present}
	c.Call, err = s.deps.Media.Answer(r.Context(), Offer{
		ID: string(st.id), SDP: sdp, Port: media, Slides: true, Publisher: present == presentSend, Viewer: present == presentReceive,
		Connected: st.connectSecond,
		Ended:     func(string) { st.loseSecond(c) },
	})
	if err != nil {
		return nil, err
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.ended {
		s.running.Go(c.Close)
		return nil, errEnded
	}
	st.second = c
	return c, nil
}

// takeFloor makes the participant the presenter, as it may ask for itself.
func (st *seat) takeFloor(r *http.Request) error {
	_, err := st.server.command(st, r, conference.RoleGuest, &conference.TakeFloor{Id: string(st.id)})
	return err
}

// release gives the floor back, if the participant has it. That does not wait
// for the client's patience.
func (st *seat) release(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commandPatience)
	defer cancel()
	v, err := st.room.now(ctx)
	if err == nil {
		_, err = ask[*conference.Done](ctx, st.server, v.owner(), &conference.ReleaseFloor{Id: string(st.id)})
	}
	if err != nil {
		st.log.Warn("floor not given back", "err", err)
	}
}

// connectSecond hands the media over to the participant.
func (st *seat) connectSecond() {
	st.mu.Lock()
	defer st.mu.Unlock()
	if !st.ended && st.second != nil {
		st.tellMedia(st.call)
		st.attach()
	}
}

// changeSecond answers another offer. Callers hold placing.
func (st *seat) changeSecond(ctx context.Context, c *call, sdp string) (any, error) {
	if sdp == "" {
		return callJSON{c.id, c.SDP()}, nil
	}
	answer, err := c.Update(ctx, sdp, true, true)
	if err != nil {
		return nil, err
	}
	return callJSON{c.id, answer}, nil
}

// loseSecond is told that the call has ended by itself. The seat has another.
func (st *seat) loseSecond(c *call) {
	st.placing.Lock()
	defer st.placing.Unlock()
	st.mu.Lock()
	current := st.second == c && !st.ended
	st.mu.Unlock()
	if current {
		st.dropSecond(context.Background(), c)
	}
}

// dropSecond ends the call, and with it what it presents. Callers hold placing.
func (st *seat) dropSecond(ctx context.Context, c *call) {
	st.closeSecond(c)
	if c.present == presentSend {
		st.release(ctx)
	}
	st.freeSecond()
}

// closeSecond closes the call. Callers hold placing.
func (st *seat) closeSecond(c *call) {
	st.mu.Lock()
	if st.second == c {
		st.second = nil
	}
	st.secondWas = c.id
	st.mu.Unlock()
	c.Close()
}

// forgiveSecond reports whether a request is about such a call that has ended:
// browsers close it before they say so, or after it was replaced.
func (st *seat) forgiveSecond(r *http.Request) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return r.PathValue("participant") == string(st.id) && st.secondWas != "" && r.PathValue("call") == st.secondWas
}

// keeps is what the seat leases with these media in its call. Callers hold placing.
func (st *seat) keeps(audio, video bool) node.Reserve {
	return node.Reserve{Audio: audio, Video: video, Content: st.leased.Content && (video || st.paired)}
}
