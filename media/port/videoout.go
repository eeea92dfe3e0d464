package port

import (
	"math/rand/v2"
	"sync"
	"time"

	"github.com/pion/rtp"

	"github.com/skybridge-media/skybridge/media/bridge"
	media "github.com/skybridge-media/skybridge/media/rtp"
)

const (
	// historySize is how many sent packets are kept for retransmission, a power
	// of two: 2 s at the highest tier. They are shared with all other receivers
	// of the same encode.
	historySize = 512

	// Pacing. A key frame is ten times as large as the pictures around it and
	// overflows the queue of a slow link if it leaves at once. A burst leaves
	// at once, which is any usual picture; what is more leaves at some times
	// the bitrate of the tier, in small steps.
	burst     = 24 << 10 // bytes
	paceRate  = 4        // times the bitrate
	paceEvery = 5 * time.Millisecond

	// A packet is not sent again within a round trip, nor more often than this;
	// all retransmissions together stay below half of the bitrate.
	resendPause = 10 * time.Millisecond
	resendBurst = 32 << 10 // bytes

	// keyPause is the least time between two key frames that the peer gets for
	// its asking.
	keyPause = 500 * time.Millisecond

	// A FIR with the number of the last one is its repetition, unless so much
	// time has passed that the sender must have forgotten to count.
	firRepetition = 3 * time.Second
)

// videoOut is the sent half of a video stream. Its locks are taken in the order
// send, state.
type videoOut struct {
	sendMu  sync.Mutex // guards header, packets, and their order; held while writing
	header  rtp.Header
	packets []media.Packet

	mu      sync.Mutex   // guards everything below; held for moments only
	cfg     *Video       // nil: no stream
	begun   bool         // there was one
	mixed   bool         // the peer sees it in another stream, and is sent nothing here
	ssrc    uint32       // of the latest
	offset  uint32       // of timestamps
	history []sentPacket // historySize of them; nil before there was a stream
	next    int64        // sequence number of the next packet to be made
	unsent  int64        // first one that pacing holds back
	budget  bucket
	resends bucket
	adapter adapter
	asked   int       // bit/s that the peer wants at most for now (TMMBR); 0: it did not say
	obeyed  time.Time // when that last changed the tier

	wanted    bool      // the peer asked for a key frame
	keyAt     time.Time // when that was passed on last
	fir       uint8     // number of its last FIR
	firAt     time.Time
	pictures  uint64
	keyFrames uint64
	requests  uint64
	nacks     uint64
}

type sentPacket struct {
	payload   []byte // shared, immutable; nil: none
	seq       int64
	timestamp uint32
	marker    bool
	resentAt  time.Time
}

func (p *sentPacket) packet() media.Packet {
	return media.Packet{Sequence: uint16(p.seq), Timestamp: p.timestamp, Marker: p.marker, Payload: p.payload}
}

// A bucket lets bytes through at a rate, and a burst at once.
type bucket struct {
	left float64 // bytes; may become negative
	at   time.Time
}

// fill adds what the time since the last call allows.
func (b *bucket) fill(rate, size float64, now time.Time) {
	if b.at.IsZero() {
		b.left = size
	} else {
		b.left = min(b.left+rate*now.Sub(b.at).Seconds(), size)
	}
	b.at = now
}

func (o *videoOut) configure(v *Video) {
	o.mu.Lock()
	defer o.mu.Unlock()
	before := o.cfg
	o.cfg = v
	if v == nil || before == nil || before.SSRC != v.SSRC || before.Codec != v.Codec {
		clear(o.history)
	}
	o.unsent = o.next // what waits is of the stream before
	if v == nil {
		return
	}
	if o.history == nil {
		o.history = make([]sentPacket, historySize)
	}
	if !o.begun || o.ssrc != v.SSRC {
		// RFC 3550 section 5.1: both begin at random, and go on for as long as
		// the SSRC stays, also where the stream was removed meanwhile.
		o.begun, o.ssrc = true, v.SSRC
		o.next = int64(rand.Uint32N(1 << 15))
		o.unsent = o.next
		o.offset = rand.Uint32()
	}
	if before == nil || before.MaxBitrate != v.MaxBitrate || before.Width != v.Width || before.Height != v.Height {
		o.asked = 0 // signalling is the later word
		o.adapter.of = v.tiers()
		o.adapter.begin(best(v, v.MaxBitrate), time.Now())
	}
	// Whoever begins to receive, again perhaps, needs a key frame.
	o.wanted = o.wanted || v.Send && (before == nil || !before.Send || before.Codec != v.Codec)
}

