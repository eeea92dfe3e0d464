package port_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/h264"
	"github.com/skybridge-media/skybridge/codecs/vp8"
	"github.com/skybridge-media/skybridge/media/bridge"
	"github.com/skybridge-media/skybridge/media/port"
)

// screen is video in both directions with all feedback.
func screen(out *wire, codec string) *port.Video {
	v := &port.Video{
		Codec: &vp8.VP8, SendType: 96, RecvType: 97, NACK: true, PLI: true, FIR: true, REMB: true,
		Send: true, Recv: true, SSRC: 0x3333, CNAME: "us", Out: out,
	}
	if codec == "H264" {
		v.Codec, v.Mode = &h264.H264, 1
	}
	return v
}

// film returns a picture of n packets.
func film(timestamp uint32, n int, key bool) *bridge.VideoFrame {
	f := &bridge.VideoFrame{Timestamp: timestamp, Key: key}
	for i := range n {
		f.Payloads = append(f.Payloads, []byte{byte(timestamp), byte(i)})
	}
	return f
}

func TestWriteVideo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t)
		p := newPort(t, nil)
		p.SetVideo(screen(w, "VP8"))
		p.WriteVideo(film(1000, 3, true))
		p.WriteVideo(film(4000, 1, false))
		got := w.sent()
		if len(got) != 4 {
			t.Fatalf("%d packets", len(got))
		}
		for i, pkt := range got {
			wantMarker := i == 2 || i == 3
			wantTime := got[0].Timestamp
			if i == 3 {
				wantTime += 3000
			}
			if pkt.SSRC != 0x3333 || pkt.PayloadType != 96 || pkt.Marker != wantMarker ||
				pkt.Timestamp != wantTime || pkt.SequenceNumber != got[0].SequenceNumber+uint16(i) {
				t.Errorf("packet %d: %+v", i, pkt.Header)
			}
		}
		v := screen(w, "VP8")
		v.Send = false
		p.SetVideo(v)
		p.WriteVideo(film(7000, 1, false))
		if n := len(w.sent()); n != 4 {
			t.Errorf("%d packets sent on hold", n-4)
		}
	})
}

// TestPacing lets usual pictures leave at once and spreads a huge one.
func TestPacing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t)
		p := newPort(t, nil)
		p.SetVideo(screen(w, "VP8"))
		big := &bridge.VideoFrame{Key: true}
		for range 100 {
			big.Payloads = append(big.Payloads, make([]byte, 1100))
		}
		p.WriteVideo(big)
		if n := len(w.sent()); n < 20 || n > 25 {
			t.Errorf("%d packets left at once, want about 24 KiB", n)
		}
		time.Sleep(40 * time.Millisecond)
		synctest.Wait()
		if n := len(w.sent()); n < 45 || n > 65 {
			t.Errorf("%d packets after 40 ms, want 900 bytes per ms", n)
		}
		p.WriteVideo(film(3000, 1, false)) // waits behind
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		got := w.sent()
		if len(got) != 101 {
			t.Fatalf("%d packets, want 101", len(got))
		}
		for i, pkt := range got {
			if pkt.SequenceNumber != got[0].SequenceNumber+uint16(i) {
				t.Fatal("out of order")
			}
		}
	})
}

// TestRetransmission answers NACKs as long as it has the packet, not too often.
func TestRetransmission(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t)
		p := newPort(t, nil)
		p.SetVideo(screen(w, "VP8"))
		for i := range 200 {
			f := film(uint32(3000*i), 3, i == 0)
			for j := range f.Payloads {
				f.Payloads[j] = append(f.Payloads[j], make([]byte, 998)...)
			}
			p.WriteVideo(f)
			time.Sleep(33 * time.Millisecond)
		}
		sent := slices.Clone(w.sent())
		last := sent[len(sent)-1].SequenceNumber
		nack := func(back uint16) int {
			before := len(w.sent())
			p.VideoRTCP([]rtcp.Packet{&rtcp.TransportLayerNack{
				MediaSSRC: 0x3333, Nacks: rtcp.NackPairsFromSequenceNumbers([]uint16{last - back}),
			}}, time.Now())
			again := w.sent()[before:]
			for _, pkt := range again {
				want := sent[len(sent)-1-int(back)]
				if fmt.Sprint(pkt) != fmt.Sprint(want) {
					t.Errorf("sent again %+v, first %+v", pkt, want)
				}
			}
			return len(again)
		}
		if nack(3) != 1 || nack(500) != 1 || nack(0) != 1 {
			t.Error("a packet was not sent again")
		}
		if nack(3) != 0 {
			t.Error("a packet was sent twice at once")
		}
		time.Sleep(50 * time.Millisecond)
		if nack(3) != 1 {
			t.Error("a packet was not sent a third time")
		}
		if nack(520) != 0 || nack(65530) != 0 || nack(40000) != 0 {
			t.Error("something was sent for a packet that is not kept")
		}
		// A peer that asks for everything gets a part of the bitrate.
		before := len(w.sent())
		for range 10 {
			for back := range uint16(512) {
				nack(back)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if bytes := 1000 * (len(w.sent()) - before); bytes < 32<<10 || bytes > 32<<10+1_800_000/8/2 {
			t.Errorf("%d bytes sent again in a second", bytes)
		}
		v := screen(w, "VP8")
		v.NACK = false
		p.SetVideo(v)
		if nack(7) != 0 {
			t.Error("a NACK was answered that was not negotiated")
		}
	})
}

