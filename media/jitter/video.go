package jitter

import (
	"time"

	"github.com/skybridge-media/skybridge/media/payload"
)

const (
	videoRing = 512 // packets; a power of two. 2 s at 2.5 Mbit/s

	// Packets overtake each other by less than this on sane paths: a hole is
	// asked for only when it is older.
	reorderTime = 10 * time.Millisecond

	// How long a picture may wait for a packet that cannot be asked for.
	reorderPatience = 60 * time.Millisecond

	// How long it may wait for one that was: a few round trips, but never so
	// long that a key frame would be quicker or the eye sees a stop.
	leastPatience = 200 * time.Millisecond
	mostPatience  = 500 * time.Millisecond
	usualTrip     = 60 * time.Millisecond // round trip, while unknown

	leastRetry = 20 * time.Millisecond // between two requests for a packet
	maxRetries = 10

	// While a key frame is sought, so many packets are kept for the case that
	// its first one comes late; and for so long it is waited for.
	seekDepth    = 64
	seekPatience = 20 * time.Millisecond
)

// A VideoPacket is what [Video.Put] takes.
type VideoPacket struct {
	Sequence  uint16
	Timestamp uint32
	Marker    bool          // ends a picture
	Key       payload.Start // whether it begins a key frame
	Payload   []byte        // borrowed for the call; empty for padding
}

// A Frame is one encoded picture.
type Frame struct {
	Timestamp uint32
	Arrived   time.Time // of the packet that completed it
	Payloads  [][]byte  // in order; borrowed until the next call of Next or Reset
}

// VideoStats counts packets since NewVideo.
type VideoStats struct {
	Received  uint64
	Duplicate uint64
	Late      uint64 // arrived after they were given up, or strays
	Lost      uint64 // given up
	Asked     uint64 // requests to send a packet again
	Recovered uint64 // arrived after such a request
}

// Video sorts the packets of one video stream into pictures, none of which is
// handed out unless all before it were, back to a key frame: what [Video.Next]
// returns can be decoded. Not safe for concurrent use.
type Video struct {
	resend bool          // lost packets are asked for
	answer time.Duration // how long an answer to that takes; zero: unknown
	ring   [videoRing]videoSlot
	free   [][]byte // memory for payloads
	frame  [][]byte // payloads of the Frame handed out
	stats  VideoStats

	begun     bool
	seeking   bool // nothing can be decoded before the next key frame
	unmarked  bool // markers were seen inside pictures and are not trusted
	highest   int64
	next      int64 // first packet that has not been handed out or given up
	holes     int   // missing packets between next and highest
	ended     uint32
	hasEnded  bool // ended is the timestamp of the last picture, closed by a marker
	probation int
}

type videoState uint8

const (
	videoEmpty videoState = iota
	videoWaiting
	videoMissing
)

type videoSlot struct {
	state     videoState
	marker    bool
	key       payload.Start
	asked     uint8 // times
	seq       int64
	timestamp uint32
	at        time.Time // of arrival; of a missing packet, when it was missed
	askedAt   time.Time
	payload   []byte
}

// NewVideo returns an empty buffer. resend says that lost packets can be asked
// for (RFC 4585 section 6.2.1), and so are worth waiting for.
func NewVideo(resend bool) *Video {
	b := &Video{resend: resend}
	b.Reset()
	return b
}

// Reset forgets all packets and the numbering, for a stream that begins anew.
func (b *Video) Reset() {
	b.reclaim()
	for i := range b.ring {
		b.release(&b.ring[i])
	}
	b.begun, b.seeking, b.unmarked, b.hasEnded = false, true, false, false
	b.holes, b.probation = 0, -1
}

// Seek passes over everything up to the next key frame: what was handed out
// could not be decoded.
func (b *Video) Seek() { b.seeking = true }

// Seeking reports whether a key frame is needed before anything can be decoded.
func (b *Video) Seeking() bool { return b.seeking }

// Stats returns the counters.
func (b *Video) Stats() VideoStats { return b.stats }

