package port_test

import (
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"github.com/skybridge-media/skybridge/media/bridge"
	"github.com/skybridge-media/skybridge/media/port"
)

// call connects two ports by audio over 40 ms in each direction.
func call(t *testing.T) (a, b *port.Port, toB, toA *wire) {
	a, b = newPort(t, nil), newPort(t, nil)
	toB, toA = newWire(t), newWire(t)
	toB.delay, toA.delay = 40*time.Millisecond, 40*time.Millisecond
	toB.rtp, toB.rtcp = b.AudioRTP, b.AudioRTCP
	toA.rtp, toA.rtcp = a.AudioRTP, a.AudioRTCP
	audio := phone(toB)
	a.SetAudio(audio)
	audio = phone(toA)
	audio.SSRC, audio.CNAME = 0x2222, "them"
	b.SetAudio(audio)
	return a, b, toB, toA
}

// TestReports has a talk to b, who loses a tenth of it, for a minute.
func TestReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, toB, toA := call(t)
		var n atomic.Int32
		toB.rtp = func(p *rtp.Packet, arrived time.Time) {
			if n.Add(1)%10 != 5 {
				b.AudioRTP(p, arrived)
			}
		}
		began := time.Now()
		for range 60 * 50 {
			a.WriteAudio(make([]byte, 160))
			time.Sleep(bridge.Tick)
		}

		srs := feedback[*rtcp.SenderReport](toB)
		if len(srs) < 8 || len(srs) > 30 {
			t.Errorf("%d sender reports in a minute", len(srs))
		}
		first := toB.sent()[0]
		for _, sr := range srs {
			// RFC 3550, section 6.4.1: the RTP timestamp "corresponds to the
			// same time as the NTP timestamp".
			at := ntp(sr.NTPTime).Sub(began)
			media := time.Duration(sr.RTPTime-first.Timestamp) * time.Second / 8000
			if d := at - media; d.Abs() > time.Millisecond {
				t.Errorf("NTP time %v is RTP time %v", at, media)
			}
			if want := uint32((at+time.Millisecond)/bridge.Tick) + 1; sr.PacketCount != want && sr.PacketCount != want-1 || sr.OctetCount != 160*sr.PacketCount {
				t.Errorf("%d packets, %d octets after %v", sr.PacketCount, sr.OctetCount, at)
			}
		}
		if got := feedback[*rtcp.SenderReport](toA); len(got) != 0 {
			t.Errorf("%d sender reports of b, who sends nothing", len(got))
		}
		rrs := feedback[*rtcp.ReceiverReport](toA)
		if len(rrs) < 8 {
			t.Fatalf("%d receiver reports in a minute", len(rrs))
		}
		for _, rr := range rrs[1:] {
			if rr.SSRC != 0x2222 || len(rr.Reports) != 1 || rr.Reports[0].SSRC != 0x1111 {
				t.Fatalf("receiver report %+v", rr)
			}
			if f := rr.Reports[0].FractionLost; f < 20 || f > 30 {
				t.Errorf("fraction lost %d, want about 26", f)
			}
		}
		for _, s := range feedback[*rtcp.SourceDescription](toA) {
			if s.Chunks[0].Source != 0x2222 || s.Chunks[0].Items[0].Text != "them" {
				t.Errorf("description %+v", s)
			}
		}

		s := a.Stats().AudioOut
		if s.Codec != "PCMU" || s.Packets != 3000 || s.Bytes != 480_000 || s.Loss < 0.08 || s.Loss > 0.12 || s.Lost < 240 {
			t.Errorf("stats of a: %+v", s)
		}
		if d := s.RTT - 80*time.Millisecond; d.Abs() > time.Millisecond {
			t.Errorf("round trip %v, want 80 ms", s.RTT)
		}
		if d := s.Bitrate - 64_000; d < -2000 || d > 2000 {
			t.Errorf("bitrate %d", s.Bitrate)
		}
		in := b.Stats().AudioIn
		if in.Packets < 2690 || in.Packets > 2710 || in.Lost < 290 || in.Jitter > time.Millisecond {
			t.Errorf("stats of b: %+v", in)
		}
	})
}

// ntp converts an NTP timestamp.
func ntp(t uint64) time.Time {
	return time.Unix(int64(t>>32)-2208988800, int64((t&0xffffffff)*1e9>>32))
}

