package sip_test

import (
	"strings"
	"testing"

	"github.com/skybridge-media/skybridge/actors/participant"
)

func TestCall(t *testing.T) {
	for _, transport := range []string{"UDP", "TCP", "TLS"} {
		t.Run(transport, func(t *testing.T) {
			b := newBench(t, withTLS(t))
			c := newUA(b, transport).call("room")
			if !strings.Contains(c.answer.body, "m=audio ") {
				t.Errorf("no audio in the answer:\n%s", c.answer.body)
			}
			p := b.Node.participant(t, 0)
			if p.Alias != "room" || p.Name != "Alice" || p.Protocol != "sip" || !p.Audio || p.Video {
				t.Errorf("admitted %+v", p.Admit)
			}
			next[*participant.Connect](t, p)
			c.bye()
			if e := next[*participant.Ended](t, p); e.Reason.Code != "disconnected" {
				t.Errorf("ended with %+v", e.Reason)
			}
			settled(t, "gone", func() bool { return b.Server.Calls() == 0 })
		})
	}
}