// Put takes a packet as it arrives.
func (b *Video) Put(p VideoPacket, now time.Time) {
	b.stats.Received++
	if !b.begun {
		b.start(p.Sequence)
	}
	seq := b.highest + int64(int16(p.Sequence-uint16(b.highest)))
	if d := seq - b.highest; d >= videoRing || d <= -videoRing {
		// A jump of the numbering, or a stray. Two in a row prove it (RFC
		// 3550, appendix A.1).
		if int(p.Sequence) != b.probation {
			b.probation = int(p.Sequence + 1)
			b.stats.Late++
			return
		}
		b.Reset()
		b.start(p.Sequence)
		seq = b.highest
	}
	if seq < b.next {
		b.stats.Late++
		return
	}
	b.extend(seq, now)
	s := b.slot(seq)
	if s.state == videoWaiting {
		b.stats.Duplicate++
		return
	}
	if s.state == videoMissing {
		b.holes--
		if s.asked > 0 {
			b.stats.Recovered++
		}
		if s.asked == 1 {
			b.answered(now.Sub(s.askedAt))
		}
	}
	if seq < b.highest && s.state == videoEmpty {
		b.missBehind(seq, now)
	}
	memory := s.payload
	if memory == nil && len(b.free) > 0 {
		memory = b.free[len(b.free)-1]
		b.free = b.free[:len(b.free)-1]
	}
	if len(p.Payload) == 0 {
		p.Key = payload.NotKey
	}
	*s = videoSlot{
		state: videoWaiting, marker: p.Marker, key: p.Key, seq: seq, timestamp: p.Timestamp, at: now,
		payload: append(memory[:0], p.Payload...),
	}
}

// start begins with a packet, before which others may come yet.
func (b *Video) start(seq uint16) {
	b.begun = true
	b.highest = int64(seq) + 1<<16 - 1 // extended numbers stay positive
	b.next = b.highest + 1 - seekDepth
}

// missBehind notes the holes behind a packet that came before the first one.
func (b *Video) missBehind(seq int64, now time.Time) {
	for seq++; seq < b.highest && b.slot(seq).state == videoEmpty; seq++ {
		s := b.slot(seq)
		s.state, s.seq, s.at, s.asked = videoMissing, seq, now, 0
		b.holes++
	}
}

// extend moves highest up to seq, notes the holes on the way and makes room.
func (b *Video) extend(seq int64, now time.Time) {
	for b.highest < seq {
		b.highest++
		if b.highest-b.next >= videoRing {
			b.pass(b.next + 1)
			b.seeking = true
		}
		s := b.slot(b.highest)
		s.state, s.seq = videoEmpty, b.highest
		if b.highest < seq {
			s.state, s.at, s.asked = videoMissing, now, 0
			b.holes++
		}
	}
}

// pass gives up everything before seq.
func (b *Video) pass(seq int64) {
	for ; b.next < seq; b.next++ {
		s := b.slot(b.next)
		if s.state == videoMissing {
			b.holes--
			b.stats.Lost++
		}
		b.release(s)
	}
}

// release takes the payload's memory back.
func (b *Video) release(s *videoSlot) {
	if s.payload != nil {
		b.free = append(b.free, s.payload)
	}
	*s = videoSlot{}
}

func (b *Video) reclaim() {
	b.free = append(b.free, b.frame...)
	b.frame = b.frame[:0]
}

func (b *Video) slot(seq int64) *videoSlot { return &b.ring[seq&(videoRing-1)] }

// answered learns the round trip time from an answer. A receiver that sends no
// media never gets to know it otherwise.
func (b *Video) answered(took time.Duration) {
	if b.answer == 0 {
		b.answer = took
	}
	b.answer += (took - b.answer) / 8
}

// roundTrip returns what is known about it.
func (b *Video) roundTrip(known time.Duration) time.Duration {
	switch {
	case known > 0:
		return known
	case b.answer > 0:
		return b.answer
	}
	return usualTrip
}

// Resend appends to dst the sequence numbers to be asked for now, and takes it
// that they are. It is to be called about every 20 ms while packets are
// missing; rtt is the round trip time, zero if unknown.
func (b *Video) Resend(dst []uint16, now time.Time, rtt time.Duration) []uint16 {
	if !b.resend || b.holes == 0 {
		return dst
	}
	rtt = b.roundTrip(rtt)
	retry := max(rtt+rtt/4, leastRetry)
	for seq := b.next; seq <= b.highest; seq++ {
		s := b.slot(seq)
		if s.state != videoMissing || s.asked >= maxRetries || now.Sub(s.at) < reorderTime {
			continue
		}
		if s.asked == 0 || now.Sub(s.askedAt) >= retry {
			s.asked++
			s.askedAt = now
			b.stats.Asked++
			dst = append(dst, uint16(seq))
		}
	}
	return dst
}
