package webrtc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
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

	// Connected is called once, when ICE and DTLS are done and media can flow.
	// It must not block, nor close the call.
	Connected func()

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

	negotiation sync.Mutex // held while an offer is answered; guards what follows
	choice      *choice
	held        map[kind]*stream
	tracks      map[kind]*track
	text        string // our last answer
	candidates  int    // that the peer has trickled in this ICE generation

	mu     sync.Mutex // guards what follows
	closed bool
	told   bool // Ended was called
}

func (e *Engine) answer(ctx context.Context, o Offer) (*Call, error) {
	d, err := parse(o.SDP)
	if err != nil {
		return nil, err
	}
	d.way = wayOf(o.Publisher, o.Viewer)
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
		id:      identity{session: rand.Uint64() >> 2, stream: fmt.Sprintf("skybridge-%08x", rand.Uint32()), sources: map[kind]uint32{}},
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

// Update answers another offer of the same peer: other directions, an ICE
// restart, a medium more or less. Codecs stay. An offer that is refused leaves
// the call as it was.
//
// Without withVideo the call goes on with sound: what video there is in the
// offer is answered inactive. A port of zero would be for ever, as browsers stop
// a transceiver whose section is rejected (W3C WebRTC, setting a description);
// like this the next offer may get it.
func (c *Call) Update(ctx context.Context, offerSDP string, withVideo bool) (string, error) {
	d, err := parse(offerSDP)
	if err != nil {
		return "", err
	}
	d.noVideo, d.way = !withVideo, wayOf(c.offer.Publisher, c.offer.Viewer)
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
	err := c.pc.SetRemoteDescription(pion.SessionDescription{Type: pion.SDPTypeOffer, SDP: next.canonical()})
	if err != nil {
		// What pion refuses although we understood it is in candidates,
		// fingerprints and the like: the peer's.
		return invalid("sdp: %v", err)
	}
	for _, s := range next.streams() {
		k := kind(s.section.media)
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
		c.held[kind(s.section.media)] = s
	}
	c.install()
	return nil
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
	c.offer.Port.SetAudio(nil)
	c.offer.Port.SetVideo(nil)
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
	connected := false
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
			if connected {
				continue
			}
			connected = true
			late.Stop()
			c.connected()
		case pion.PeerConnectionStateFailed:
			c.lose("failed")
			return
		case pion.PeerConnectionStateClosed:
			c.lose("closed")
			return
		}
	}
}

func (c *Call) connected() {
	transport := "udp"
	if pair, err := c.pc.SCTP().Transport().ICETransport().GetSelectedCandidatePair(); err == nil && pair != nil {
		transport = pair.Local.Protocol.String()
	}
	took := time.Since(c.began)
	c.engine.metrics.connected.WithLabelValues(transport).Inc()
	c.engine.metrics.setup.Observe(took.Seconds())
	c.log.Info("call connected", "transport", transport, "took", took.Round(time.Millisecond))
	if c.offer.Connected != nil {
		c.offer.Connected()
	}
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
	c.engine.metrics.lost.WithLabelValues(cause).Inc()
	c.log.Info("call lost", "cause", cause)
	if c.offer.Ended != nil {
		c.engine.callbacks.Go(func() { c.offer.Ended(cause) })
	}
}
