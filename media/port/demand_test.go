package port_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"github.com/skybridge-media/skybridge/media/port"
	media "github.com/skybridge-media/skybridge/media/rtp"
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
		asked := requests(back, false)
		if len(asked) != 3 {
			t.Errorf("requests %+v, want one for each change: they were answered", asked)
		}
		for _, a := range asked {
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
		if n := len(requests(there, true)); n != 3 {
			t.Errorf("%d notifications of 3 requests", n)
		}
	})
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
