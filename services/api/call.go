package api

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/skybridge-media/skybridge/actors"
	"github.com/skybridge-media/skybridge/actors/node"
	"github.com/skybridge-media/skybridge/actors/participant"
	"github.com/skybridge-media/skybridge/media/port"
)

// The media of a seat: at most one call at a time, and one beside it (second.go).

// place answers a client's offer. A call that the seat has already is replaced:
// clients do that when they start again.
func (s *Server) place(st *seat, w http.ResponseWriter, r *http.Request) (any, error) {
	body, err := decode[struct {
		Type    string  `json:"call_type"`
		SDP     string  `json:"sdp"`
		Present *string `json:"present"`
		Camera  bool    `json:"fecc_supported"`
	}](w, r)
	switch {
	case err != nil:
		return nil, err
	case r.PathValue("participant") != string(st.id):
		return nil, errToken
	case body.Type == "RTMP":
		return nil, unsupported(http.StatusForbidden, "RTMP")
	case body.Type != "WEBRTC":
		return nil, invalid("call_type", "want WEBRTC")
	case body.SDP == "":
		return nil, invalid("sdp", "missing")
	}
	switch present := cmp.Or(body.Present, new(string)); *present {
	case "", "main":
	case presentSend, presentReceive:
		return st.placeSecond(r, body.SDP, *present)
	default:
		return nil, invalid("present", "want main, send or receive")
	}
	c, err := st.answer(r, body.SDP)
	if err != nil {
		return nil, err
	}
	st.lend(body.Camera)
	return callJSON{c.id, c.SDP()}, nil
}

type callJSON struct {
	ID  string `json:"call_uuid"`
	SDP string `json:"sdp"`
}

// answer answers an offer and makes it the call of the seat.
func (st *seat) answer(r *http.Request, sdp string) (_ *call, err error) {
	s := st.server
	audio, video, err := s.inspect(st.protocol, sdp)
	if err != nil {
		return nil, err
	}
	st.placing.Lock()
	defer st.placing.Unlock()
	if err := st.lease(r.Context(), audio, video); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			st.giveBack(false, false) // it takes nothing now
		}
	}()
	st.drop()
	media, err := st.media()
	if err != nil {
		return nil, err
	}
	c := &call{id: uuid.NewString(), etag: newToken(), audio: audio, video: video}
	offer := Offer{
		ID: string(st.id), SDP: sdp, Port: media, Publisher: st.protocol == protocolWHIP, Viewer: st.protocol == protocolWHEP,
		Connected: func() { st.connect(c) },
		Ended:     func(string) { st.lose(c) },
	}
	if st.protocol == protocolAPI && !st.paired { // only they can take the floor
		offer.Content = st.slides
	}
	c.Call, err = s.deps.Media.Answer(r.Context(), offer)
	if err != nil {
		return nil, err
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.ended {
		s.running.Go(c.Close)
		return nil, errEnded
	}
	st.call = c
	if st.lost != nil {
		st.lost.Stop()
	}
	return c, nil
}

// inspect says which media of an offer would be answered.
func (s *Server) inspect(protocol, sdp string) (audio, video bool, err error) {
	switch protocol {
	case protocolWHIP:
		return s.deps.Media.InspectPublisher(sdp)
	case protocolWHEP:
		return s.deps.Media.InspectViewer(sdp)
	}
	return s.deps.Media.Inspect(sdp)
}

// lease asks the node for what media takes, before it is promised to the
// client. A seat that was taken without media has leased nothing so far. Callers
// hold placing.
func (st *seat) lease(ctx context.Context, audio, video bool) error {
	err := st.reserve(ctx, st.keeps(audio, video))
	if err != nil && !errors.Is(err, node.ErrCapacity) {
		// It may be granted yet, when nobody waits for it any more.
		st.mu.Lock()
		c := st.call
		st.mu.Unlock()
		st.giveBack(c != nil && c.audio, c != nil && c.video)
	}
	return err
}

// reserve asks the node for want. Callers hold placing.
func (st *seat) reserve(ctx context.Context, want node.Reserve) error {
	ctx, cancel := context.WithTimeout(ctx, commandPatience)
	defer cancel()
	deps := &st.server.deps
	want.Call = st.id
	_, err := actors.Ask[*node.Reserved](ctx, deps.System, deps.Node, &want)
	if err == nil {
		st.leased = want
	}
	return err
}

