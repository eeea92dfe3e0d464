package port_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/g711"
	"github.com/skybridge-media/skybridge/codecs/pcm"
	"github.com/skybridge-media/skybridge/media/bridge"
	"github.com/skybridge-media/skybridge/media/port"
	media "github.com/skybridge-media/skybridge/media/rtp"
	"github.com/skybridge-media/skybridge/media/tone"
)

// requests returns the TMMBRs, or the TMMBNs, written so far.
func requests(w *wire, notifications bool) (found []media.BitrateLimit) {
	for _, l := range feedback[*media.BitrateLimit](w) {
		if l.Notification == notifications {
			found = append(found, *l)
		}
	}
	return found
}

// TestBitrateRequests has a port ask the one that sends for less while the
// picture is small, and for more when it grows. What is asked for is what is
// sent.
func TestBitrateRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from, to := newPort(t, nil), newPort(t, nil)
		there, back := newWire(t), newWire(t)
		there.delay, back.delay = 30*time.Millisecond, 30*time.Millisecond
		there.rtp, there.rtcp = to.VideoRTP, to.VideoRTCP
		back.rtp, back.rtcp = from.VideoRTP, from.VideoRTCP
		video := func(out *wire, ssrc uint32) *port.Video {
			v := screen(out, "H264")
			v.RecvType, v.REMB, v.TMMBR, v.SSRC = v.SendType, false, true, ssrc
			return v
		}
		from.SetVideo(video(there, 0x3333))
		to.SetVideo(video(back, 0x4444))
		n := uint32(0)
		step := func(width, height, seconds, wantWidth, wantBitrate int) {
			t.Helper()
			to.WantVideo(width, height)
			for range seconds * 30 {
				n++
				from.WriteVideo(film(3000*n, 3, n == 1))
				time.Sleep(time.Second / 30)
			}
			synctest.Wait()
			spec, ok := from.VideoOut()
			if o := spec.Options; !ok || o.Width != wantWidth || o.Bitrate != wantBitrate {
				t.Errorf("seen at %dx%d: %dx%d at %d bit/s is sent, want width %d and %d bit/s", width, height, o.Width, o.Height, o.Bitrate, wantWidth, wantBitrate)
			}
		}
		step(1280, 720, 5, 1280, 1_800_000)
		if n := len(requests(back, false)); n != 0 {
			t.Errorf("%d requests before there was anything to be asked for", n)
		}
		step(320, 180, 4, 1280, 1_800_000)
		step(320, 180, 4, 320, 200_000)
		step(640, 360, 1, 640, 600_000)
		step(1280, 720, 1, 1280, 1_800_000)
		step(160, 90, 8, 320, 128_000)
		step(256, 148, 1, 320, 128_000) // 200 kbit/s, of which headers take some
		step(426, 240, 1, 640, 400_000)
		step(1280, 720, 1, 1280, 1_800_000)
		asked := requests(back, false)
		want := []int{300_000, 900_000, 3_000_000, 150_000, 200_000, 500_000, 3_000_000}
		if len(asked) != len(want) {
			t.Fatalf("requests %+v, want one for each change: they were answered", asked)
		}
		for i, a := range asked {
			// The format rounds down.
			if got := a.Entries[0].Bitrate; got > want[i] || got < want[i]*99/100 {
				t.Errorf("request %d is for %d bit/s, want %d", i, got, want[i])
			}
			if a.SenderSSRC != 0x4444 || len(a.Entries) != 1 || a.Entries[0].SSRC != 0x3333 || a.Entries[0].Overhead != 40 {
				t.Errorf("request %+v", a)
			}
		}
		// RFC 5104, section 4.2.2.1: the SSRC of an entry is that of the one who
		// asked.
		for _, a := range requests(there, true) {
			if a.SenderSSRC != 0x3333 || len(a.Entries) != 1 || a.Entries[0].SSRC != 0x4444 {
				t.Errorf("notification %+v", a)
			}
		}
		if n := len(requests(there, true)); n != len(want) {
			t.Errorf("%d notifications of %d requests", n, len(want))
		}
	})
}

