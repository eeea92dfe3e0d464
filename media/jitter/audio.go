package jitter

import "time"

const (
	defaultMin = 10 * time.Millisecond
	defaultMax = 200 * time.Millisecond

	ringSize = 128 // packets; a power of two

	// A packet whose transit time differs by so much from that of the one
	// before begins a new timeline: the sender's timestamps have jumped.
	restartJump = time.Second

	// A stream that starves so long has stopped; it begins anew later.
	longestStarve = 200 * time.Millisecond

	// The loudness, in -dBov, below which a packet may be dropped or doubled
	// without anybody hearing it.
	silentLevel = 60

	// The delay shrinks when it is too long by a packet and some slack, and no
	// packet was late for a while; rarely where somebody might hear it.
	silentSlack = 2 * time.Millisecond
	silentCalm  = 500 * time.Millisecond
	speechSlack = 5 * time.Millisecond
	speechCalm  = 2 * time.Second
	mergePause  = 500 * time.Millisecond

	// The share of lost packets from which on they are worth waiting for, and
	// the weight of one packet in it.
	lossy      = 0.01
	lossWeight = 0.005
)

// MaxLevel is the level of no sound at all.
const MaxLevel = 127

// AudioConfig describes a stream.
type AudioConfig struct {
	Clock    int           // RTP clock rate in Hz
	Min, Max time.Duration // bounds of the delay; zero means 10 ms and 200 ms

	// Repair is the least delay while packets get lost. Codecs whose packets
	// can restore the one before need it: the next packet must be there.
	Repair time.Duration
}

// A Packet is what [Audio.Put] takes.
type Packet struct {
	Sequence  uint16
	Timestamp uint32
	Duration  int // in units of the clock; what the payload decodes to, at most 120 ms

	// Level is the loudness in -dBov, 0 (loudest) to 127 (silent), or negative
	// if unknown. MaxLevel says that the sender is silent from here on until
	// the next packet (DTX).
	Level int

	// Mute marks a packet that takes part in the numbering but holds no audio:
	// comfort noise, telephone events. Timestamp, Duration and Payload of it
	// are not used; like MaxLevel it says that no audio is to be missed.
	Mute bool

	// Waited is how long the packet lay in this machine before Put: its delay
	// includes it, but the jitter of the network does not.
	Waited time.Duration

	Payload []byte // borrowed for the call
}

// Kind says what to do with a [Piece].
type Kind uint8

const (
	Silence Kind = iota // nothing is due: play silence
	Play                // decode Payload
	Conceal             // a packet is missing and the next one has not come
	Recover             // a packet is missing; Payload is the one after it, which will be played next
)

// A Piece is a part of what is to be played.
type Piece struct {
	Kind     Kind
	Duration int    // in units of the clock
	Level    int    // of a piece to Play, as in Packet
	Payload  []byte // borrowed until the next call of Put or Next

	// Merge marks a piece that is not due yet: blend it into the end of what
	// precedes it, which shortens the delay by Duration.
	Merge bool
}

// AudioStats counts packets since New.
type AudioStats struct {
	Received  uint64
	Duplicate uint64
	Late      uint64 // arrived after their time
	Lost      uint64 // did not arrive, or not yet
	Dropped   uint64 // passed over to catch up, or strays from elsewhere in the numbering
	Merged    uint64 // played blended into the one before, to catch up

	Concealed time.Duration // played to bridge what was missing
	Delay     time.Duration // now: from a packet's earliest possible arrival to its playing
	Target    time.Duration // what Delay moves to
}

