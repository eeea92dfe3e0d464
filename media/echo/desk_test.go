package echo_test

import (
	"testing"
	"time"

	"github.com/skybridge-media/skybridge/codecs/h264"
	"github.com/skybridge-media/skybridge/codecs/opus"
	"github.com/skybridge-media/skybridge/codecs/pcm"
	"github.com/skybridge-media/skybridge/codecs/vp8"
	"github.com/skybridge-media/skybridge/media/bridge"
	"github.com/skybridge-media/skybridge/media/echo"
	"github.com/skybridge-media/skybridge/media/payload"
	"github.com/skybridge-media/skybridge/media/tone"
)

// TestDesk speaks to a caller, who interrupts it, and does not hear itself.
func TestDesk(t *testing.T) {
	c := &caller{t: t}
	var err error
	if c.decoder, err = opus.Mono.NewDecoder(); err != nil {
		t.Fatal(err)
	}
	if c.eye, err = vp8.VP8.NewDecoder(); err != nil {
		t.Fatal(err)
	}
	if c.units, err = payload.NewAssembler("VP8", nil); err != nil {
		t.Fatal(err)
	}
	workers := bridge.NewWorkers(2)
	d := echo.NewDesk(echo.Config{Video: &h264.H264, Workers: workers}, bridge.New(bridge.Config{Workers: workers}))
	t.Cleanup(func() {
		d.Close()
		workers.Close()
		_ = c.decoder.Close()
		_ = c.eye.Close()
	})
	c.says(440)
	d.Show([]string{"Please enter the PIN,", "followed by the hash key."})
	d.Receive(c)
	after(t, "the writing", func() bool { return c.ink() > 500 })

	speech := make(pcm.Frame, 30*echo.Rate)
	tone.New(echo.Rate, -12, 1000).Read(speech)
	if lasts := d.Say(speech); lasts != 30*time.Second {
		t.Errorf("half a minute of speech lasts %v", lasts)
	}
	after(t, "the speech", func() bool { return c.hears(1000) })
	if lasts := d.Say(nil); lasts != 0 {
		t.Errorf("nothing lasts %v", lasts)
	}
	after(t, "silence", func() bool { return !c.hears(1000) })

	// Two seconds are more than an echo would take.
	c.mu.Lock()
	c.heard = nil
	c.mu.Unlock()
	after(t, "two seconds", func() bool {
		if c.hears(440) {
			t.Fatal("the caller hears itself")
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.heard) > 2*echo.Rate
	})

	d.Close()
	c.mu.Lock()
	n := len(c.heard)
	c.mu.Unlock()
	d.Say(speech)
	d.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.heard) != n {
		t.Error("the caller hears a desk that is closed")
	}
}
