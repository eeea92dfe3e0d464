package dtmf

import (
	"errors"
	"time"
)

// ErrBusy reports that too many digits wait to be sent.
var ErrBusy = errors.New("dtmf: too many digits waiting")

// Times of a key press as it is sent.
const (
	tick       = 20 * time.Millisecond
	minPress   = 40 * time.Millisecond // shorter ones are not heard as a digit
	usualPress = 160 * time.Millisecond
	pauseTicks = 3  // between two digits, for receivers that fall back on tones
	endPackets = 3  // section 2.5.1.4
	maxWaiting = 64 // digits
	volume     = 10 // -dBm0
)

// A Packet is one telephone event for the wire.
type Packet struct {
	Payload   [4]byte
	Marker    bool
	Timestamp uint32 // when the press began; the same in all its packets
}

// A Sender makes the packets of key presses, one after the other, with a pause
// between. Not safe for concurrent use.
type Sender struct {
	perTick uint32 // RTP clock units in 20 ms
	waiting []keyPress

	// The current press.
	active  bool
	code    byte
	start   uint32
	left    int // ticks until the key is up
	sent    uint32
	ends    int // end packets sent
	pausing int // ticks of pause left
}

type keyPress struct {
	code  byte
	ticks int
}

// NewSender returns a Sender for a telephone-event clock in Hz.
func NewSender(clock int) *Sender { return &Sender{perTick: uint32(clock / 50)} }

// Press queues a digit. The duration is rounded up to 20 ms, at least 40 ms,
// and cut at what one event can say, 65535 clock units; zero means 160 ms. The
// errors are [ErrNotDigit] and [ErrBusy].
func (s *Sender) Press(digit byte, d time.Duration) error {
	c, err := code(digit)
	if err != nil {
		return err
	}
	if len(s.waiting) == maxWaiting {
		return ErrBusy
	}
	if d == 0 {
		d = usualPress
	}
	ticks := int((max(d, minPress) + tick - 1) / tick)
	s.waiting = append(s.waiting, keyPress{c, min(ticks, int(maxDuration/s.perTick))})
	return nil
}

// Busy reports whether there is anything left to send.
func (s *Sender) Busy() bool { return s.active || len(s.waiting) > 0 }

// Next advances by one tick of 20 ms and returns the packet to send in it, in
// place of audio. timestamp is that of the audio stream at this tick. ok is
// false when there is nothing to send.
func (s *Sender) Next(timestamp uint32) (p Packet, ok bool) {
	if s.pausing > 0 {
		s.pausing--
		return Packet{}, false
	}
	if !s.active {
		if len(s.waiting) == 0 {
			return Packet{}, false
		}
		w := s.waiting[0]
		s.waiting = s.waiting[1:]
		s.active, s.code, s.start, s.left, s.sent, s.ends = true, w.code, timestamp, w.ticks, 0, 0
	}
	first := s.sent == 0
	if s.left > 0 {
		s.left--
		s.sent += s.perTick
	}
	if s.left == 0 {
		s.ends++
	}
	e := Event{Code: s.code, End: s.ends > 0, Volume: volume, Duration: uint16(s.sent)}
	p = Packet{Marker: first, Timestamp: s.start}
	e.Append(p.Payload[:0])
	if s.ends == endPackets {
		s.active, s.pausing = false, pauseTicks
	}
	return p, true
}
