package port_test

import (
	"bytes"
	"errors"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtp"

	"github.com/skybridge-media/skybridge/codecs/g711"
	"github.com/skybridge-media/skybridge/codecs/opus"
	"github.com/skybridge-media/skybridge/codecs/pcm"
	"github.com/skybridge-media/skybridge/media/bridge"
	"github.com/skybridge-media/skybridge/media/dtmf"
	"github.com/skybridge-media/skybridge/media/port"
)

// µ-law audio towards and from a peer, with all extras.
func phone(out *wire) *port.Audio {
	return &port.Audio{
		Codec: &g711.PCMU, SendType: 0, RecvType: 0, EventSendType: 101, EventRecvType: 101, EventClock: 8000,
		CNType: 13, Send: true, Recv: true, SSRC: 0x1111, CNAME: "us", Out: out,
	}
}

// events collects what a port tells.
type events struct {
	mu   sync.Mutex // guards list
	list []any
}

func (e *events) add(event any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, event)
}

func (e *events) all() []any {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.list
}

func newPort(t *testing.T, e *events) *port.Port {
	t.Helper()
	cfg := port.Config{}
	if e != nil {
		cfg.Notify = e.add
	}
	p := port.New(cfg)
	t.Cleanup(p.Close)
	return p
}

// TestWriteAudio sends Ticks, each with its number as payload, - for DTX, and
// compares the packets: payload@timestamp, in Ticks since the first, with M for
// the marker bit.
func TestWriteAudio(t *testing.T) {
	const gap = -2 // nothing is written for a second
	tests := []struct {
		name  string
		ticks int
		opus  bool
		write []int // -1: DTX
		want  string
	}{
		{"one Tick per packet", 0, false, []int{1, 2, 3}, "1@0M 2@1 3@2 "},
		{"DTX", 0, false, []int{1, 2, -1, -1, 5, 6, -1, 8}, "1@0M 2@1 5@4M 6@5 8@7M "},
		{"DTX at first", 0, false, []int{-1, 2}, "2@0M "},
		{"three Ticks per packet", 3, false, []int{1, 2, 3, 4, 5, 6}, "123@0M 456@3 "},
		{"DTX cuts a packet short", 3, false, []int{1, 2, 3, 4, 5, -1, 7, 8, 9}, "123@0M 45@3 789@6M "},
		{"Opus is never joined", 3, true, []int{1, 2}, "1@0M 2@1 "},
		{"the bridge had nothing for a second", 0, false, []int{1, 2, gap, 3, 4}, "1@0M 2@1 3@52M 4@53 "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWire(t)
				p := newPort(t, nil)
				a := phone(w)
				perTick := 160
				if tt.opus {
					a.Codec, perTick = &opus.Mono, 960
				}
				a.Ticks = tt.ticks
				p.SetAudio(a)
				for _, n := range tt.write {
					switch n {
					case gap:
						time.Sleep(time.Second)
						continue
					case -1:
						p.WriteAudio(nil)
					default:
						p.WriteAudio([]byte{'0' + byte(n)})
					}
					time.Sleep(bridge.Tick)
				}
				if got := describe(t, w.sent(), perTick); got != tt.want {
					t.Errorf("sent %s, want %s", got, tt.want)
				}
			})
		})
	}
}

func describe(t *testing.T, packets []rtp.Packet, perTick int) string {
	t.Helper()
	var out bytes.Buffer
	for i, p := range packets {
		if first := packets[0]; p.SequenceNumber != first.SequenceNumber+uint16(i) || p.SSRC != 0x1111 || p.PayloadType != 0 {
			t.Errorf("header %+v", p.Header)
		}
		out.Write(p.Payload)
		out.WriteByte('@')
		out.WriteString(strconv.Itoa(int(int32(p.Timestamp-packets[0].Timestamp)) / perTick))
		if p.Marker {
			out.WriteByte('M')
		}
		out.WriteByte(' ')
	}
	return out.String()
}

