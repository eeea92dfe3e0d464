package port

import (
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtp"

	"github.com/skybridge-media/skybridge/codecs/pcm"
	"github.com/skybridge-media/skybridge/media/bridge"
)

var _ bridge.Presenter = (*Port)(nil)

const (
	defaultTimeout = 30 * time.Second

	// housekeeping is how often reports, estimates and silence are looked at
	// where there is video, and restful how often where there is not.
	housekeeping = 200 * time.Millisecond
	restful      = 500 * time.Millisecond
)

// ErrNoEvents is returned by [Port.SendDigit] when the peer cannot receive
// telephone events.
var ErrNoEvents = errors.New("port: telephone-event not negotiated")

// Config is what a Port needs from the process. The zero value works.
type Config struct {
	Log     *slog.Logger // nil: discard
	Metrics *Metrics     // nil: unregistered

	// Notify receives [Digit] and [Silent], from the network's goroutine or
	// the port's own. It must not block, nor close the port. nil: nobody cares.
	Notify func(event any)

	// Timeout is how long a port may receive nothing before it says [Silent].
	// Zero means 30 s.
	Timeout time.Duration

	// Workers decode video; they outlive the port. nil: goroutines of the port
	// do.
	Workers *bridge.Workers
}

// Events that [Config].Notify receives.
type (
	// Digit is one key press (RFC 4733), told once, when the key goes down.
	Digit struct{ Digit byte }

	// Silent says, once, that no RTP and no RTCP at all came for so long. It
	// is not said while the call is on hold.
	Silent struct{ For time.Duration }
)

// A Port is one participant's media. It must be closed. All methods are safe
// for concurrent use, as the network, the bridge and signalling use them.
type Port struct {
	cfg     Config
	audio   audioStream
	video   videoStream
	content videoStream // what is presented

	born  time.Time
	heard atomic.Int64 // when the peer was heard last, since born

	mu     sync.Mutex // guards closed, and that streams change one at a time
	closed bool

	// What no packet and no Tick drives runs on timers: thousands of ports need
	// neither a stack each for it nor a channel.
	keeping chores
	told    bool // of silence; of keeping
}

// New returns a Port without streams.
func New(cfg Config) *Port {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Metrics == nil {
		cfg.Metrics = NewMetrics(nil)
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultTimeout
	}
	p := &Port{cfg: cfg, born: time.Now()}
	p.audio.log, p.audio.link.metrics = cfg.Log, cfg.Metrics.audio
	p.video.setUp(&cfg, cfg.Metrics.video)
	p.content.setUp(&cfg, cfg.Metrics.content)
	cfg.Metrics.add(p)
	p.keeping.do = p.keepUp
	p.keeping.after(restful)
	return p
}

// SetAudio installs or replaces the audio stream: initial answer, re-INVITE.
// nil removes it. An SSRC that stays is a stream that goes on.
func (p *Port) SetAudio(a *Audio) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.hear(time.Now())
	if a == nil {
		p.audio.link.goodbye(time.Now())
	}
	p.audio.configure(a)
}

// SetVideo does the same for the video stream.
func (p *Port) SetVideo(v *Video) { p.setVideo(&p.video, v) }

// SetContent does the same for the second video stream, which carries what the
// participant or somebody else presents.
func (p *Port) SetContent(v *Video) {
	if v != nil {
		c := *v
		c.content = true
		v = &c
	}
	p.setVideo(&p.content, v)
}

func (p *Port) setVideo(s *videoStream, v *Video) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.hear(time.Now())
	if v == nil {
		s.link.goodbye(time.Now())
	}
	s.configure(v, time.Now())
}

// MixContent says whether the participant sees presentations in its composed
// picture rather than apart, although it could.
func (p *Port) MixContent(on bool) { p.content.out.withhold(on) }

// ContentApart reports whether the participant sees presentations apart, in a
// stream that was agreed on, also while nothing is sent in it.
func (p *Port) ContentApart() bool { return p.content.out.apart() }

// AudioRTP takes a packet of the audio stream, borrowed for the call, and when
// it arrived at this machine.
func (p *Port) AudioRTP(pkt *rtp.Packet, arrived time.Time) {
	p.hear(arrived)
	digit, pressed := p.audio.packet(pkt, arrived)
	if pressed {
		p.cfg.Metrics.digitsReceived.Inc()
		p.notify(Digit{digit})
	}
}

// VideoRTP does the same for the video stream.
func (p *Port) VideoRTP(pkt *rtp.Packet, arrived time.Time) {
	p.hear(arrived)
	p.video.packet(pkt, arrived)
}

// ContentRTP does the same for the content stream.
func (p *Port) ContentRTP(pkt *rtp.Packet, arrived time.Time) {
	p.hear(arrived)
	p.content.packet(pkt, arrived)
}

