package port

import (
	"log/slog"
	"sync"
	"time"

	"github.com/pion/rtp"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/pcm"
	"github.com/skybridge-media/skybridge/media/bridge"
	"github.com/skybridge-media/skybridge/media/dtmf"
	"github.com/skybridge-media/skybridge/media/jitter"
	media "github.com/skybridge-media/skybridge/media/rtp"
)

// Audio is the negotiated state of the audio stream. Immutable once given to
// [Port.SetAudio].
type Audio struct {
	Codec   *codecs.Audio
	Options codecs.AudioOptions // of the encoder towards the peer, while it loses nothing

	// FEC says that the peer can use in-band redundancy and, as peers that can do
	// so do, may send it. It is sent while the peer reports loss.
	FEC bool

	SendType, RecvType           uint8 // RTP payload types: the peer's, and ours
	EventSendType, EventRecvType uint8 // telephone-event (RFC 4733); 0: not negotiated
	EventClock                   int   // Hz of telephone-event; 0: the codec's

	CNType   uint8 // comfort noise (RFC 3389), 13; 0: not negotiated
	LevelExt uint8 // id of the audio level header extension (RFC 6464) in what we receive; 0: none
	Ticks    int   // 20 ms Ticks per packet that the peer wants; 0: 1

	Send, Recv bool // direction as seen by us

	SSRC  uint32 // of what we send
	CNAME string // RFC 3550 section 6.5.1
	Out   media.Writer
}

const (
	// maxPayload is more than any sane packet carries; what is larger is not
	// kept.
	maxPayload = 16 << 10

	audioBitrate = 64_000 // bit/s; sets how often reports are sent

	// repairDelay is how long packets wait while some get lost, so that Opus
	// can restore them from the next one.
	repairDelay = 30 * time.Millisecond
)

// audioStream is the audio of a port. Its locks are taken in the order out,
// playing, in.
type audioStream struct {
	log  *slog.Logger
	link link

	outMu sync.Mutex // guards what is sent; held while it is written
	out   audioSender

	playMu sync.Mutex // guards the player; held while it decodes
	player *player    // nil: nothing is received

	inMu sync.Mutex // guards what follows; never held for long
	cfg  *Audio     // nil: no stream
	buf  *jitter.Audio
	load gauge
	keys dtmf.Detector
	seen jitter.AudioStats // what metrics know of buf
	fec  redundancy        // of what is sent
}

// configure makes a the state of the stream.
func (s *audioStream) configure(a *Audio) {
	s.outMu.Lock()
	defer s.outMu.Unlock()
	s.playMu.Lock()
	defer s.playMu.Unlock()
	s.inMu.Lock()
	defer s.inMu.Unlock()
	before := s.cfg
	s.cfg = a
	if a == nil || before == nil || before.SSRC != a.SSRC || before.Codec != a.Codec {
		s.fec = redundancy{}
	}
	s.out.configure(a)
	if a == nil {
		s.stopPlaying()
		return
	}
	s.link.configure(a.Out, a.SSRC, a.CNAME, a.Codec.Clock, audioBitrate)
	if before == nil || before.Codec != a.Codec || s.player == nil {
		s.stopPlaying()
		cfg := jitter.AudioConfig{Clock: a.Codec.Clock}
		if a.FEC {
			cfg.Repair = repairDelay
		}
		s.player, s.buf, s.load = newPlayer(a.Codec, s.log), jitter.NewAudio(cfg), newGauge(a.Codec)
		s.seen = jitter.AudioStats{}
	}
	if !a.Recv {
		s.buf.Reset()
	}
}

func (s *audioStream) stopPlaying() {
	if s.player != nil {
		s.player.close()
	}
	s.player, s.buf, s.load = nil, nil, nil
}

