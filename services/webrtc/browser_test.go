package webrtc

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/g711"
	"github.com/skybridge-media/skybridge/codecs/g722"
	avc "github.com/skybridge-media/skybridge/codecs/h264"
	"github.com/skybridge-media/skybridge/codecs/opus"
	"github.com/skybridge-media/skybridge/codecs/vp8"
	"github.com/skybridge-media/skybridge/media/port"
)

//go:embed testdata/page.html
var page []byte

// needPeer skips the test without the commands of a real peer, and fails it
// where all peers are required: a skipped test must not look green.
func needPeer(t *testing.T, commands ...string) {
	t.Helper()
	for _, c := range commands {
		if _, err := exec.LookPath(c); err == nil {
			continue
		}
		if os.Getenv("SKYBRIDGE_PEERS") == "all" {
			t.Fatalf("%s is not installed", c)
		}
		t.Skipf("%s is not installed", c)
	}
}

// A station answers one peer over HTTP, listens to it and sends a tone of
// 1000 Hz and a dark picture.
type station struct {
	*testing.T
	url    string
	digits chan byte

	mu   sync.Mutex // guards what follows
	call *Call
	near *listener
}

// everyCodec configures real codecs.
func everyCodec(c *Config) {
	c.Audio = []*codecs.Audio{&opus.Mono, &g722.G722, &g711.PCMU, &g711.PCMA}
	c.Video = []*codecs.Video{&vp8.VP8, &avc.H264}
}

func newStation(t *testing.T) *station {
	t.Helper()
	e := engine(t, everyCodec)
	s := &station{T: t, digits: make(chan byte, 10)}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	media := port.New(port.Config{Notify: func(event any) {
		if d, ok := event.(port.Digit); ok {
			s.digits <- d.Digit
		}
	}})
	s.near = &listener{T: t, port: media}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(page)
	})
	mux.HandleFunc("POST /offer", func(w http.ResponseWriter, r *http.Request) {
		offer, _ := io.ReadAll(r.Body)
		c, err := e.Answer(r.Context(), Offer{ID: t.Name(), SDP: string(offer), Port: media, Connected: func() {
			running.Go(func() { s.near.run(ctx, 1000, 90) })
		}})
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s.mu.Lock()
		s.call = c
		s.mu.Unlock()
		_, _ = io.WriteString(w, c.SDP())
	})
	mux.HandleFunc("POST /update", func(w http.ResponseWriter, r *http.Request) {
		offer, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		defer s.mu.Unlock()
		answer, err := s.call.Update(r.Context(), string(offer), r.URL.Query().Get("room") != "no", true)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		_, _ = io.WriteString(w, answer)
	})
	server := httptest.NewServer(mux)
	s.url = server.URL
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("luma %d, %+v", s.near.luma(), media.Stats())
		}
		stop()
		running.Wait()
		server.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.call != nil {
			s.call.Close()
		}
		media.Close()
	})
	return s
}

// hearsAndSees waits until the station hears the peer's 440 Hz and sees its
// bright picture: 215 in full range, which Chromium takes from a canvas, 200 in
// limited range.
func (s *station) hearsAndSees(what string) {
	s.Helper()
	eventually(s.T, what+": the peer's tone", func() bool { return s.near.hears(440) })
	eventually(s.T, what+": the peer's picture", func() bool { return s.near.luma() > 185 && s.near.luma() < 225 })
}

// chromium starts a browser, which lives as long as the test.
func chromium(t *testing.T) context.Context {
	t.Helper()
	needPeer(t, "chromium")
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("autoplay-policy", "no-user-gesture-required"),
	)
	allocator, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	browser, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	return browser
}

// TestPeerChromium calls with a real browser in every codec.
func TestPeerChromium(t *testing.T) {
	browser := chromium(t)
	for _, tt := range []struct{ audio, video string }{
		{"audio/opus", "video/VP8"},
		{"audio/G722", "video/H264;packetization-mode=1;profile-level-id=42e01f"},
		{"audio/PCMU", "video/H264;packetization-mode=0"},
		{"audio/PCMA", "video/VP8"},
	} {
		t.Run(strings.NewReplacer("audio/", "", "video/", "", "packetization-mode=", "mode").Replace(tt.audio+" "+tt.video), func(t *testing.T) {
			s := newStation(t)
			run(t, browser, chromedp.Navigate(s.url))
			js[bool](t, browser, fmt.Sprintf("call(%q, %q).then(() => true)", tt.audio, tt.video))
			s.hearsAndSees("at first")
			eventually(t, "the browser to hear 1000 Hz", func() bool { return js[float64](t, browser, "heard(1000)") > -40 })
			eventually(t, "the browser to see our picture", func() bool {
				luma := js[float64](t, browser, "seen()") // 90 in limited range is 86 of 255
				return luma > 70 && luma < 102
			})

			js[bool](t, browser, `pc.getSenders()[0].dtmf.insertDTMF("5#", 100, 70) ?? true`)
			for _, want := range []byte("5#") {
				if got := await(t, "a digit", s.digits); got != want {
					t.Errorf("digit %c, want %c", got, want)
				}
			}

			js[bool](t, browser, "restart().then(() => true)")
			s.near.forget()
			s.hearsAndSees("after a restart")
			js[bool](t, browser, "pc.close() ?? true")
		})
	}
}

