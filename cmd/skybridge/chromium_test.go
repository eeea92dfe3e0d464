package main

import (
	"context"
	"fmt"
	"image"
	"image/color"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// A chromium is a browser with our page open: its camera shows one colour, its
// microphone plays one tone.
type chromium struct {
	ctx context.Context
}

// plainSound switches off what browsers do to make speech out of a tone, keeps
// the page's connections where the test can ask them for statistics, and makes
// the computer one that does not mind to send a picture in three sizes.
const plainSound = `
Object.defineProperty(navigator, "hardwareConcurrency", { value: 8 });
window.connections = [];
window.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(...args) { super(...args); window.connections.push(this); }
};
const gum = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = (c) => {
  if (c.audio) c.audio = Object.assign(c.audio === true ? {} : c.audio, { echoCancellation: false, noiseSuppression: false, autoGainControl: false });
  return gum(c);
};`

// startChromium opens url with a camera of one colour (#rrggbb) and size
// (640x360), and a microphone of one tone. More options win over its own.
func startChromium(t *testing.T, url, colour, size string, toneHz int, more ...chromedp.ExecAllocatorOption) *chromium {
	t.Helper()
	needPeer(t, "chromium", "ffmpeg", "sox")
	dir := t.TempDir()
	camera, mic := filepath.Join(dir, "cam.y4m"), filepath.Join(dir, "mic.wav")
	run := func(name string, args ...string) {
		if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
	}
	run("ffmpeg", "-loglevel", "error", "-f", "lavfi", "-i", "color=c=0x"+colour[1:]+":size="+size+":rate=15", "-t", "2", "-pix_fmt", "yuv420p", camera)
	run("sox", "-n", "-r", "48000", "-c", "1", "-b", "16", mic, "synth", "60", "sine", fmt.Sprint(toneHz), "vol", "0.2")

	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(filepath.Join(dir, "profile")), chromedp.WindowSize(1280, 800),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("ignore-certificate-errors", true),
		chromedp.Flag("use-fake-device-for-media-stream", true), chromedp.Flag("use-fake-ui-for-media-stream", true),
		chromedp.Flag("autoplay-policy", "no-user-gesture-required"), chromedp.Flag("mute-audio", false),
		chromedp.Flag("use-file-for-fake-video-capture", camera), chromedp.Flag("use-file-for-fake-audio-capture", mic),
	)
	allocator, cancel := chromedp.NewExecAllocator(context.Background(), append(options, more...)...)
	t.Cleanup(cancel)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	c := &chromium{ctx}
	c.do(t, onEveryPage(plainSound), chromedp.Navigate(url))
	t.Cleanup(func() {
		if t.Failed() {
			c.screenshot(t, "failed")
		}
	})
	return c
}

// onEveryPage runs a script in pages before their own.
func onEveryPage(script string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: script})
		return err
	})
}

// do runs actions, which must succeed in 20 s.
func (c *chromium) do(t *testing.T, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if _, err := try(c, chromedp.Steps(actions...)); err != nil {
		t.Fatal(err)
	}
}

// try runs one action, for 20 s at most. The browser starts with the first one
// and lives as long as its context, so that has no time limit.
func try[T any](c *chromium, a chromedp.Action[T]) (T, error) {
	type outcome struct {
		value T
		err   error
	}
	done := make(chan outcome, 1)
	go func() {
		v, err := chromedp.Run(c.ctx, a)
		done <- outcome{v, err}
	}()
	select {
	case o := <-done:
		return o.value, o.err
	case <-time.After(20 * time.Second):
		var zero T
		return zero, fmt.Errorf("chromium does not answer")
	}
}

// until waits until an expression is true in the page.
func until(expression string) chromedp.Action[chromedp.Void] {
	wait := chromedp.Poll[bool](expression, chromedp.WithPollingTimeout(15*time.Second))
	return func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := wait(ctx, t)
		if err != nil {
			err = fmt.Errorf("waiting for %s: %w", expression, err)
		}
		return chromedp.Void{}, err
	}
}

// join fills in the form and waits for the picture, as a person does, perhaps
// for the second time.
func (c *chromium) join(t *testing.T, name, room string) {
	t.Helper()
	c.do(t,
		chromedp.Evaluate[chromedp.Void](`[document.getElementById("rejoin")].find((b) => b.checkVisibility())?.click()`),
		chromedp.WaitVisible("#join-form"),
		chromedp.SetValue("#name", name), chromedp.SetValue("#room", room),
		until(`document.getElementById("preview").videoWidth > 0`),
		chromedp.Click("#join-form button[type=submit]"),
		until(`document.getElementById("far").videoWidth > 0`))
}

