package dtmf

import "time"

// How gateways depart from RFC 4733, and what tells their key presses apart.
const (
	// Within maxGap of the packet before, a new timestamp with a duration that
	// goes on is not a new press: Sonus gateways step the timestamp in each
	// packet.
	maxGap = 150 * time.Millisecond

	// After stale without a packet, the same timestamp is a new press: some
	// senders do not move their clock between digits.
	stale = time.Second

	// After settle, what repeats the timestamp of a finished press is no
	// longer its late copy.
	settle = 60 * time.Millisecond
)

// A Detector finds key presses in the telephone events of one RTP stream. The
// zero value is ready. Not safe for concurrent use.
//
// A press is reported at the first packet of it that arrives, so that lost or
// missing end packets neither delay nor double it. Packets of one press have
// one timestamp (RFC 4733 section 2.5.1.2). The marker bit is not needed, since
// some set it on every packet and some never, nor is a plausible duration.
type Detector struct {
	recent [4]press // latest first
	known  int
}

// A press is one key press as seen so far.
type press struct {
	code      byte
	timestamp uint32
	duration  uint16
	ended     bool
	last      time.Time // arrival of its latest packet
}

// Packet takes one RTP packet of the telephone-event type, in the order of
// arrival. ok is true if it begins a key press. Malformed packets and other
// events than digits are ignored. payload is borrowed for the call.
func (d *Detector) Packet(timestamp uint32, marker bool, payload []byte, now time.Time) (digit byte, ok bool) {
	e, err := ParseEvent(payload)
	if err != nil {
		return 0, false
	}
	if digit, ok = e.Digit(); !ok {
		return 0, false
	}
	if p := d.find(e, timestamp, marker, now); p != nil {
		p.ended = p.ended || e.End
		p.duration = max(p.duration, e.Duration)
		p.last = now
		return 0, false
	}
	copy(d.recent[1:], d.recent[:])
	d.recent[0] = press{code: e.Code, timestamp: timestamp, duration: e.Duration, ended: e.End, last: now}
	d.known = min(d.known+1, len(d.recent))
	return digit, true
}

// find returns the press that a packet belongs to; nil if it begins one.
func (d *Detector) find(e Event, timestamp uint32, marker bool, now time.Time) *press {
	for i := range d.recent[:d.known] {
		p := &d.recent[i]
		if p.code == e.Code && p.timestamp == timestamp && !p.repeated(e, marker, now) {
			return p
		}
	}
	if d.known > 0 && d.recent[0].continues(e, timestamp, now) {
		p := &d.recent[0]
		if timestamp-p.timestamp >= maxDuration {
			p.duration = 0 // a new segment counts from its own timestamp
		}
		p.timestamp = timestamp
		return p
	}
	return nil
}

// repeated reports whether a packet with the timestamp of p is nevertheless a
// press of its own, from a sender whose timestamps stand still.
func (p *press) repeated(e Event, marker bool, now time.Time) bool {
	gap := now.Sub(p.last)
	if gap > stale {
		return true
	}
	return p.ended && !e.End && marker && e.Duration < p.duration && gap > settle
}

// continues reports whether a packet with another timestamp still belongs to
// p, the latest press.
func (p *press) continues(e Event, timestamp uint32, now time.Time) bool {
	if p.code != e.Code || now.Sub(p.last) > maxGap {
		return false
	}
	if p.ended {
		return e.End && e.Duration == p.duration // copies of the end
	}
	// A press longer than a duration can say goes on in segments, each with
	// the timestamp at which it starts (RFC 4733 section 2.5.1.3).
	return e.Duration >= p.duration || timestamp-p.timestamp == maxDuration
}

// maxDuration is the longest duration of an event, in units of the RTP clock.
const maxDuration = 0xffff