// spec says what the peer can receive now.
func (o *videoOut) spec() (bridge.VideoSpec, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	v := o.cfg
	if v == nil || !v.Send || v.Out == nil || o.mixed {
		return bridge.VideoSpec{}, false
	}
	return bridge.VideoSpec{
		Codec: v.Codec, Options: options(v, o.limit(), o.adapter.tier), Payload: v.payload(), Mode: v.Mode,
	}, true
}

// withhold says whether the peer sees in another stream what this one is for.
func (o *videoOut) withhold(on bool) {
	o.mu.Lock()
	o.mixed = on
	o.mu.Unlock()
}

// apart reports whether there is such a stream, and it is wanted. One that sends
// nothing now may do so later, unless it is a presenter's alone.
func (o *videoOut) apart() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.cfg != nil && !o.mixed && (o.cfg.Send || !o.cfg.Alone)
}

// limit is the most that the peer wants, in bit/s; zero: it did not say. mu is
// held.
func (o *videoOut) limit() int {
	if o.asked == 0 || o.cfg.MaxBitrate > 0 && o.cfg.MaxBitrate < o.asked {
		return o.cfg.MaxBitrate
	}
	return o.asked
}

// obeyEvery is how much time lies between two requests of a peer that are followed
// upwards, at least: each change of the size costs an encoder and a key frame. One
// that comes sooner is made up for as after any trouble.
const obeyEvery = 500 * time.Millisecond

// obey takes a request of the peer for so many bit/s at most, and reports
// whether it is to be answered.
func (o *videoOut) obey(e media.BitrateEntry, now time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.cfg == nil || !o.cfg.TMMBR {
		return false
	}
	// Large packets have less than a twentieth of headers. Nothing useful is as
	// small as the least.
	before := best(o.cfg, o.limit())
	o.asked = max(e.Bitrate*19/20, bitrates[len(bitrates)-1])
	after := best(o.cfg, o.limit())
	// What the peer's wish held down need not be tried carefully.
	freed := after < before && o.adapter.tier == before && now.Sub(o.obeyed) >= obeyEvery
	if after > o.adapter.tier || freed {
		o.obeyed = now
		o.adapter.begin(after, now)
	}
	return true
}

// write sends a picture. More reports that some of it is left to be sent later.
func (s *videoStream) write(f *bridge.VideoFrame, now time.Time) (more bool) {
	o := &s.out
	o.mu.Lock()
	if o.cfg == nil || !o.cfg.Send || o.cfg.Out == nil {
		o.mu.Unlock()
		return false
	}
	timestamp := f.Timestamp + o.offset
	size := 0
	for i, p := range f.Payloads {
		o.history[o.next%historySize] = sentPacket{
			payload: p, seq: o.next, timestamp: timestamp, marker: i == len(f.Payloads)-1,
		}
		o.next++
		size += len(p)
	}
	o.unsent = max(o.unsent, o.next-historySize)
	o.pictures++
	if f.Key {
		o.keyFrames++
		o.wanted = false
	}
	o.mu.Unlock()
	sampled := f.Captured
	if sampled.IsZero() {
		sampled = now
	}
	s.link.sent(len(f.Payloads), size, timestamp, sampled)
	return s.flush(now)
}

// flush sends what pacing allows now, in order, and reports whether more is
// waiting.
func (s *videoStream) flush(now time.Time) (more bool) {
	o := &s.out
	o.sendMu.Lock()
	defer o.sendMu.Unlock()
	v, more := o.take(now)
	if len(o.packets) > 0 {
		o.put(v)
	}
	return more
}

// take makes packets those that may be sent now, and reports whether there are
// more. sendMu is held.
func (o *videoOut) take(now time.Time) (v *Video, more bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.packets = o.packets[:0]
	v = o.cfg
	if v == nil || v.Out == nil {
		return v, false
	}
	if o.unsent < o.next {
		o.budget.fill(o.rate()*paceRate, burst, now)
	}
	for o.unsent < o.next {
		if o.budget.left <= 0 {
			return v, true
		}
		o.packets = append(o.packets, o.history[o.unsent%historySize].packet())
		o.unsent++
		o.budget.left -= float64(len(o.packets[len(o.packets)-1].Payload))
	}
	return v, false
}

