package port

import (
	"log/slog"
	"sync"
	"time"

	"github.com/pion/rtcp"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/media/bridge"
	media "github.com/skybridge-media/skybridge/media/rtp"
)

// Video is the negotiated state of the video stream. Immutable once given to
// [Port.SetVideo].
type Video struct {
	Codec              *codecs.Video
	SendType, RecvType uint8 // RTP payload types: the peer's, and ours

	// Limits that the peer gave (fmtp, b=, imageattr): what we may send. Zero
	// means that it gave none.
	Mode                     int // H.264 packetization mode, 0 or 1
	MaxPayload               int // bytes of RTP payload
	Width, Height, FrameRate int
	MaxBitrate               int // bit/s

	NACK, PLI, FIR, TMMBR, REMB bool // rtcp-fb that was negotiated (RFC 4585, RFC 5104, goog-remb)

	// KeyFrame asks for a key frame by signalling (SIP INFO, RFC 5168). It is
	// called at most every 500 ms, without locks held, and must not block.
	KeyFrame func()

	// Parameters are the parameter sets of sprop-parameter-sets, Annex B.
	Parameters []byte

	// Layers are what the peer sends side by side, the smallest that suffices
	// of which is decoded; empty: one stream. LayerExt is the identifier of the
	// header extension that tells them apart (RFC 8852); it is not zero then.
	Layers   []Layer
	LayerExt uint8

	Send, Recv bool // direction as seen by us

	// Alone says that the stream has a connection of its own, in the direction
	// that it will keep: estimates of what gets through are for it only.
	Alone bool

	SSRC  uint32 // of what we send
	CNAME string
	Out   media.Writer

	content bool // it is the content stream's
}

// videoClock is the RTP clock of every video codec, in Hz.
const videoClock = 90_000

// videoStream is one video stream of a port: what comes in is guarded by its
// lock in, what goes out by out.
type videoStream struct {
	log     *slog.Logger
	metrics *Metrics
	link    link
	running sync.WaitGroup // decoders
	submit  func(bridge.Job)
	pacing  chores

	in  videoIn
	out videoOut
}

// setUp prepares the stream of a new port.
func (s *videoStream) setUp(cfg *Config, m streamMetrics) {
	s.log, s.metrics, s.link.metrics = cfg.Log, cfg.Metrics, m
	s.submit = func(j bridge.Job) { go j.Run() }
	if cfg.Workers != nil {
		s.submit = cfg.Workers.Submit
	}
	s.pacing.do = s.paceOn
}

// WantVideo implements [bridge.Video].
func (s *videoStream) WantVideo(width, height int) { s.want(width, height, time.Now()) }

// Picture implements [bridge.Video].
func (s *videoStream) Picture() *bridge.SharedPicture { return s.latest(time.Now()) }

// VideoOut implements [bridge.Video].
func (s *videoStream) VideoOut() (bridge.VideoSpec, bool) { return s.out.spec() }

// WriteVideo implements [bridge.Video].
func (s *videoStream) WriteVideo(f *bridge.VideoFrame) {
	if s.write(f, time.Now()) {
		s.pacing.after(paceEvery)
	}
}

// TakeKeyFrameRequest implements [bridge.Video].
func (s *videoStream) TakeKeyFrameRequest() bool { return s.out.takeKey(time.Now()) }

// paceOn sends more of what pacing held back.
func (s *videoStream) paceOn() {
	if s.flush(time.Now()) {
		s.pacing.after(paceEvery)
	}
}

// configure makes v the state of the stream.
func (s *videoStream) configure(v *Video, now time.Time) {
	if v != nil {
		s.link.configure(v.Out, v.SSRC, v.CNAME, videoClock, v.tiers()[0].bitrate)
	}
	s.out.configure(v)
	s.configureIn(v)
	s.poll(now)
}

// poll does what time, rather than a packet, makes necessary.
func (s *videoStream) poll(now time.Time) { s.request(s.tend(now)) }

// measure tells metrics what has happened since the last call, and the peer
// how much it may send. others is what is sent to it in another stream, in bit/s.
func (s *videoStream) measure(now time.Time, others int) {
	s.link.measure(now)
	rate := s.link.outgoing()
	s.adapt(func(a *adapter, ceiling int) {
		a.others = others
		a.review(rate, ceiling, now)
	})
	s.limit(now)
}

// limit tells a peer that asked for it how much it may send, in the way it
// understands: no more than is seen, and with REMB no more than gets through
// (draft-alvestrand-rmcat-remb).
func (s *videoStream) limit(now time.Time) {
	in := &s.in
	in.mu.Lock()
	v := in.cfg
	if v == nil || !v.Recv || !v.REMB && !v.TMMBR {
		in.mu.Unlock()
		return
	}
	more := false
	if !v.content { // what is presented is read, whatever its size
		more = in.demand.see(in.ladder.width, in.ladder.height, in.ladder.layered(), v.REMB, now)
	}
	useful := in.demand.bitrate
	sources := s.link.sources()
	// With layers there is nothing to be asked of each.
	request := !v.REMB && len(sources) == 1 && in.demand.request(sources[0], now)
	in.mu.Unlock()
	switch {
	case len(sources) == 0:
	case v.REMB:
		if bitrate, due := s.link.estimate(now, more); due {
			if useful > 0 {
				bitrate = min(bitrate, useful)
			}
			s.feedback(&rtcp.ReceiverEstimatedMaximumBitrate{SenderSSRC: v.SSRC, Bitrate: float32(bitrate), SSRCs: sources})
		}
	case request:
		s.feedback(bitrateRequest(v.SSRC, useful, sources[0]))
	}
}

// feedback sends a feedback packet to the peer.
func (s *videoStream) feedback(packets ...rtcp.Packet) {
	out, compound := s.link.feedback(packets...)
	if out != nil {
		_ = out.WriteRTCP(compound) // lost like any packet may be
	}
}

func (s *videoStream) stats(in, out *Stream) {
	s.in.mu.Lock()
	cfg := s.in.cfg
	s.in.mu.Unlock()
	if cfg == nil {
		return
	}
	s.link.stats(in, out)
	in.Codec, out.Codec = cfg.Codec.Name, cfg.Codec.Name
	s.in.stats(in)
	s.out.stats(out)
}

// exists reports whether there is such a stream.
func (s *videoStream) exists() bool {
	s.in.mu.Lock()
	defer s.in.mu.Unlock()
	return s.in.cfg != nil
}

// alone reports whether the stream has a connection of its own.
func (s *videoStream) alone() bool {
	s.in.mu.Lock()
	defer s.in.mu.Unlock()
	return s.in.cfg != nil && s.in.cfg.Alone
}

// flows reports whether video goes both ways: the peer is not on hold.
func (s *videoStream) flows() bool {
	s.in.mu.Lock()
	defer s.in.mu.Unlock()
	return s.in.cfg != nil && s.in.cfg.Send && s.in.cfg.Recv
}
