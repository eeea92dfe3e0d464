package port

import (
	"sync"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"github.com/skybridge-media/skybridge/media/bridge"
	"github.com/skybridge-media/skybridge/media/jitter"
	"github.com/skybridge-media/skybridge/media/payload"
)

// stale is how long a picture is shown after the last one came. Senders of a
// picture that stands still repeat it every second or so.
const stale = 10 * time.Second

// videoIn is the received half of a video stream. Packets are only counted
// while nobody wants to see the picture.
type videoIn struct {
	mu  sync.Mutex // guards everything below; never held while decoding or writing
	cfg *Video     // nil: no stream

	wanted   bool
	buf      *jitter.Video // nil unless wanted, received, and decodable
	assemble *payload.Assembler
	decoder  *decoder // likewise
	waiting  bool     // the decoder gets nothing before a key frame
	refresh  refresher
	fir      uint8 // sequence number of the last FIR (RFC 5104 section 4.3.1.1)
	lost     []uint16

	picture   *bridge.SharedPicture // the latest; nil: none
	width     int                   // of the latest picture ever
	height    int
	pictures  uint64
	keyFrames uint64
	requests  uint64
	nacks     uint64
}

// configureIn makes v the state of what is received.
func (s *videoStream) configureIn(v *Video) {
	in := &s.in
	in.mu.Lock()
	defer in.mu.Unlock()
	before := in.cfg
	in.cfg = v
	if before != nil && (v == nil || v.Codec != before.Codec || v.NACK != before.NACK || !v.Recv) {
		in.stop()
	}
	s.startIfWanted()
}

// want says whether somebody looks at the picture.
func (s *videoStream) want(wanted bool, now time.Time) {
	s.in.mu.Lock()
	s.in.wanted = wanted
	if !wanted {
		s.in.stop()
	}
	s.startIfWanted()
	s.in.mu.Unlock()
	s.poll(now)
}

// startIfWanted begins to decode if there is something and somebody wants it.
// in.mu is held.
func (s *videoStream) startIfWanted() {
	in := &s.in
	if in.buf != nil || !in.wanted || in.cfg == nil || !in.cfg.Recv {
		return
	}
	a, err := payload.NewAssembler(in.cfg.Codec.Name, in.cfg.Parameters)
	if err != nil {
		s.log.Error("video cannot be received", "err", err)
		return
	}
	in.assemble, in.buf = a, jitter.NewVideo(in.cfg.NACK)
	in.waiting = true
	in.refresh.need()
	in.decoder = newDecoder(in.cfg.Codec, s.log, s.metrics)
	d := in.decoder
	s.running.Go(func() { d.run(s.show, s.corrupt) })
}

// stop ends decoding; the decoder frees itself. in.mu is held.
func (in *videoIn) stop() {
	if in.decoder != nil {
		in.decoder.stop()
	}
	in.buf, in.assemble, in.decoder = nil, nil, nil
	in.refresh.satisfied()
	in.setPicture(nil)
}

func (in *videoIn) setPicture(p *bridge.SharedPicture) {
	if in.picture != nil {
		in.picture.Release()
	}
	in.picture = p
}

// packet takes an RTP packet.
func (s *videoStream) packet(pkt *rtp.Packet, now time.Time) {
	s.in.mu.Lock()
	s.receive(pkt, now)
	r := s.requests(now)
	s.in.mu.Unlock()
	s.request(r)
}

func (s *videoStream) receive(pkt *rtp.Packet, now time.Time) {
	in := &s.in
	v := in.cfg
	if v == nil || pkt.PayloadType != v.RecvType || len(pkt.Payload) > maxPayload {
		return
	}
	ok, changed := s.link.accept(pkt, true, now)
	if !ok {
		return
	}
	if in.buf == nil {
		return
	}
	if changed {
		in.buf.Reset()
		in.assemble.Reset()
	}
	in.buf.Put(jitter.VideoPacket{
		Sequence: pkt.SequenceNumber, Timestamp: pkt.Timestamp, Marker: pkt.Marker,
		Key: payload.KeyStart(v.Codec.Name, pkt.Payload), Payload: pkt.Payload,
	}, now)
	s.drain(now)
}

// drain gives the pictures that are complete to the decoder.
func (s *videoStream) drain(now time.Time) {
	in := &s.in
	rtt := s.link.roundTrip()
	for {
		f, ok := in.buf.Next(now, rtt)
		if !ok {
			break
		}
		s.frame(f)
	}
	if in.buf.Seeking() {
		in.waiting = true
		in.refresh.need()
	}
}

