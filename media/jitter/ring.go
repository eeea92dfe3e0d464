package jitter

import "time"

type state uint8

const (
	empty   state = iota
	waiting       // arrived, to be played
	done          // arrived, played or passed over
	lost          // given up before it arrived
)

// A slot holds one packet.
type slot struct {
	seq       int64
	timestamp int64
	payload   []byte // while waiting; nil if mute
	duration  int32
	level     int16
	state     state
	mute      bool
}

// finish is done with a packet. Its payload is borrowed by whoever plays it, so
// its memory can be used again after the next call of Put or Next only.
func (b *Audio) finish(s *slot) {
	s.state = done
	if s.payload != nil {
		b.spent = append(b.spent, s.payload)
		s.payload = nil
	}
}

// reclaim makes the memory of what has been played that of packets to come. Few
// packets wait at any time: what they are kept in stays in the cache.
func (b *Audio) reclaim() {
	b.free = append(b.free, b.spent...)
	b.spent = b.spent[:0]
}

// keep returns a copy of a payload.
func (b *Audio) keep(payload []byte) []byte {
	var buf []byte
	if n := len(b.free); n > 0 {
		buf = b.free[n-1][:0]
		b.free = b.free[:n-1]
	}
	return append(buf, payload...)
}

func (b *Audio) slot(seq int64) *slot { return &b.ring[seq&(ringSize-1)] }

// Put takes a packet that arrived then.
func (b *Audio) Put(p Packet, arrival time.Time) {
	b.reclaim()
	if b.epoch.IsZero() {
		b.epoch = arrival
	}
	b.stats.Received++
	if !b.begun {
		b.start(p.Sequence)
	}
	seq := b.highest + int64(int16(p.Sequence-uint16(b.highest)))
	if d := seq - b.highest; d >= ringSize || d <= -ringSize {
		// A jump of the numbering, or a stray. Two in a row prove it (RFC
		// 3550, appendix A.1).
		if int(p.Sequence) != b.probation {
			b.probation = int(p.Sequence + 1)
			b.stats.Dropped++
			return
		}
		b.Reset()
		b.start(p.Sequence)
		seq = b.highest
	}
	if b.seen(seq) {
		b.stats.Duplicate++
		return
	}
	timestamp := b.timestamp
	if !p.Mute {
		timestamp, seq = b.timing(p, seq, arrival.Sub(b.epoch))
	}
	if b.fresh && seq <= b.last {
		b.last = seq - 1 // reordered before anything was played
	}
	if seq <= b.last {
		b.late(seq)
		return
	}
	b.highest = max(b.highest, seq)
	b.makeRoom(seq)
	s := b.slot(seq)
	*s = slot{
		state: waiting, mute: p.Mute, seq: seq, timestamp: timestamp,
		duration: int32(min(max(p.Duration, 0), 6*b.tick)), level: int16(min(max(p.Level, -1), MaxLevel)),
	}
	if !p.Mute {
		s.payload = b.keep(p.Payload)
	}
}

func (b *Audio) start(seq uint16) {
	b.begun = true
	b.highest = int64(seq) + 1<<16 // extended numbers stay positive
	b.last = b.highest - 1
}

// timing extends the timestamp of p and learns from its arrival. It may find
// that the sender's numbers or its clock have begun anew, and returns the
// sequence number that then holds.
func (b *Audio) timing(p Packet, seq int64, arrival time.Duration) (timestamp, inOrder int64) {
	if !b.timed {
		b.timestamp = int64(p.Timestamp)
	}
	timestamp = b.timestamp + int64(int32(p.Timestamp-uint32(b.timestamp)))
	transit := arrival - b.time(timestamp)
	newer := seq > b.highest || b.fresh
	jumped := newer && (transit-b.transit).Abs() > restartJump
	renumbered := !newer && timestamp > b.timestamp
	if b.timed && (jumped || renumbered) {
		b.Reset()
		b.start(p.Sequence)
		seq, newer = b.highest, true
	}
	if newer || !b.timed {
		b.timed, b.timestamp, b.transit = true, timestamp, transit
	}
	b.estimator.track(arrival, transit)
	if !b.fresh {
		// The fastest packet counts by its arrival. What has to be waited for
		// is the one that is here.
		b.estimator.add(transit + p.Waited)
	} // else it may have waited, for a socket to be opened or an address to be learned
	return timestamp, seq
}

// seen reports whether that packet has arrived before.
func (b *Audio) seen(seq int64) bool {
	s := b.slot(seq)
	return s.seq == seq && (s.state == waiting || s.state == done)
}

// late takes note of a packet that was given up.
func (b *Audio) late(seq int64) {
	b.stats.Late++
	if s := b.slot(seq); s.seq == seq && s.state == lost {
		s.state = done
		b.stats.Lost--
	}
}

// makeRoom gives up what is too old to be kept beside seq: nobody listens, or
// many packets came at once.
func (b *Audio) makeRoom(seq int64) {
	for b.last < seq-ringSize {
		b.idle = true
		if s := b.slot(b.last + 1); s.state == waiting && s.seq == b.last+1 {
			b.finish(s)
			b.stats.Dropped++
		} else {
			b.stats.Lost++
		}
		b.last++
	}
}

// next returns the packet to be played next, nil if there is none. Mute
// packets that are due are done with.
func (b *Audio) next() *slot {
	for b.last < b.highest {
		s := b.slot(b.last + 1)
		if s.state != waiting || !s.mute || s.seq != b.last+1 {
			break
		}
		s.state = done
		b.last++
		b.quiet = true
	}
	return b.find(b.last + 1)
}

// find returns the first packet with audio from seq on.
func (b *Audio) find(seq int64) *slot {
	for ; seq <= b.highest; seq++ {
		if s := b.slot(seq); s.state == waiting && s.seq == seq && !s.mute {
			return s
		}
	}
	return nil
}

// missing counts the packets before s that have not arrived.
func (b *Audio) missing(s *slot) int {
	n := 0
	for seq := b.last + 1; seq < s.seq; seq++ {
		if m := b.slot(seq); m.state != waiting || m.seq != seq {
			n++
		}
	}
	return n
}

// skip moves beyond s and gives up what is missing before it.
func (b *Audio) skip(s *slot) {
	for seq := b.last + 1; seq < s.seq; seq++ {
		m := b.slot(seq)
		if m.state != waiting || m.seq != seq {
			m.state, m.seq = lost, seq
			b.stats.Lost++
			continue
		}
		b.finish(m) // mute
	}
	b.finish(s)
	b.last = s.seq
}
