package sip

import (
	"net"
	"net/netip"
	"sync/atomic"

	"github.com/emiago/sipgo/sip"
)

// A flow is one way to one peer: an address behind our UDP socket, or one
// connection. It is found by holding it, never by looking up an address: in
// sipgo's own pool a connection can be found under our listener's address, and
// a request for one peer then goes to whoever connected last. Safe for
// concurrent use.
type flow interface {
	sip.Connection

	network() string        // "UDP", "TCP" or "TLS"
	peer() netip.AddrPort   // the other end
	local() netip.AddrPort  // our end, as the peer sees it unless there is a NAT
	alive() bool            // false once nothing can be sent any more
	hold() (release func()) // keeps an idle connection open for a call
}

// A counted flow serves one transaction. It counts what sipgo's state machine
// sends, and what it sends again. Safe for concurrent use.
type counted struct {
	flow
	metrics *Metrics
	last    atomic.Value // the sip.Message sent last, to know it again
}

// message wraps a sip.Message for last, which takes one concrete type only.
type message struct{ sip.Message }

func (c *counted) WriteMsg(m sip.Message) error {
	again := false
	if prev, ok := c.last.Swap(message{m}).(message); ok {
		again = prev.Message == m
	}
	countSent(c.metrics, c.flow, m, again)
	return c.flow.WriteMsg(m)
}

func countSent(metrics *Metrics, f flow, m sip.Message, again bool) {
	metrics.messages.WithLabelValues(sent, f.network()).Inc()
	if again {
		metrics.retransmissions.WithLabelValues(sent).Inc()
		return
	}
	switch m := m.(type) {
	case *sip.Request:
		metrics.requests.WithLabelValues(sent, methodLabel(string(m.Method))).Inc()
	case *sip.Response:
		metrics.responses.WithLabelValues(sent, class(m.StatusCode)).Inc()
	}
}

// pinned is what a flow need not do: sipgo counts references to decide when to
// close a connection. Ours live until they are idle.
type pinned struct{}

func (pinned) Ref(int) int            { return 1 }
func (pinned) TryClose() (int, error) { return 1, nil }
func (pinned) Close() error           { return nil }

func addrPort(a net.Addr) netip.AddrPort {
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
