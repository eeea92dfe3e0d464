package rtp

import (
	"net/netip"
	"testing"
	"time"

	pion "github.com/pion/rtp"
)

func TestWriteAllocates(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes pools allocate")
	}
	cryptos := map[string]*Crypto{"plain": nil}
	for _, suite := range []Suite{AES128CM80, AES128GCM} {
		k := suite.NewKey()
		cryptos[string(suite)] = &Crypto{Suite: suite, Send: k, Recv: []Key{k}}
	}
	for name, crypto := range cryptos {
		t.Run(name, func(t *testing.T) {
			s, err := Listen(Config{Bind: netip.MustParseAddr("127.0.0.1")})
			must(t, err)
			defer s.Close()
			must(t, s.SetRemote(Remote{RTP: netip.MustParseAddrPort("127.0.0.1:9"), Crypto: crypto}))
			h, payload := &pion.Header{PayloadType: 96, SSRC: 7}, make([]byte, 1000)
			if n := testing.AllocsPerRun(500, func() {
				h.SequenceNumber++
				if err := s.WriteRTP(h, payload); err != nil {
					t.Fatal(err)
				}
			}); n != 0 {
				t.Errorf("%v allocations per packet, want 0", n)
			}
			packets := []Packet{{Payload: payload}, {Payload: payload}, {Payload: payload[:10]}}
			if n := testing.AllocsPerRun(100, func() {
				for i := range packets {
					h.SequenceNumber++
					packets[i].Sequence = h.SequenceNumber
				}
				if err := s.WriteRTPBatch(h, packets); err != nil {
					t.Fatal(err)
				}
			}); n != 0 {
				t.Errorf("%v allocations per batch, want 0", n)
			}
		})
	}
}

// Reading costs nothing per packet either.
func TestReceiveAllocates(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes pools allocate")
	}
	peer := netip.MustParseAddrPort("192.0.2.5:4000")
	for _, suite := range []Suite{"", AES128CM80} {
		s := &Session{log: discard, metrics: unregistered}
		remote := Remote{RTP: peer, Types: []uint8{96}}
		if suite != "" {
			key := suite.NewKey()
			remote.Crypto = &Crypto{Suite: suite, Send: key, Recv: []Key{key}}
		}
		must(t, s.SetRemote(remote))
		received := 0
		s.handler.RTP = func(*pion.Packet, time.Time) { received++ }
		r := reader{s: s}
		packet := pion.Packet{Header: pion.Header{Version: 2, PayloadType: 96, SSRC: 7}, Payload: make([]byte, 1000)}
		must(t, packet.SetExtension(1, []byte{0x85}))
		buf := make([]byte, maxDatagram+cryptoOverhead)
		const runs = 200
		n := testing.AllocsPerRun(runs, func() {
			packet.SequenceNumber++
			size, err := packet.MarshalTo(buf)
			must(t, err)
			b, err := s.out.seal(buf, size)
			must(t, err)
			r.datagram(b, peer, time.Now())
		})
		if n != 0 || received != runs+1 {
			t.Errorf("suite %q: %v allocations per packet, %d received", suite, n, received)
		}
	}
}
