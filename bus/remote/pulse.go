package remote

import (
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/skybridge-media/skybridge/bus"
)

// version is of the wire between nodes: envelopes, lanes and this. Message types
// have numbers of their own and do not change it.
const version = 1

// pulse is the body of a heartbeat.
type pulse struct {
	version uint64
	bye     bool
}

func (p pulse) encode() []byte {
	b := appendVarint(nil, 1, version)
	if p.bye {
		b = appendVarint(b, 2, 1)
	}
	return b
}

func (p *pulse) decode(b []byte) error {
	return eachField(b, func(field protowire.Number, v uint64, _ []byte) error {
		switch field {
		case 1:
			p.version = v
		case 2:
			p.bye = v != 0
		}
		return nil
	})
}

func (s *self) pulseSubject() string { return bus.HeartbeatSubject(s.node, s.incarnation) }

// onHeartbeat takes the heartbeat of any node, this one's included.
func (r *Remote) onHeartbeat(m *nats.Msg) {
	var beat pulse
	node, inc, ok := bus.ParseHeartbeatSubject(m.Subject)
	if !ok || beat.decode(m.Data) != nil {
		r.cfg.Metrics.undecodable.Inc()
		return
	}
	if r.state.Load() != running {
		return
	}
	text := address{node, inc}.String()
	if node == r.cfg.Node {
		r.onOwnName(inc, text)
		return
	}
	p := r.peer(text)
	switch {
	case p == nil:
	case p.dead.Load():
		if !beat.bye {
			r.bury(p)
		}
	case beat.bye:
		r.declareDead(p, "bye")
	case beat.version != version:
		r.cfg.Log.Error("peer speaks another version and is ignored", "peer", text, "version", beat.version, "ours", version)
		r.declareDead(p, "version")
	default:
		r.hear(p)
	}
}

// hear notes that p lives. Of one node only the youngest incarnation does.
func (r *Remote) hear(p *peer) {
	r.mu.Lock()
	p.seen = time.Now()
	if p.heard || p.dead.Load() {
		r.mu.Unlock()
		return
	}
	other := r.nodes[p.node]
	if other != nil && compareIncarnations(other.incarnation, p.incarnation) > 0 {
		r.mu.Unlock()
		r.declareDead(p, "replaced")
		r.bury(p)
		return
	}
	p.heard = true
	r.nodes[p.node] = p
	r.cfg.Metrics.peers.Set(float64(len(r.nodes)))
	r.mu.Unlock()
	if other != nil {
		r.declareDead(other, "replaced")
	}
	r.cfg.Log.Info("peer up", "peer", p.text)
	r.sys.EventStream.Publish(&PeerUp{Address: p.text})
}

// clock beats, judges and tidies up until the Remote is closed.
func (r *Remote) clock() {
	ticker := time.NewTicker(r.cfg.Heartbeat)
	defer ticker.Stop()
	c := clock{r: r, last: time.Now(), reconnects: r.nc.Stats().Reconnects}
	c.beat()
	for {
		select {
		case <-r.stop:
			return
		case address := <-r.renewed:
			r.Renew(address)
		case <-ticker.C:
			c.tick(time.Now())
		}
	}
}

// clock is the state of the goroutine above.
type clock struct {
	r          *Remote
	last       time.Time // tick before
	swept      time.Time
	away       bool // we were deaf at the last tick
	reconnects uint64
}

func (c *clock) beat() {
	if c.r.state.Load() == running {
		_ = c.r.nc.Publish(c.r.self.Load().pulseSubject(), pulse{}.encode()) // fails while the connection is down
	}
}

func (c *clock) tick(now time.Time) {
	r := c.r
	c.beat()
	slept := now.Sub(c.last) > r.cfg.DeadAfter/2
	c.last = now
	if !r.nc.IsConnected() || !r.hearsItself(now) && !slept {
		c.away = true
		return // we are the deaf one: judge nobody
	}
	reconnects := r.nc.Stats().Reconnects
	back := c.away || reconnects != c.reconnects
	c.away, c.reconnects = false, reconnects
	switch {
	case back: // what others said meanwhile is lost, and they may be reconnecting themselves
		r.spare(now.Add(2 * r.cfg.DeadAfter))
	case slept: // what others said meanwhile is waiting to be read
		r.spare(now.Add(r.cfg.DeadAfter / 2))
	}
	r.judge(now)
	r.probeLinks(back)
	r.forgetDead(now)
	if now.Sub(c.swept) > sweepEvery {
		c.swept = now
		r.sweepWatches()
	}
}

// hearsItself reports whether our own heartbeats come back. When they do not,
// the connection is up in name only: the server is frozen, or the network
// drops everything.
func (r *Remote) hearsItself(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return now.Sub(r.echoed) <= r.cfg.DeadAfter/2
}

// spare makes sure that nobody is judged before until.
func (r *Remote) spare(until time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.grace.Before(until) {
		r.grace = until
	}
}

// judge declares dead who has been silent for too long.
func (r *Remote) judge(now time.Time) {
	r.mu.Lock()
	if now.Before(r.grace) {
		r.mu.Unlock()
		return
	}
	var silent []*peer
	for _, p := range r.peers {
		if !p.dead.Load() && now.Sub(p.seen) > r.cfg.DeadAfter {
			silent = append(silent, p)
		}
	}
	r.mu.Unlock()
	for _, p := range silent {
		r.declareDead(p, "silent")
	}
}

// probeLinks sends a probe where messages went out since the last one, and
// after a reconnect to everybody, so that losses at the end are noticed too.
func (r *Remote) probeLinks(everybody bool) {
	s := r.self.Load()
	r.mu.Lock()
	var links []*peer
	for _, p := range r.peers {
		if !p.dead.Load() && (everybody && p.heard || p.link.wantsProbe(s)) {
			links = append(links, p)
		}
	}
	r.mu.Unlock()
	for _, p := range links {
		r.probe(p, everybody)
	}
}

// sweepEvery is how often watches are looked through.
const sweepEvery = 10 * time.Second

// sweepWatches withdraws the watches of local actors that have stopped without
// doing so themselves, which protoactor does not do for them.
func (r *Remote) sweepWatches() {
	for _, w := range r.allWatches() {
		if _, alive := r.sys.ProcessRegistry.GetLocal(w.watcher); !alive {
			r.unwatch(w.peer, w.id, w.watcher)
		}
	}
}
