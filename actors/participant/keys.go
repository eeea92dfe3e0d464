package participant

import (
	"slices"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/skybridge-media/skybridge/bus"
)

// Where a key press was heard of.
const (
	sourceMedia      = "media"      // RFC 4733
	sourceSignalling = "signalling" // SIP INFO
)

// bothWays is within which time a peer that tells its keys in both ways has
// told a press in the second one.
const bothWays = 2 * time.Second

// keys turns what media and signalling say into key presses. It is plain data.
type keys struct {
	unpaired []press // told in one way so far, oldest first
}

type press struct {
	digit  byte
	source string
	at     time.Time
}

// pressed returns the digit in the form of the event, and false for what is no
// digit, or has been told the other way already.
func (k *keys) pressed(digit byte, source string, now time.Time) (string, bool) {
	if digit >= 'a' && digit <= 'd' {
		digit -= 'a' - 'A'
	}
	if strings.IndexByte("0123456789*#ABCD", digit) < 0 {
		return "", false
	}
	k.unpaired = slices.DeleteFunc(k.unpaired, func(p press) bool { return now.Sub(p.at) > bothWays })
	twin := slices.IndexFunc(k.unpaired, func(p press) bool { return p.digit == digit && p.source != source })
	if twin >= 0 {
		k.unpaired = slices.Delete(k.unpaired, twin, twin+1)
		return "", false
	}
	k.unpaired = append(k.unpaired, press{digit, source, now})
	return string(digit), true
}

// pressed publishes a key press, once, unless it is part of a PIN.
func (p *participant) pressed(c actor.Context, digit byte, source string) {
	if !p.isAdmitted() && p.state != asked || p.state == ended {
		return
	}
	d, ok := p.keys.pressed(digit, source, time.Now())
	if !ok {
		return
	}
	p.Metrics.digits.WithLabelValues(source).Inc()
	if p.state == asked {
		p.key(c, d)
		return
	}
	p.publish(bus.ParticipantPressed{Room: p.Room, Participant: string(p.ID), Node: p.Node, Digit: d})
}
