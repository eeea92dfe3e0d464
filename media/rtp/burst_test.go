package rtp_test

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"testing"

	pion "github.com/pion/rtp"

	"github.com/skybridge-media/skybridge/media/rtp"
)

// batch makes packets of the given sizes, each with contents of its own.
func batch(first uint16, sizes ...int) []rtp.Packet {
	var packets []rtp.Packet
	for i, n := range sizes {
		packets = append(packets, rtp.Packet{
			Sequence: first + uint16(i), Timestamp: 3000, Marker: i == len(sizes)-1,
			Payload: bytes.Repeat([]byte{byte(i + 1)}, n),
		})
	}
	return packets
}

func TestWriteBatch(t *testing.T) {
	key := rtp.AES128CM80.NewKey()
	sizes := []int{1000, 1000, 1000, 400, 400, 1200, 1, 2, 1, 1}
	for range 2 * 24 { // more than go at once, and than a datagram holds
		sizes = append(sizes, 1900)
	}
	for name, crypto := range map[string]*rtp.Crypto{
		"plain": nil, "encrypted": {Suite: rtp.AES128CM80, Send: key, Recv: []rtp.Key{key}},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := listen(t, 1, nil), listen(t, 2, nil)
			connect(t, a, b, crypto, crypto)
			packets := batch(65530, sizes...)
			must(t, a.WriteRTPBatch(header(0), packets))
			for _, want := range packets {
				got := b.next(t)
				if got.SequenceNumber != want.Sequence || got.Timestamp != want.Timestamp || got.Marker != want.Marker ||
					got.SSRC != 7 || got.PayloadType != 96 || !bytes.Equal(got.Payload, want.Payload) {
					t.Fatalf("got %v with %d bytes, want %d with %d", got, len(got.Payload), want.Sequence, len(want.Payload))
				}
			}
			out, in := a.Stats().RTPOut, b.Stats().RTPIn
			if out != in || out.Packets != uint64(len(packets)) {
				t.Errorf("sent %+v, received %+v", out, in)
			}
		})
	}
}

// What cannot be sent costs the packets around it nothing.
func TestWriteBatchTooLarge(t *testing.T) {
	a, b := listen(t, 1, nil), listen(t, 2, nil)
	connect(t, a, b, nil, nil)
	if err := a.WriteRTPBatch(header(0), batch(1, 100, 3000, 100)); !errors.Is(err, rtp.ErrTooLarge) {
		t.Errorf("got %v, want ErrTooLarge", err)
	}
	for _, want := range []uint16{1, 3} {
		if got := b.next(t); got.SequenceNumber != want {
			t.Errorf("got %d, want %d", got.SequenceNumber, want)
		}
	}
	must(t, a.Close())
	if err := a.WriteRTPBatch(header(0), batch(1, 100, 100)); !errors.Is(err, rtp.ErrClosed) {
		t.Errorf("got %v, want ErrClosed", err)
	}
}

func TestWriteBatchUnroutable(t *testing.T) {
	a := listen(t, 1, nil)
	must(t, a.WriteRTPBatch(header(0), batch(1, 100, 100, 100)))
	if s := a.Stats(); s.Unroutable != 3 || s.RTPOut.Packets != 0 {
		t.Errorf("%+v", s)
	}
}

// BenchmarkPicture sends what a picture of 720p30 at 1.5 Mbit/s takes.
func BenchmarkPicture(b *testing.B) {
	peer, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	must(b, err)
	defer peer.Close()
	s, err := rtp.Listen(rtp.Config{Bind: netip.MustParseAddr("127.0.0.1")})
	must(b, err)
	defer s.Close()
	must(b, s.SetRemote(rtp.Remote{RTP: peer.LocalAddr().(*net.UDPAddr).AddrPort(), Types: []uint8{96}}))
	packets := batch(1, 1200, 1200, 1200, 1200, 1200, 200)
	h := &pion.Header{PayloadType: 96, SSRC: 7}
	b.Run("packets", func(b *testing.B) {
		for b.Loop() {
			for _, p := range packets {
				h.SequenceNumber, h.Timestamp, h.Marker = p.Sequence, p.Timestamp, p.Marker
				must(b, s.WriteRTP(h, p.Payload))
			}
		}
	})
	b.Run("batch", func(b *testing.B) {
		for b.Loop() {
			must(b, s.WriteRTPBatch(h, packets))
		}
	})
}