// TestGoodbye follows RFC 3550, section 6.6.
func TestGoodbye(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _, toB, _ := call(t)
		a.WriteAudio(make([]byte, 160))
		a.Close()
		a.Close()
		byes := feedback[*rtcp.Goodbye](toB)
		if len(byes) != 1 || !slices.Equal(byes[0].Sources, []uint32{0x1111}) {
			t.Errorf("goodbyes %v", byes)
		}
		before := len(toB.sent())
		a.WriteAudio(make([]byte, 160))
		time.Sleep(time.Minute)
		if len(toB.sent()) != before || len(feedback[*rtcp.Goodbye](toB)) != 1 {
			t.Error("something was sent after Close")
		}
	})
}

// TestRemovedStream is reported on no longer.
func TestRemovedStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _, toB, _ := call(t)
		a.WriteAudio(make([]byte, 160))
		time.Sleep(time.Minute)
		a.SetAudio(nil)
		before := toB.compounds()
		time.Sleep(time.Minute)
		if n := toB.compounds() - before; n != 0 || len(feedback[*rtcp.Goodbye](toB)) != 1 {
			t.Errorf("%d reports of a stream that was removed, %d goodbyes", n, len(feedback[*rtcp.Goodbye](toB)))
		}
		if s := a.Stats().AudioOut; s.Codec != "" {
			t.Errorf("stats %+v", s)
		}
	})
}

func TestSilent(t *testing.T) {
	packet := func(p *port.Port) {
		p.AudioRTP(&rtp.Packet{Header: rtp.Header{SSRC: 9}, Payload: make([]byte, 160)}, time.Now())
	}
	report := func(p *port.Port) { p.AudioRTCP([]rtcp.Packet{&rtcp.ReceiverReport{SSRC: 9}}, time.Now()) }
	hold := func(p *port.Port) {
		a := phone(nil)
		a.Send, a.Out = false, nil
		p.SetAudio(a)
	}
	resume := func(p *port.Port) { a := phone(nil); a.Out = nil; p.SetAudio(a) }
	tests := []struct {
		name string
		at   map[int]func(*port.Port) // second
		want int                      // second; 0: never
	}{
		{"from the beginning", nil, 30},
		{"after a packet", map[int]func(*port.Port){20: packet}, 50},
		{"after a report", map[int]func(*port.Port){20: packet, 40: report}, 70},
		{"not on hold", map[int]func(*port.Port){20: hold}, 0},
		{"after hold", map[int]func(*port.Port){20: hold, 100: resume}, 130},
		{"not without streams", map[int]func(*port.Port){20: func(p *port.Port) { p.SetAudio(nil) }}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var e events
				p := newPort(t, &e)
				p.SetAudio(phone(newWire(t)))
				began := time.Now()
				told := 0
				for time.Since(began) < 200*time.Second {
					second := int(time.Since(began) / time.Second)
					if f := tt.at[second]; f != nil {
						f(p)
					}
					time.Sleep(time.Second)
					synctest.Wait()
					if len(e.all()) > 0 && told == 0 {
						told = second + 1
						if s := e.all()[0].(port.Silent); s.For < 30*time.Second || s.For > 31*time.Second {
							t.Errorf("silent for %v", s.For)
						}
					}
				}
				// Silence is looked for five times a second.
				if told != tt.want && told != tt.want+1 || (told == 0) != (tt.want == 0) {
					t.Errorf("told at second %d, want %d", told, tt.want)
				}
				if len(e.all()) > 1 {
					t.Errorf("told %d times", len(e.all()))
				}
			})
		})
	}
}

// TestForeignRTCP has the port ignore what is not about it.
func TestForeignRTCP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t)
		p := newPort(t, nil)
		p.SetAudio(phone(w))
		p.SetVideo(screen(w, "VP8"))
		p.TakeKeyFrameRequest()
		time.Sleep(time.Second)
		p.AudioRTCP([]rtcp.Packet{
			&rtcp.SenderReport{SSRC: 77, NTPTime: 1 << 40, Reports: []rtcp.ReceptionReport{{SSRC: 78, FractionLost: 255, LastSenderReport: 1}}},
			&rtcp.FullIntraRequest{FIR: []rtcp.FIREntry{{SSRC: 78, SequenceNumber: 1}}},
			&rtcp.TransportLayerNack{MediaSSRC: 78, Nacks: []rtcp.NackPair{{PacketID: 5, LostPackets: 0xffff}}},
			&rtcp.Goodbye{Sources: []uint32{77}},
		}, time.Now())
		if p.TakeKeyFrameRequest() {
			t.Error("a FIR for somebody else was answered")
		}
		if s := p.Stats(); s.AudioOut.RTT != 0 || s.AudioOut.Loss != 0 || s.VideoOut.Loss != 0 {
			t.Errorf("stats %+v", s)
		}
		if n := len(w.sent()); n != 0 {
			t.Errorf("%d packets sent", n)
		}
	})
}