// TestReinvite goes on hold and comes back: the stream continues; another SSRC
// begins a new one.
func TestReinvite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t)
		p := newPort(t, nil)
		set := func(change func(*port.Audio)) {
			a := phone(w)
			change(a)
			p.SetAudio(a)
		}
		if _, ok := p.AudioOut(); ok {
			t.Error("something to send to before there is a stream")
		}
		set(func(*port.Audio) {})
		spec, ok := p.AudioOut()
		if !ok || spec.Codec != &g711.PCMU || spec.Ticks != 1 {
			t.Errorf("spec %+v, %v", spec, ok)
		}
		p.WriteAudio([]byte{1})
		set(func(a *port.Audio) { a.Send = false })
		if _, ok := p.AudioOut(); ok {
			t.Error("something to send to on hold")
		}
		p.WriteAudio([]byte{2})
		set(func(*port.Audio) {})
		p.WriteAudio([]byte{3})
		set(func(a *port.Audio) { a.SSRC = 0x2222 })
		p.WriteAudio([]byte{4})
		p.SetAudio(nil)
		p.WriteAudio([]byte{5})
		got := w.sent()
		if len(got) != 3 || got[1].Payload[0] != 3 || got[2].Payload[0] != 4 {
			t.Fatalf("sent %v", got)
		}
		if got[1].SequenceNumber != got[0].SequenceNumber+1 || !got[1].Marker {
			t.Errorf("after hold %+v, before %+v", got[1].Header, got[0].Header)
		}
		if got[2].SSRC != 0x2222 || got[2].SequenceNumber == got[1].SequenceNumber+1 {
			t.Errorf("new stream %+v, old one %+v", got[2].Header, got[1].Header)
		}
	})
}

// TestNumberingGoesOn changes everything but the SSRC: the numbering goes on.
// Numbers that were used before are replays to SRTP, and would repeat its key
// stream (RFC 3711 section 9.1).
func TestNumberingGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t)
		p := newPort(t, nil)
		wideband := phone(w)
		wideband.Codec = &opus.Mono
		for i, a := range []*port.Audio{phone(w), wideband, nil, phone(w)} {
			p.SetAudio(a)
			p.WriteAudio([]byte{byte(i)})
		}
		for i, v := range []*port.Video{screen(w, "VP8"), screen(w, "H264"), nil, screen(w, "VP8")} {
			p.SetVideo(v)
			p.WriteVideo(film(uint32(i), 1, true))
		}
		got := w.sent()
		if len(got) != 6 {
			t.Fatalf("sent %v", got)
		}
		for i, pkt := range got {
			first := got[i/3*3]
			if want := first.SequenceNumber + uint16(i%3); pkt.SSRC != first.SSRC || pkt.SequenceNumber != want {
				t.Errorf("packet %d: %+v, want sequence number %d", i, pkt.Header, want)
			}
		}
	})
}

// TestDigits sends key presses from one port to another over a path that loses,
// doubles the delay of and reorders packets. Each becomes one event.
func TestDigits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var heard events
		from, to := newPort(t, nil), newPort(t, &heard)
		w := newWire(t)
		w.loss, w.delay, w.jitter = 0.1, 30*time.Millisecond, 40*time.Millisecond
		w.rtp = to.AudioRTP
		from.SetAudio(phone(w))
		to.SetAudio(phone(newWire(t)))
		want := "1234567890*#ABCD55"
		for _, d := range []byte(want) {
			if err := from.SendDigit(d, 100*time.Millisecond); err != nil {
				t.Fatal(err)
			}
		}
		for range 50 * 10 {
			from.WriteAudio(make([]byte, 160))
			to.NextAudio()
			time.Sleep(bridge.Tick)
		}
		synctest.Wait()
		var got []byte
		for _, e := range heard.all() {
			got = append(got, e.(port.Digit).Digit)
		}
		if string(got) != want {
			t.Errorf("heard %q, want %q", got, want)
		}
		for i, p := range w.sent()[1:] {
			if p.SequenceNumber != w.sent()[i].SequenceNumber+1 {
				t.Fatal("events and audio do not share the numbering")
			}
		}
		if err := from.SendDigit('x', 0); !errors.Is(err, dtmf.ErrNotDigit) {
			t.Errorf("error %v", err)
		}
		a := phone(w)
		a.EventSendType = 0
		from.SetAudio(a)
		if err := from.SendDigit('1', 0); !errors.Is(err, port.ErrNoEvents) {
			t.Errorf("error %v", err)
		}
	})
}

// TestDigitsFromElsewhere mixes speech with events of another SSRC: each key is
// one event, and the speech goes on as if there were none.
func TestDigitsFromElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var heard events
		p := newPort(t, &heard)
		p.SetAudio(phone(newWire(t)))
		const speech, keys = 0x2222, 0x3333
		voice := 0
		receive := func(ssrc uint32, h rtp.Header, payload []byte) {
			h.Version, h.SSRC = 2, ssrc
			p.AudioRTP(&rtp.Packet{Header: h, Payload: payload}, time.Now())
		}
		press := dtmf.NewSender(8000)
		for i := range 100 {
			receive(speech, rtp.Header{SequenceNumber: uint16(i), Timestamp: uint32(160 * i)}, bytes.Repeat([]byte{0x10}, 160))
			if tick := p.NextAudio(); tick.Voice {
				voice++
			}
			switch i {
			case 20, 50:
				_ = press.Press('5', 100*time.Millisecond)
			case 80:
				_ = press.Press('#', 100*time.Millisecond)
			}
			if e, ok := press.Next(uint32(160 * i)); ok {
				for range 3 { // several in a row do not take over either
					receive(keys, rtp.Header{PayloadType: 101, Marker: e.Marker, SequenceNumber: uint16(i), Timestamp: e.Timestamp}, e.Payload[:])
				}
			}
			time.Sleep(bridge.Tick)
		}
		got := ""
		for _, e := range heard.all() {
			got += string(e.(port.Digit).Digit)
		}
		if got != "55#" {
			t.Errorf("heard %q, want 55#", got)
		}
		if s := p.Stats().AudioIn; s.Packets != 100 || s.Lost != 0 {
			t.Errorf("%d packets of speech, %d lost; want 100 and 0", s.Packets, s.Lost)
		}
		if voice < 95 {
			t.Errorf("voice in %d ticks of 100", voice)
		}
	})
}

