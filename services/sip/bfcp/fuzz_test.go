package bfcp_test

import (
	"encoding/binary"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skybridge-media/skybridge/media/sdp"
	"github.com/skybridge-media/skybridge/services/sip/bfcp"
)

// FuzzEndpoint: whatever a peer that knows the identifiers sends, in whatever
// order, an endpoint in both roles goes on answering, and each answer can be
// read.
func FuzzEndpoint(f *testing.F) {
	var all []byte
	for _, tt := range conformance {
		wire := octets(f, tt.wire)
		f.Add(append([]byte{byte(len(wire))}, wire...))
		all = append(append(all, byte(len(wire))), wire...)
	}
	f.Add(all)
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) > 2000 {
			return
		}
		dialled(t, sdp.FloorClient|sdp.FloorServer, func(t *testing.T, p *phone, s *side) {
			s.happen = func(event any) {
				if r, ok := event.(bfcp.Requested); ok && r.ID%2 == 0 {
					s.Grant(r.ID)
				}
			}
			s.Request("")
			// Each message has its length before it; its identifiers are made
			// right.
			for len(script) > 0 {
				n := min(int(script[0]), len(script)-1)
				b := append([]byte(nil), script[1:1+n]...)
				script = script[1+n:]
				if len(b) >= 12 {
					binary.BigEndian.PutUint32(b[4:], id.Conference)
					binary.BigEndian.PutUint16(b[10:], id.User)
				}
				p.raw(b)
				time.Sleep(time.Duration(n) * 10 * time.Millisecond)
				p.received()
			}
			time.Sleep(time.Minute)
			p.received()
			hello := numbered(0x7777, message(bfcp.Hello))
			if got := p.exchange(hello); len(got) == 0 {
				t.Error("it does not answer any more")
			}
			s.Close()
			synctest.Wait()
		})
	})
}
