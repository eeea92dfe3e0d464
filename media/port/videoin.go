package port

import (
	"sync"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/media/bridge"
	"github.com/skybridge-media/skybridge/media/jitter"
	"github.com/skybridge-media/skybridge/media/payload"
)

// stale is how long a picture is shown after the last one came. Senders of a
// picture that stands still repeat it every second or so. A slide that stands
// still is shown for as long as it is presented.
const stale = 10 * time.Second

// videoIn is the received half of a video stream. Packets are only counted
// while nobody wants to see the picture, or while it is another layer that is
// looked at.
type videoIn struct {
	mu  sync.Mutex // guards everything below; never held while decoding or writing
	cfg *Video     // nil: no stream

	wanted  bool
	ladder  ladder
	demand  demand
	main    *intake            // of the layer that is decoded; nil unless wanted, received, and decodable
	next    *intake            // of the one that will be; nil: no change is going on
	spare   *intake            // memory
	scratch *payload.Assembler // for the sizes of layers; nil: a single stream
	decoder *decoder           // nil if main is
	fir     uint8              // sequence number of the last FIR (RFC 5104 section 4.3.1.1)

	picture   *bridge.SharedPicture // the latest; nil: none
	width     int                   // of the latest picture ever
	height    int
	pictures  uint64
	keyFrames uint64
	requests  uint64
	nacks     uint64
	switches  uint64 // from layer to layer
}

// configureIn makes v the state of what is received.
func (s *videoStream) configureIn(v *Video) {
	in := &s.in
	in.mu.Lock()
	defer in.mu.Unlock()
	before := in.cfg
	in.cfg = v
	if before != nil && (v == nil || v.Codec != before.Codec || v.NACK != before.NACK || !v.Recv || !in.ladder.same(v.Layers)) {
		in.stop()
	}
	if v == nil || !v.Recv {
		return // layers that come back later are the same ones
	}
	in.ladder.configure(v.Layers)
	in.scratch = nil
	if in.ladder.layered() {
		in.scratch, _ = payload.NewAssembler(v.Codec.Name, nil) // startIfWanted reports the error
	}
	s.link.simulcast(v.Layers, v.LayerExt)
	s.startIfWanted()
}

// want says at which size somebody looks at the picture; zero: nobody does.
func (s *videoStream) want(width, height int, now time.Time) {
	s.in.mu.Lock()
	s.in.wanted = width > 0 && height > 0
	s.in.ladder.width, s.in.ladder.height = width, height
	if !s.in.wanted {
		s.in.stop()
	}
	if s.in.decoder != nil {
		s.in.decoder.want(width, height)
	}
	s.startIfWanted()
	s.choose(none, now)
	s.in.mu.Unlock()
	s.poll(now)
	s.limit(now)
}

// startIfWanted begins to decode if there is something and somebody wants it.
// in.mu is held.
func (s *videoStream) startIfWanted() {
	in := &s.in
	if in.main != nil || !in.wanted || in.cfg == nil || !in.cfg.Recv {
		return
	}
	t, err := in.newIntake(max(in.ladder.pick(none, time.Now()), 0))
	if err != nil {
		s.log.Error("video cannot be received", "err", err)
		return
	}
	in.main = t
	in.refresher(t).need()
	s.running.Add(1)
	in.decoder = &decoder{
		codec: in.cfg.Codec, log: s.log, metrics: s.metrics, submit: s.submit,
		show: s.show, corrupt: s.corrupt, ended: s.running.Done, waiting: true, spare: spare{whole: in.cfg.content},
	}
	in.decoder.want(in.ladder.width, in.ladder.height)
}

// stop ends decoding; the decoder frees itself. in.mu is held.
func (in *videoIn) stop() {
	if in.decoder != nil {
		in.decoder.stop()
	}
	in.main, in.next, in.spare, in.decoder = nil, nil, nil, nil
	for i := range in.ladder.rungs {
		in.ladder.rungs[i].refresh.satisfied()
	}
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
	layer, ok, changed := s.count(pkt, now)
	if !ok {
		return
	}
	layered := in.ladder.layered()
	if in.main == nil && !layered {
		return
	}
	key := payload.KeyStart(v.Codec.Name, pkt.Payload)
	if layered {
		starting, changed := none, in.ladder.arrived(layer, now)
		if key != payload.NotKey {
			starting = layer
			changed = in.measure(layer, pkt.Payload) || changed
		}
		if changed { // before the packet is put: it may begin what is sought
			s.choose(starting, now)
		}
	}
	t := in.intakeOf(layer)
	if t == nil {
		return
	}
	if changed {
		t.buf.Reset()
		t.assemble.Reset()
	}
	t.buf.Put(jitter.VideoPacket{
		Sequence: pkt.SequenceNumber, Timestamp: pkt.Timestamp, Marker: pkt.Marker,
		Key: key, Payload: pkt.Payload,
	}, now)
	s.drain(t, now)
}

// count tells the link of a packet, and returns which layer it belongs to.
func (s *videoStream) count(pkt *rtp.Packet, now time.Time) (layer int, ok, changed bool) {
	if s.in.ladder.layered() {
		return s.link.receivedLayer(pkt, now)
	}
	ok, changed = s.link.accept(pkt, true, now)
	return 0, ok, changed
}

// drain gives the pictures of t that are complete to the decoder.
func (s *videoStream) drain(t *intake, now time.Time) {
	rtt := s.link.roundTrip()
	for {
		f, ok := t.buf.Next(now, rtt)
		if !ok {
			break
		}
		s.frame(t, f)
	}
	if t.buf.Seeking() {
		t.waiting = true
		s.in.refresher(t).need()
	}
}

