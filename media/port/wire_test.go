package port_test

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	media "github.com/skybridge-media/skybridge/media/rtp"
)

var _ media.Writer = (*wire)(nil)

// A wire is the path to a peer. It serializes what it carries, as a network
// does, may lose and delay it, and keeps a copy.
type wire struct {
	t       *testing.T
	rtp     func(*rtp.Packet, time.Time) // at the other end; nil: nobody
	rtcp    func([]rtcp.Packet, time.Time)
	loss    float64
	jitter  time.Duration // up to so much more than delay, which reorders
	delay   time.Duration
	blocked bool // lose everything

	mu      sync.Mutex // guards what follows
	r       *rand.Rand
	packets []rtp.Packet
	control [][]rtcp.Packet
	lost    int
}

func newWire(t *testing.T) *wire { return &wire{t: t, r: rand.New(rand.NewPCG(7, 8))} }

func (w *wire) WriteRTP(h *rtp.Header, payload []byte) error {
	b, err := (&rtp.Packet{Header: *h, Payload: payload}).Marshal()
	if err != nil {
		w.t.Errorf("packet that cannot be sent: %v", err)
		return err
	}
	var p rtp.Packet
	if err := p.Unmarshal(b); err != nil {
		w.t.Errorf("packet that cannot be read: %v", err)
		return err
	}
	w.mu.Lock()
	w.packets = append(w.packets, p)
	w.mu.Unlock()
	w.carry(func() {
		if w.rtp != nil {
			w.rtp(&p, time.Now())
		}
	})
	return nil
}

func (w *wire) WriteRTCP(packets []rtcp.Packet) error {
	// CompoundPacket checks what RFC 3550, section 6.1, demands.
	b, err := rtcp.CompoundPacket(packets).Marshal()
	if err != nil {
		w.t.Errorf("RTCP that cannot be sent: %v", err)
		return err
	}
	got, err := rtcp.Unmarshal(b)
	if err != nil {
		w.t.Errorf("RTCP that cannot be read: %v", err)
		return err
	}
	for i, p := range got { // as package rtp does
		if raw, ok := p.(*rtcp.RawPacket); ok {
			var limit media.BitrateLimit
			if err := limit.Unmarshal(*raw); err != nil {
				w.t.Errorf("RTCP that nobody knows: % x", []byte(*raw))
			}
			got[i] = &limit
		}
	}
	w.mu.Lock()
	w.control = append(w.control, got)
	w.mu.Unlock()
	w.carry(func() {
		if w.rtcp != nil {
			w.rtcp(got, time.Now())
		}
	})
	return nil
}

// carry delivers after the delay of the path, or not at all.
func (w *wire) carry(deliver func()) {
	w.mu.Lock()
	lost := w.blocked || w.r.Float64() < w.loss
	delay := w.delay
	if w.jitter > 0 {
		delay += time.Duration(w.r.Int64N(int64(w.jitter)))
	}
	if lost {
		w.lost++
	}
	w.mu.Unlock()
	switch {
	case lost:
	case delay == 0:
		deliver()
	default:
		time.AfterFunc(delay, deliver)
	}
}

// sent returns the RTP packets written so far.
func (w *wire) sent() []rtp.Packet {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.packets
}

// compounds counts the RTCP datagrams written so far.
func (w *wire) compounds() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.control)
}

// feedback returns the RTCP packets of one type written so far.
func feedback[T rtcp.Packet](w *wire) (found []T) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, compound := range w.control {
		for _, p := range compound {
			if p, ok := p.(T); ok {
				found = append(found, p)
			}
		}
	}
	return found
}
