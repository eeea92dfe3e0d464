package webrtc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	pion "github.com/pion/webrtc/v4"

	"github.com/skybridge-media/skybridge/media/port"
)

// Offer is a call that wants to be answered.
type Offer struct {
	ID   string     // of the call, for logs
	SDP  string     // what the peer offers
	Port *port.Port // where its media goes; the caller's

	Publisher bool // the peer only sends (WHIP)
	Viewer    bool // the peer only receives (WHEP)

	// Slides says that the connection is one beside the call on the same Port,
	// and carries what is presented: its pictures are that, and it has nothing
	// else.
	Slides bool

	// Connected is called once, when ICE and DTLS are done and media can flow.
	// It must not block, nor close the call.
	Connected func()

	// Content is asked whether there is room for what is presented, in a stream
	// of its own, before the peer is promised one, and told when it takes none any
	// more. nil: there never is. It is called while an offer is answered.
	Content func(ctx context.Context, on bool) (granted bool)

	// Ended is called at most once, when the peer has closed the connection or
	// cannot be reached any more, with a word for why: "closed", "failed" or
	// "timeout". It is not called after Close, which it may itself call.
	Ended func(cause string)
}

// A Call is one peer connection. It is safe for concurrent use.
type Call struct {
	engine *Engine
	log    *slog.Logger
	offer  Offer
	pc     *pion.PeerConnection
	id     identity
	began  time.Time

	changed chan struct{} // pion's state may have; capacity 1, conflated
	done    chan struct{} // closed by Close
	running sync.WaitGroup
	up      atomic.Bool // it was connected once
	shows   atomic.Bool // the content stream of the port is ours

	negotiation sync.Mutex // held while an offer is answered; guards what follows
	choice      *choice
	held        map[kind]*stream
	tracks      map[kind]*track
	text        string // our last answer
	candidates  int    // that the peer has trickled in this ICE generation

	mu     sync.Mutex // guards what follows
	closed bool
	told   bool   // Ended was called
	slides string // mid of the section for what is presented; "": none
}

func (e *Engine) answer(ctx context.Context, o Offer) (*Call, error) {
	d, err := parse(o.SDP)
	if err != nil {
		return nil, err
	}
	d.begin(&o)
	choice, err := e.choose(d, nil)
	if err != nil {
		return nil, err
	}
	cert, err := e.certs.get(time.Now())
	if err != nil {
		return nil, fmt.Errorf("webrtc: certificate: %w", err)
	}
	pc, err := e.api.NewPeerConnection(pion.Configuration{
		BundlePolicy:  pion.BundlePolicyMaxBundle,
		RTCPMuxPolicy: pion.RTCPMuxPolicyRequire,
		Certificates:  []pion.Certificate{cert},
	})
	if err != nil {
		return nil, fmt.Errorf("webrtc: %w", err)
	}
	c := &Call{
		engine: e, log: e.log.With("call", o.ID), offer: o, pc: pc, began: time.Now(),
		id:      identity{session: rand.Uint64() >> 2, stream: fmt.Sprintf("skybridge-%08x", rand.Uint32()), sources: map[kind]uint32{}, named: map[string]uint32{}},
		changed: make(chan struct{}, 1), done: make(chan struct{}),
		held: map[kind]*stream{}, tracks: map[kind]*track{},
	}
	if err := e.add(c); err != nil {
		return nil, errors.Join(err, pc.Close())
	}
	pc.OnTrack(c.onTrack)
	pc.OnConnectionStateChange(func(pion.PeerConnectionState) { c.poke() })
	c.negotiation.Lock()
	err = c.negotiate(ctx, choice)
	c.negotiation.Unlock()
	if err != nil {
		c.shut()
		c.running.Wait()
		return nil, err
	}
	c.spawn(c.watch)
	c.log.Info("call answered", "audio", c.choice.audio.codecName(), "video", c.choice.video.codecName())
	return c, nil
}

// SDP returns our last answer.
func (c *Call) SDP() string {
	c.negotiation.Lock()
	defer c.negotiation.Unlock()
	return c.text
}