// packet takes an RTP packet that arrived then and returns the key whose press
// it begins.
func (s *audioStream) packet(pkt *rtp.Packet, now time.Time) (digit byte, pressed bool) {
	s.inMu.Lock()
	defer s.inMu.Unlock()
	a := s.cfg
	if a == nil || len(pkt.Payload) > maxPayload {
		return 0, false
	}
	speech := pkt.PayloadType == a.RecvType
	event := !speech && a.EventRecvType != 0 && pkt.PayloadType == a.EventRecvType
	if noise := a.CNType != 0 && pkt.PayloadType == a.CNType; !speech && !event && !noise {
		return 0, false
	}
	if event && s.foreign(pkt.SSRC) {
		// RFC 4733 wants events in the stream of the speech. Where another device
		// makes them they are keys all the same, and no reason to give up the
		// speech.
		if !a.Recv {
			return 0, false
		}
		return s.keys.Packet(pkt.Timestamp, pkt.Marker, pkt.Payload, now)
	}
	ok, changed := s.link.accept(pkt, !event, now)
	if !ok {
		return 0, false
	}
	if changed {
		s.buf.Reset()
	}
	if !a.Recv {
		return 0, false
	}
	speech = speech && len(pkt.Payload) > 0 // some keep NAT bindings open with nothing
	in := jitter.Packet{Sequence: pkt.SequenceNumber, Timestamp: pkt.Timestamp, Mute: !speech, Waited: time.Since(now)}
	if speech {
		in.Duration, in.Level = s.load.measure(pkt.Payload)
		in.Payload = pkt.Payload
		if level, ok := levelExtension(pkt, a.LevelExt); ok && in.Level != jitter.MaxLevel {
			in.Level = level
		}
	}
	s.buf.Put(in, now)
	if !event {
		return 0, false
	}
	return s.keys.Packet(pkt.Timestamp, pkt.Marker, pkt.Payload, now)
}

// foreign reports whether ssrc is not that of the stream.
func (s *audioStream) foreign(ssrc uint32) bool {
	source := s.link.source(0)
	return source != 0 && source != ssrc
}

// levelExtension reads what the sender says about the loudness (RFC 6464
// section 3).
func levelExtension(pkt *rtp.Packet, id uint8) (level int, ok bool) {
	if id == 0 || !pkt.Extension {
		return 0, false
	}
	b := pkt.GetExtension(id)
	if len(b) == 0 {
		return 0, false
	}
	return int(b[0] & 0x7f), true
}

// next advances playout by a Tick.
func (s *audioStream) next(now time.Time) bridge.AudioTick {
	s.playMu.Lock()
	defer s.playMu.Unlock()
	s.inMu.Lock()
	defer s.inMu.Unlock()
	if s.cfg == nil || !s.cfg.Recv {
		if s.player != nil {
			s.player.take(nil, 0)
		}
		return bridge.AudioTick{Level: jitter.MaxLevel, HasLevel: true}
	}
	// The pieces are borrowed from buf: the player copies them.
	return s.player.take(s.buf.Next(now), s.buf.Ahead())
}

// read decodes what next announced.
func (s *audioStream) read(dst pcm.Frame) {
	s.playMu.Lock()
	defer s.playMu.Unlock()
	if s.player == nil {
		clear(dst)
		return
	}
	s.player.read(dst)
}

// spec says what the peer can receive, and is best sent now.
func (s *audioStream) spec() (bridge.AudioSpec, bool) {
	s.inMu.Lock()
	defer s.inMu.Unlock()
	a := s.cfg
	if a == nil || !a.Send || a.Out == nil {
		return bridge.AudioSpec{}, false
	}
	spec := bridge.AudioSpec{Codec: a.Codec, Options: a.Options, Ticks: ticksOf(a)}
	if a.FEC && s.fec.on {
		spec.Options.Loss = expectedLoss
	}
	return spec, true
}

// reported takes what the peer says about the loss of what is sent.
func (s *audioStream) reported(loss float64, now time.Time) {
	s.inMu.Lock()
	defer s.inMu.Unlock()
	s.fec.reported(loss, now)
}

// ticksOf returns how many Ticks go into a packet. Frames of Opus cannot be
// joined like samples; ptime is a wish (RFC 8866 section 6.4).
func ticksOf(a *Audio) int {
	if a.Codec.Name == "opus" {
		return 1
	}
	return min(max(a.Ticks, 1), maxTicks)
}

// maxTicks keeps G.711 and G.722 far below any MTU.
const maxTicks = 6

// measure tells metrics what has happened since the last call.
func (s *audioStream) measure(m *Metrics, now time.Time) {
	s.link.measure(now)
	s.inMu.Lock()
	defer s.inMu.Unlock()
	if s.buf == nil {
		return
	}
	stats := s.buf.Stats()
	m.concealed.Add((stats.Concealed - s.seen.Concealed).Seconds())
	s.seen = stats
}

func (s *audioStream) stats(in, out *Stream) {
	s.inMu.Lock()
	defer s.inMu.Unlock()
	if s.cfg == nil {
		return
	}
	s.link.stats(in, out)
	in.Codec, out.Codec = s.cfg.Codec.Name, s.cfg.Codec.Name
	b := s.buf.Stats()
	in.Delay, in.Late = b.Delay, b.Late
	in.Concealed = uint64(b.Concealed / bridge.Tick)
}

// flows reports whether audio goes both ways: the peer is not on hold.
func (s *audioStream) flows() bool {
	s.inMu.Lock()
	defer s.inMu.Unlock()
	return s.cfg != nil && s.cfg.Send && s.cfg.Recv
}