// SendDigit sends a key press of the given length, 160 ms if it is zero, as
// telephone events in place of audio. The errors are [ErrNoEvents] and those of
// dtmf.Sender.Press.
func (p *Port) SendDigit(d byte, dur time.Duration) error {
	if err := p.audio.press(d, dur); err != nil {
		return err
	}
	p.cfg.Metrics.digitsSent.Inc()
	return nil
}

// PeerWantsKeyFrame says that the peer asked for a key frame by signalling.
func (p *Port) PeerWantsKeyFrame() { p.video.wantKey() }

// Stats returns what has happened so far.
func (p *Port) Stats() Stats {
	var s Stats
	p.audio.stats(&s.AudioIn, &s.AudioOut)
	p.video.stats(&s.VideoIn, &s.VideoOut)
	p.content.stats(&s.ContentIn, &s.ContentOut)
	return s
}

// Close says BYE to the peer, stops everything, waits for it and frees the
// codecs. Later calls do nothing. The bridge must have let go of the port.
func (p *Port) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.closed = true
	p.keeping.end()
	now := time.Now()
	p.audio.link.goodbye(now)
	p.audio.configure(nil)
	for _, s := range p.videos() {
		s.pacing.end()
		s.link.goodbye(now)
		s.configure(nil, now)
		s.running.Wait()
	}
	p.cfg.Metrics.remove(p)
}

// NextAudio implements [bridge.Leg].
func (p *Port) NextAudio() bridge.AudioTick {
	now := time.Now()
	for _, s := range p.videos() {
		s.poll(now) // lost packets are asked for again every Tick
	}
	return p.audio.next(now)
}

// ReadAudio implements [bridge.Leg].
func (p *Port) ReadAudio(dst pcm.Frame) { p.audio.read(dst) }

// AudioOut implements [bridge.Leg].
func (p *Port) AudioOut() (bridge.AudioSpec, bool) { return p.audio.spec() }

// WriteAudio implements [bridge.Leg].
func (p *Port) WriteAudio(payload []byte) { p.audio.write(payload, time.Now()) }

// WantVideo implements [bridge.Leg].
func (p *Port) WantVideo(width, height int) { p.video.WantVideo(width, height) }

// Picture implements [bridge.Leg].
func (p *Port) Picture() *bridge.SharedPicture { return p.video.Picture() }

// VideoOut implements [bridge.Leg].
func (p *Port) VideoOut() (bridge.VideoSpec, bool) { return p.video.VideoOut() }

// WriteVideo implements [bridge.Leg].
func (p *Port) WriteVideo(f *bridge.VideoFrame) { p.video.WriteVideo(f) }

// TakeKeyFrameRequest implements [bridge.Leg].
func (p *Port) TakeKeyFrameRequest() bool { return p.video.TakeKeyFrameRequest() }

// Content implements [bridge.Presenter].
func (p *Port) Content() bridge.Video { return &p.content }

func (p *Port) videos() [2]*videoStream { return [...]*videoStream{&p.video, &p.content} }

// keepUp does what is due now and then.
func (p *Port) keepUp() {
	p.keep(time.Now())
	p.told = p.told || p.checkSilence()
	if p.video.flows() || p.content.exists() {
		p.keeping.after(housekeeping)
	} else {
		p.keeping.after(restful)
	}
}

// keep does what is due from time to time.
func (p *Port) keep(now time.Time) {
	p.audio.measure(p.cfg.Metrics, now)
	all := p.videos()
	for i, s := range all {
		s.poll(now)
		others := 0
		if !p.content.alone() {
			others = all[1-i].link.outgoing()
		}
		s.measure(now, others)
	}
	for _, l := range [...]*link{&p.audio.link, &p.video.link, &p.content.link} {
		if out, packets := l.due(now); out != nil {
			_ = out.WriteRTCP(packets) // lost like any packet may be
		}
	}
}

// hear notes that the peer was there.
func (p *Port) hear(at time.Time) { p.heard.Store(int64(at.Sub(p.born))) }

// checkSilence tells if the peer is gone.
func (p *Port) checkSilence() (told bool) {
	if !p.audio.flows() && !p.video.flows() {
		p.hear(time.Now()) // on hold: the time begins when it ends
		return false
	}
	silence := time.Since(p.born) - time.Duration(p.heard.Load())
	if silence < p.cfg.Timeout {
		return false
	}
	p.cfg.Metrics.silent.Inc()
	p.notify(Silent{silence})
	return true
}

func (p *Port) notify(event any) {
	if p.cfg.Notify != nil {
		p.cfg.Notify(event)
	}
}
