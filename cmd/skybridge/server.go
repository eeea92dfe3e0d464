package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/skybridge-media/skybridge/actors"
	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/actors/node"
	"github.com/skybridge-media/skybridge/actors/participant"
	"github.com/skybridge-media/skybridge/actors/testcall"
	"github.com/skybridge-media/skybridge/actors/transcoder"
	"github.com/skybridge-media/skybridge/actors/watcher"
	"github.com/skybridge-media/skybridge/bus"
	"github.com/skybridge-media/skybridge/bus/claim"
	"github.com/skybridge-media/skybridge/bus/natsbus"
	"github.com/skybridge-media/skybridge/bus/remote"
	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/g711"
	"github.com/skybridge-media/skybridge/codecs/g722"
	"github.com/skybridge-media/skybridge/codecs/h264"
	"github.com/skybridge-media/skybridge/codecs/opus"
	"github.com/skybridge-media/skybridge/codecs/vp8"
	"github.com/skybridge-media/skybridge/media/bridge"
	"github.com/skybridge-media/skybridge/media/port"
	"github.com/skybridge-media/skybridge/media/priority"
	"github.com/skybridge-media/skybridge/media/rtp"
	"github.com/skybridge-media/skybridge/media/sdp"
	"github.com/skybridge-media/skybridge/services/api"
	"github.com/skybridge-media/skybridge/services/ops"
	"github.com/skybridge-media/skybridge/services/sip"
	"github.com/skybridge-media/skybridge/services/web"
	"github.com/skybridge-media/skybridge/services/webrtc"
)

// A server is everything that runs. It is made by start and ended by stop,
// which undoes start backwards.
type server struct {
	config  *config
	log     *slog.Logger
	metrics *prometheus.Registry
	fail    context.CancelCauseFunc // ends the program
	tls     *tls.Config
	outward netip.Addr

	https, ops                               net.Listener // ops may be nil
	sipPort, sipsPort, httpsPort, webrtcPort uint16
	opsURL, natsURL                          string

	bus    *natsbus.Bus
	remote *remote.Remote
	claims *claim.Directory
	system *actor.ActorSystem
	actors *actors.Metrics
	node   *actor.PID
	ports  *port.Metrics // of what browsers send and receive

	watchers *watcher.Set

	workers *bridge.Workers // decode, compose and encode video

	sip    *sip.Server
	webrtc *webrtc.Engine

	undo []func(context.Context) error
}

// onStop remembers what ends something that was started.
func (s *server) onStop(f func(context.Context) error) { s.undo = append(s.undo, f) }

// stop ends everything, the newest first, in [goodbye] at most.
func (s *server) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), goodbye)
	defer cancel()
	var errs []error
	for _, f := range slices.Backward(s.undo) {
		errs = append(errs, f(ctx))
	}
	return errors.Join(errs...)
}

// start reads top to bottom: what depends on nothing, then what depends on
// that. When a step fails, those before it are undone.
func start(ctx context.Context, c *config, log *slog.Logger, lines *logWriter, fail context.CancelCauseFunc) (s *server, err error) {
	s = &server{config: c, log: log, metrics: prometheus.NewRegistry(), fail: fail, outward: outwardAddr()}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.stop())
		}
	}()
	s.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), buildInfo(), processors(), lines.lost(), &disk{dir: c.Data})
	for _, step := range []func(context.Context) error{
		s.startWorkers, s.loadCertificate, s.startBus, s.startActors, s.listenSIP, s.startWebRTC, s.listenHTTP, s.startNode, s.serveHTTP, s.serveSIP, s.serveIntegrations,
	} {
		if err := step(ctx); err != nil {
			return s, err
		}
	}
	return s, nil
}

// startWorkers tells the runtime and the kernel what to care about, and starts the
// threads for video. They are the last to be stopped: everything with pictures has
// ended by then.
func (s *server) startWorkers(context.Context) error {
	// Little becomes garbage while calls last: half a megabyte per second of
	// 400. Half the usual room for it costs one more collection a minute, and
	// makes a node with 64 calls 23 MB large instead of 27.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
	if err := priority.Prompt(); err != nil {
		s.log.Warn("audio may be late while every processor is busy", "err", err)
	}
	// A thread inside a C codec keeps its place in Go's scheduler; as many more
	// places keep audio ticks from waiting for one.
	threads := runtime.GOMAXPROCS(0)
	runtime.GOMAXPROCS(2 * threads)
	s.workers = bridge.NewWorkers(threads)
	s.onStop(func(context.Context) error { s.workers.Close(); return nil })
	return nil
}

