package echo

import (
	"sync"
	"time"

	"github.com/skybridge-media/skybridge/codecs/pcm"
	"github.com/skybridge-media/skybridge/media/bridge"
)

// A Desk is where one caller is told something: a bridge with a leg that speaks
// and writes, and does not echo. Safe for concurrent use.
type Desk struct {
	bridge *bridge.Bridge
	voice  *Echo

	mu sync.Mutex // held while the desk is closed, so that whoever closes it too waits
}

// The members of a desk's bridge.
const (
	clerk  = "desk"
	caller = "caller"
)

// NewDesk returns a Desk, which must be closed. It closes b.
func NewDesk(cfg Config, b *bridge.Bridge) *Desk {
	cfg.Deaf = true
	return &Desk{bridge: b, voice: New(cfg)}
}

// Receive lets leg hear and see the desk. What the leg sends is not looked at.
func (d *Desk) Receive(leg bridge.Leg) {
	d.bridge.Apply(&bridge.Plan{Layout: "1+0", Members: []bridge.Member{
		{ID: clerk}, {ID: caller, AudioMuted: true, NoTile: true},
	}})
	d.bridge.Attach(clerk, d.voice, false)
	d.bridge.Attach(caller, leg, false)
}

// Say says speech, of [Rate], in place of what is being said, and returns how long
// it is until that is over.
func (d *Desk) Say(speech pcm.Frame) time.Duration {
	d.voice.Hush()
	return d.voice.Say(speech)
}

// Show writes lines on the picture, in place of those before.
func (d *Desk) Show(lines []string) { d.voice.Show(lines) }

// Close ends everything, and returns when the leg is not touched any more. Later
// calls only wait for that.
func (d *Desk) Close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.bridge.Detach(caller)
	d.bridge.Close()
	d.voice.Close()
}
