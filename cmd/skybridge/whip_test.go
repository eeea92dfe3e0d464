package main

import (
	"bufio"
	"context"
	"fmt"
	"image"
	"image/color"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/skybridge-media/skybridge/bench/caller"
	"github.com/skybridge-media/skybridge/codecs/g722"
	"github.com/skybridge-media/skybridge/codecs/h264"
	"github.com/skybridge-media/skybridge/media/bridge"
)

// TestWHIP publishes a colour and a tone with aiortc: somebody who has called by
// SIP sees and hears them. When the session is deleted, the publisher is gone.
func TestWHIP(t *testing.T) {
	needAiortc(t)
	p := startProgram(t, "serve", "--adhoc", "--adhoc-layout", "1+0", "--rtp-ports", "43300-43399")
	v := newViewer(t, p, "studio")
	for i, tt := range []struct {
		codec string
		color color.RGBA
		hz    float64
	}{
		{"video/H264", color.RGBA{200, 30, 30, 255}, 700},
		{"video/VP8", color.RGBA{30, 50, 200, 255}, 1200},
	} {
		t.Run(tt.codec, func(t *testing.T) {
			w := startPublisher(t, p.Web+"/whip/studio?name=camera", tt.codec, hex(tt.color), fmt.Sprint(tt.hz))
			wantRoster(t, 5*time.Second, "studio", "viewer camera", p)
			if got := p.metric(t, `skybridge_participant_calls{protocol="whip"}`); got != 1 {
				t.Errorf("%v calls by WHIP, want 1", got)
			}
			v.ear.hears(t, tt.hz, true)
			v.sees(t, tt.color, true)

			if answers := w.end(t); answers != "200 404" {
				t.Errorf("DELETE and DELETE again: %s, want 200 404", answers)
			}
			wantRoster(t, 5*time.Second, "studio", "viewer", p)
			v.ear.hears(t, tt.hz, false)
			v.sees(t, tt.color, false)
			if got := p.metric(t, `skybridge_participant_calls_ended_total{protocol="whip",reason="hangup"}`); got != float64(i+1) {
				t.Errorf("%v calls by WHIP have ended, want %d", got, i+1)
			}
			if got := p.metric(t, "skybridge_webrtc_calls_active"); got != 0 {
				t.Errorf("%v WebRTC calls, want none", got)
			}
		})
	}
}

// needAiortc skips the test without aiortc, or fails it where all peers are
// required.
func needAiortc(t *testing.T) {
	t.Helper()
	if out, err := exec.Command("/usr/bin/python3", "-c", "import aiortc").CombinedOutput(); err != nil {
		if os.Getenv("SKYBRIDGE_PEERS") == "all" {
			t.Fatalf("no aiortc; make peers installs it: %v\n%s", err, out)
		}
		t.Skip("no aiortc; make peers installs it")
	}
}

// A viewer is a caller by SIP who listens and looks.
type viewer struct {
	ear *ear

	mu   sync.Mutex // guards last
	last *image.RGBA
}

func newViewer(t *testing.T, p *program, room string) *viewer {
	t.Helper()
	v := &viewer{ear: &ear{}}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	call, err := caller.DialSIP(ctx, netip.MustParseAddrPort(p.SIP), room, caller.Config{
		Name: "viewer", Audio: &g722.G722, Video: &h264.H264, Heard: v.ear.hear, Seen: v.look,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = call.Close() })
	return v
}

func (v *viewer) look(p *bridge.SharedPicture) {
	img := p.Image()
	v.mu.Lock()
	defer v.mu.Unlock()
	v.last = img
}

// sees waits until the picture has one colour, or has not.
func (v *viewer) sees(t *testing.T, c color.RGBA, want bool) {
	t.Helper()
	eventually(t, 10*time.Second, func() error {
		v.mu.Lock()
		defer v.mu.Unlock()
		if v.last == nil {
			return fmt.Errorf("no picture")
		}
		if got := at(v.last, 0.5, 0.33); near(got, c) != want {
			return fmt.Errorf("the picture is %v; want it %v: %v", got, c, want)
		}
		return nil
	})
}

// A publisher is testdata/whip.py.
type publisher struct {
	cmd   *exec.Cmd
	stdin io.Closer
	lines *bufio.Scanner
	wrong strings.Builder
}

// startPublisher returns when its media flows.
func startPublisher(t *testing.T, args ...string) *publisher {
	t.Helper()
	w := &publisher{cmd: exec.Command("/usr/bin/python3", append([]string{"testdata/whip.py"}, args...)...)}
	w.cmd.Stderr = &w.wrong
	stdin, err := w.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := w.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	w.stdin, w.lines = stdin, bufio.NewScanner(stdout)
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if w.cmd.ProcessState == nil {
			_ = w.cmd.Process.Kill()
			_ = w.cmd.Wait()
		}
	})
	if !w.lines.Scan() { // it gives up by itself
		_ = w.cmd.Wait()
		t.Fatalf("aiortc did not connect: %v\n%s", w.cmd.ProcessState, w.wrong.String())
	}
	return w
}

// end lets the publisher end its session, and returns what it was answered.
func (w *publisher) end(t *testing.T) string {
	t.Helper()
	_ = w.stdin.Close()
	var answers []string
	for w.lines.Scan() {
		answers = append(answers, w.lines.Text())
	}
	if err := w.cmd.Wait(); err != nil {
		t.Errorf("aiortc: %v\n%s", err, w.wrong.String())
	}
	return strings.Join(answers, " ")
}
