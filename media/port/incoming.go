package port

import (
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
)

// An incoming is what is counted of one layer of a simulcast: each has an SSRC,
// and sequence numbers, of its own (RFC 8853 section 3).
type incoming struct {
	rid string
	reception
}

// simulcast makes layers what is received, none for a single stream. ext is the
// identifier of the header extension that names them (RFC 8852). Counters of
// layers that stay go on: their SSRCs do, and a sender that has been heard does
// not name them again.
func (l *link) simulcast(layers []Layer, ext uint8) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(layers) == 0 && len(l.layers) == 0 {
		return
	}
	before := l.layers
	l.ext, l.layers = ext, make([]incoming, min(len(layers), maxLayers))
	for i := range l.layers {
		l.layers[i] = incoming{rid: layers[i].RID, reception: reception{clock: l.clock}}
	}
	for i := range before {
		if j := l.named(before[i].rid); j >= 0 {
			l.layers[j] = before[i]
			continue
		}
		l.in.allPackets += before[i].allPackets
		l.in.allBytes += before[i].allBytes
		l.in.allLost += before[i].lost()
	}
	// What was heard of the single stream, or of a layer, says nothing of
	// what comes now.
	l.in = reception{
		clock: l.clock, allPackets: l.in.allPackets, allBytes: l.in.allBytes, allLost: l.in.lost(), first: -1,
	}
}

// named returns the layer of that name, -1 if there is none. mu is held.
func (l *link) named(rid string) int {
	for i := range l.layers {
		if l.layers[i].rid == rid {
			return i
		}
	}
	return -1
}

// receivedLayer counts a packet if it belongs to one of the layers. changed
// says that the layer has another source now.
func (l *link) receivedLayer(pkt *rtp.Packet, now time.Time) (layer int, ok, changed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if layer = l.layerOf(pkt); layer < 0 {
		return 0, false, false
	}
	in := &l.layers[layer]
	if ok, changed = in.accept(pkt.SSRC, now); !ok {
		return 0, false, false
	}
	in.packet(pkt.SequenceNumber, pkt.Timestamp, len(pkt.Payload), true, now)
	return layer, true, changed
}

// layerOf tells by its source which layer a packet belongs to, else by the name
// that it bears; -1: none. mu is held.
func (l *link) layerOf(pkt *rtp.Packet) int {
	begun := false
	for i := range l.layers {
		if l.layers[i].begun && l.layers[i].ssrc == pkt.SSRC {
			return i
		}
		begun = begun || l.layers[i].begun
	}
	name := pkt.GetExtension(l.ext)
	if name == nil {
		if begun {
			return -1
		}
		return 0 // a peer that sends one stream after all
	}
	for i := range l.layers {
		if l.layers[i].rid == string(name) {
			return i
		}
	}
	return -1
}

// receptions are those of all that is received. mu is held.
func (l *link) receptions(yield func(*reception) bool) {
	if len(l.layers) == 0 {
		yield(&l.in)
		return
	}
	for i := range l.layers {
		if !yield(&l.layers[i].reception) {
			return
		}
	}
}

// source returns the SSRC of what is received of a layer, zero while there is
// none. A single stream is layer 0.
func (l *link) source(layer int) uint32 {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case len(l.layers) == 0:
		return l.in.ssrc
	case layer < len(l.layers):
		return l.layers[layer].ssrc
	}
	return 0
}

// sources returns the SSRCs of everything that is received.
func (l *link) sources() (all []uint32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for r := range l.receptions {
		if r.begun {
			all = append(all, r.ssrc)
		}
	}
	return all
}

// blocks reports on everything that is received. A sender names its layers
// until it is reported on (RFC 8852 section 3). mu is held.
func (l *link) blocks(now time.Time) (blocks []rtcp.ReceptionReport) {
	for r := range l.receptions {
		if r.begun {
			blocks = append(blocks, r.report(now))
			l.metrics.jitter.Observe(r.jitterTime().Seconds())
		}
	}
	return blocks
}

// totals adds up what is received. mu is held.
func (l *link) totals() (t tally) {
	if len(l.layers) > 0 { // what was received before there were layers
		t.packets, t.bytes, t.lost = l.in.allPackets, l.in.allBytes, l.in.lost()
	}
	for r := range l.receptions {
		t.packets += r.allPackets
		t.bytes += r.allBytes
		t.lost += r.lost()
		t.expected += r.expected()
		t.got += r.packets
		t.fraction = max(t.fraction, r.fraction)
		t.jitter = max(t.jitter, r.jitterTime())
	}
	return t
}

// A tally is counters of everything that is received, and the worst of what
// cannot be added up.
type tally struct {
	packets, bytes, lost uint64
	expected, got        uint64 // of the present sources
	fraction             uint8
	jitter               time.Duration
}