// Audio is an adaptive de-jitter buffer for one audio stream.
type Audio struct {
	clock, tick int // Hz; units in 20 ms
	estimator   estimator
	repair      time.Duration
	loss        float64 // share of packets lost, of late
	stats       AudioStats
	ring        [ringSize]slot
	pieces      []Piece  // result of Next
	spent, free [][]byte // memory of payloads: of packets just played, and of none
	epoch       time.Time

	// Numbering, as packets arrive. Sequence numbers and timestamps are
	// extended to 64 bit.
	begun     bool // a packet has come since New or Reset
	timed     bool // one with audio has
	highest   int64
	timestamp int64 // of the newest packet with audio
	transit   time.Duration
	probation int // sequence number that would prove a jump; negative: none

	// Playout.
	fresh   bool  // nothing has been played since New or Reset
	idle    bool  // not playing: before the first packet, in silence, after starving
	quiet   bool  // the sender has said that it is silent
	last    int64 // sequence number up to which all is played or given up
	cursor  int64 // timestamp of the next sample to hand out
	ahead   int   // units handed out beyond the Ticks that are over
	need    int   // units that Next has yet to hand out
	usual   int   // Duration of the last packet played
	starved int   // units concealed since then while the buffer was empty
	bridged int   // units concealed since then in place of lost packets

	lateAt  time.Duration // when playout last had to wait for a packet
	mergeAt time.Duration // when the delay was last shortened
}

// NewAudio returns an empty buffer.
func NewAudio(cfg AudioConfig) *Audio {
	if cfg.Min == 0 {
		cfg.Min = defaultMin
	}
	if cfg.Max == 0 {
		cfg.Max = defaultMax
	}
	b := &Audio{clock: cfg.Clock, tick: cfg.Clock / 50, repair: cfg.Repair, estimator: newEstimator(cfg.Min, cfg.Max)}
	b.Reset()
	return b
}

// Reset forgets all packets and the numbering, for a stream that begins anew
// (another SSRC). What is known about the network and the counters stay.
func (b *Audio) Reset() {
	for i := range b.ring {
		b.finish(&b.ring[i])
		b.ring[i].state = empty
	}
	b.estimator.restart()
	b.begun, b.timed, b.probation = false, false, -1
	b.fresh, b.idle, b.quiet = true, true, false
	b.starved, b.bridged = 0, 0
}

// Stats returns the counters and the present delay.
func (b *Audio) Stats() AudioStats {
	s := b.stats
	s.Target = b.target()
	return s
}

// Ahead returns how many units of the clock, in what Next has returned so far,
// lie beyond the Ticks it was called for.
func (b *Audio) Ahead() int { return b.ahead }

// target returns how long packets are to be kept.
func (b *Audio) target() time.Duration {
	if b.loss > lossy {
		return max(b.estimator.target, b.repair)
	}
	return b.estimator.target
}

// Next advances playout by 20 ms and returns what is due: pieces that, with
// what earlier ones have left over, fill 20 ms or more. The slice is borrowed
// until the next call.
func (b *Audio) Next(now time.Time) []Piece {
	b.reclaim()
	b.pieces = b.pieces[:0]
	b.need = b.tick - b.ahead
	t := now.Sub(b.epoch)
	for b.need > 0 {
		b.step(t)
	}
	b.ahead = -b.need
	if !b.idle && b.starved == 0 {
		b.stats.Delay = b.delay(t, b.cursor-int64(b.tick+b.ahead))
		b.shrink(t)
	}
	return b.pieces
}

// step hands out one piece, or moves on to where the next one can be.
func (b *Audio) step(now time.Duration) {
	s := b.next()
	if s != nil && !b.idle && s.timestamp > b.cursor && s.seq == b.last+1 {
		b.idle = true // nothing is lost: the sender paused
	}
	switch {
	case s == nil:
		b.starve()
	case b.idle:
		b.begin(s, now)
	case s.timestamp+int64(s.duration) <= b.cursor:
		b.skip(s) // its time was filled while waiting for it
		b.stats.Late++
	case s.timestamp > b.cursor:
		b.bridge(s, now)
	case s.level >= silentLevel && b.wants(now) >= b.tick/2:
		b.hand(Piece{Kind: Silence, Duration: b.need}) // grow where nobody hears it
	default:
		if b.starved > 0 {
			b.lateAt = now
		}
		b.play(s)
	}
}

// begin starts to play at s once it has waited long enough.
func (b *Audio) begin(s *slot, now time.Duration) {
	target := b.target()
	if b.delay(now, s.timestamp) < target {
		b.hand(Piece{Kind: Silence, Duration: b.need})
		return
	}
	// After a pause the delay can be chosen freely: pass over what is too old.
	for b.delay(now, s.timestamp) >= target+b.duration(b.tick) {
		after := b.find(s.seq + 1)
		if after == nil || b.delay(now, after.timestamp) < target {
			break
		}
		b.skip(s)
		b.stats.Dropped++
		s = after
	}
	b.idle = false
	b.play(s)
}

