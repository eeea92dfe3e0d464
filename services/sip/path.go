package sip

import (
	"context"
	"net/netip"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"
)

// A path is where the next request of a dialog goes.
type path struct {
	flow flow    // to be used as it is, if it is alive; may be nil
	uri  sip.Uri // to be resolved otherwise
}

// path finds the way for the next request of d, which is the call's dialog, or
// an early one of the same call.
func (c *call) path(d *dialog) path {
	p := path{uri: d.hop()}
	switch {
	case c.flow == nil:
	case c.direction == incoming && c.flow.network() != "UDP":
		// Who has called us over a connection is behind it: the phone, which
		// a NAT may hide, or the proxy that put itself into the route.
		p.flow = c.flow
	case c.direction == outgoing && c.flow.network() != "UDP" && !elsewhere(p.uri, c.flow):
		// A certificate is for the name that was called, and a Contact often
		// an address: the connection that there is is the one that was meant.
		p.flow = c.flow
	case c.direction == incoming && len(d.routes) == 0 && c.hidden():
		p.flow = c.flow
	case c.last.flow != nil && c.last.uri == p.uri.String():
		p.flow = c.last.flow
	default:
		p.flow = c.s.direct(p.uri)
	}
	return p
}

// direct is the flow to a URI that needs no looking up and no connection; nil
// if it does.
func (s *Server) direct(uri sip.Uri) flow {
	if _, err := hostAddr(uri.Host); err != nil || s.transport.udp == nil {
		return nil
	}
	hops, err := resolve(s.life, s.resolver, uri)
	if err != nil || hops[0].proto != "UDP" {
		return nil
	}
	return &udpFlow{socket: s.transport.udp, to: hops[0].to}
}

// hidden reports whether the caller's Contact cannot be right because a NAT
// stands before it: its Via or its Contact say another address than its packets
// have.
func (c *call) hidden() bool {
	source := c.flow.peer().Addr()
	if a, err := hostAddr(c.viaHost); err == nil && a != source {
		return true
	}
	a, err := hostAddr(c.dialog.target.Host)
	return err == nil && a != source && a.IsPrivate() && !source.IsPrivate()
}

// elsewhere reports whether uri names an address that is not f's peer.
func elsewhere(uri sip.Uri, f flow) bool {
	a, err := hostAddr(uri.Host)
	return err == nil && a != f.peer().Addr()
}

// hostAddr is a host that is an address.
func hostAddr(host string) (netip.Addr, error) {
	a, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return a.Unmap(), err
}

// A hop remembers how a URI was reached, so that a dialog keeps to one way
// while it works.
type hop struct {
	uri  string
	flow flow
}

// request sends a request of the call's dialog. on is called on the call's
// goroutine with each response, and with an error if there is no final one; it
// may be nil. Requests without a name to be resolved or a connection to be made
// leave in the order of their calls.
func (c *call) request(req *sip.Request, on func(*sip.Response, error)) {
	c.requestIn(c.dialog, req, on)
}

// requestIn is request for a dialog that is not confirmed yet.
func (c *call) requestIn(d *dialog, req *sip.Request, on func(*sip.Response, error)) {
	report := func(res *sip.Response, err error) {
		if on != nil {
			c.inbox.post(func() { on(res, err) })
		}
	}
	c.along(d, req, func(f flow) error { return c.s.tx.send(req, f, report) }, func(err error) { report(nil, err) })
}

// acknowledge sends the ACK for a 2xx, which has no transaction (RFC 3261
// section 13.2.2.4).
func (c *call) acknowledge(ack *sip.Request) {
	c.along(c.dialog, ack, func(f flow) error {
		countSent(c.s.metrics, f, ack, false)
		return f.WriteMsg(ack)
	}, func(error) {})
}

// along finds a flow, completes req for it and sends it.
func (c *call) along(d *dialog, req *sip.Request, send func(flow) error, failed func(error)) {
	p := c.path(d)
	if p.flow != nil && p.flow.alive() {
		c.s.stampVia(req, p.flow, newBranch())
		if err := send(p.flow); err != nil {
			failed(err)
		}
		return
	}
	s := c.s
	s.routing.Add(1)
	c.background(func(ctx context.Context) {
		defer s.routing.Add(-1)
		ctx, cancel := context.WithTimeout(ctx, routePatience)
		defer cancel()
		f, err := s.reach(ctx, p.uri)
		if err == nil {
			c.inbox.post(func() { c.last = hop{p.uri.String(), f} })
			s.stampVia(req, f, newBranch())
			err = send(f)
		}
		if err != nil {
			c.log.Debug("request not sent", "method", string(req.Method), "err", err)
			failed(err)
		}
	})
}

// routePatience bounds how long a name is resolved and connections are tried.
const routePatience = 10 * time.Second
