package port_test

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/g711"
	"github.com/skybridge-media/skybridge/codecs/g722"
	"github.com/skybridge-media/skybridge/codecs/h264"
	"github.com/skybridge-media/skybridge/codecs/opus"
	"github.com/skybridge-media/skybridge/codecs/pcm"
	"github.com/skybridge-media/skybridge/media/port"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	m := port.NewMetrics(reg)
	p := port.New(port.Config{Metrics: m})
	p.SetAudio(phone(newWire(t)))
	p.SetVideo(screen(newWire(t), "VP8"))
	p.AudioRTP(&rtp.Packet{Header: rtp.Header{SSRC: 9}, Payload: make([]byte, 160)}, time.Now())
	p.WriteVideo(film(0, 3, true))
	problems, err := testutil.GatherAndLint(reg)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	if got := gauge(t, reg, "skybridge_port_open"); got != 1 {
		t.Errorf("%v ports open, want 1", got)
	}
	if got := gauge(t, reg, "skybridge_port_packets_total"); got != 4 {
		t.Errorf("%v packets, want 4", got)
	}
	p.Close()
	if got := gauge(t, reg, "skybridge_port_open"); got != 0 {
		t.Errorf("%v ports open after Close", got)
	}
	if got := gauge(t, reg, "skybridge_port_packets_total"); got != 4 {
		t.Errorf("%v packets after Close, want 4", got)
	}
}

// gauge sums a metric over its labels.
func gauge(t *testing.T, reg *prometheus.Registry, name string) (sum float64) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				sum += m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

// null is a Writer that does nothing.
type null struct{}

func (null) WriteRTP(*rtp.Header, []byte) error { return nil }
func (null) WriteRTCP([]rtcp.Packet) error      { return nil }

// talk returns a function that moves one Tick of audio through a port in both
// directions, every tenth of which is lost on the way in.
func talk(tb testing.TB, codec *codecs.Audio) func() {
	p := port.New(port.Config{})
	tb.Cleanup(p.Close)
	a := phone(nil)
	a.Codec, a.RecvType, a.LevelExt, a.Out = codec, 111, 1, null{}
	p.SetAudio(a)
	e, err := codec.NewEncoder(codecs.AudioOptions{})
	if err != nil {
		tb.Fatal(err)
	}
	defer e.Close()
	payload, err := e.Encode(nil, make(pcm.Frame, codec.Format.Samples20()))
	if err != nil {
		tb.Fatal(err)
	}
	pkt := &rtp.Packet{Header: rtp.Header{PayloadType: 111, SSRC: 9}, Payload: payload}
	if err := pkt.SetExtension(1, []byte{30}); err != nil {
		tb.Fatal(err)
	}
	dst := make(pcm.Frame, codec.Format.Samples20())
	return func() {
		pkt.SequenceNumber++
		pkt.Timestamp += uint32(codec.Clock / 50)
		if pkt.SequenceNumber%10 != 0 {
			p.AudioRTP(pkt, time.Now())
		}
		p.NextAudio()
		p.ReadAudio(dst)
		if _, ok := p.AudioOut(); ok {
			p.WriteAudio(payload)
		}
	}
}

func TestAudioAllocates(t *testing.T) {
	for _, codec := range []*codecs.Audio{&g711.PCMU, &g711.PCMA, &g722.G722, &opus.Mono} {
		step := talk(t, codec)
		for range 100 {
			step()
		}
		if n := testing.AllocsPerRun(200, step); n != 0 {
			t.Errorf("%s: %v allocations per Tick, want 0", codec.Name, n)
		}
	}
}

func BenchmarkAudio(b *testing.B) {
	for _, codec := range []*codecs.Audio{&g711.PCMU, &g722.G722, &opus.Mono} {
		b.Run(codec.Name, func(b *testing.B) {
			step := talk(b, codec)
			b.ReportAllocs()
			for b.Loop() {
				step()
			}
		})
	}
}

func TestWriteVideoAllocates(t *testing.T) {
	p := port.New(port.Config{})
	t.Cleanup(p.Close)
	v := screen(nil, "VP8")
	v.Out = null{}
	p.SetVideo(v)
	f := film(0, 5, false)
	if n := testing.AllocsPerRun(200, func() { p.WriteVideo(f) }); n != 0 {
		t.Errorf("%v allocations per picture, want 0", n)
	}
}

// layeredFuzz in the first byte of FuzzPort makes the video a simulcast.
const layeredFuzz = 0x40