// TestLevels reads the loudness without decoding anything.
func TestLevels(t *testing.T) {
	loud := bytes.Repeat([]byte{0x80}, 160) // the largest positive value of µ-law
	silent := bytes.Repeat([]byte{0xff}, 160)
	tests := []struct {
		name string
		make func(p *rtp.Packet)
		want bridge.AudioTick
	}{
		{"measured", func(p *rtp.Packet) { p.Payload = loud }, bridge.AudioTick{Rate: 8000, Voice: true, HasLevel: true, Level: 0}},
		{"digital silence", func(p *rtp.Packet) { p.Payload = silent }, bridge.AudioTick{Rate: 8000, Voice: true, HasLevel: true, Level: 126}},
		{"said by the extension", func(p *rtp.Packet) {
			p.Payload = loud
			if err := p.SetExtension(5, []byte{0x80 | 33}); err != nil {
				t.Fatal(err)
			}
		}, bridge.AudioTick{Rate: 8000, Voice: true, HasLevel: true, Level: 33}},
		{"another extension", func(p *rtp.Packet) {
			p.Payload = loud
			if err := p.SetExtension(6, []byte{0x80 | 33}); err != nil {
				t.Fatal(err)
			}
		}, bridge.AudioTick{Rate: 8000, Voice: true, HasLevel: true, Level: 0}},
		{"comfort noise", func(p *rtp.Packet) { p.PayloadType, p.Payload = 13, []byte{60} }, bridge.AudioTick{Rate: 8000, HasLevel: true, Level: 127}},
		{"nothing, to keep NAT open", func(p *rtp.Packet) { p.Payload = nil }, bridge.AudioTick{Rate: 8000, HasLevel: true, Level: 127}},
		{"unknown type", func(p *rtp.Packet) { p.PayloadType, p.Payload = 99, loud }, bridge.AudioTick{Rate: 8000, HasLevel: true, Level: 127}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPort(t, nil)
				a := phone(newWire(t))
				a.LevelExt = 5
				p.SetAudio(a)
				var got bridge.AudioTick
				for i := range 10 {
					pkt := &rtp.Packet{Header: rtp.Header{SSRC: 9, SequenceNumber: uint16(i), Timestamp: uint32(160 * i)}}
					tt.make(pkt)
					p.AudioRTP(pkt, time.Now())
					got = p.NextAudio()
					time.Sleep(bridge.Tick)
				}
				if got != tt.want {
					t.Errorf("%+v, want %+v", got, tt.want)
				}
			})
		})
	}
}

// TestSilentPort plays silence before there is a stream, on hold and after
// Close.
func TestSilentPort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPort(t, nil)
		check := func(when string) {
			t.Helper()
			if tick := p.NextAudio(); tick.Voice {
				t.Errorf("%s: %+v", when, tick)
			}
			dst := slices.Repeat(pcm.Frame{1}, 960)
			p.ReadAudio(dst)
			if slices.Max(dst) != 0 {
				t.Errorf("%s: noise", when)
			}
			if p.Picture() != nil {
				t.Errorf("%s: a picture", when)
			}
			if _, ok := p.VideoOut(); ok {
				t.Errorf("%s: video to be sent", when)
			}
			p.WriteVideo(&bridge.VideoFrame{Payloads: [][]byte{{1}}})
			p.WantVideo(320, 180)
			p.Stats()
		}
		check("new")
		a := phone(newWire(t))
		a.Recv = false
		p.SetAudio(a)
		p.AudioRTP(&rtp.Packet{Header: rtp.Header{SSRC: 9}, Payload: make([]byte, 160)}, time.Now())
		check("on hold")
		p.Close()
		check("closed")
		p.SetAudio(phone(newWire(t)))
		check("set after Close")
		p.Close()
	})
}