// giveBack tells the node that the seat takes no more than this now. Callers
// hold placing, so that the node hears all of it in order.
func (st *seat) giveBack(audio, video bool) {
	st.setLease(st.keeps(audio, video))
}

// setLease is reserve for what cannot be refused: no more than is leased.
func (st *seat) setLease(less node.Reserve) {
	deps := &st.server.deps
	less.Call = st.id
	st.leased = less
	deps.System.Root.Send(deps.Node, &less)
}

// slides asks for room for a stream of what is presented, or gives it back. The
// call's media asks, while an offer is answered: callers hold placing.
func (st *seat) slides(ctx context.Context, on bool) bool {
	want := st.leased
	switch {
	case st.paired:
		return false // that is what it has leased for
	case want.Content == on:
		return on
	}
	want.Content = on
	if !on {
		st.setLease(want)
		return false
	}
	err := st.reserve(ctx, want)
	if err == nil {
		return true
	}
	st.log.Info("presentation refused", "err", err)
	if !errors.Is(err, node.ErrCapacity) {
		st.setLease(st.leased) // it may be granted yet, when nobody waits for it any more
	}
	return false
}

// media returns the port of the seat. It outlives calls: the participant has
// one for its life.
func (st *seat) media() (*port.Port, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.ended {
		return nil, errEnded
	}
	if st.port == nil {
		root, pid := st.server.deps.System.Root, st.pid
		st.port = port.New(port.Config{
			Log: st.log, Metrics: st.server.deps.Ports, Workers: st.server.deps.Workers,
			Notify: func(event any) { root.Send(pid, event) },
		})
	}
	return st.port, nil
}

// tellMedia tells the participant which media the seat has with c as its call;
// nil: none. Callers hold mu.
func (st *seat) tellMedia(c *call) {
	m := &participant.SetMedia{}
	if c != nil {
		m.Audio, m.Video = c.audio, c.video
	}
	if c != nil || st.second != nil {
		m.Slides = st.port.ContentApart()
	}
	st.server.deps.System.Root.Send(st.pid, m)
}

// connect hands the media over to the participant.
func (st *seat) connect(c *call) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.ended {
		return
	}
	st.tellMedia(c)
	st.attach()
}

// attach gives the participant the port, once. Callers hold mu.
func (st *seat) attach() {
	if !st.connected {
		st.connected = true
		st.server.deps.System.Root.Send(st.pid, &participant.Connect{Port: st.port})
	}
}

// lose is told that a call has ended by itself. A browser that starts again has
// a moment to do so; those that have no token have no way to.
func (st *seat) lose(c *call) {
	grace := st.server.cfg.lostGrace
	if st.protocol != protocolAPI {
		grace = 0
	}
	st.placing.Lock()
	defer st.placing.Unlock()
	st.mu.Lock()
	current := st.call == c && !st.ended
	if current {
		st.call, st.gone = nil, c.id
		st.lost = time.AfterFunc(grace, func() {
			st.end(participant.Reason{Code: "media_lost", Text: "Media process disconnected"}, telling)
		})
		st.tellMedia(nil)
		st.lend(false)
		st.giveBack(false, false)
	}
	st.mu.Unlock()
	if current {
		c.Close()
	}
}

// drop closes the call of the seat, if there is one. Callers hold placing.
func (st *seat) drop() {
	st.mu.Lock()
	c := st.call
	st.call = nil
	st.mu.Unlock()
	if c != nil {
		c.Close()
	}
}

// current returns the call that a request is about.
func (st *seat) current(r *http.Request) (*call, error) {
	if r.PathValue("participant") != string(st.id) {
		return nil, errToken
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	for _, c := range []*call{st.call, st.second} {
		if c != nil && c.id == r.PathValue("call") {
			return c, nil
		}
	}
	return nil, errNoCall
}

// forgive reports whether a request is about the call that was just lost: a
// browser closes its connection before it says so. Now that it has, it may stay
// without one.
func (st *seat) forgive(r *http.Request) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	if r.PathValue("participant") != string(st.id) || st.gone == "" || r.PathValue("call") != st.gone {
		return false
	}
	st.lost.Stop()
	return true
}