// FuzzPort sends foreign RTP and RTCP, each preceded by two bytes: where it
// goes, and its length. Whatever it is, the port goes on working.
func FuzzPort(f *testing.F) {
	add := func(where byte, packets ...[]byte) {
		var b []byte
		for _, p := range packets {
			b = append(append(b, where, byte(len(p))), p...)
		}
		f.Add(b)
	}
	raw := func(payloadType uint8, marker bool, payload []byte) []byte {
		b, err := (&rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: payloadType, Marker: marker, SSRC: 9}, Payload: payload}).Marshal()
		if err != nil {
			f.Fatal(err)
		}
		return b
	}
	add(0, raw(0, false, make([]byte, 160)), raw(101, true, []byte{5, 0x8a, 3, 0x20}), raw(13, false, []byte{60}))
	add(1, raw(97, false, []byte{0x7c, 0x85, 0x88, 1, 2}), raw(97, true, []byte{0x7c, 0x45, 3, 4}))
	add(1, raw(97, true, []byte{0x78, 0, 2, 0x67, 0x42, 0, 2, 0x68, 1, 0, 2, 0x65, 0x88}))
	control, err := rtcp.Marshal([]rtcp.Packet{
		&rtcp.SenderReport{SSRC: 9, Reports: []rtcp.ReceptionReport{{SSRC: 0x1111, LastSenderReport: 1}}},
		&rtcp.TransportLayerNack{MediaSSRC: 0x3333, Nacks: []rtcp.NackPair{{PacketID: 7, LostPackets: 0xffff}}},
		&rtcp.FullIntraRequest{MediaSSRC: 0x3333, FIR: []rtcp.FIREntry{{SSRC: 0x3333, SequenceNumber: 1}}},
		&rtcp.ReceiverEstimatedMaximumBitrate{Bitrate: 1e5, SSRCs: []uint32{0x3333}},
		&rtcp.Goodbye{Sources: []uint32{9}},
	})
	if err != nil {
		f.Fatal(err)
	}
	add(2, control)
	add(1|layeredFuzz, raw(97, false, []byte{0x78, 0, 8, 0x67, 0x42, 0xe0, 0x1f, 0x95, 0xa0, 0x14, 0x01}), raw(97, true, []byte{0x7c, 0x45, 3, 4}))
	named := &rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 97, SSRC: 8}, Payload: []byte{0x65, 0x88}}
	if err := named.SetExtension(ridExt, []byte("f")); err != nil {
		f.Fatal(err)
	}
	b, err := named.Marshal()
	if err != nil {
		f.Fatal(err)
	}
	add(1|layeredFuzz, b, b, raw(97, true, []byte{0x61, 1}))
	remb := append([]byte("\x8f\xce\x00\x05\x00\x00\x00\x01\x00\x00\x00\x00REMB\x01"), 0xff, 0xff, 0xff) // the largest float
	add(2, binary.BigEndian.AppendUint32(remb, 0x3333))
	f.Fuzz(func(t *testing.T, b []byte) {
		p := port.New(port.Config{})
		defer p.Close()
		a := phone(nil)
		a.LevelExt, a.Out = 1, null{}
		p.SetAudio(a)
		v := screen(nil, "")
		v.Codec, v.Out = &h264.H264, null{}
		if len(b) > 0 && b[0]&layeredFuzz != 0 {
			v.LayerExt, v.Layers = ridExt, []port.Layer{{RID: "q"}, {RID: "f"}}
		}
		p.SetVideo(v)
		p.WantVideo(320, 180)
		p.WriteVideo(film(0, 5, true))
		dst := make(pcm.Frame, 160)
		for len(b) > 2 {
			where, n := b[0]&^layeredFuzz, min(int(b[1]), len(b)-2)
			packet := b[2 : 2+n]
			b = b[2+n:]
			if where%3 == 2 {
				if packets, err := rtcp.Unmarshal(packet); err == nil {
					p.VideoRTCP(packets, time.Now())
				}
				continue
			}
			var pkt rtp.Packet
			if pkt.Unmarshal(packet) != nil {
				continue
			}
			if where%3 == 0 {
				p.AudioRTP(&pkt, time.Now())
				p.NextAudio()
				p.ReadAudio(dst)
			} else {
				p.VideoRTP(&pkt, time.Now())
			}
		}
		p.TakeKeyFrameRequest()
		if spec, ok := p.VideoOut(); !ok || spec.Options.Bitrate <= 0 || spec.Options.Width <= 0 {
			t.Errorf("spec %+v, %v", spec, ok)
		}
		if s := p.Picture(); s != nil {
			s.Release()
		}
		if s := p.Stats(); s.AudioIn.Jitter < 0 || s.AudioIn.RTT < 0 || s.AudioIn.RTT > time.Hour*24 {
			t.Errorf("stats %+v", s)
		}
	})
}