// loadCertificate makes the data directory, and the certificate in it if there
// is none.
func (s *server) loadCertificate(context.Context) error {
	if err := os.MkdirAll(s.config.Data, 0o700); err != nil {
		return fmt.Errorf("data: %w", err)
	}
	cert, err := web.Certificate(s.config.path("tls"), s.names())
	if err != nil {
		return err
	}
	s.tls = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	s.metrics.MustRegister(web.Expiry(cert))
	return nil
}

// startBus connects to NATS: the embedded server or the one that is configured.
func (s *server) startBus(ctx context.Context) error {
	c := s.config
	cfg := natsbus.Config{URL: c.NATS, Node: c.Name, Log: s.log.With("part", "bus"), Metrics: natsbus.NewMetrics(s.metrics)}
	s.natsURL = withoutPassword(c.NATS)
	if c.NATS == "" {
		server, err := s.startNATS()
		if err != nil {
			return err
		}
		cfg.URL, cfg.InProcess = server.URL(), server
		s.natsURL = withoutPassword(cfg.URL)
	}
	bus, err := natsbus.Connect(ctx, cfg)
	if err != nil {
		return err
	}
	s.bus = bus
	s.onStop(bus.Close)
	return nil
}

// startActors makes the actor system and its way to those of other nodes.
func (s *server) startActors(ctx context.Context) error {
	c := s.config
	s.actors = actors.NewMetrics(s.metrics)
	s.system = actors.NewSystem(s.log, s.actors)
	s.onStop(func(context.Context) error { s.system.Shutdown(); return nil })
	s.watchers = watcher.NewSet(watcher.Deps{Log: s.log.With("part", "actors"), Metrics: s.actors, System: s.system, Node: s.nodePID()})
	registry := remote.NewRegistry()
	node.Register(registry)
	var err error
	s.remote, err = remote.New(s.system, s.bus.Actors(), remote.Config{
		Node: c.Name, Registry: registry, Allow: reachable, Log: s.log.With("part", "remote"), Metrics: remote.NewMetrics(s.metrics),
	})
	if err != nil {
		return err
	}
	s.onStop(func(context.Context) error { return s.remote.Close() })
	s.claims, err = claim.New(ctx, s.bus.Data(), claim.Config{
		Node: c.Name, Address: s.remote.Address(), Log: s.log.With("part", "claim"), Metrics: claim.NewMetrics(s.metrics),
		Notify: func(event any) {
			if e, ok := event.(*claim.Fenced); ok {
				s.remote.Renew(e.Address)
			}
			s.system.Root.Send(s.nodePID(), event)
		},
	})
	if err != nil {
		return err
	}
	s.onStop(func(context.Context) error { return s.claims.Close() })
	sub := s.system.EventStream.Subscribe(func(event any) {
		switch e := event.(type) {
		case *remote.Renewed:
			s.claims.Readdress(e.Address)
		case *remote.Replaced:
			s.fail(fmt.Errorf("another process has joined the cluster as %q (%s); names must differ", c.Name, e.By))
		}
	})
	s.onStop(func(context.Context) error { s.system.EventStream.Unsubscribe(sub); return nil })
	// A node that starts alone owns what it is first asked for; that is worth a
	// moment. NATS may also be away, and calls are taken all the same.
	joining, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := s.claims.Joined(joining); err != nil {
		s.log.Warn("not in the directory yet; conferences start without it", "err", err)
	}
	return nil
}

// The codecs, preferred first.
var (
	audioCodecs = []*codecs.Audio{&opus.Mono, &g722.G722, &g711.PCMU, &g711.PCMA}
	videoCodecs = []*codecs.Video{&h264.H264, &vp8.VP8}
)

// nodePID is the node actor's before it is started: the services want to know
// whom to ask, and the node wants to know where they listen.
func (s *server) nodePID() *actor.PID { return s.system.NewLocalPID(node.ActorName) }