func TestKeyFrameRequests(t *testing.T) {
	fir := func(n uint8) []rtcp.Packet {
		return []rtcp.Packet{&rtcp.FullIntraRequest{FIR: []rtcp.FIREntry{{SSRC: 0x3333, SequenceNumber: n}}}}
	}
	pli := []rtcp.Packet{&rtcp.PictureLossIndication{MediaSSRC: 0x3333}}
	synctest.Test(t, func(t *testing.T) {
		p := newPort(t, nil)
		p.SetVideo(screen(newWire(t), "VP8"))
		expect := func(when string, want bool) {
			t.Helper()
			if got := p.TakeKeyFrameRequest(); got != want {
				t.Errorf("%s: request %v, want %v", when, got, want)
			}
		}
		expect("a new receiver", true)
		expect("taken", false)
		p.VideoRTCP(pli, time.Now())
		expect("within 500 ms", false)
		time.Sleep(time.Second)
		expect("PLI", true)
		p.VideoRTCP(pli, time.Now())
		p.WriteVideo(film(0, 1, true))
		time.Sleep(time.Second)
		expect("answered by a key frame meanwhile", false)
		p.VideoRTCP(fir(4), time.Now())
		expect("FIR", true)
		time.Sleep(time.Second)
		p.VideoRTCP(fir(4), time.Now())
		expect("the same FIR", false)
		p.VideoRTCP(fir(5), time.Now())
		expect("the next FIR", true)
		time.Sleep(10 * time.Second)
		p.VideoRTCP(fir(5), time.Now())
		expect("the same number long after", true)
		time.Sleep(time.Second)
		p.PeerWantsKeyFrame()
		expect("INFO", true)
		time.Sleep(time.Second)
		v := screen(newWire(t), "VP8")
		v.Send = false
		p.SetVideo(v)
		expect("hold", false)
		p.SetVideo(screen(newWire(t), "VP8"))
		expect("resumed", true)
		if got := p.Stats().VideoOut; got.KeyRequests != 6 || got.KeyFrames != 1 {
			t.Errorf("stats %+v", got)
		}
	})
}

// TestAskingForKeyFrames counts what a port sends that never gets one, for each
// set of negotiated ways.
func TestAskingForKeyFrames(t *testing.T) {
	tests := []struct {
		name          string
		pli, fir, sip bool
		want          [3]bool // PLI, FIR, INFO
	}{
		{"PLI", true, false, false, [3]bool{true, false, false}},
		{"FIR", false, true, false, [3]bool{false, true, false}},
		{"INFO", false, false, true, [3]bool{false, false, true}},
		{"PLI, then FIR too", true, true, false, [3]bool{true, true, false}},
		{"PLI, then INFO too", true, false, true, [3]bool{true, false, true}},
		{"no way", false, false, false, [3]bool{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWire(t)
				p := newPort(t, nil)
				v := screen(w, "VP8")
				v.PLI, v.FIR = tt.pli, tt.fir
				infos := 0
				if tt.sip {
					v.KeyFrame = func() { infos++ }
				}
				p.SetVideo(v)
				inter := func(n int) {
					p.VideoRTP(&rtp.Packet{
						Header:  rtp.Header{PayloadType: 97, SSRC: 9, SequenceNumber: uint16(n), Timestamp: uint32(3000 * n), Marker: true},
						Payload: []byte{0x10, 0x01, 0, 0},
					}, time.Now())
				}
				for n := range 60 { // nobody looks: nothing is asked for
					inter(n)
					time.Sleep(33 * time.Millisecond)
				}
				if len(feedback[*rtcp.PictureLossIndication](w)) > 0 || infos > 0 {
					t.Error("asked for a picture that nobody wants")
				}
				p.WantVideo(320, 180)
				p.WantVideo(640, 360)
				for n := range 60 {
					inter(60 + n)
					p.NextAudio()
					time.Sleep(33 * time.Millisecond)
				}
				p.WantVideo(0, 0)
				time.Sleep(time.Minute)
				plis, firs := feedback[*rtcp.PictureLossIndication](w), feedback[*rtcp.FullIntraRequest](w)
				if got := [3]bool{len(plis) > 0, len(firs) > 0, infos > 0}; got != tt.want {
					t.Errorf("asked by %v, want %v", got, tt.want)
				}
				// 2 s with one request each 500 ms.
				for _, n := range []int{len(plis), len(firs), infos} {
					if n > 4 {
						t.Errorf("asked %d times in 2 s", n)
					}
				}
				for i, f := range firs[min(len(firs), 1):] {
					if f.FIR[0].SequenceNumber != firs[i].FIR[0].SequenceNumber+1 || f.FIR[0].SSRC != 9 {
						t.Errorf("FIR %+v after %+v", f, firs[i])
					}
				}
			})
		})
	}
}