// TestBitrateRequestsFollowSpeaker has room systems talk in turns in a real room:
// who is small is asked for less after a while, and who becomes large for more at
// once. Nobody is asked often.
func TestBitrateRequestsFollowSpeaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bridge.New(bridge.Config{Width: 640, Height: 360, FrameRate: 5})
		defer b.Close()
		plan := &bridge.Plan{Layout: "1+7", SelfView: true}
		var systems []*roomSystem
		for i := range 3 {
			s := newRoomSystem(t)
			id := fmt.Sprint(i)
			plan.Members = append(plan.Members, bridge.Member{ID: id})
			b.Attach(id, s.Port, false)
			systems = append(systems, s)
		}
		b.Apply(plan)
		const small, large = 150_000, 900_000
		talk := func(who, seconds int) {
			for n := range seconds * 50 {
				for i, s := range systems {
					s.speak(i == who)
					if n%10 == 0 {
						s.show()
					}
				}
				time.Sleep(bridge.Tick)
			}
			synctest.Wait()
		}
		want := func(when string, counts []int, bitrates ...int) {
			t.Helper()
			for i, s := range systems {
				asked := requests(s.control, false)
				if len(asked) != counts[i] {
					t.Errorf("%s: system %d was asked %d times, want %d", when, i, len(asked), counts[i])
					continue
				}
				last := 0
				if len(asked) > 0 {
					last = asked[len(asked)-1].Entries[0].Bitrate
				}
				if last > bitrates[i] || last < bitrates[i]*99/100 {
					t.Errorf("%s: system %d was asked for %d bit/s, want %d", when, i, last, bitrates[i])
				}
			}
		}
		talk(0, 4)
		want("at first", []int{0, 0, 0}, 0, 0, 0)
		talk(0, 6)
		want("0 talks", []int{1, 1, 1}, large, small, small)
		talk(1, 1)
		want("1 has begun", []int{1, 2, 1}, large, large, small)
		talk(1, 2)
		want("1 talks", []int{1, 2, 1}, large, large, small)
		talk(0, 3)
		want("0 had paused", []int{1, 2, 1}, large, large, small)
		talk(2, 12)
		want("2 talks", []int{2, 3, 2}, small, small, large)
	})
}

// A roomSystem sends sound and pictures to a port of its own, and answers requests
// for bitrates.
type roomSystem struct {
	*port.Port
	t       *testing.T
	control *wire // RTCP to it
	voice   *tone.Generator
	encoder codecs.AudioEncoder
	said    int // packets
	shown   int // packets
}

func newRoomSystem(t *testing.T) *roomSystem {
	t.Helper()
	s := &roomSystem{Port: newPort(t, nil), t: t, control: newWire(t), voice: tone.New(8000, -20, 150, 450, 750)}
	var err error
	if s.encoder, err = g711.PCMU.NewEncoder(codecs.AudioOptions{}); err != nil {
		t.Fatal(err)
	}
	audio := phone(newWire(t))
	audio.Out = null{}
	s.SetAudio(audio)
	s.control.rtcp = func(packets []rtcp.Packet, _ time.Time) {
		for _, p := range packets {
			if l, ok := p.(*media.BitrateLimit); ok && !l.Notification {
				e := l.Entries[0]
				e.SSRC = l.SenderSSRC
				answer := &media.BitrateLimit{Notification: true, SenderSSRC: 9, Entries: []media.BitrateEntry{e}}
				time.AfterFunc(20*time.Millisecond, func() { s.VideoRTCP([]rtcp.Packet{answer}, time.Now()) })
			}
		}
	}
	v := screen(s.control, "H264")
	v.REMB, v.TMMBR = false, true
	s.SetVideo(v)
	return s
}

// speak sends the next 20 ms: a voice, or silence.
func (s *roomSystem) speak(aloud bool) {
	frame := make(pcm.Frame, 160)
	if aloud {
		s.voice.Read(frame)
	}
	payload, err := s.encoder.Encode(nil, frame)
	if err != nil {
		s.t.Error(err)
	}
	s.AudioRTP(&rtp.Packet{
		Header:  rtp.Header{Version: 2, SSRC: 8, SequenceNumber: uint16(s.said), Timestamp: uint32(160 * s.said)},
		Payload: payload,
	}, time.Now())
	s.said++
}

// show sends a packet of a picture that nobody can decode.
func (s *roomSystem) show() {
	s.VideoRTP(&rtp.Packet{
		Header:  rtp.Header{Version: 2, PayloadType: 97, SSRC: 9, SequenceNumber: uint16(s.shown), Timestamp: uint32(18_000 * s.shown)},
		Payload: make([]byte, 100),
	}, time.Now())
	s.shown++
}

