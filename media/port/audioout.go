package port

import (
	"math/rand/v2"
	"time"

	"github.com/pion/rtp"

	"github.com/skybridge-media/skybridge/media/bridge"
	"github.com/skybridge-media/skybridge/media/dtmf"
)

// An audioSender makes RTP packets of encoded Ticks. Not safe for concurrent
// use.
type audioSender struct {
	cfg       *Audio
	header    rtp.Header
	timestamp uint32 // of the next Tick
	last      time.Time
	resumed   bool   // the next packet begins a talk spurt
	pack      []byte // Ticks that wait for others to travel with
	packed    int
	digits    *dtmf.Sender // nil: the peer takes no events
	digitRate int          // Hz; the clock of digits
}

// standstill is a pause between two Ticks that no scheduling explains: the
// bridge had nothing to send us, and media time has gone on.
const standstill = 300 * time.Millisecond

func (o *audioSender) configure(a *Audio) {
	o.cfg = a
	o.pack, o.packed, o.resumed = o.pack[:0], 0, true
	if a == nil {
		o.digits = nil
		return
	}
	if o.header.Version == 0 || o.header.SSRC != a.SSRC {
		// RFC 3550 section 5.1: both begin at random. The lower half spares SRTP
		// an early wrap (RFC 3711 section 3.3.1). For as long as the SSRC stays,
		// they go on, whatever else changes: to SRTP, numbers that were used
		// before are replays.
		o.timestamp = rand.Uint32()
		o.header.SequenceNumber = uint16(rand.Uint32N(1 << 15))
	}
	o.header.Version = 2
	o.header.SSRC = a.SSRC
	clock := a.EventClock
	if clock == 0 {
		clock = a.Codec.Clock
	}
	switch {
	case a.EventSendType == 0:
		o.digits = nil
	case o.digits == nil || o.digitRate != clock:
		o.digits, o.digitRate = dtmf.NewSender(clock), clock
	}
}

// write sends one Tick; an empty payload is one of silence.
func (s *audioStream) write(payload []byte, now time.Time) {
	s.outMu.Lock()
	defer s.outMu.Unlock()
	o := &s.out
	if o.cfg == nil || !o.cfg.Send || o.cfg.Out == nil {
		o.last = time.Time{}
		return
	}
	perTick := uint32(o.cfg.Codec.Clock / 50)
	if pause := now.Sub(o.last); !o.last.IsZero() && pause > standstill {
		o.timestamp += (uint32(pause/bridge.Tick) - 1) * perTick
		o.pack, o.packed, o.resumed = o.pack[:0], 0, true
	}
	o.last = now
	if s.writeEvent(now) {
		o.pack, o.packed, o.resumed = o.pack[:0], 0, true
		o.timestamp += perTick
		return
	}
	ticks := ticksOf(o.cfg)
	switch {
	case len(payload) == 0: // DTX
		s.flush(o.timestamp, now)
		o.resumed = true
	case ticks == 1:
		s.send(o.timestamp, payload, now)
	default:
		o.pack = append(o.pack, payload...)
		if o.packed++; o.packed == ticks {
			s.flush(o.timestamp+perTick, now)
		}
	}
	o.timestamp += perTick
}

// flush sends the Ticks that wait for others; end is the timestamp after them.
func (s *audioStream) flush(end uint32, now time.Time) {
	o := &s.out
	if o.packed == 0 {
		return
	}
	s.send(end-uint32(o.packed*o.cfg.Codec.Clock/50), o.pack, now)
	o.pack, o.packed = o.pack[:0], 0
}

// send writes a packet of speech. The marker bit says that it follows a pause
// (RFC 3551 section 4.1).
func (s *audioStream) send(timestamp uint32, payload []byte, now time.Time) {
	o := &s.out
	o.header.Marker = o.resumed
	o.resumed = false
	s.put(o.cfg.SendType, timestamp, payload, now)
}

// put writes a packet in the present Tick.
func (s *audioStream) put(payloadType uint8, timestamp uint32, payload []byte, now time.Time) {
	o := &s.out
	o.header.PayloadType, o.header.Timestamp = payloadType, timestamp
	o.header.SequenceNumber++
	// A packet that cannot be sent is a packet lost; the Writer counts it.
	_ = o.cfg.Out.WriteRTP(&o.header, payload)
	s.link.sent(1, len(payload), o.timestamp, now)
}

// writeEvent sends a telephone event in place of speech if there is one.
func (s *audioStream) writeEvent(now time.Time) bool {
	o := &s.out
	if o.digits == nil || !o.digits.Busy() {
		return false
	}
	e, ok := o.digits.Next(o.timestamp)
	if !ok {
		return false
	}
	o.header.Marker = e.Marker
	s.put(o.cfg.EventSendType, e.Timestamp, e.Payload[:], now)
	return true
}

// press queues a key press.
func (s *audioStream) press(digit byte, d time.Duration) error {
	s.outMu.Lock()
	defer s.outMu.Unlock()
	if s.out.digits == nil {
		return ErrNoEvents
	}
	return s.out.digits.Press(digit, d)
}
