// Package webrtc answers the offers of browsers and of other WebRTC endpoints,
// and carries their media between pion and a [port.Port].
//
// # Negotiation
//
// An offer is parsed once, in Go, into the few things we act upon; what we
// choose from it is a pure function (choose.go). pion never sees the offer
// itself: it is shown a canonical one with exactly the sections and codecs that
// were chosen, all of them sendrecv, and our answer is written from the choice
// and from pion's transport. So a browser's many codecs, directions that come
// and go, sections that we do not use, and everything else that SDP can say end
// in our own, fuzzed code; hold, resume and one-way calls are a matter of
// flags in the port and never stop a transceiver, which pion could not start
// again.
//
// Simulcast (RFC 8853) is taken as it is offered. pion is shown its layers for as
// long as the call, see simulcast.go.
//
// A section with a=content:slides is for what is presented (RFC 4796). It is agreed
// on from the first offer, and carries something when there is room for it, see
// [Offer].
//
// # Transport
//
// All calls share one port number: a UDP socket per local address and a TCP
// listener, told apart by ICE user name fragments. Our candidates are complete
// in every answer. With [Config].Lite, which suits a server that browsers can
// reach, we only answer their checks (RFC 8445 section 2.5).
//
// # Media
//
// No interceptor of pion's runs: package media/port does reports, NACK, key
// frame requests and bandwidth estimates itself, for every protocol alike.
package webrtc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/sdp/v3"
	pion "github.com/pion/webrtc/v4"

	"github.com/skybridge-media/skybridge/codecs"
)

// Config is what an Engine needs. Audio or Video must name at least one codec;
// everything else may be zero.
type Config struct {
	Log     *slog.Logger // nil: discard
	Metrics *Metrics     // nil: unregistered

	// Audio and Video are the codecs that may be answered. Their order does
	// not matter: the peer's preference decides.
	Audio []*codecs.Audio
	Video []*codecs.Video

	// Bind is the address to listen on; the zero Addr, or an unspecified one,
	// means every address of this host that others can reach. With Public it
	// then means the address from which the host reaches Public.
	Bind netip.Addr

	// Port is the number of the UDP and the TCP port; zero picks a free one.
	Port int

	// Public is the address that peers are told instead of the bound one: that
	// of a static NAT in front of this host, which keeps port numbers.
	Public netip.Addr

	// Lite turns ICE lite on.
	Lite bool

	patience patience // for tests; zero means defaultPatience
}

// patience is how long things may take. A peer that is gone is noticed after
// the sum of idle and grace: browsers refresh their consent every 5 s at most
// (RFC 7675), so idle is more than that.
type patience struct {
	idle  time.Duration // without a packet: disconnected
	grace time.Duration // disconnected: given up
	setup time.Duration // from the answer until ICE and DTLS are done
}

var defaultPatience = patience{idle: 7 * time.Second, grace: 18 * time.Second, setup: 30 * time.Second}

// keepalive is how often we send something on a path that is otherwise idle.
const keepalive = 2 * time.Second

// maxDatagram is the largest packet we take from a peer, in bytes.
const maxDatagram = 1600

// An Engine answers offers. It is safe for concurrent use.
type Engine struct {
	cfg     Config
	log     *slog.Logger
	metrics *Metrics
	sockets *sockets
	api     *pion.API
	certs   certificates

	mu     sync.Mutex // guards what follows
	calls  map[*Call]struct{}
	closed bool

	callbacks sync.WaitGroup // Ended callbacks that run
}