// Media says which media the call has now.
func (c *Call) Media() (audio, video bool) {
	c.negotiation.Lock()
	defer c.negotiation.Unlock()
	return c.choice.audio != nil, c.choice.video != nil
}

// Slides reports whether what is presented has a section, also while nothing
// is sent in it.
func (c *Call) Slides() bool {
	c.negotiation.Lock()
	defer c.negotiation.Unlock()
	return c.choice.content != nil
}

// Update answers another offer of the same peer: other directions, an ICE
// restart, a medium more or less. Codecs stay. An offer that is refused leaves
// the call as it was.
//
// Without withVideo the call goes on with sound: what video there is in the
// offer is answered inactive. A port of zero would be for ever, as browsers stop
// a transceiver whose section is rejected (W3C WebRTC, setting a description);
// like this the next offer may get it. Without withSlides the same holds for what
// is presented, and the content stream of the port is left to whoever has it.
func (c *Call) Update(ctx context.Context, offerSDP string, withVideo, withSlides bool) (string, error) {
	d, err := parse(offerSDP)
	if err != nil {
		return "", err
	}
	d.begin(&c.offer)
	d.noVideo, d.slides = !withVideo, d.slides && withSlides
	c.negotiation.Lock()
	defer c.negotiation.Unlock()
	return c.renegotiate(ctx, d)
}

// renegotiate answers d. Callers hold negotiation.
func (c *Call) renegotiate(ctx context.Context, d *description) (string, error) {
	if c.isClosed() {
		return "", errEnded
	}
	choice, err := c.engine.choose(d, c.held)
	if err != nil {
		return "", err
	}
	restart := choice.via.ufrag != c.choice.via.ufrag
	if err := c.negotiate(ctx, choice); err != nil {
		// pion is between two descriptions now, and has no way back.
		c.lose("failed")
		return "", err
	}
	if restart {
		c.candidates = 0
		c.engine.metrics.restarts.Inc()
		c.log.Info("ICE restarted")
	}
	return c.text, nil
}

// negotiate takes a choice through pion and installs its streams on the port.
// Callers hold negotiation.
func (c *Call) negotiate(ctx context.Context, next *choice) error {
	c.admitSlides(ctx, next)
	err := c.pc.SetRemoteDescription(pion.SessionDescription{Type: pion.SDPTypeOffer, SDP: next.canonical()})
	if err != nil {
		// What pion refuses although we understood it is in candidates,
		// fingerprints and the like: the peer's.
		return invalid("sdp: %v", err)
	}
	for _, s := range next.streams() {
		k := s.section.kind()
		if c.tracks[k] != nil {
			continue
		}
		t := newTrack(k, c.id.stream, c.pc.WriteRTCP)
		sender, err := c.pc.AddTrack(t)
		if err != nil {
			return fmt.Errorf("webrtc: add track: %w", err)
		}
		ssrc := uint32(sender.GetParameters().Encodings[0].SSRC)
		c.id.sources[k], c.tracks[k] = ssrc, t
		c.spawn(func() { c.readReports(k, ssrc, sender) })
	}
	answer, err := c.pc.CreateAnswer(nil)
	if err != nil {
		return fmt.Errorf("webrtc: create answer: %w", err)
	}
	gathered := pion.GatheringCompletePromise(c.pc)
	if err := c.pc.SetLocalDescription(answer); err != nil {
		return fmt.Errorf("webrtc: set answer: %w", err)
	}
	select {
	case <-gathered:
	case <-ctx.Done():
		return fmt.Errorf("webrtc: gather candidates: %w", context.Cause(ctx))
	}
	ours, err := parse(c.pc.LocalDescription().SDP)
	if err != nil {
		return fmt.Errorf("webrtc: our own answer: %w", err)
	}
	c.id.version++
	c.choice, c.text = next, next.answer(ours.sections[0].transport, c.id)
	for _, s := range next.streams() {
		c.held[s.section.kind()] = s
		if s.send {
			c.id.named[s.section.mid] = c.id.sources[s.section.kind()]
		}
	}
	c.install()
	return nil
}