func (s *videoStream) frame(f jitter.Frame) {
	in := &s.in
	for _, p := range f.Payloads {
		if err := in.assemble.Add(p); err != nil {
			s.log.Debug("video payload refused", "err", err)
			in.assemble.Reset()
			in.breakOff()
			return
		}
	}
	unit := in.assemble.Unit()
	if len(unit) == 0 {
		return
	}
	key := in.cfg.Codec.KeyFrame(unit)
	if in.waiting && !key {
		in.refresh.need()
		return
	}
	if key {
		in.keyFrames++
		in.waiting = false
		in.refresh.satisfied()
	}
	if !in.decoder.push(unit, key, f.Arrived) {
		s.metrics.skipped.Inc()
		in.breakOff()
	}
}

// breakOff passes over everything up to the next key frame.
func (in *videoIn) breakOff() {
	in.waiting = true
	in.refresh.need()
	in.buf.Seek()
}

// corrupt is called by d when it could not decode what it was given.
func (s *videoStream) corrupt(d *decoder) {
	s.in.mu.Lock()
	if s.in.decoder == d {
		s.in.breakOff()
	}
	s.in.mu.Unlock()
	s.poll(time.Now())
}

// show is called by d with each picture, of which it gives up its reference.
func (s *videoStream) show(d *decoder, p *bridge.SharedPicture) {
	in := &s.in
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.decoder != d { // nobody wants it any more
		p.Release()
		return
	}
	in.setPicture(p)
	in.pictures++
	in.width, in.height = p.Width, p.Height
}

// latest returns the latest picture with a reference for the caller.
func (s *videoStream) latest(now time.Time) *bridge.SharedPicture {
	s.in.mu.Lock()
	defer s.in.mu.Unlock()
	p := s.in.picture
	if p == nil || now.Sub(p.Received) > stale || !p.Retain() {
		return nil
	}
	return p
}

// A request is what the peer is to be asked for.
type request struct {
	packets []rtcp.Packet
	signal  func() // asks by signalling; may be nil
}

// tend gives up on packets that do not come, and returns what to ask for.
func (s *videoStream) tend(now time.Time) request {
	s.in.mu.Lock()
	defer s.in.mu.Unlock()
	if s.in.buf == nil {
		return request{}
	}
	s.drain(now)
	return s.requests(now)
}

// requests returns what to ask for now. in.mu is held.
func (s *videoStream) requests(now time.Time) request {
	in := &s.in
	if in.buf == nil {
		return request{}
	}
	var r request
	source := s.link.source()
	in.lost = in.buf.Resend(in.lost[:0], now, s.link.roundTrip())
	if len(in.lost) > 0 {
		in.nacks += uint64(len(in.lost))
		s.metrics.nacksSent.Add(float64(len(in.lost)))
		r.packets = append(r.packets, &rtcp.TransportLayerNack{
			SenderSSRC: in.cfg.SSRC, MediaSSRC: source, Nacks: rtcp.NackPairsFromSequenceNumbers(in.lost),
		})
	}
	if (source == 0 && in.cfg.KeyFrame == nil) || !in.refresh.due(now) {
		return r
	}
	in.requests++
	s.metrics.keysAsked.Inc()
	return in.refreshBy(r, source)
}

// refreshBy adds a request for a key frame in the ways the peer understands:
// PLI rather than FIR, which is meant for a new receiver (RFC 5104 section
// 3.5.1), both when the first did not help, and signalling when there is no
// other way or none helps.
func (in *videoIn) refreshBy(r request, source uint32) request {
	v := in.cfg
	again := in.refresh.asked > 1
	if v.PLI && source != 0 {
		r.packets = append(r.packets, &rtcp.PictureLossIndication{SenderSSRC: v.SSRC, MediaSSRC: source})
	}
	if v.FIR && source != 0 && (!v.PLI || again) {
		in.fir++
		r.packets = append(r.packets, &rtcp.FullIntraRequest{
			SenderSSRC: v.SSRC, MediaSSRC: source, FIR: []rtcp.FIREntry{{SSRC: source, SequenceNumber: in.fir}},
		})
	}
	if (!v.PLI && !v.FIR) || in.refresh.asked > 2 || source == 0 {
		r.signal = v.KeyFrame
	}
	return r
}

// request asks. No lock is held.
func (s *videoStream) request(r request) {
	if len(r.packets) > 0 {
		s.feedback(r.packets...)
	}
	if r.signal != nil {
		r.signal()
	}
}

func (in *videoIn) stats(st *Stream) {
	in.mu.Lock()
	defer in.mu.Unlock()
	st.Width, st.Height = in.width, in.height
	st.Pictures, st.KeyFrames = in.pictures, in.keyFrames
	st.KeyRequests, st.NACKs = in.requests, in.nacks
}
