package rtp

import (
	"net/netip"
	"testing"
	"time"

	"github.com/pion/rtcp"
	pion "github.com/pion/rtp"
)

// FuzzDatagram: whatever arrives, encrypted or not, nothing panics, and what
// the handler gets is within the datagram and of a negotiated type.
func FuzzDatagram(f *testing.F) {
	packet := pion.Packet{Header: pion.Header{Version: 2, PayloadType: 96, SequenceNumber: 1, SSRC: 7}, Payload: []byte{1, 2, 3}}
	plain, err := packet.Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(plain, false)
	must(f, packet.SetExtension(1, []byte{0x85}))
	extended, err := packet.Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(extended, true)
	for _, p := range []rtcp.Packet{
		&rtcp.SenderReport{SSRC: 7, Reports: []rtcp.ReceptionReport{{SSRC: 8}}},
		&rtcp.TransportLayerNack{SenderSSRC: 7, MediaSSRC: 8, Nacks: []rtcp.NackPair{{PacketID: 5, LostPackets: 3}}},
		&rtcp.FullIntraRequest{SenderSSRC: 7, FIR: []rtcp.FIREntry{{SSRC: 8}}},
		&rtcp.ReceiverEstimatedMaximumBitrate{SenderSSRC: 7, Bitrate: 1e6, SSRCs: []uint32{8}},
		&rtcp.ApplicationDefined{SSRC: 7, Name: "OPEN"},
		&BitrateLimit{SenderSSRC: 7, Entries: []BitrateEntry{{8, 1e6, 40}}},
		&BitrateLimit{Notification: true, SenderSSRC: 7},
	} {
		b, err := rtcp.Marshal([]rtcp.Packet{p, &rtcp.Goodbye{Sources: []uint32{7}}})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, false)
	}
	f.Add([]byte{0xb0, 96, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0xbe, 0xde, 0xff, 0xff}, true)

	peer := netip.MustParseAddrPort("192.0.2.5:4000")
	suite := AES128CM80
	key := suite.NewKey()
	f.Fuzz(func(t *testing.T, b []byte, encrypted bool) {
		if len(b) > maxDatagram {
			return
		}
		s := &Session{log: discard, metrics: unregistered}
		remote := Remote{RTP: peer, RTCP: peer, Types: []uint8{96, 101}}
		if encrypted {
			remote.Crypto = &Crypto{Suite: suite, Send: key, Recv: []Key{key}}
		}
		must(t, s.SetRemote(remote))
		s.handler = Handler{
			RTP: func(p *pion.Packet, _ time.Time) {
				if p.PayloadType != 96 && p.PayloadType != 101 || len(p.Payload)+int(p.PaddingSize)+12 > len(b) {
					t.Errorf("handed on %v of %x", p, b)
				}
			},
			RTCP: func(ps []rtcp.Packet, _ time.Time) {
				if len(ps) > len(b)/4 {
					t.Errorf("%d packets in %d bytes", len(ps), len(b))
				}
			},
		}
		// An attacker has no key: what it sends does not pass. To reach what
		// is behind, half of the packets are sealed for it.
		data := append([]byte(nil), b...)
		r := reader{s: s}
		r.datagram(data, peer, time.Time{})
		if encrypted && len(b) >= 12 && !isControl(b) {
			if sealed, err := s.out.seal(append(append(make([]byte, 0, len(b)+cryptoOverhead), b...), make([]byte, cryptoOverhead)...), len(b)); err == nil {
				r.datagram(sealed, peer, time.Time{})
			}
		}
	})
}