// TestPeerChromiumWithoutRoom has a real browser offer a picture that is not
// taken, one that it had before or a new one, and then again as if nothing had
// happened.
func TestPeerChromiumWithoutRoom(t *testing.T) {
	browser := chromium(t)
	for _, later := range []bool{false, true} {
		t.Run(fmt.Sprintf("later=%v", later), func(t *testing.T) {
			s := newStation(t)
			run(t, browser, chromedp.Navigate(s.url))
			js[bool](t, browser, fmt.Sprintf(`call("audio/opus", "video/VP8", false, %v).then(() => true)`, later))
			if later {
				js[bool](t, browser, "shoot() ?? true")
			} else {
				s.hearsAndSees("at first")
			}
			if got := js[string](t, browser, "update(false)"); got != "inactive" {
				t.Errorf("the picture that was not taken is %s", got)
			}
			s.near.forget()
			eventually(t, "sound to go on", func() bool { return s.near.hears(440) })
			if got := js[string](t, browser, "update(true)"); got != "sendrecv" {
				t.Errorf("the picture that was taken is %s", got)
			}
			s.near.forget()
			s.hearsAndSees("with room")
			eventually(t, "the browser to see our picture", func() bool {
				luma := js[float64](t, browser, "seen()")
				return luma > 70 && luma < 102
			})
			js[bool](t, browser, "pc.close() ?? true")
		})
	}
}

// TestPeerChromiumSimulcast has a real browser send its picture in three sizes,
// of which the one is decoded that fits.
func TestPeerChromiumSimulcast(t *testing.T) {
	browser := chromium(t)
	for name, codec := range map[string]string{"VP8": "video/VP8", "H264": "video/H264;packetization-mode=1;profile-level-id=42e01f"} {
		t.Run(name, func(t *testing.T) {
			s := newStation(t)
			run(t, browser, chromedp.Navigate(s.url))
			js[bool](t, browser, fmt.Sprintf("call('audio/opus', %q, true).then(() => true)", codec))
			s.hearsAndSees("at first")
			sees := func(width, height int) {
				t.Helper()
				s.near.port.WantVideo(width, height)
				eventually(t, fmt.Sprintf("the layer of %dx%d", width, height), func() bool {
					p := s.near.port.Picture()
					if p == nil {
						return false
					}
					defer p.Release()
					return p.Width == width && p.Height == height
				})
			}
			sees(320, 180)
			sees(1280, 720)
			sees(640, 360)
			js[bool](t, browser, "restart().then(() => true)")
			s.near.forget()
			s.hearsAndSees("after a restart")
			sees(1280, 720)
			js[bool](t, browser, "hold(true).then(() => true)")
			eventually(t, "no picture on hold", func() bool { return s.near.port.Picture() == nil })
			js[bool](t, browser, "hold(false).then(() => true)")
			sees(1280, 720)
			sees(320, 180)
			js[bool](t, browser, "pc.close() ?? true")
		})
	}
}

// js evaluates an expression in the page.
func js[T any](t *testing.T, browser context.Context, expression string) T {
	t.Helper()
	return run(t, browser, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// run runs an action. The browser starts with the first one and lives as long
// as its context, so that has no time limit.
func run[T any](t *testing.T, browser context.Context, a chromedp.Action[T]) (v T) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		var err error
		v, err = chromedp.Run(browser, a)
		done <- err
	}()
	select {
	case err := <-done:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(2 * limit):
		t.Fatal("chromium does not answer")
	}
	return v
}

// TestPeerAiortc calls with another implementation altogether.
func TestPeerAiortc(t *testing.T) {
	const python = "/usr/bin/python3"
	if exec.Command(python, "-c", "import aiortc").Run() != nil {
		needPeer(t, "python3-aiortc")
	}
	for _, codec := range []string{"video/VP8", "video/H264"} {
		t.Run(codec, func(t *testing.T) {
			s := newStation(t)
			cmd := exec.Command(python, "testdata/aiortc-peer.py", s.url+"/offer", codec)
			var out strings.Builder
			cmd.Stdout, cmd.Stderr = &out, &out
			stdin, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			t.Cleanup(func() {
				if t.Failed() {
					_ = cmd.Process.Kill()
					t.Log(out.String())
				}
			})
			s.hearsAndSees(codec)
			_ = stdin.Close() // that will do; it says what it has heard and seen
			if err := await(t, "the peer to end", ended); err != nil {
				t.Errorf("the peer is not content: %v", err)
			}
		})
	}
}
