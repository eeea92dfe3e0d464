package rtp_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	pion "github.com/pion/rtp"

	"github.com/skybridge-media/skybridge/media/rtp"
)

// What the network repeats or delays moves nothing twice, or back.
func TestDataInOrder(t *testing.T) {
	var got []string
	h := rtp.DataHandler(func(payload []byte) { got = append(got, string(payload)) })
	take := func(ssrc uint32, seq uint16) {
		h.RTP(&pion.Packet{Header: pion.Header{SSRC: ssrc, SequenceNumber: seq}, Payload: fmt.Appendf(nil, "%d/%d", ssrc, seq)}, time.Time{})
	}
	for _, seq := range []uint16{65534, 65534, 65535, 65534, 1, 0, 65535, 2, 1} {
		take(7, seq)
	}
	take(7, 30000) // it has begun anew
	take(8, 29999) // and is another
	take(8, 29999)
	if want := []string{"7/65534", "7/65535", "7/1", "7/2", "7/30000", "8/29999"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// What is of another type than agreed is no data.
func TestDataOfAnotherType(t *testing.T) {
	loopback := netip.MustParseAddr("127.0.0.1")
	a, err := rtp.Listen(rtp.Config{Bind: loopback})
	must(t, err)
	t.Cleanup(func() { a.Close() })
	got := make(chan string, 10)
	a.Start(rtp.DataHandler(func(payload []byte) { got <- string(payload) }))
	b := listen(t, 1, nil)
	must(t, a.SetRemote(rtp.Remote{RTP: b.addr(1), RTCP: b.controlAddr(1), Types: []uint8{100}}))
	at := func(port int) netip.AddrPort { return netip.AddrPortFrom(loopback, uint16(port)) }
	must(t, b.SetRemote(rtp.Remote{RTP: at(a.Port()), RTCP: at(a.RTCPPort()), Types: []uint8{100}}))
	s := rtp.NewDataSender(4800)
	must(t, s.Send(b, 7, 99, []byte("no")))
	must(t, s.Send(b, 7, 100, []byte("yes")))
	select {
	case payload := <-got:
		if payload != "yes" {
			t.Errorf("got %q", payload)
		}
	case <-time.After(patience):
		t.Fatal("nothing came")
	}
}
