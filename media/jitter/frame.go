package jitter

import (
	"time"

	"github.com/skybridge-media/skybridge/media/payload"
)

// Next returns the next picture in order, if it is complete; to be called until
// ok is false. rtt is the round trip time, zero if unknown.
func (b *Video) Next(now time.Time, rtt time.Duration) (f Frame, ok bool) {
	b.reclaim()
	for b.begun {
		if b.seeking && !b.seek(now) {
			return Frame{}, false
		}
		b.passPadding()
		if s := b.slot(b.next); s.state == videoWaiting && b.hasEnded && s.timestamp == b.ended {
			b.unmarked = true // the last marker was not the end of its picture
		}
		end, complete := b.end(b.next)
		switch {
		case complete:
			return b.handOut(end), true
		case end > b.highest:
			return Frame{}, false // the rest is under way
		}
		// end is missing.
		if key, found := b.completeKey(end); found {
			b.pass(key) // there is no need to wait
			continue
		}
		if now.Sub(b.slot(end).at) < b.patience(rtt) {
			return Frame{}, false
		}
		b.pass(end + 1)
		b.seeking = true
	}
	return Frame{}, false
}

// patience returns how long to wait for a missing packet.
func (b *Video) patience(rtt time.Duration) time.Duration {
	if !b.resend {
		return reorderPatience
	}
	return min(max(4*b.roundTrip(rtt), leastPatience), mostPatience)
}

// seek moves on to the beginning of a key frame.
func (b *Video) seek(now time.Time) bool {
	for seq := b.next; seq <= b.highest; seq++ {
		s := b.slot(seq)
		if s.state != videoWaiting || s.key == payload.NotKey {
			continue
		}
		first, certain := b.begin(seq)
		if !certain && now.Sub(s.at) < seekPatience {
			return false // what belongs before it may come yet
		}
		b.pass(first)
		b.seeking, b.hasEnded = false, false
		return true
	}
	b.pass(b.highest - seekDepth)
	return false
}

// begin finds the first packet of the picture that the one at seq is of. It is
// certain if the one before is of another.
func (b *Video) begin(seq int64) (first int64, certain bool) {
	s := b.slot(seq)
	if s.key == payload.SurelyKey {
		return seq, true
	}
	for seq > b.next {
		before := b.slot(seq - 1)
		if before.state != videoWaiting {
			return seq, false
		}
		if before.timestamp != s.timestamp {
			return seq, true
		}
		seq--
	}
	return seq, b.hasEnded
}

// passPadding moves over packets without payload between two pictures.
func (b *Video) passPadding() {
	for b.next <= b.highest {
		s := b.slot(b.next)
		if s.state != videoWaiting || len(s.payload) > 0 {
			return
		}
		b.pass(b.next + 1)
	}
}

// end follows the picture that begins at seq. Either it is complete and ends at
// the packet returned, or that packet is the first one that is not there.
func (b *Video) end(seq int64) (last int64, complete bool) {
	timestamp, first := uint32(0), true
	for ; seq <= b.highest; seq++ {
		s := b.slot(seq)
		switch {
		case s.state != videoWaiting:
			return seq, false
		case first:
			timestamp, first = s.timestamp, false
		case s.timestamp != timestamp: // RFC 6184 section 5.1: may be the only sign
			return seq - 1, true
		}
		if s.marker && !b.unmarked {
			return seq, true
		}
	}
	return seq, false
}

// completeKey looks for a key frame behind a hole, all of which is there.
func (b *Video) completeKey(hole int64) (first int64, found bool) {
	for seq := hole + 1; seq <= b.highest; seq++ {
		if s := b.slot(seq); s.state != videoWaiting || s.key == payload.NotKey {
			continue
		}
		first, certain := b.begin(seq)
		_, complete := b.end(first)
		return first, certain && complete
	}
	return 0, false
}

// handOut returns the picture that begins at next.
func (b *Video) handOut(last int64) Frame {
	f := Frame{Timestamp: b.slot(b.next).timestamp}
	b.hasEnded = b.slot(last).marker
	b.ended = f.Timestamp
	for ; b.next <= last; b.next++ {
		s := b.slot(b.next)
		if s.at.After(f.Arrived) {
			f.Arrived = s.at
		}
		if len(s.payload) > 0 {
			b.frame = append(b.frame, s.payload)
			s.payload = nil
		}
		b.release(s)
	}
	f.Payloads = b.frame
	return f
}