func (s *server) listenSIP(context.Context) error {
	c := s.config
	s.ports = portMetrics(s.metrics, "webrtc")
	pairs, err := rtp.NewPortRange(int(c.RTP.First), int(c.RTP.Last))
	if err != nil {
		return err
	}
	s.metrics.MustRegister(pairs)
	s.sip, err = sip.New(sip.Config{
		Bind: c.Bind.addr, Public: s.public(), Port: int(c.SIPPort), TLSPort: int(c.SIPSPort),
		TLS: s.tls, Crypto: sip.CryptoPolicy(c.SRTP), UserAgent: "Skybridge",
	}, sip.Deps{
		Log: s.log.With("part", "sip"), Metrics: sip.NewMetrics(s.metrics), System: s.system, Node: s.nodePID(), Watchers: s.watchers,
		Media: sdp.Capabilities{Audio: audioCodecs, Video: videoCodecs, Slides: true, Floor: sdp.FloorServer | sdp.FloorClient, Camera: true},
		Ports: pairs, PortMetrics: portMetrics(s.metrics, "sip"), Workers: s.workers, RTPMetrics: rtp.NewMetrics(s.metrics),
	})
	if err != nil {
		return err
	}
	if err := s.sip.Listen(); err != nil {
		return err
	}
	s.onStop(func(context.Context) error { return s.sip.Close() })
	addrs := s.sip.Addrs()
	s.sipPort, s.sipsPort = addrs.SIP.Port(), addrs.SIPS.Port()
	return nil
}

// names are what the certificate is for.
func (s *server) names() []string {
	names := []string{"localhost", "127.0.0.1", "::1"}
	if host, err := os.Hostname(); err == nil && host != "" {
		names = append([]string{host}, names...)
	}
	if a := s.advertised().String(); !slices.Contains(names, a) {
		names = append(names, a)
	}
	return names
}

// public is the configured address, invalid when there is none.
func (s *server) public() netip.Addr {
	addr, _ := netip.ParseAddr(s.config.Public) // validated; empty is invalid, as it should be
	return addr
}

func (s *server) startWebRTC(context.Context) error {
	var err error
	s.webrtc, err = webrtc.New(webrtc.Config{
		Log: s.log.With("part", "webrtc"), Metrics: webrtc.NewMetrics(s.metrics), Audio: audioCodecs, Video: videoCodecs,
		Bind: s.config.Bind.addr, Port: int(s.config.WebRTC), Public: s.public(), Lite: true,
	})
	if err != nil {
		return err
	}
	s.webrtcPort = uint16(s.webrtc.Port())
	s.onStop(func(context.Context) error { return s.webrtc.Close() })
	return nil
}

// startNode starts the node actor. Everything that takes calls is bound by now,
// because the node announces where.
func (s *server) startNode(context.Context) error {
	c := s.config
	capacity, measured := s.capacity()
	bridges := bridge.NewMetrics(s.metrics)
	var err error
	s.node, err = node.Start(s.system, node.Config{
		Name: c.Name, Version: version(), Roles: c.Roles, Rooms: c.conferences(), AdHoc: c.adHoc(), MaxCalls: c.MaxCalls, Contacts: s.contacts(), Capacity: capacity,
	}, node.Deps{
		Log: s.log.With("part", "actors"), Events: s.bus, Directory: s.claims, Dialer: s.sip,
		Metrics: node.Collectors{
			Node: node.NewMetrics(s.metrics), Actors: s.actors, Conference: conference.NewMetrics(s.metrics),
			Transcoder: transcoder.NewMetrics(s.metrics), Participant: participant.NewMetrics(s.metrics), TestCall: testcall.NewMetrics(s.metrics),
		},
		TestCall: s.testCalls(), Reception: s.reception(bridges),
		NewBridge: func(room string, notify func(any)) transcoder.Bridge {
			return bridge.New(bridge.Config{Log: s.log.With("part", "media", "room", room), Metrics: bridges, Notify: notify, Workers: s.workers})
		},
	})
	if err != nil {
		return err
	}
	s.onStop(func(ctx context.Context) error { return node.Stop(ctx, s.system, s.node) })
	if !measured {
		s.measureCapacity()
	}
	return nil
}