// TestTiers moves a receiver that reports loss to smaller pictures, and back.
func TestTiers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPort(t, nil)
		v := screen(newWire(t), "H264")
		v.Mode = 0
		p.SetVideo(v)
		spec := func() codecs.VideoOptions {
			t.Helper()
			s, ok := p.VideoOut()
			if !ok || s.Codec != &h264.H264 || s.Options.MaxSlice != s.Payload {
				t.Errorf("spec %+v, %v", s, ok)
			}
			return s.Options
		}
		if o := spec(); o.Width != 1280 || o.Bitrate != 1_800_000 {
			t.Errorf("first %+v", o)
		}
		time.Sleep(3 * time.Second)
		report := func(fraction uint8) {
			p.VideoRTCP([]rtcp.Packet{&rtcp.ReceiverReport{SSRC: 9, Reports: []rtcp.ReceptionReport{{SSRC: 0x3333, FractionLost: fraction}}}}, time.Now())
		}
		report(64)
		if o := spec(); o.Width != 640 || o.Bitrate != 600_000 {
			t.Errorf("after a quarter was lost %+v", o)
		}
		for range 15 {
			time.Sleep(time.Second)
			report(0)
		}
		if o := spec(); o.Width != 1280 {
			t.Errorf("after 15 good seconds %+v", o)
		}
		for i := range 90 {
			f := film(uint32(3000*i), 0, i == 0)
			for range 7 {
				f.Payloads = append(f.Payloads, make([]byte, 1000))
			}
			p.WriteVideo(f)
			time.Sleep(33 * time.Millisecond)
		}
		for _, bitrate := range []float32{2_500_000, 250_000} {
			p.VideoRTCP([]rtcp.Packet{&rtcp.ReceiverEstimatedMaximumBitrate{Bitrate: bitrate, SSRCs: []uint32{0x3333}}}, time.Now())
		}
		time.Sleep(300 * time.Millisecond)
		if o := spec(); o.Width != 320 || o.Bitrate != 200_000 {
			t.Errorf("after the estimate fell to 250 kbit/s %+v", o)
		}
	})
}

// TestREMB tells a sender that asked for it how much it may send.
func TestREMB(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t)
		p := newPort(t, nil)
		p.SetVideo(screen(w, "VP8"))
		p.WantVideo(1280, 720)
		send := func(seconds int, lose bool) {
			n := uint16(len(feedback[*rtcp.ReceiverEstimatedMaximumBitrate](w)) * 100)
			for range seconds * 100 {
				if n++; lose && n%4 == 0 {
					continue
				}
				p.VideoRTP(&rtp.Packet{Header: rtp.Header{PayloadType: 97, SSRC: 9, SequenceNumber: n}, Payload: make([]byte, 1000)}, time.Now())
				time.Sleep(10 * time.Millisecond)
			}
		}
		send(5, false)
		got := feedback[*rtcp.ReceiverEstimatedMaximumBitrate](w)
		if len(got) < 4 || len(got) > 6 {
			t.Fatalf("%d estimates in 5 s", len(got))
		}
		if e := got[0]; e.Bitrate < 2e6 || !slices.Equal(e.SSRCs, []uint32{9}) {
			t.Errorf("first %+v", e)
		}
		send(5, true)
		got = feedback[*rtcp.ReceiverEstimatedMaximumBitrate](w)
		if e := got[len(got)-1]; e.Bitrate > 1.2e6 {
			t.Errorf("%+v after a quarter of 800 kbit/s was lost for 5 s", e)
		}
	})
}
