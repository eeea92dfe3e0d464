package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/skybridge-media/skybridge/codecs/pcm"
	"github.com/skybridge-media/skybridge/media/tone"
)

// A baresip is a SIP phone with a screen: it shows one colour and plays one
// tone, and keeps what it hears and sees.
type baresip struct {
	dir  string
	ctrl string // address of its control port
}

// baresipConfig is what the tests vary.
type baresipConfig struct {
	name    string
	port    int    // SIP port; TLS is the next, control the one after
	account string // parameters of its account, such as "audio_codecs=opus/48000/2"
	rate    int    // Hz of its tone file, which must be that of the codec
	stereo  bool
	toneHz  int
	color   string // #rrggbb
	display int    // number of the X display that shows its colour
}

const baresipTemplate = `poll_method epoll
sip_listen 127.0.0.1:%[2]d
sip_certificate %[1]s/ident.pem
call_local_timeout 120
call_max_calls 8
net_interface 127.0.0.1
audio_path /usr/share/baresip
audio_player pulse,
audio_source aufile,%[1]s/tone.wav
audio_alert aubridge,nil
ausrc_format s16
auplay_format s16
auenc_format s16
audec_format s16
video_source x11grab,:%[4]d
video_display fakevideo,
video_size 640x360
video_bitrate 1000000
video_fps 15.00
videnc_format yuv420p
rtp_ports %[5]d-%[6]d
rtcp_mux no
jitter_buffer_delay 5-10
statmode_default off
module_path /usr/lib/baresip/modules
module stdio.so
module opus.so
module g722.so
module g711.so
module aubridge.so
module aufile.so
module pulse.so
module avcodec.so
module vp8.so
module x11grab.so
module fakevideo.so
module snapshot.so
module srtp.so
module_tmp uuid.so
module_tmp account.so
module_app contact.so
module_app debug_cmd.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen 127.0.0.1:%[3]d
opus_bitrate 32000
`

// startBaresip runs a phone that calls target, a SIP URI.
func startBaresip(t *testing.T, cfg baresipConfig, target string) *baresip {
	t.Helper()
	needPeer(t, "baresip", "Xvfb", "xsetroot", "sox", "openssl", "pulseaudio", "parec")
	b := &baresip{dir: t.TempDir(), ctrl: fmt.Sprintf("127.0.0.1:%d", cfg.port+2)}
	showColor(t, cfg.display, cfg.color)
	b.giveEars(t)
	channels := "1"
	if cfg.stereo {
		channels = "2"
	}
	b.run(t, "sox", "-n", "-r", fmt.Sprint(cfg.rate), "-c", channels, "-b", "16", "tone.wav", "synth", "600", "sine", fmt.Sprint(cfg.toneHz), "vol", "0.2")
	b.run(t, "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN="+cfg.name, "-days", "2", "-keyout", "key.pem", "-out", "cert.pem")
	key, cert := b.read(t, "key.pem"), b.read(t, "cert.pem")
	b.write(t, "ident.pem", key+cert)
	rtp := 30000 + cfg.port%1000*10
	b.write(t, "config", fmt.Sprintf(baresipTemplate, b.dir, cfg.port, cfg.port+2, cfg.display, rtp, rtp+8))
	transport := ""
	if strings.Contains(target, "transport=tls") {
		transport = ";transport=tls"
	}
	b.write(t, "accounts", fmt.Sprintf("%q <sip:%s@127.0.0.1%s>;regint=0;answermode=auto;%s\n", cfg.name, cfg.name, transport, cfg.account))
	b.write(t, "contacts", "")
	cmd := exec.Command("baresip", "-4", "-f", b.dir, "-t", "300", "-e", "/dial "+target)
	cmd.Dir = b.dir
	cmd.Env = append(os.Environ(), fmt.Sprintf("DISPLAY=:%d", cfg.display), "PULSE_SERVER="+b.pulse())
	log, err := os.Create(filepath.Join(b.dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // baresip at its prompt does not end by SIGTERM
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("baresip %s:\n%s", cfg.name, tail(b.read(t, "log"), 4000))
		}
	})
	return b
}

// showColor runs an X server whose whole screen is one colour.
func showColor(t *testing.T, display int, color string) {
	t.Helper()
	name := fmt.Sprintf(":%d", display)
	server := exec.Command("Xvfb", name, "-screen", "0", "640x360x24", "-nolisten", "tcp", "-noreset")
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Process.Kill(); _ = server.Wait() })
	eventually(t, 10*time.Second, func() error {
		return exec.Command("xsetroot", "-display", name, "-solid", color).Run()
	})
}