// seen returns what the page shows of the room now.
func (c *chromium) seen(_ *testing.T) (image.Image, error) {
	const grab = `(() => {
		const v = document.getElementById("far");
		const canvas = new OffscreenCanvas(160, 90);
		const g = canvas.getContext("2d");
		g.drawImage(v, 0, 0, 160, 90);
		return Array.from(g.getImageData(0, 0, 160, 90).data);
	})()`
	data, err := try(c, chromedp.Evaluate[[]int](grab))
	if err != nil {
		return nil, err
	}
	img := image.NewRGBA(image.Rect(0, 0, 160, 90))
	for i := range img.Pix {
		img.Pix[i] = byte(data[i])
	}
	return img, nil
}

// heard returns the level of each tone in what the page plays, in dBFS.
func (c *chromium) heard(_ *testing.T, hz []float64) ([]float64, error) {
	const listen = `(async () => {
		const stream = document.getElementById("far").srcObject;
		if (window.earOf !== stream) {
			window.earOf = stream;
			const context = new AudioContext();
			await context.resume();
			window.ear = context.createAnalyser();
			window.ear.fftSize = 16384;
			window.ear.smoothingTimeConstant = 0;
			context.createMediaStreamSource(new MediaStream(stream.getAudioTracks())).connect(window.ear);
			await new Promise((r) => setTimeout(r, 600));
		}
		const bins = new Float32Array(window.ear.frequencyBinCount);
		window.ear.getFloatFrequencyData(bins);
		if (bins.every((b) => b === -Infinity)) window.earOf = undefined; // digital silence: it may have got stuck
		const width = window.ear.context.sampleRate / window.ear.fftSize;
		return %s.map((f) => {
			const i = Math.round(f / width);
			return Math.max(-200, Math.max(bins[i - 1], bins[i], bins[i + 1]));
		});
	})()`
	list := "["
	for _, f := range hz {
		list += fmt.Sprintf("%g,", f)
	}
	return try(c, chromedp.Evaluate[[]float64](fmt.Sprintf(listen, list+"]"), chromedp.EvalAwaitPromise))
}

// codecs returns the video codecs that the page sends and receives now, sorted.
func (c *chromium) codecs() (string, error) {
	return try(c, chromedp.Evaluate[string](`(async () => {
		const stats = [...(await window.connections.at(-1).getStats()).values()];
		const used = stats.filter((s) => /^(in|out)bound-rtp$/.test(s.type) && s.kind === "video" && s.codecId);
		return used.map((s) => s.type.slice(0, -4) + " " + stats.find((c) => c.id === s.codecId).mimeType).sort().join(", ");
	})()`, chromedp.EvalAwaitPromise))
}

// layers returns the names and heights of what the page sends of its picture,
// sorted by name.
func (c *chromium) layers() (string, error) {
	return try(c, chromedp.Evaluate[string](`(async () => {
		const stats = [...(await window.connections.at(-1).getStats()).values()];
		const sent = stats.filter((s) => s.type === "outbound-rtp" && s.kind === "video" && s.framesEncoded > 0);
		return sent.map((s) => (s.rid ?? "") + s.frameHeight).sort().join(" ");
	})()`, chromedp.EvalAwaitPromise))
}

// screenshot keeps a picture of the page where SKYBRIDGE_SCREENSHOTS points.
func (c *chromium) screenshot(t *testing.T, name string) {
	dir := os.Getenv("SKYBRIDGE_SCREENSHOTS")
	if dir == "" {
		return
	}
	shot, err := try(c, chromedp.CaptureScreenshot())
	if err != nil {
		t.Log(err)
		return
	}
	file := filepath.Join(dir, filepath.Base(t.Name())+"-"+name+".png")
	if err := os.WriteFile(file, shot, 0o600); err != nil {
		t.Log(err)
	}
}

// at samples the colour of a picture at a place given as shares of its size.
func at(img image.Image, x, y float64) color.RGBA {
	b := img.Bounds()
	r, g, bl, _ := img.At(b.Min.X+int(x*float64(b.Dx())), b.Min.Y+int(y*float64(b.Dy()))).RGBA()
	return color.RGBA{uint8(r >> 8), uint8(g >> 8), uint8(bl >> 8), 255}
}