// play hands out s and gives up what is missing before it.
func (b *Audio) play(s *slot) {
	b.loss += (float64(b.missing(s)) - b.loss) * lossWeight
	piece := Piece{Kind: Play, Duration: int(s.duration), Level: int(s.level), Payload: s.payload}
	b.skip(s)
	b.cursor = s.timestamp + int64(s.duration)
	b.fresh, b.starved, b.bridged = false, 0, 0
	b.usual, b.quiet = piece.Duration, s.level >= MaxLevel
	b.hand(piece)
}

// bridge fills the time before s, which follows a loss.
func (b *Audio) bridge(s *slot, now time.Duration) {
	gap := int(min(s.timestamp-b.cursor, int64(b.clock)))
	lost := b.missing(s)*b.usual - b.bridged // the rest of gap is a pause
	n := min(gap, lost, b.tick)
	switch {
	case n <= 0:
		b.idle = true
		return
	case b.starved > 0: // that was concealed already, before s came
		n = min(n, b.starved)
		b.starved -= n
	case b.wants(now) >= b.tick/2: // the delay is to grow: wait, it may come yet
		b.conceal(Piece{Kind: Conceal, Duration: b.tick})
		return
	case n == gap && n == b.tick && int(s.duration) == b.tick:
		b.conceal(Piece{Kind: Recover, Duration: n, Payload: s.payload})
	default:
		b.conceal(Piece{Kind: Conceal, Duration: n})
	}
	b.cursor += int64(n)
	b.bridged += n
}

// starve fills what Next needs when there is no packet.
func (b *Audio) starve() {
	if b.quiet || b.duration(b.starved) >= longestStarve {
		b.idle = true
	}
	if b.idle {
		b.hand(Piece{Kind: Silence, Duration: b.need})
		return
	}
	b.starved += b.need
	b.conceal(Piece{Kind: Conceal, Duration: b.need})
}

// shrink shortens a delay that is longer than it need be, by one packet.
func (b *Audio) shrink(now time.Duration) {
	s := b.next()
	if s == nil || s.timestamp != b.cursor || len(b.pieces) == 0 {
		return
	}
	excess := b.stats.Delay - b.target() - b.duration(int(s.duration))
	switch {
	case b.stats.Delay > b.estimator.max+b.duration(int(s.duration)):
	case s.level >= silentLevel && excess > silentSlack && now-b.lateAt > silentCalm:
	case excess > speechSlack && now-b.lateAt > speechCalm && now-b.mergeAt > mergePause:
	default:
		return
	}
	b.mergeAt = now
	b.play(s)
	b.pieces[len(b.pieces)-1].Merge = true
	b.stats.Merged++
}

func (b *Audio) conceal(p Piece) {
	if b.quiet {
		p = Piece{Kind: Silence, Duration: p.Duration}
	} else {
		b.stats.Concealed += b.duration(p.Duration)
	}
	b.hand(p)
}

func (b *Audio) hand(p Piece) {
	b.pieces = append(b.pieces, p)
	b.need -= p.Duration
}

// wants returns by how many units the delay is too short.
func (b *Audio) wants(now time.Duration) int {
	short := b.target() - b.delay(now, b.cursor-int64(b.tick-b.need))
	return int(short.Microseconds()) * (b.clock / 1000) / 1000
}

// delay returns how long after its earliest possible arrival a sample is
// played if it is played now.
func (b *Audio) delay(now time.Duration, timestamp int64) time.Duration {
	return now - b.estimator.base - b.time(timestamp)
}

// time converts a timestamp, without overflow.
func (b *Audio) time(timestamp int64) time.Duration {
	clock := int64(b.clock)
	return time.Duration(timestamp/clock)*time.Second + b.duration(int(timestamp%clock))
}

func (b *Audio) duration(units int) time.Duration {
	return time.Duration(units) * time.Second / time.Duration(b.clock)
}
