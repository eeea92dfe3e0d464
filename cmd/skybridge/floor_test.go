package main

import (
	"context"
	"fmt"
	"image"
	"image/color"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/skybridge-media/skybridge/bench/caller"
	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/g722"
	"github.com/skybridge-media/skybridge/codecs/h264"
	"github.com/skybridge-media/skybridge/codecs/vp8"
	"github.com/skybridge-media/skybridge/codecs/yuv"
	"github.com/skybridge-media/skybridge/media/bridge"
	"github.com/skybridge-media/skybridge/services/sip/bfcp"
)

// A roomSystem is a caller by SIP with a second picture and floor control.
type roomSystem struct {
	call   *caller.SIP
	hangUp func() // once

	mu     sync.Mutex // guards what follows
	slides *image.RGBA
	events []string
}

// newRoomSystem calls a room, and sends slides of one colour, which are not shown
// before it has the floor.
func newRoomSystem(t *testing.T, p *program, room, name string, codec *codecs.Video, c color.RGBA) *roomSystem {
	t.Helper()
	r := &roomSystem{}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var err error
	r.call, err = caller.DialSIP(ctx, netip.MustParseAddrPort(p.SIP), room, caller.Config{
		Name: name, Audio: &g722.G722, Video: codec,
		Slides: &caller.Slides{Draw: caller.Solid(yuv.ColorOf(c)), Seen: r.look, Floor: r.hear},
	})
	if err != nil {
		t.Fatal(err)
	}
	r.hangUp = sync.OnceFunc(func() { _ = r.call.Close() })
	t.Cleanup(r.hangUp)
	if r.call.Floor() == nil {
		t.Fatal("no floor control was agreed on")
	}
	return r
}

func (r *roomSystem) look(p *bridge.SharedPicture) {
	img := p.Image()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.slides = img
}

func (r *roomSystem) hear(event any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch e := event.(type) {
	case bfcp.Decided:
		r.events = append(r.events, e.Status.String())
	case bfcp.Presenter:
		r.events = append(r.events, fmt.Sprintf("presenter %s %v", e.Name, e.Mine))
	}
}

// told waits until the last decision on its floor is this.
func (r *roomSystem) told(t *testing.T, want string) {
	t.Helper()
	eventually(t, 10*time.Second, func() error {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, e := range slices.Backward(r.events) {
			if strings.HasPrefix(e, "presenter") {
				continue
			}
			if e == want {
				return nil
			}
			break
		}
		return fmt.Errorf("it was told %q, want %s last", r.events, want)
	})
}

// sees waits until what is presented to it has a colour.
func (r *roomSystem) sees(t *testing.T, c color.RGBA) {
	t.Helper()
	eventually(t, 15*time.Second, func() error {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.slides == nil {
			return fmt.Errorf("nothing is presented")
		}
		if got := at(r.slides, 0.5, 0.5); !near(got, c) {
			return fmt.Errorf("%v is presented, want %v", got, c)
		}
		if size := r.slides.Bounds().Size(); size != image.Pt(1920, 1080) {
			return fmt.Errorf("%v is presented, want 1920x1080", size)
		}
		return nil
	})
}

// TestFloor lets two room systems present to each other by BFCP, and to a phone
// that knows nothing of it.
func TestFloor(t *testing.T) {
	p := startProgram(t, "serve", "--adhoc", "--adhoc-layout", "2x2", "--rtp-ports", "44300-44399")
	red, blue := color.RGBA{200, 30, 30, 255}, color.RGBA{30, 50, 200, 255}
	a := newRoomSystem(t, p, "board", "one", &h264.H264, red)
	b := newRoomSystem(t, p, "board", "two", &vp8.VP8, blue)
	phone := newViewer(t, p, "board")
	wantRoster(t, 5*time.Second, "board", "one two viewer", p)
	presentations := func(want float64) {
		t.Helper()
		eventually(t, 10*time.Second, func() error {
			if got := p.metric(t, "skybridge_bridge_presentations"); got != want {
				return fmt.Errorf("%v presentations, want %v", got, want)
			}
			return nil
		})
	}
	time.Sleep(time.Second)
	presentations(0) // both send, and nobody has the floor

	a.call.Floor().Request("slides")
	a.told(t, "granted")
	b.sees(t, red)
	phone.sees(t, red, true)
	presentations(1)
	if s := a.call.Stats(); s.ContentIn.Packets != 0 {
		t.Errorf("who presents is sent %d packets of it", s.ContentIn.Packets)
	}

	// Everybody is a host here, and takes over.
	b.call.Floor().Request("slides")
	b.told(t, "granted")
	a.told(t, "revoked")
	a.sees(t, blue)
	phone.sees(t, blue, true)

	b.call.Floor().Release()
	presentations(0)
	a.call.Floor().Request("slides")
	a.told(t, "granted")
	b.sees(t, red)
	a.hangUp()
	presentations(0)
	wantRoster(t, 5*time.Second, "board", "two viewer", p)
}

// TestFloorBetweenConferences joins two conferences by a call from one to the
// other: what is presented in either is seen in both.
func TestFloorBetweenConferences(t *testing.T) {
	near := startProgram(t, "serve", "--adhoc", "--rtp-ports", "44400-44499")
	far := startProgram(t, "serve", "--adhoc", "--rtp-ports", "44500-44599")
	red, blue := color.RGBA{200, 30, 30, 255}, color.RGBA{30, 50, 200, 255}
	a := newRoomSystem(t, near, "board", "near", &h264.H264, red)
	b := newRoomSystem(t, far, "hall", "far", &vp8.VP8, blue)
	newSeat(t, near, "board").post(t, "dial", map[string]any{"destination": "sip:hall@" + far.SIP, "protocol": "sip", "role": "HOST", "remote_display_name": "hall"})
	presentations := func(want float64) {
		t.Helper()
		eventually(t, 15*time.Second, func() error {
			for _, p := range []*program{near, far} {
				if got := p.metric(t, "skybridge_bridge_presentations"); got != want {
					return fmt.Errorf("%v presentations, want %v in each", got, want)
				}
			}
			return nil
		})
	}
	eventually(t, 10*time.Second, func() error {
		if r, err := far.roster("hall"); err != nil || len(r.Participants) != 2 {
			return fmt.Errorf("roster %+v, error %w", r, err)
		}
		return nil
	})

	a.call.Floor().Request("slides")
	a.told(t, "granted")
	b.sees(t, red)
	presentations(1)

	b.call.Floor().Request("slides") // a host, and so is the call between
	b.told(t, "granted")
	a.told(t, "revoked")
	a.sees(t, blue)
	presentations(1)

	b.call.Floor().Release()
	presentations(0)
	a.call.Floor().Request("slides")
	a.told(t, "granted")
	b.sees(t, red)
	a.call.Floor().Release()
	presentations(0)
}