// rate returns the bitrate of the tier in bytes per second.
func (o *videoOut) rate() float64 { return float64(o.adapter.tiers()[o.adapter.tier].bitrate) / 8 }

// put writes packets. sendMu is held. A packet that cannot be sent is a packet
// lost; the Writer counts it.
func (o *videoOut) put(v *Video) {
	h := &o.header
	h.Version = 2
	h.PayloadType, h.SSRC = v.SendType, v.SSRC
	defer clear(o.packets) // the payloads are not ours to keep
	if w, ok := v.Out.(media.BatchWriter); ok {
		_ = w.WriteRTPBatch(h, o.packets)
		return
	}
	for i := range o.packets {
		p := &o.packets[i]
		h.SequenceNumber, h.Timestamp, h.Marker = p.Sequence, p.Timestamp, p.Marker
		_ = v.Out.WriteRTP(h, p.Payload)
	}
}

// nacked sends again what the peer misses (RFC 4585 section 6.2.1).
func (s *videoStream) nacked(seq uint16, now time.Time) {
	rtt := s.link.roundTrip()
	o := &s.out
	o.mu.Lock()
	o.nacks++
	p, v := o.find(seq, max(rtt, resendPause), now)
	o.mu.Unlock()
	s.metrics.nacksReceived.Inc()
	if v == nil {
		return
	}
	s.metrics.resent.Inc()
	o.sendMu.Lock()
	defer o.sendMu.Unlock()
	o.packets = append(o.packets[:0], p.packet())
	o.put(v)
}

// find returns a packet that is to be sent again; v is nil if it is not kept,
// not sent yet, sent again just now, or too much.
func (o *videoOut) find(seq uint16, pause time.Duration, now time.Time) (p sentPacket, v *Video) {
	if o.cfg == nil || !o.cfg.NACK || !o.cfg.Send || o.cfg.Out == nil {
		return p, nil
	}
	number := o.unsent - 1 - int64(uint16(o.unsent-1)-seq)
	h := &o.history[number&(historySize-1)]
	o.resends.fill(o.rate()/2, resendBurst, now)
	if h.payload == nil || h.seq != number || now.Sub(h.resentAt) < pause || o.resends.left <= 0 {
		return p, nil
	}
	h.resentAt = now
	o.resends.left -= float64(len(h.payload))
	return *h, o.cfg
}

// wantKey says that the peer asked for a key frame.
func (s *videoStream) wantKey() {
	s.metrics.keysWanted.Inc()
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	s.out.requests++
	s.out.wanted = true
}

// wantKeyFIR does so for a FIR, whose repetitions bear the same number (RFC
// 5104 section 4.3.1.2).
func (s *videoStream) wantKeyFIR(number uint8, now time.Time) {
	s.out.mu.Lock()
	repeated := s.out.fir == number && now.Sub(s.out.firAt) < firRepetition
	if !repeated {
		s.out.fir, s.out.firAt = number, now
	}
	s.out.mu.Unlock()
	if !repeated {
		s.wantKey()
	}
}

// takeKey reports, once, that the peer wants a key frame, at most every
// keyPause: until it arrives the peer goes on asking.
func (o *videoOut) takeKey(now time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.wanted || now.Sub(o.keyAt) < keyPause {
		return false
	}
	o.wanted, o.keyAt = false, now
	return true
}

// adapt lets f tell the adapter something, and counts what follows from it.
func (s *videoStream) adapt(f func(a *adapter, ceiling int)) {
	o := &s.out
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.cfg == nil {
		return
	}
	before := o.adapter.tier
	f(&o.adapter, best(o.cfg, o.limit()))
	switch after := o.adapter.tier; {
	case after > before:
		s.metrics.tiersDown.Inc()
	case after < before:
		s.metrics.tiersUp.Inc()
	}
}

func (o *videoOut) stats(st *Stream) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if v := o.cfg; v != nil && o.pictures > 0 {
		opt := options(v, o.limit(), o.adapter.tier)
		st.Width, st.Height = opt.Width, opt.Height
	}
	st.Pictures, st.KeyFrames = o.pictures, o.keyFrames
	st.KeyRequests, st.NACKs = o.requests, o.nacks
}
