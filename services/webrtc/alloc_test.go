package webrtc

import (
	"testing"

	"github.com/pion/rtp"
	pion "github.com/pion/webrtc/v4"
)

// sink is pion's side of a track.
type sink struct{ packets int }

func (s *sink) WriteRTP(*rtp.Header, []byte) (int, error) { s.packets++; return 0, nil }
func (s *sink) Write([]byte) (int, error)                 { return 0, nil }

// What is done per packet allocates nothing.
func TestPacketsAllocateNothing(t *testing.T) {
	out := &sink{}
	writer := pion.TrackLocalWriter(out)
	tr := newTrack(audio, "s", nil)
	h, payload := &rtp.Header{PayloadType: 111}, make([]byte, 100)
	if err := tr.WriteRTP(h, payload); err != nil || out.packets != 0 {
		t.Errorf("before it is bound: %v, %d packets", err, out.packets)
	}
	tr.out.Store(&writer)
	if n := testing.AllocsPerRun(100, func() { _ = tr.WriteRTP(h, payload) }); n != 0 {
		t.Errorf("sending: %v allocations", n)
	}
	if out.packets == 0 || h.Version != 2 {
		t.Errorf("%d packets of version %d", out.packets, h.Version)
	}

	level := &rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 111, SSRC: 1}, Payload: payload}
	if err := level.SetExtension(1, []byte{30}); err != nil {
		t.Fatal(err)
	}
	wire, err := level.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	var pkt rtp.Packet
	if n := testing.AllocsPerRun(100, func() { _ = pkt.Unmarshal(wire) }); n != 0 {
		t.Errorf("receiving: %v allocations", n)
	}
}