// ack says that the client has our answer. Media starts when ICE and DTLS are
// done, so there is nothing to wait for.
func (s *Server) ack(st *seat, w http.ResponseWriter, r *http.Request) (any, error) {
	if _, err := decode[struct {
		SDP string `json:"sdp"`
	}](w, r); err != nil {
		return nil, err
	}
	if _, err := st.current(r); err != nil {
		return nil, err
	}
	return true, nil
}

func (s *Server) newCandidate(st *seat, w http.ResponseWriter, r *http.Request) (any, error) {
	body, err := decode[struct {
		Candidate *string `json:"candidate"`
		Ufrag     string  `json:"ufrag"`
	}](w, r)
	if err != nil {
		return nil, err
	}
	if body.Candidate == nil {
		return nil, invalid("candidate", "missing")
	}
	c, err := st.current(r)
	if err != nil {
		return nil, err
	}
	return nil, c.AddCandidate(*body.Candidate, body.Ufrag)
}

// update answers another offer: other directions, or an ICE restart.
func (s *Server) update(st *seat, w http.ResponseWriter, r *http.Request) (any, error) {
	body, err := decode[struct {
		SDP    string `json:"sdp"`
		Camera *bool  `json:"fecc_supported"`
	}](w, r)
	if err != nil {
		return nil, err
	}
	st.placing.Lock()
	defer st.placing.Unlock()
	c, err := st.current(r)
	if err != nil {
		return nil, err
	}
	if c.present != "" {
		return st.changeSecond(r.Context(), c, body.SDP)
	}
	if body.Camera != nil {
		st.lend(*body.Camera)
	}
	if body.SDP == "" {
		return callJSON{c.id, c.SDP()}, nil
	}
	answer, err := st.change(r.Context(), c, body.SDP)
	if err != nil {
		return nil, err
	}
	return callJSON{c.id, answer}, nil
}

// change lets the call of the seat answer another offer. Video that is added
// where there is no room for it is left out, unless the offer is nothing else.
// Callers hold placing.
func (st *seat) change(ctx context.Context, c *call, sdp string) (answer string, err error) {
	audio, video, err := st.server.deps.Media.Inspect(sdp)
	if err != nil {
		return "", err
	}
	if video && !c.video {
		if err := st.lease(ctx, audio, video); err != nil {
			if !audio {
				return "", err
			}
			st.log.Info("video refused", "err", err)
			video = false
		}
	}
	answer, err = c.Update(ctx, sdp, video, !st.paired)
	audio, video = c.Media() // as before, if the offer was refused
	st.giveBack(audio, video)
	st.mu.Lock()
	defer st.mu.Unlock()
	c.audio, c.video = audio, video
	if err == nil && !st.ended {
		st.tellMedia(c)
	}
	return answer, err
}

// hangUp ends the call. The client keeps its seat.
func (s *Server) hangUp(st *seat, _ http.ResponseWriter, r *http.Request) (any, error) {
	st.placing.Lock()
	defer st.placing.Unlock()
	c, err := st.current(r)
	switch {
	case err == nil && c.present != "":
		st.dropSecond(r.Context(), c)
		return nil, nil
	case st.forgiveSecond(r):
		return nil, nil
	case err != nil && !st.forgive(r):
		return nil, err
	}
	st.drop()
	st.mu.Lock()
	st.tellMedia(nil)
	st.mu.Unlock()
	st.lend(false)
	st.giveBack(false, false)
	return nil, nil
}

func (s *Server) dtmf(st *seat, w http.ResponseWriter, r *http.Request) (any, error) {
	if _, err := st.current(r); err != nil {
		return nil, err
	}
	return s.press(st, w, r)
}

// statistics takes what a client has measured, for the log.
func (s *Server) statistics(st *seat, w http.ResponseWriter, r *http.Request) (any, error) {
	type stream struct {
		Lost   float64 `json:"rx_historic_packet_loss"`
		Recent float64 `json:"rx_windowed_packet_loss"`
		Jitter float64 `json:"rx_jitter"`
	}
	body, err := decode[struct {
		Audio stream `json:"audio"`
		Video stream `json:"video"`
	}](w, r)
	if err != nil {
		return nil, err
	}
	if _, err := st.current(r); err != nil {
		return nil, err
	}
	st.log.Debug("client measured", "audio_loss", body.Audio.Recent, "video_loss", body.Video.Recent, "audio_jitter_ms", body.Audio.Jitter)
	return nil, nil
}