// command sends one command to the phone's control port.
func (b *baresip) command(t *testing.T, name, params string) {
	t.Helper()
	eventually(t, 10*time.Second, func() error {
		conn, err := net.Dial("tcp", b.ctrl)
		if err != nil {
			return err
		}
		defer conn.Close()
		msg, err := json.Marshal(map[string]string{"command": name, "params": params, "token": "t"})
		if err != nil {
			return err
		}
		_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
		if _, err := fmt.Fprintf(conn, "%d:%s,", len(msg), msg); err != nil {
			return err
		}
		_, err = conn.Read(make([]byte, 512))
		return err
	})
}

// logs wants something in what the phone has written.
func (b *baresip) logs(t *testing.T, text string) error {
	if log := b.read(t, "log"); !strings.Contains(log, text) {
		return fmt.Errorf("the phone has not logged %q: %s", text, tail(log, 300))
	}
	return nil
}

// press presses keys when the call is there.
func (b *baresip) press(t *testing.T, keys string) {
	t.Helper()
	eventually(t, 15*time.Second, func() error {
		if !strings.Contains(b.read(t, "log"), "Call established") {
			return errors.New("no call")
		}
		return nil
	})
	for _, key := range keys {
		b.command(t, "sndcode", string(key))
	}
}

// seen returns what the phone sees now.
func (b *baresip) seen(t *testing.T) (image.Image, error) {
	old, err := filepath.Glob(filepath.Join(b.dir, "snapshot-*.png"))
	if err != nil {
		return nil, err
	}
	for _, f := range old {
		_ = os.Remove(f)
	}
	b.command(t, "snapshot", "")
	var file string
	for deadline := time.Now().Add(3 * time.Second); file == "" && time.Now().Before(deadline); {
		b.command(t, "about", "") // one round trip: the next picture has come
		if found, _ := filepath.Glob(filepath.Join(b.dir, "snapshot-recv-*.png")); len(found) > 0 {
			file = found[0]
		}
	}
	if file == "" {
		return nil, fmt.Errorf("no picture")
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return png.Decode(f)
}

// earRate is the sampling rate of what a phone hears, in Hz.
const earRate = 48000

// pulse is where the phone's sound server listens.
func (b *baresip) pulse() string { return "unix:" + filepath.Join(b.dir, "pulse.sock") }

// giveEars runs a sound server whose loudspeaker nobody hears but a recorder.
// (The phone's own recorder ends with the first hold.)
func (b *baresip) giveEars(t *testing.T) {
	t.Helper()
	server := exec.Command("pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1",
		"-L", "module-native-protocol-unix auth-anonymous=1 socket="+filepath.Join(b.dir, "pulse.sock"),
		"-L", fmt.Sprintf("module-null-sink sink_name=ear rate=%d channels=1", earRate))
	server.Env = append(os.Environ(), "HOME="+b.dir, "XDG_RUNTIME_DIR="+b.dir)
	recorder := exec.Command("parec", "--server", b.pulse(), "--device", "ear.monitor", "--raw", "--format=s16le",
		fmt.Sprintf("--rate=%d", earRate), "--channels=1", "--latency-msec=50")
	heard, err := os.Create(filepath.Join(b.dir, "heard.raw"))
	if err != nil {
		t.Fatal(err)
	}
	recorder.Stdout = heard
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Process.Kill(); _ = server.Wait() })
	eventually(t, 10*time.Second, func() error {
		_, err := os.Stat(filepath.Join(b.dir, "pulse.sock"))
		return err
	})
	if err := recorder.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = recorder.Process.Kill(); _ = recorder.Wait() })
}

// heard returns how loud each tone is in the next second.
func (b *baresip) heard(t *testing.T, hz []float64) ([]float64, error) {
	f, err := os.Open(filepath.Join(b.dir, "heard.raw"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	begin, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	begin += begin % 2
	second := make([]byte, 2*earRate)
	eventually(t, 10*time.Second, func() error {
		_, err := f.ReadAt(second, begin)
		return err
	})
	samples := make(pcm.Frame, earRate)
	for i := range samples {
		samples[i] = int16(binary.LittleEndian.Uint16(second[2*i:]))
	}
	return tone.Detect(samples, earRate, hz...), nil
}

func (b *baresip) run(t *testing.T, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = b.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

func (b *baresip) write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(b.dir, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (b *baresip) read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(b.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }
