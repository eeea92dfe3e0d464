package main

import (
	"context"
	"fmt"
	"image/color"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/skybridge-media/skybridge/bench/caller"
	"github.com/skybridge-media/skybridge/bus"
	"github.com/skybridge-media/skybridge/bus/natsbus"
	"github.com/skybridge-media/skybridge/codecs/flite"
	"github.com/skybridge-media/skybridge/codecs/g722"
	"github.com/skybridge-media/skybridge/codecs/h264"
	"github.com/skybridge-media/skybridge/codecs/opus"
	"github.com/skybridge-media/skybridge/codecs/pcm"
	"github.com/skybridge-media/skybridge/codecs/yuv"
	"github.com/skybridge-media/skybridge/media/bridge"
	"github.com/skybridge-media/skybridge/media/resample"
	"github.com/skybridge-media/skybridge/media/sdp"
	"github.com/skybridge-media/skybridge/media/tone"
)

// A diary is everything that a caller has heard.
type diary struct {
	mu    sync.Mutex // guards heard
	heard pcm.Frame  // at 48 kHz
}

func (d *diary) hear(f pcm.Frame) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.heard = append(d.heard, f...)
}

func (d *diary) all() pcm.Frame {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.heard)
}

// when returns where in what was heard a tone began that lasts, and how loud it
// is there.
func (d *diary) when(hz float64, from time.Duration) (time.Duration, bool) {
	const piece = 48000 / 20 // 50 ms
	heard := d.all()
	for at := int(from.Seconds() * 48000); at+2*piece <= len(heard); at += piece {
		if tone.Detect(heard[at:at+2*piece], 48000, hz)[0] > -40 {
			return time.Duration(at) * time.Second / 48000, true
		}
	}
	return 0, false
}

// says reports how much of what was heard is like speech: the best correlation of
// their envelopes, 0 to 1, and where that is.
func (d *diary) says(speech pcm.Frame) (best float64, at time.Duration) {
	// The de-jitter buffer stretches time by some 10 ms here and there.
	const piece, hop = 4 * 480, 480
	envelope := func(f pcm.Frame) (e []float64) {
		for ; len(f) >= piece; f = f[hop:] {
			sum := 0.0
			for _, s := range f[:piece] {
				sum += float64(s) * float64(s)
			}
			e = append(e, math.Sqrt(sum/piece))
		}
		return e
	}
	want, heard := envelope(speech), envelope(d.all())
	for i := 0; i+len(want) <= len(heard); i++ {
		if c := correlation(want, heard[i:i+len(want)]); c > best {
			best, at = c, time.Duration(i)*10*time.Millisecond
		}
	}
	return best, at
}

func correlation(a, b []float64) float64 {
	var ma, mb, ab, aa, bb float64
	for i := range a {
		ma += a[i] / float64(len(a))
		mb += b[i] / float64(len(a))
	}
	for i := range a {
		x, y := a[i]-ma, b[i]-mb
		ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
	}
	if aa == 0 || bb == 0 {
		return 0
	}
	return ab / math.Sqrt(aa*bb)
}

// said is what a text sounds like at 48 kHz.
func said(t *testing.T, text string) pcm.Frame {
	t.Helper()
	speech, err := flite.Speak(text)
	if err != nil {
		t.Fatal(err)
	}
	return resample.New(flite.Rate, 48000).Process(nil, speech)
}

// inkIn estimates how many bright pixels there are where figures are written.
func inkIn(p *bridge.SharedPicture) (n int) {
	for y := 0; y < p.Height/2; y += 4 {
		for x := range p.Width / 2 {
			if p.Y[y*p.StrideY+x] > 180 {
				n += 4
			}
		}
	}
	return n
}

// testCalls are the events about test calls from now on.
func testCalls(t *testing.T, url string) <-chan bus.TestCallFinished {
	t.Helper()
	b, err := natsbus.Connect(t.Context(), natsbus.Config{URL: url, Node: "audience"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	finished := make(chan bus.TestCallFinished, 10)
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = b.Subscribe(ctx, "sky.evt.testcall.finished.>", time.Now(), func(r bus.Received) { // ends with ctx
			if e, ok := r.Event.(bus.TestCallFinished); ok {
				finished <- e
			}
		})
	})
	t.Cleanup(func() {
		cancel()
		wg.Wait()
		_ = b.Close(context.Background()) // the server may have gone first
	})
	return finished
}

