package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/skybridge-media/skybridge/bench/caller"
	"github.com/skybridge-media/skybridge/codecs/h264"
	"github.com/skybridge-media/skybridge/codecs/opus"
	"github.com/skybridge-media/skybridge/codecs/pcm"
	"github.com/skybridge-media/skybridge/media/bridge"
	"github.com/skybridge-media/skybridge/media/tone"
)

const (
	askedAny  = "Please enter the PIN, followed by the hash key. Or press hash to join as a guest."
	askedAll  = "Please enter the PIN, followed by the hash key."
	saidWrong = "That PIN is not right. "
	saidBye   = "Too many wrong PINs were entered. Goodbye."
)

// A visitor calls a room and presses keys.
type visitor struct {
	*caller.SIP
	diary
	ink    atomic.Int64 // most bright pixels where is written
	hangUp func()
}

// visit calls a room. hz is what the visitor says, if not zero.
func visit(t *testing.T, p *program, room string, hz float64) *visitor {
	t.Helper()
	v := &visitor{}
	cfg := caller.Config{
		Name: "visitor", Audio: &opus.Mono, Video: &h264.H264, Heard: v.hear,
		Seen: func(pic *bridge.SharedPicture) { v.ink.Store(max(v.ink.Load(), int64(inkIn(pic)))) },
	}
	if hz > 0 {
		sine := tone.New(48000, -12, hz)
		cfg.Sound = func(dst pcm.Frame) { sine.Read(dst) }
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	call, err := caller.DialSIP(ctx, netip.MustParseAddrPort(p.SIP), room, cfg)
	if err != nil {
		t.Fatal(err)
	}
	v.SIP = call
	v.hangUp = sync.OnceFunc(func() { _ = call.Close() })
	t.Cleanup(v.hangUp)
	return v
}

// press presses keys as fast as people do.
func (v *visitor) press(t *testing.T, keys string) {
	t.Helper()
	pace := time.NewTicker(250 * time.Millisecond)
	defer pace.Stop()
	for _, key := range []byte(keys) {
		if err := v.Press(key); err != nil {
			t.Fatal(err)
		}
		<-pace.C
	}
}

// now is how much has been heard.
func (d *diary) now() time.Duration { return time.Duration(len(d.all())) * time.Second / 48000 }

// isTold waits until somebody has heard a text.
func isTold(t *testing.T, d *diary, text string) {
	t.Helper()
	speech := said(t, text)
	eventually(t, 30*time.Second, func() error {
		if match, _ := d.says(speech); match < 0.6 { // nothing is lost where a core is free: 0.95 and more
			return fmt.Errorf("%q: a correlation of %.2f", text, match)
		}
		return nil
	})
}

// told is everything that a phone has heard so far.
func (b *baresip) told(t *testing.T) *diary {
	t.Helper()
	raw := b.read(t, "heard.raw")
	d := &diary{heard: make(pcm.Frame, len(raw)/2)}
	for i := range d.heard {
		d.heard[i] = int16(binary.LittleEndian.Uint16([]byte(raw[2*i:])))
	}
	return d
}

// TestPIN lets callers into a room whose hosts have a PIN: one that enters it,
// and a real phone that enters a wrong one first. It hears nothing of the host
// before the right one, and is a host then. A third has no PIN.
func TestPIN(t *testing.T) {
	p := startWithRooms(t, "--rtp-ports", "44200-44299")
	host := visit(t, p, "council", 500)
	isTold(t, &host.diary, askedAny)
	if host.ink.Load() < 1000 {
		t.Errorf("%d bright pixels where it is written", host.ink.Load())
	}
	wantMetric(t, p, "skybridge_node_calls", 1)
	wantMetric(t, p, "skybridge_conference_active", 0)
	host.press(t, "4711#")
	wantMetric(t, p, "skybridge_conference_active", 1)
	inside := host.now() // nobody speaks any more, and words are full of tones

	b := startBaresip(t, baresipConfig{
		name: "phone", port: 5261, rate: 8000, toneHz: 800, color: "#1e32c8", display: 93, account: "audio_codecs=pcmu;video_codecs=h264",
	}, "sip:council@"+p.SIP)
	b.press(t, "0000#")
	speech := said(t, saidWrong+askedAny)
	eventually(t, 30*time.Second, func() error {
		if match, _ := b.told(t).says(speech); match < 0.6 {
			return fmt.Errorf("that the PIN is wrong: a correlation of %.2f", match)
		}
		return nil
	})
	hears := func() error {
		levels, err := b.heard(t, []float64{500, 3100})
		if err == nil && (levels[0] < -40 || levels[0] < levels[1]+20) {
			err = fmt.Errorf("500 Hz at %.0f dB, 3100 Hz at %.0f", levels[0], levels[1])
		}
		return err
	}
	for range 3 {
		if hears() == nil {
			t.Error("the phone hears the room without a PIN")
		}
	}
	if _, ok := host.when(800, inside); ok {
		t.Error("the phone is heard without a PIN")
	}
	b.press(t, "4711#")
	eventually(t, 20*time.Second, hears)
	eventually(t, 20*time.Second, func() error {
		if _, ok := host.when(800, inside); !ok {
			return errors.New("the host does not hear the phone")
		}
		return nil
	})

	guest := visit(t, p, "council", 0)
	guest.press(t, "#")
	seat := newSeatWithPIN(t, p, "council", "none")
	eventually(t, 20*time.Second, func() error {
		result, err := seat.try(http.MethodGet, "participants", nil)
		if err != nil {
			return err
		}
		var list []struct{ Role, Protocol string }
		if err := json.Unmarshal(result, &list); err != nil {
			return err
		}
		roles := map[string]int{}
		for _, p := range list {
			roles[p.Protocol+" "+p.Role]++
		}
		if roles["sip chair"] != 2 || roles["sip guest"] != 1 {
			return fmt.Errorf("roles: %v", roles)
		}
		return nil
	})
	inside = guest.now()
	eventually(t, 20*time.Second, func() error {
		if _, ok := guest.when(500, inside); !ok {
			return errors.New("the guest does not hear the host")
		}
		return nil
	})
}

// TestWrongPIN enters three wrong PINs, and is hung up on; another hangs up while
// it is asked. Nothing remains of them.
func TestWrongPIN(t *testing.T) {
	p := startWithRooms(t, "--rtp-ports", "44300-44399")
	wrong := visit(t, p, "vault", 0)
	isTold(t, &wrong.diary, askedAll)
	for _, pin := range []string{"0000#", "4712#", "#"} {
		wrong.press(t, pin)
	}
	select {
	case <-wrong.Done():
	case <-time.After(30 * time.Second):
		t.Fatal("the call goes on")
	}
	isTold(t, &wrong.diary, saidBye)

	shy := visit(t, p, "vault", 0)
	isTold(t, &shy.diary, askedAll)
	shy.hangUp()
	for _, name := range []string{"skybridge_node_calls", "skybridge_node_leased_hd_units", "skybridge_conference_active", "skybridge_bridge_legs"} {
		wantMetric(t, p, name, 0)
	}
}

// TestStopWhileAsked stops the program while a caller is asked: it must be gone in
// time, which the end of the test checks.
func TestStopWhileAsked(t *testing.T) {
	p := startWithRooms(t, "--rtp-ports", "44400-44499")
	v := visit(t, p, "vault", 0)
	isTold(t, &v.diary, askedAll)
	p.stop(t)
	select {
	case <-v.Done():
	case <-time.After(10 * time.Second):
		t.Error("the caller was not hung up on")
	}
}