// New binds the sockets and returns an Engine that uses them until Close.
func New(cfg Config) (*Engine, error) {
	if len(cfg.Audio)+len(cfg.Video) == 0 {
		return nil, errors.New("webrtc: no codecs configured")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Metrics == nil {
		cfg.Metrics = NewMetrics(nil)
	}
	if cfg.patience == (patience{}) {
		cfg.patience = defaultPatience
	}
	e := &Engine{cfg: cfg, log: cfg.Log, metrics: cfg.Metrics, calls: map[*Call]struct{}{}}
	logs := pionLogs{cfg.Log}
	var err error
	if e.sockets, err = listen(cfg, logs); err != nil {
		return nil, fmt.Errorf("webrtc: %w", err)
	}
	if e.api, err = newAPI(cfg, e.sockets, logs); err != nil {
		return nil, errors.Join(fmt.Errorf("webrtc: %w", err), e.sockets.Close())
	}
	return e, nil
}

func newAPI(cfg Config, s *sockets, logs pionLogs) (*pion.API, error) {
	se := pion.SettingEngine{LoggerFactory: logs}
	se.SetLite(cfg.Lite)
	se.SetNet(s.net)
	se.SetICEUDPMux(s.udp)
	se.SetICETCPMux(s.tcp)
	se.SetNetworkTypes(s.networks)
	se.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	se.SetIncludeLoopbackCandidate(true) // what we listen on was decided by listen
	se.DisableActiveTCP(true)
	se.SetICETimeouts(cfg.patience.idle, cfg.patience.grace, keepalive)
	se.SetReceiveMTU(maxDatagram)
	// A packet sent again after a NACK may be this many packets late: about two
	// seconds of HD video. pion's default of 64 would drop it as a replay.
	se.SetSRTPReplayProtectionWindow(512)
	se.SetFireOnTrackBeforeFirstRTP(true)
	if cfg.Public.IsValid() {
		err := se.SetICEAddressRewriteRules(pion.ICEAddressRewriteRule{
			External:        []string{cfg.Public.String()},
			AsCandidateType: pion.ICECandidateTypeHost,
			Mode:            pion.ICEAddressRewriteReplace,
		})
		if err != nil {
			return nil, err
		}
	}
	me := &pion.MediaEngine{}
	for _, f := range formats {
		if err := me.RegisterCodec(f.parameters(), f.kind.pion()); err != nil {
			return nil, err
		}
	}
	level := pion.RTPHeaderExtensionCapability{URI: sdp.AudioLevelURI}
	if err := me.RegisterHeaderExtension(level, pion.RTPCodecTypeAudio, pion.RTPTransceiverDirectionRecvonly); err != nil {
		return nil, err
	}
	// Only calls with a simulcast negotiate these.
	for uri, kinds := range map[string][]pion.RTPCodecType{
		sdp.SDESMidURI: {pion.RTPCodecTypeAudio, pion.RTPCodecTypeVideo}, sdp.SDESRTPStreamIDURI: {pion.RTPCodecTypeVideo},
	} {
		for _, k := range kinds {
			name := pion.RTPHeaderExtensionCapability{URI: uri}
			if err := me.RegisterHeaderExtension(name, k, pion.RTPTransceiverDirectionRecvonly); err != nil {
				return nil, err
			}
		}
	}
	return pion.NewAPI(pion.WithSettingEngine(se), pion.WithMediaEngine(me),
		pion.WithInterceptorRegistry(&interceptor.Registry{})), nil
}

// Port returns the number of the UDP and TCP port that is bound.
func (e *Engine) Port() int { return e.sockets.port }

// Inspect says which media of an offer would be answered. It allocates
// nothing that outlives it and fails as [Engine.Answer] does.
func (e *Engine) Inspect(offerSDP string) (audio, video bool, err error) {
	return e.inspect(offerSDP, bothWays)
}

// InspectPublisher is Inspect for the offer of a peer that only sends,
// InspectViewer for that of one that only receives.
func (e *Engine) InspectPublisher(offerSDP string) (audio, video bool, err error) {
	return e.inspect(offerSDP, inward)
}

// InspectViewer is described with [Engine.InspectPublisher].
func (e *Engine) InspectViewer(offerSDP string) (audio, video bool, err error) {
	return e.inspect(offerSDP, outward)
}

func (e *Engine) inspect(offerSDP string, w way) (audio, video bool, err error) {
	o, err := parse(offerSDP)
	if err == nil {
		o.way = w
		var c *choice
		if c, err = e.choose(o, nil); err == nil {
			return c.audio != nil, c.video != nil, nil
		}
	}
	e.metrics.refuse(err)
	return false, false, err
}

// Answer answers an offer and installs its media on o.Port, which remains the
// caller's. Every Call must be closed. It fails with [ErrNoCodec], with an
// error of code bus.Invalid that says what is wrong with the offer, or with an
// internal one.
func (e *Engine) Answer(ctx context.Context, o Offer) (*Call, error) {
	c, err := e.answer(ctx, o)
	if err != nil {
		e.metrics.refuse(err)
		return nil, err
	}
	e.metrics.active.Inc()
	return c, nil
}

// Close closes the calls that are left, then the sockets, and waits. It may be
// called more than once.
func (e *Engine) Close() error {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return nil
	}
	e.closed = true
	calls := make([]*Call, 0, len(e.calls))
	for c := range e.calls {
		calls = append(calls, c)
	}
	e.mu.Unlock()
	var wg sync.WaitGroup
	for _, c := range calls {
		wg.Go(c.Close)
	}
	wg.Wait()
	e.callbacks.Wait()
	return e.sockets.Close()
}

// add remembers a call until forget.
func (e *Engine) add(c *Call) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return errClosed
	}
	e.calls[c] = struct{}{}
	return nil
}

func (e *Engine) forget(c *Call) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.calls, c)
}
