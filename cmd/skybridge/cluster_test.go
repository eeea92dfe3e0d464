package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/skybridge-media/skybridge/bench/caller"
	"github.com/skybridge-media/skybridge/bus/embedded"
	"github.com/skybridge-media/skybridge/codecs/g711"
	"github.com/skybridge-media/skybridge/codecs/pcm"
	"github.com/skybridge-media/skybridge/media/tone"
)

// A roster is what a node's /conferences page says.
type roster struct {
	Epoch        uint64
	MediaNode    string `json:"media_node"`
	Speaker      string
	Participants []struct {
		ID         string
		Name       string
		State      string
		AudioMuted bool `json:"audio_muted"`
	}
}

func (r *roster) names() string {
	var names []string
	for _, p := range r.Participants {
		names = append(names, p.Name)
	}
	return strings.Join(names, " ")
}

// roster asks a node for a conference; nil when there is none.
func (p *program) roster(room string) (*roster, error) {
	resp, err := insecure.Get(strings.TrimSuffix(p.Metrics, "/metrics") + "/conferences/" + room)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return nil, err
	case resp.StatusCode == http.StatusNotFound:
		return nil, nil
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%s: %s", resp.Status, body)
	}
	var r roster
	return &r, json.Unmarshal(body, &r)
}

// wantRoster waits until every node shows exactly these names.
func wantRoster(t *testing.T, within time.Duration, room, names string, nodes ...*program) (last *roster) {
	t.Helper()
	for _, p := range nodes {
		eventually(t, within, func() error {
			r, err := p.roster(room)
			if err != nil {
				return err
			}
			got := ""
			if r != nil {
				got = r.names()
			}
			if got != names {
				return fmt.Errorf("roster is %q, want %q", got, names)
			}
			last = r
			return nil
		})
	}
	return last
}

// startCluster runs a NATS server, a node that takes calls but no media, and
// one that does both.
func startCluster(t *testing.T) (front, media *program) {
	t.Helper()
	nats, err := embedded.Start(embedded.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nats.Close() })
	front = startProgram(t, "serve", "--name", "front", "--adhoc", "--nats", nats.URL(), "--roles", "management,signalling", "--rtp-ports", "43000-43099")
	media = startProgram(t, "serve", "--name", "media", "--adhoc", "--nats", nats.URL(), "--rtp-ports", "43100-43199")
	return front, media
}

// An ear is what a caller hears.
type ear struct {
	mu      sync.Mutex
	last    pcm.Frame // the newest half second
	quiet   int       // ticks since there was any sound
	longest int       // most of them since reset
}

func (e *ear) hear(f pcm.Frame) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.last = append(e.last, f...)
	e.last = e.last[max(0, len(e.last)-24000):]
	if tone.Level(f) < -60 {
		e.quiet++
	} else {
		e.quiet = 0
	}
	e.longest = max(e.longest, e.quiet)
}

// level is how loud a tone was in the last half second, in dBFS.
func (e *ear) level(hz float64) float64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return tone.Detect(e.last, 48000, hz)[0]
}

// reset begins to look for gaps.
func (e *ear) reset() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.quiet, e.longest = 0, 0
}

// gap is the longest silence since reset.
func (e *ear) gap() time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	return time.Duration(e.longest) * 20 * time.Millisecond
}

// hears waits until the tone of somebody is there, or is not.
func (e *ear) hears(t *testing.T, hz float64, want bool) {
	t.Helper()
	eventually(t, 10*time.Second, func() error {
		if level := e.level(hz); level > -40 != want {
			return fmt.Errorf("%v Hz is at %.0f dBFS; want it heard: %v", hz, level, want)
		}
		return nil
	})
}

// dial lets a caller with a tone into room by way of a node.
func dial(t *testing.T, p *program, room, name string, hz float64) *ear {
	t.Helper()
	gen, e := tone.New(48000, -20, hz), &ear{}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	call, err := caller.DialSIP(ctx, netip.MustParseAddrPort(p.SIP), room, caller.Config{
		Name: name, Audio: &g711.PCMU, Sound: gen.Read, Heard: e.hear,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = call.Close() })
	return e
}

// TestCluster dials one alias at two nodes: one conference, whose media is
// where a node takes media; both show the same roster; who mutes at one is
// heard at the other.
func TestCluster(t *testing.T) {
	front, media := startCluster(t)
	dial(t, front, "x", "ann", 600) // is sent to the other node
	bob := dial(t, media, "x", "bob", 900)
	r := wantRoster(t, 5*time.Second, "x", "ann bob", front, media)
	if r.MediaNode != "media" {
		t.Errorf("media is on node %q, want media", r.MediaNode)
	}
	bob.hears(t, 600, true)

	if _, err := (&seat{base: front.Web + "/api/client/v2/conferences/x/"}).try(http.MethodPost, "request_token", map[string]any{"display_name": "op"}); err == nil || !strings.Contains(err.Error(), media.Web) {
		t.Errorf("a client at the wrong node is told %v, want the address %s", err, media.Web)
	}
	s := newSeat(t, media, "x")
	ids := s.participants(t, 3)
	s.post(t, "participants/"+ids["ann"]+"/mute", nil)
	eventually(t, 5*time.Second, func() error {
		r, err := front.roster("x")
		if err != nil || r == nil {
			return fmt.Errorf("no roster (%w)", err)
		}
		for _, p := range r.Participants {
			if p.Name == "ann" && p.AudioMuted {
				return nil
			}
		}
		return fmt.Errorf("ann is not muted in %v", r)
	})
	bob.hears(t, 600, false)
}

// TestNodeLost ends or freezes one of two nodes. Whoever was on it leaves the
// roster in two seconds; whoever was not stays, and stays audible.
func TestNodeLost(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGSTOP} {
		t.Run("media/"+sig.String(), func(t *testing.T) {
			front, media := startCluster(t)
			dial(t, front, "x", "ann", 600)
			dial(t, front, "x", "bob", 900)
			wantRoster(t, 5*time.Second, "x", "ann bob", front)
			lose(t, media, sig)
			wantRoster(t, 2500*time.Millisecond, "x", "", front)
		})
		t.Run("owner/"+sig.String(), func(t *testing.T) {
			front, media := startCluster(t)
			dial(t, front, "x", "ann", 600) // front is asked first: it owns the conference
			bob := dial(t, front, "x", "bob", 900)
			bob.hears(t, 600, true)
			before := wantRoster(t, 5*time.Second, "x", "ann bob", media)
			bob.reset()
			lose(t, front, sig)
			eventually(t, 10*time.Second, func() error {
				r, err := media.roster("x")
				switch {
				case err != nil:
					return err
				case r == nil || r.Epoch <= before.Epoch:
					return fmt.Errorf("nobody has taken the conference over: %+v", r)
				case r.names() != "ann bob":
					return fmt.Errorf("the new roster has %q", r.names())
				}
				return nil
			})
			bob.hears(t, 600, true)
			if gap := bob.gap(); gap > 60*time.Millisecond {
				t.Errorf("bob heard nothing for %v while another node took over", gap)
			}
		})
	}
}

// lose sends a signal that a process cannot handle, and thaws it at the end.
func lose(t *testing.T, p *program, sig syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
	if sig == syscall.SIGSTOP {
		t.Cleanup(func() { _ = p.cmd.Process.Signal(syscall.SIGCONT) })
	}
}