// TestBitrateRequestUnanswered is repeated a few times; a new source is asked
// again.
func TestBitrateRequestUnanswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t)
		p := newPort(t, nil)
		v := screen(w, "H264")
		v.REMB, v.TMMBR = false, true
		p.SetVideo(v)
		pkt := &rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 97, SSRC: 9}, Payload: make([]byte, 100)}
		send := func(seconds int) int {
			before := len(requests(w, false))
			for range seconds * 10 {
				pkt.SequenceNumber++
				p.VideoRTP(pkt, time.Now())
				time.Sleep(100 * time.Millisecond)
			}
			return len(requests(w, false)) - before
		}
		p.WantVideo(320, 180)
		if n := send(30); n != 3 {
			t.Errorf("asked %d times, want 3", n)
		}
		pkt.SSRC = 10
		if n := send(30); n != 3 {
			t.Errorf("asked a new source %d times, want 3", n)
		}
	})
}

// TestBitrateLimitsObeyed are those that were negotiated, about our stream, and
// make sense.
func TestBitrateLimitsObeyed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t)
		p := newPort(t, nil)
		v := screen(w, "H264")
		v.TMMBR = true
		p.SetVideo(v)
		bitrate := func() int {
			s, _ := p.VideoOut()
			return s.Options.Bitrate
		}
		limit := func(ssrc uint32, bitrate int, notification bool) {
			p.VideoRTCP([]rtcp.Packet{&media.BitrateLimit{
				SenderSSRC: 9, Notification: notification, Entries: []media.BitrateEntry{{SSRC: ssrc, Bitrate: bitrate, Overhead: 40}},
			}}, time.Now())
		}
		limit(0x9999, 300_000, false)
		limit(0x3333, 300_000, true)
		if got := bitrate(); got != 1_800_000 {
			t.Errorf("%d bit/s after what is not about us", got)
		}
		const obeyed = time.Second
		for _, tt := range []struct{ asked, want int }{
			{1_600_000, 1_500_000}, {700_000, 600_000}, {0, 64_000}, {1e9, 1_800_000},
		} {
			time.Sleep(obeyed)
			if limit(0x3333, tt.asked, false); bitrate() != tt.want {
				t.Errorf("asked for %d bit/s: %d, want %d", tt.asked, bitrate(), tt.want)
			}
		}
		u := *v
		u.MaxBitrate = 500_000
		p.SetVideo(&u)
		if limit(0x3333, 2_000_000, false); bitrate() != 500_000 {
			t.Errorf("%d bit/s, signalling allows 500,000", bitrate())
		}
		u.TMMBR = false
		p.SetVideo(&u)
		before := len(requests(w, true))
		if limit(0x3333, 100_000, false); bitrate() != 500_000 || len(requests(w, true)) != before {
			t.Errorf("%d bit/s after a request that was not negotiated", bitrate())
		}
	})
}

// A peer that changes its mind with every picture gets two larger pictures per
// second at most, and one answer to each packet, whatever is in it.
func TestBitrateLimitsOfFicklePeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t)
		p := newPort(t, nil)
		v := screen(w, "H264")
		v.TMMBR = true
		p.SetVideo(v)
		time.Sleep(10 * time.Second)
		before, _ := p.VideoOut()
		sizes, packets := 0, 0
		for i := range 20 * 30 {
			mind := []int{100_000, 3_100_000}
			p.VideoRTCP([]rtcp.Packet{&media.BitrateLimit{SenderSSRC: 9, Entries: []media.BitrateEntry{
				{SSRC: 0x3333, Bitrate: mind[(i+1)%2]}, {SSRC: 0x9999, Bitrate: 1}, {SSRC: 0x3333, Bitrate: mind[i%2]},
			}}}, time.Now())
			packets++
			if now, _ := p.VideoOut(); now.Options.Width != before.Options.Width {
				before = now
				sizes++
			}
			time.Sleep(time.Second / 30)
		}
		if n := len(requests(w, true)); n != packets {
			t.Errorf("%d answers to %d packets", n, packets)
		}
		if sizes < 2 || sizes > 4*20 {
			t.Errorf("%d changes of size in 20 s, want 80 at most", sizes)
		}
	})
}