func (s *videoStream) frame(t *intake, f jitter.Frame) {
	in := &s.in
	for _, p := range f.Payloads {
		if err := t.assemble.Add(p); err != nil {
			s.log.Debug("video payload refused", "err", err)
			t.assemble.Reset()
			in.breakOff(t)
			return
		}
	}
	unit := t.assemble.Unit()
	if len(unit) == 0 {
		return
	}
	key := in.cfg.Codec.KeyFrame(unit)
	if t.waiting && !key {
		in.refresher(t).need()
		return
	}
	if key && !in.takes(unit) {
		s.metrics.undecodable.Inc()
		in.breakOff(t)
		return
	}
	if key {
		in.keyFrames++
		t.waiting = false
		in.refresher(t).satisfied()
		if t == in.next {
			in.promote(s.metrics)
		}
	}
	if !in.decoder.push(unit, key, f.Arrived) {
		s.metrics.skipped.Inc()
		in.breakOff(t)
		return
	}
	t.shown = true
}

// takes reports whether a key frame is one to decode. Screens may be as large as
// decoders take them, as one at a time is presented. Cameras may not: everybody has
// one, and leases for what they send at most.
func (in *videoIn) takes(key []byte) bool {
	if in.cfg.content || in.cfg.Codec.Size == nil {
		return true
	}
	w, h := in.cfg.Codec.Size(key)
	return w == 0 || codecs.HighDefinition(w, h)
}

// corrupt is called by d when it could not decode what it was given.
func (s *videoStream) corrupt(d *decoder) {
	s.in.mu.Lock()
	if s.in.decoder == d {
		s.in.breakOff(s.in.main)
	}
	s.in.mu.Unlock()
	s.poll(time.Now())
}

// show is called by d with each picture, of which it gives up its reference, and
// with the size that it was sent in.
func (s *videoStream) show(d *decoder, p *bridge.SharedPicture, width, height int) {
	in := &s.in
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.decoder != d { // nobody wants it any more
		p.Release()
		return
	}
	in.setPicture(p)
	in.pictures++
	in.width, in.height = width, height
}

// latest returns the latest picture with a reference for the caller.
func (s *videoStream) latest(now time.Time) *bridge.SharedPicture {
	s.in.mu.Lock()
	defer s.in.mu.Unlock()
	p := s.in.picture
	if p == nil || now.Sub(p.Received) > stale && !s.in.cfg.content || !p.Retain() {
		return nil
	}
	return p
}

// A request is what the peer is to be asked for.
type request struct {
	packets []rtcp.Packet
	signal  func() // asks by signalling; may be nil
}

// tend gives up on packets that do not come, chooses the layer, and returns
// what to ask for.
func (s *videoStream) tend(now time.Time) request {
	s.in.mu.Lock()
	defer s.in.mu.Unlock()
	if s.in.main == nil {
		return request{}
	}
	s.choose(none, now)
	if s.in.next != nil {
		s.drain(s.in.next, now) // may become main
	}
	s.drain(s.in.main, now)
	return s.requests(now)
}

// requests returns what to ask for now. in.mu is held.
func (s *videoStream) requests(now time.Time) (r request) {
	in := &s.in
	for _, t := range [...]*intake{in.main, in.next} {
		if t != nil {
			r = s.resend(r, t, now)
		}
	}
	if in.main == nil {
		return r
	}
	for i := range in.ladder.rungs {
		refresh := &in.ladder.rungs[i].refresh
		if !refresh.needed {
			continue
		}
		source := s.link.source(i)
		if (source == 0 && in.cfg.KeyFrame == nil) || !refresh.due(now) {
			continue
		}
		in.requests++
		s.metrics.keysAsked.Inc()
		r = in.refreshBy(r, source, refresh.asked)
	}
	return r
}

// resend adds a request for what is missing of one layer.
func (s *videoStream) resend(r request, t *intake, now time.Time) request {
	in := &s.in
	t.lost = t.buf.Resend(t.lost[:0], now, s.link.roundTrip())
	if len(t.lost) == 0 {
		return r
	}
	in.nacks += uint64(len(t.lost))
	s.metrics.nacksSent.Add(float64(len(t.lost)))
	r.packets = append(r.packets, &rtcp.TransportLayerNack{
		SenderSSRC: in.cfg.SSRC, MediaSSRC: s.link.source(t.layer), Nacks: rtcp.NackPairsFromSequenceNumbers(t.lost),
	})
	return r
}

// refreshBy adds a request for a key frame in the ways the peer understands:
// PLI rather than FIR, which is meant for a new receiver (RFC 5104 section
// 3.5.1), both when the first did not help, and signalling when there is no
// other way or none helps.
func (in *videoIn) refreshBy(r request, source uint32, asked int) request {
	v := in.cfg
	again := asked > 1
	if v.PLI && source != 0 {
		r.packets = append(r.packets, &rtcp.PictureLossIndication{SenderSSRC: v.SSRC, MediaSSRC: source})
	}
	if v.FIR && source != 0 && (!v.PLI || again) {
		in.fir++
		r.packets = append(r.packets, &rtcp.FullIntraRequest{
			SenderSSRC: v.SSRC, MediaSSRC: source, FIR: []rtcp.FIREntry{{SSRC: source, SequenceNumber: in.fir}},
		})
	}
	if (!v.PLI && !v.FIR) || asked > 2 || source == 0 {
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
	st.LayerChanges = in.switches
}