// TestTestCall makes a test call by SIP: the caller hears and sees itself a
// second later, is spoken to, is told of the loss that there was, and is hung up
// on when the time is over.
func TestTestCall(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rooms.yaml")
	if err := os.WriteFile(file, []byte("rooms:\n  - {name: echo, aliases: [\"9999\"], type: test-call, duration: 30s}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := startProgram(t, "serve", "--config", file, "--rtp-ports", "43800-43899")
	finished := testCalls(t, p.NATS)

	// While nobody speaks: the welcome is over, and the results come at 15 s.
	const beep, turn = 7600 * time.Millisecond, 7800 * time.Millisecond
	blue, red := yuv.ColorOf(color.RGBA{30, 50, 200, 255}), yuv.ColorOf(color.RGBA{200, 30, 30, 255})
	var (
		d       diary
		sine    = tone.New(48000, -12, 440)
		ticks   int
		packets atomic.Int64

		mu     sync.Mutex // guards what follows
		began  = time.Now()
		turned time.Duration // when the caller saw itself red
		inked  int           // bright pixels where the figures are
	)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	call, err := caller.DialSIP(ctx, netip.MustParseAddrPort(p.SIP), "9999", caller.Config{
		Name: "caller", Audio: &opus.Mono, Video: &h264.H264, Heard: d.hear, FrameRate: 8,
		Sound: func(dst pcm.Frame) {
			now := time.Duration(ticks) * bridge.Tick
			ticks++
			if now >= beep && now < beep+800*time.Millisecond {
				sine.Read(dst)
			}
		},
		Draw: func(p *yuv.Picture, now time.Duration) {
			if now < turn {
				p.Fill(blue)
			} else {
				p.Fill(red)
			}
		},
		Seen: func(p *bridge.SharedPicture) {
			mu.Lock()
			defer mu.Unlock()
			if turned == 0 && p.V[p.Height*9/20*p.StrideUV+p.Width*7/20] > 180 { // blue has 106, red 222
				turned = time.Since(began)
			}
			if inked < 1000 {
				inked = max(inked, inkIn(p))
			}
		},
		Lose: func(k sdp.Kind) bool { return k == sdp.Audio && packets.Add(1)%10 == 0 },
	})
	if err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	began = time.Now()
	mu.Unlock()
	hangUp := sync.OnceFunc(func() { _ = call.Close() })
	t.Cleanup(hangUp)
	select {
	case <-call.Done():
	case <-time.After(60 * time.Second):
		t.Fatal("the call goes on")
	}
	lasted := time.Since(began)
	if lasted < 30*time.Second || lasted > 36*time.Second && !raceEnabled {
		t.Errorf("the call lasted %v, want 30 s and a goodbye", lasted)
	}
	hangUp() // waits for what counts the ticks
	if kept := time.Duration(ticks) * bridge.Tick; kept < lasted*9/10 && os.Getenv("SKYBRIDGE_PEERS") != "all" {
		t.Skipf("the caller had the processor for %v of %v only: nothing can be said of sound", kept, lasted)
	}

	heard, ok := d.when(440, beep)
	if delay := heard - beep; !ok || delay < 900*time.Millisecond || delay > 1700*time.Millisecond {
		t.Errorf("the beep came back after %v (%v), want a second", delay, ok)
	} else {
		t.Logf("the beep came back after %v", delay)
	}
	never, _ := d.says(said(t, "Nobody has ever said this sentence here, and nobody will, as it is not one of those that are said."))
	for text, latest := range map[string]time.Duration{
		"This is a test call. Please speak, and move. You will hear and see yourself a second later.": 4 * time.Second,
		"The test call is over. Goodbye.": 34 * time.Second,
	} {
		match, at := d.says(said(t, text))
		if match < 0.6 || match < never+0.15 || at > latest { // nothing is lost where a core is free: 0.95 and more
			t.Errorf("%q: heard at %v with a correlation of %.2f; what was never said has %.2f", text, at, match, never)
		}
	}
	mu.Lock()
	if delay := turned - turn; delay < 700*time.Millisecond || delay > 2500*time.Millisecond {
		t.Errorf("the picture came back after %v, want a second", delay)
	} else {
		t.Logf("the picture came back after %v", delay)
	}
	if inked < 1000 {
		t.Errorf("%d bright pixels where the figures should be", inked)
	}
	mu.Unlock()

	var e bus.TestCallFinished
	select {
	case e = <-finished:
	case <-time.After(10 * time.Second):
		t.Fatal("no event")
	}
	if e.Reason != "finished" || e.AudioCodec != "opus" || e.VideoCodec != "H264" || e.Width != 640 || e.Height != 360 {
		t.Errorf("event %+v", e)
	}
	if e.LossFrom < 0.07 || e.LossFrom > 0.13 || e.LossTo > 0.02 || e.VideoLossFrom > 0.02 {
		t.Errorf("loss %.3f from and %.3f to the caller, %.3f of pictures; the test lost every tenth packet of sound",
			e.LossFrom, e.LossTo, e.VideoLossFrom)
	}
	// Both ways have the same delay, whatever the machine makes it.
	if e.MOSTo < e.MOSFrom+0.6 || e.MOSTo > 4.5 || e.MOSFrom < 1 {
		t.Errorf("scores %.2f from the caller, who loses, and %.2f to it", e.MOSFrom, e.MOSTo)
	}
	t.Logf("%+v", e)
	wantMetric(t, p, `skybridge_testcall_ended_total{reason="finished"}`, 1)
	wantMetric(t, p, "skybridge_testcall_active", 0)
	wantMetric(t, p, "skybridge_conference_active", 0)
}

// TestTestCallFromBrowser calls with a real browser, which sees and hears itself,
// and hangs up.
func TestTestCallFromBrowser(t *testing.T) {
	p := startProgram(t, "serve", "--adhoc", "--rtp-ports", "43900-43999")
	finished := testCalls(t, p.NATS)
	c := startChromium(t, p.Web+"/", "#1e32c8", "640x360", 440)
	c.join(t, "Ada", "test-call")
	eventually(t, 20*time.Second, func() error {
		img, err := c.seen(t)
		if err != nil {
			return err
		}
		if got, want := at(img, 0.7, 0.85), (color.RGBA{0x1e, 0x32, 0xc8, 255}); !near(got, want) {
			return fmt.Errorf("the picture is %v, want %v", got, want)
		}
		return nil
	})
	c.screenshot(t, "running")
	eventually(t, 20*time.Second, func() error {
		levels, err := c.heard(t, []float64{440, 3100})
		if err == nil && (levels[0] < -50 || levels[0] < levels[1]+20) {
			err = fmt.Errorf("440 Hz at %.0f dB, 3100 Hz at %.0f", levels[0], levels[1])
		}
		return err
	})
	c.screenshot(t, "heard")
	c.do(t, chromedp.Navigate("about:blank"))
	select {
	case e := <-finished:
		if e.Reason != "hangup" || e.AudioCodec != "opus" || e.VideoCodec == "" || e.MOSFrom < 3.5 || e.MOSTo < 3.5 || e.Width == 0 {
			t.Errorf("event %+v", e)
		}
		t.Logf("%+v", e)
	case <-time.After(20 * time.Second):
		t.Fatal("no event")
	}
}

// TestTestCallEnds stops the program in the middle of a test call: it must be gone
// in time, which the end of the test checks.
func TestTestCallEnds(t *testing.T) {
	p := startProgram(t, "serve", "--adhoc", "--rtp-ports", "44000-44099")
	var d diary
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	call, err := caller.DialSIP(ctx, netip.MustParseAddrPort(p.SIP), "test-call", caller.Config{
		Name: "caller", Audio: &g722.G722, Video: &h264.H264, Heard: d.hear,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = call.Close() })
	eventually(t, 10*time.Second, func() error {
		if match, _ := d.says(said(t, "This is a test call.")); match < 0.7 {
			return fmt.Errorf("nothing is said: %.2f", match)
		}
		return nil
	})
	p.stop(t)
	select {
	case <-call.Done():
	case <-time.After(5 * time.Second):
		t.Error("the caller was not hung up on")
	}
	if strings.Contains(p.logged(), `"level":"ERROR"`) || strings.Contains(p.logged(), `"level":"WARN"`) {
		t.Errorf("it did not end in order:\n%s", p.logged())
	}
}

// TestTestCallFromPhone calls with a real SIP phone, encrypted, which sees and
// hears itself.
func TestTestCallFromPhone(t *testing.T) {
	p := startProgram(t, "serve", "--adhoc", "--rtp-ports", "44100-44199")
	green := color.RGBA{30, 170, 40, 255}
	b := startBaresip(t, baresipConfig{
		name: "phone", port: 5231, rate: 16000, toneHz: 700, color: hex(green), display: 94,
		account: "audio_codecs=g722/16000/1;video_codecs=h264;mediaenc=srtp-mand",
	}, fmt.Sprintf("sip:test-call@%s;transport=tls", p.SIPS))
	eventually(t, 25*time.Second, func() error {
		img, err := b.seen(t)
		if err != nil {
			return err
		}
		if got := at(img, 0.7, 0.85); !near(got, green) {
			return fmt.Errorf("the picture is %v, want %v", got, green)
		}
		return nil
	})
	eventually(t, 20*time.Second, func() error {
		levels, err := b.heard(t, []float64{700, 3100})
		if err == nil && (levels[0] < -50 || levels[0] < levels[1]+20) {
			err = fmt.Errorf("700 Hz at %.0f dB, 3100 Hz at %.0f", levels[0], levels[1])
		}
		return err
	})
}
