package node_test

import (
	"strings"
	"time"

	"github.com/skybridge-media/skybridge/actors/actortest"
	"github.com/skybridge-media/skybridge/actors/participant"
	"github.com/skybridge-media/skybridge/codecs/pcm"
	media "github.com/skybridge-media/skybridge/media/bridge"
)

// reception asks callers of a member for their PIN. What is said lasts a second.
func (n *member) reception() participant.Reception {
	texts := []string{""} // by length of the speech, beyond a second
	return participant.Reception{
		Open: func(room string) participant.Desk {
			return &desk{Bridge: n.bridges.New(room, nil), n: n, said: func(f pcm.Frame) string {
				n.s.mu.Lock()
				defer n.s.mu.Unlock()
				return texts[len(f)-48000]
			}}
		},
		Speak: func(text string) (pcm.Frame, error) {
			n.s.mu.Lock()
			defer n.s.mu.Unlock()
			texts = append(texts, text)
			return make(pcm.Frame, 48000+len(texts)-1), nil
		},
	}
}

// desk is a desk without media, that notes what is said at it.
type desk struct {
	*actortest.Bridge
	n    *member
	said func(pcm.Frame) string
}

// Receive implements participant.Desk.
func (d *desk) Receive(leg media.Leg) {
	d.n.mayPanic("desk")
	d.Attach("caller", leg, false)
}

// Close implements participant.Desk.
func (d *desk) Close() {
	time.Sleep(time.Duration(d.n.parting.Load()))
	d.Bridge.Close()
}

// Say implements participant.Desk.
func (d *desk) Say(speech pcm.Frame) time.Duration {
	if len(speech) > 0 {
		d.n.s.note("%s: the desk says: %s", d.n.Name, d.said(speech))
	}
	return time.Duration(len(speech)) * time.Second / 48000
}

// Show implements participant.Desk.
func (d *desk) Show(lines []string) {
	if stars := lines[len(lines)-1]; strings.HasPrefix(stars, "*") {
		d.n.s.note("%s: the desk shows: %s", d.n.Name, stars)
	}
}