// contacts are where other nodes send callers.
func (s *server) contacts() node.Contacts {
	at := func(port uint16) string { return netip.AddrPortFrom(s.advertised(), port).String() }
	return node.Contacts{SIP: at(s.sipPort), SIPS: at(s.sipsPort), HTTPS: "https://" + at(s.httpsPort)}
}

// listenHTTP binds two ports: one for the page, the client API, WHIP and
// WHEP, one for what operators' tools read.
func (s *server) listenHTTP(context.Context) error {
	var err error
	if s.https, err = net.Listen("tcp", s.config.address(s.config.HTTPS)); err != nil {
		return fmt.Errorf("https: %w", err)
	}
	s.onStop(func(context.Context) error { return closeListener(s.https) })
	s.httpsPort = uint16(s.https.Addr().(*net.TCPAddr).Port)
	if s.config.Ops == "" {
		return nil
	}
	if s.ops, err = net.Listen("tcp", s.config.Ops); err != nil {
		return fmt.Errorf("ops: %w", err)
	}
	s.onStop(func(context.Context) error { return closeListener(s.ops) })
	s.opsURL = "http://" + s.ops.Addr().String()
	return nil
}

func (s *server) serveHTTP(context.Context) error {
	publish, err := readToken(s.config.WHIPFile)
	if err != nil {
		return fmt.Errorf("whip-token-file: %w", err)
	}
	watch, err := readToken(s.config.WHEPFile)
	if err != nil {
		return fmt.Errorf("whep-token-file: %w", err)
	}
	clients := api.New(api.Config{Version: version(), WHIPToken: publish, WHEPToken: watch}, api.Deps{
		Log: s.log.With("part", "api"), Metrics: api.NewMetrics(s.metrics), Ports: s.ports, Workers: s.workers,
		System: s.system, Node: s.node, Watchers: s.watchers, Media: browsers{s.webrtc},
	})
	mux := http.NewServeMux()
	mux.Handle("/api/", clients)
	mux.Handle("/whip/", clients)
	mux.Handle("/whep/", clients)
	mux.Handle("/", web.New())
	s.serve("https", s.https, s.tls, mux)
	s.onStop(func(context.Context) error { clients.Close(); return nil }) // first, so that clients hear why
	if s.ops != nil {
		s.serve("ops", s.ops, nil, ops.New(ops.Config{Metrics: s.metrics, Ready: map[string]ops.Check{
			"nats": s.checkNATS, "node": s.checkNode,
		}, Conference: s.conference, Worker: s.worker}))
	}
	return nil
}

func (s *server) checkNATS() error {
	if !s.bus.Connected() {
		return errors.New("not connected")
	}
	return nil
}

func (s *server) checkNode() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	status, err := actors.Ask[*node.Status](ctx, s.system, s.node, &node.GetStatus{})
	if err == nil && status.Draining {
		err = errors.New("draining")
	}
	return err
}

func (s *server) serveSIP(ctx context.Context) error {
	go func() {
		if err := s.sip.Serve(context.WithoutCancel(ctx)); err != nil {
			s.fail(fmt.Errorf("sip: %w", err))
		}
	}()
	return nil
}

// reachable says which actors others may send to.
func reachable(id string) bool {
	return node.Reachable(id) || strings.HasPrefix(id, watcher.ActorPrefix)
}

// browsers introduces the WebRTC engine to the client API: their types have the
// same shape, and neither knows the other.
type browsers struct{ *webrtc.Engine }

func (b browsers) Answer(ctx context.Context, o api.Offer) (api.Call, error) {
	c, err := b.Engine.Answer(ctx, webrtc.Offer(o))
	if err != nil {
		return nil, err
	}
	return c, nil
}

// conference asks for the roster of a conference, wherever it is.
func (s *server) conference(ctx context.Context, alias string) (state any, found bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	at, err := actors.Ask[*node.Found](ctx, s.system, s.node, &node.Find{Alias: alias})
	if bus.CodeOf(err) == bus.NotFound || err == nil && at.Conference == nil {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	roster, err := actors.Ask[*conference.Roster](ctx, s.system, at.Conference, &conference.GetRoster{})
	return roster, err == nil, err
}
