package port_test

import (
	"sync"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/opus"
	"github.com/skybridge-media/skybridge/codecs/pcm"
	"github.com/skybridge-media/skybridge/codecs/yuv"
	"github.com/skybridge-media/skybridge/media/bridge"
	"github.com/skybridge-media/skybridge/media/port"
)

// TestCloseWhileUsed closes ports while the network, the bridge and signalling
// go on using them. What judges is the race detector, and goleak.
func TestCloseWhileUsed(t *testing.T) {
	key := keyFrame(t)
	for range 6 {
		p := port.New(port.Config{Notify: func(any) {}})
		over := make(chan struct{})
		var users sync.WaitGroup
		use := func(f func(n int)) {
			users.Go(func() {
				for n := 0; ; n++ {
					select {
					case <-over:
						return
					default:
						f(n)
					}
				}
			})
		}
		header := func(n int, pt uint8, ssrc uint32) rtp.Header {
			return rtp.Header{Version: 2, PayloadType: pt, SequenceNumber: uint16(n), Timestamp: uint32(n) * 960, SSRC: ssrc, Marker: true}
		}
		use(func(n int) {
			p.AudioRTP(&rtp.Packet{Header: header(n, 111, 1), Payload: []byte{0xf8, 0xff, 0xfe}}, time.Now())
		})
		use(func(n int) { p.VideoRTP(&rtp.Packet{Header: header(n, 97, 2), Payload: key}, time.Now()) })
		use(func(n int) {
			p.VideoRTCP([]rtcp.Packet{
				&rtcp.PictureLossIndication{MediaSSRC: 0x3333},
				&rtcp.TransportLayerNack{MediaSSRC: 0x3333, Nacks: []rtcp.NackPair{{PacketID: uint16(n), LostPackets: 0xffff}}},
				&rtcp.ReceiverReport{Reports: []rtcp.ReceptionReport{{SSRC: 0x3333, FractionLost: uint8(n)}}},
			}, time.Now())
			p.Stats()
		})
		frame := make(pcm.Frame, 960)
		use(func(int) {
			p.NextAudio()
			p.ReadAudio(frame)
			if _, ok := p.AudioOut(); ok {
				p.WriteAudio([]byte{0xf8, 0xff, 0xfe})
			}
		})
		use(func(n int) {
			p.WantVideo(n%3*160, n%3*90)
			if pic := p.Picture(); pic != nil {
				pic.Release()
			}
			p.VideoOut()
			p.TakeKeyFrameRequest()
		})
		use(func(n int) { p.WriteVideo(&bridge.VideoFrame{Payloads: [][]byte{key, key}, Timestamp: uint32(n)}) })
		use(func(n int) {
			a := &port.Audio{Codec: &opus.Mono, SendType: 111, RecvType: 111, Send: n%2 == 0, Recv: n%3 > 0, SSRC: 0x1111, Out: null{}}
			v := screen(nil, []string{"VP8", "H264"}[n%5/4])
			v.Out, v.Recv, v.Send = null{}, n%3 > 0, n%2 == 0
			if n%7 == 6 {
				a, v = nil, nil
			}
			p.SetAudio(a)
			p.SetVideo(v)
		})
		time.Sleep(10 * time.Millisecond) // of use, not to wait for anything
		p.Close()
		if pic := p.Picture(); pic != nil {
			t.Error("a picture after Close")
		}
		close(over)
		users.Wait()
		p.Close()
	}
}

// keyFrame returns the payload of a VP8 key frame that fits one packet.
func keyFrame(t *testing.T) []byte {
	t.Helper()
	enc, err := screen(nil, "VP8").Codec.NewEncoder(codecs.VideoOptions{Width: 160, Height: 90, FrameRate: 15, Bitrate: 100_000})
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	unit, _, err := enc.Encode([]byte{0x10}, yuv.New(160, 90), true)
	if err != nil {
		t.Fatal(err)
	}
	return unit
}