// admitSlides asks for room for what is presented. Without any the section stays
// what it is between presentations: agreed on, and inactive.
func (c *Call) admitSlides(ctx context.Context, next *choice) {
	s, mid := next.content, ""
	if s != nil {
		mid = s.section.mid
	}
	c.mu.Lock()
	c.slides = mid
	c.mu.Unlock()
	if c.offer.Content == nil {
		return
	}
	if on := s != nil && (s.send || s.recv); !c.offer.Content(ctx, on) && on {
		s.send, s.recv = false, false
	}
}

// Close ends the call towards the peer, takes its streams off the port and
// waits until nothing of it runs any more. It may be called more than once.
func (c *Call) Close() {
	if c.shut() {
		c.engine.metrics.active.Dec()
		c.log.Info("call closed", "lasted", time.Since(c.began).Round(time.Millisecond))
	}
	c.running.Wait()
}

// shut does the work of Close and reports whether it was the first.
func (c *Call) shut() bool {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return false
	}
	c.closed = true
	close(c.done)
	c.mu.Unlock()
	if !c.offer.Slides {
		c.offer.Port.SetAudio(nil)
		c.offer.Port.SetVideo(nil)
	}
	if c.shows.Swap(false) {
		c.offer.Port.SetContent(nil)
	}
	if err := c.pc.GracefulClose(); err != nil {
		c.log.Debug("close peer connection", "err", err)
	}
	c.engine.forget(c)
	return true
}

func (c *Call) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// spawn runs f until Close has ended what it reads from; not at all after.
func (c *Call) spawn(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.running.Go(f)
	}
}

// poke makes watch look at the state again. pion calls us on a new goroutine
// for every change, in any order, so what counts is what the state is then.
func (c *Call) poke() {
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

// watch follows the connection until it is closed or lost.
func (c *Call) watch() {
	late := time.NewTimer(c.engine.cfg.patience.setup)
	defer late.Stop()
	for {
		select {
		case <-c.done:
			return
		case <-late.C:
			c.lose("timeout")
			return
		case <-c.changed:
		}
		switch c.pc.ConnectionState() {
		case pion.PeerConnectionStateConnected:
			if !c.up.Swap(true) {
				late.Stop()
				c.connected()
			}
		case pion.PeerConnectionStateFailed:
			c.lose("failed")
			return
		case pion.PeerConnectionStateClosed:
			cause := "closed"
			if !c.up.Load() {
				cause = "failed" // a handshake; nobody can say goodbye before it
			}
			c.lose(cause)
			return
		}
	}
}

func (c *Call) connected() {
	transport, candidate := "udp", candidateTypes[0]
	if pair, err := c.pc.SCTP().Transport().ICETransport().GetSelectedCandidatePair(); err == nil && pair != nil {
		transport, candidate = pair.Local.Protocol.String(), pair.Remote.Typ.String()
	}
	took := time.Since(c.began)
	c.engine.metrics.connected.WithLabelValues(transport, candidate).Inc()
	c.engine.metrics.setup.Observe(took.Seconds())
	c.log.Info("call connected", "transport", transport, "candidate", candidate, "took", took.Round(time.Millisecond))
	if c.offer.Connected != nil {
		c.offer.Connected()
	}
}

// stage is how far the call has ever come. DTLS begins when ICE has found a way.
func (c *Call) stage() string {
	switch {
	case c.up.Load():
		return stageConnected
	case c.pc.SCTP().Transport().State() == pion.DTLSTransportStateNew:
		return stageICE
	}
	return stageDTLS
}

// lose tells that the connection has ended by itself. The callback may call
// Close, which waits for watch; so it runs beside it.
func (c *Call) lose(cause string) {
	c.mu.Lock()
	silent := c.closed || c.told
	c.told = true
	c.mu.Unlock()
	if silent {
		return
	}
	stage := c.stage()
	c.engine.metrics.lost.WithLabelValues(cause, stage).Inc()
	c.log.Info("call lost", "cause", cause, "stage", stage)
	if c.offer.Ended != nil {
		c.engine.callbacks.Go(func() { c.offer.Ended(cause) })
	}
}
