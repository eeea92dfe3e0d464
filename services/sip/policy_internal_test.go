package sip

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/actors/node"
	"github.com/skybridge-media/skybridge/bus"
	"github.com/skybridge-media/skybridge/media/rtp"
)

// TestRefusalsAreTotal: every code of the bus has a response.
func TestRefusalsAreTotal(t *testing.T) {
	for _, code := range []bus.Code{bus.Internal, bus.Invalid, bus.NotFound, bus.Conflict, bus.Forbidden, bus.Full, bus.Unavailable} {
		if r, ok := refusals[code]; !ok || r.code < 400 || r.reason == "" {
			t.Errorf("%s: %+v", code, r)
		}
	}
	if len(refusals) != 7 {
		t.Errorf("%d codes are mapped; this test knows 7", len(refusals))
	}
	tests := []struct {
		err        error
		want       string
		retryAfter bool
	}{
		{node.ErrNotFound, "404 Not Found", false},
		{conference.ErrLocked, "403 Forbidden", false},
		{conference.ErrFull, "486 Busy Here", false},
		{conference.Refuse(conference.ErrFull), "486 Busy Here", false}, // as it comes from another node
		{node.ErrCapacity, "503 Capacity Exceeded", true},
		{node.ErrDraining, "503 Service Unavailable", true},
		{fmt.Errorf("open audio: %w", rtp.ErrNoPorts), "503 Capacity Exceeded", true},
		{errors.New("dial tcp 10.0.0.7: refused"), "500 Server Internal Error", false},
	}
	for _, tt := range tests {
		r := refusalFor(tt.err)
		if got := fmt.Sprintf("%d %s", r.code, r.reason); got != tt.want || (len(r.headers) == 1) != tt.retryAfter {
			t.Errorf("%v is answered with %s %v, want %s", tt.err, got, r.headers, tt.want)
		}
	}
}

// TestAnswerExpiry is the table of RFC 4028 section 9, with our 1800 and 90 s.
func TestAnswerExpiry(t *testing.T) {
	tests := []struct {
		in   string
		want string
	}{
		{"", "1800 we"},
		{"Supported: timer", "1800 they"},
		{"Supported: timer\nSession-Expires: 600", "600 they"},
		{"Supported: timer\nSession-Expires: 600;refresher=uac", "600 they"},
		{"Supported: timer\nSession-Expires: 600;refresher=uas", "600 we"},
		{"Supported: timer\nSession-Expires: 7200", "1800 they"},
		{"Supported: timer\nSession-Expires: 7200\nMin-SE: 3600", "3600 they"},
		{"Supported: timer\nSession-Expires: 89", "422"},
		{"Session-Expires: 600", "600 we"},
		{"Session-Expires: 10", "90 we"}, // a proxy's; who called does not know 422
		{"Supported: timer\nSession-Expires: 0", "400"},
		{"Supported: timer\nSession-Expires: x", "400"},
		{"Supported: timer\nSession-Expires: -5", "400"},
		{"Min-SE: much", "400"},
	}
	for _, tt := range tests {
		req := sip.NewRequest(sip.INVITE, sip.Uri{})
		for line := range strings.SplitSeq(tt.in, "\n") {
			if name, value, ok := strings.Cut(line, ": "); ok {
				req.AppendHeader(sip.NewHeader(name, value))
			}
		}
		got := "400"
		if e, ok := parseExpiry(req); ok {
			s, why := answerExpiry(e, 1800*time.Second, 90*time.Second)
			switch {
			case why != nil:
				got = fmt.Sprint(why.code)
			case s.refresh:
				got = fmt.Sprintf("%d we", s.interval/time.Second)
			default:
				got = fmt.Sprintf("%d they", s.interval/time.Second)
			}
		}
		if got != tt.want {
			t.Errorf("%q is answered with %s, want %s", tt.in, got, tt.want)
		}
	}
}

type zone struct {
	hosts map[string]string
	srv   map[string]string
}

func (z zone) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	var as []netip.Addr
	for a := range strings.FieldsSeq(z.hosts[host]) {
		as = append(as, netip.MustParseAddr(a))
	}
	if len(as) == 0 {
		return nil, errors.New("no such host")
	}
	return as, nil
}

func (z zone) LookupSRV(_ context.Context, service, proto, name string) (string, []*net.SRV, error) {
	var rs []*net.SRV
	for target := range strings.FieldsSeq(z.srv["_"+service+"._"+proto+"."+name]) {
		host, port, _ := net.SplitHostPort(target)
		n, err := net.LookupPort("tcp", port)
		if err != nil {
			return "", nil, err
		}
		rs = append(rs, &net.SRV{Target: host + ".", Port: uint16(n)})
	}
	if len(rs) == 0 {
		return "", nil, errors.New("no such record")
	}
	return name, rs, nil
}

// TestResolve: RFC 3263 section 4.
func TestResolve(t *testing.T) {
	z := zone{
		hosts: map[string]string{"a.test": "192.0.2.1 2001:db8::1", "b.test": "192.0.2.2"},
		srv: map[string]string{
			"_sip._udp.d.test": "b.test:5070", "_sip._tcp.d.test": "b.test:5080 a.test:5081", "_sips._tcp.d.test": "b.test:5090",
		},
	}
	tests := []struct{ uri, want string }{
		{"sip:x@192.0.2.9", "UDP 192.0.2.9:5060 192.0.2.9"},
		{"sip:x@192.0.2.9:5062;transport=tcp", "TCP 192.0.2.9:5062 192.0.2.9"},
		{"sips:x@192.0.2.9", "TLS 192.0.2.9:5061 192.0.2.9"},
		{"sips:x@192.0.2.9;transport=tcp", "TLS 192.0.2.9:5061 192.0.2.9"},
		{"sip:x@[2001:db8::9]:5070;transport=TLS", "TLS [2001:db8::9]:5070 2001:db8::9"},
		{"sip:x@a.test:5070", "UDP 192.0.2.1:5070 a.test, UDP [2001:db8::1]:5070 a.test"},
		{"sip:x@a.test", "UDP 192.0.2.1:5060 a.test, UDP [2001:db8::1]:5060 a.test"},
		{"sip:x@d.test", "UDP 192.0.2.2:5070 d.test, TCP 192.0.2.2:5080 d.test, TCP 192.0.2.1:5081 d.test, TCP [2001:db8::1]:5081 d.test"},
		{"sip:x@d.test;transport=tls", "TLS 192.0.2.2:5090 d.test"},
		{"sips:x@d.test", "TLS 192.0.2.2:5090 d.test"},
		{"sips:x@192.0.2.9;transport=udp", "error"},
		{"sip:x@192.0.2.9;transport=sctp", "error"},
		{"sip:x@nowhere.test", "error"},
		{"tel:+1", "error"},
	}
	for _, tt := range tests {
		uri, err := parseURI(tt.uri)
		if err != nil {
			t.Fatal(err)
		}
		hops, err := resolve(t.Context(), z, uri)
		var got []string
		for _, h := range hops {
			got = append(got, fmt.Sprintf("%s %s %s", h.proto, h.to, h.name))
		}
		if err != nil {
			got = []string{"error"}
		}
		if s := strings.Join(got, ", "); s != tt.want {
			t.Errorf("%s is at %s, want %s", tt.uri, s, tt.want)
		}
	}
}

func TestGuard(t *testing.T) {
	g := newGuard(10)
	now := time.Now()
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	admitted := func(who netip.Addr, n int) (count int) {
		for range n {
			if g.admits(who, now) {
				count++
			}
		}
		return count
	}
	if n := admitted(a, 100); n != 20 {
		t.Errorf("%d in a burst, want 20", n)
	}
	if n := admitted(b, 5); n != 5 && g.bucket(a) != g.bucket(b) {
		t.Errorf("%d of another source, want 5", n)
	}
	now = now.Add(time.Second)
	if n := admitted(a, 100); n != 10 {
		t.Errorf("%d a second later, want 10", n)
	}
	// Addresses of one IPv6 subscriber are one source.
	one, two := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::ffff:1")
	if g.bucket(one) != g.bucket(two) {
		t.Error("neighbours in a /64 have two buckets")
	}
	if g.vouched(a, now) {
		t.Error("vouched for without a reason")
	}
	g.vouch(a, now)
	if !g.vouched(a, now.Add(59*time.Minute)) || g.vouched(a, now.Add(61*time.Minute)) {
		t.Error("vouched for, for another time than an hour")
	}
	if n := testing.AllocsPerRun(100, func() { g.admits(a, now) }); n != 0 {
		t.Errorf("%v allocations per message", n)
	}
}

func TestConfig(t *testing.T) {
	tests := []struct {
		change func(*Config)
		want   string
	}{
		{func(c *Config) { c.Port = 70000 }, "port 70000"},
		{func(c *Config) { c.TLSPort = -1 }, "TLS port -1"},
		{func(c *Config) { c.Crypto = "sometimes" }, `crypto policy "sometimes"`},
		{func(c *Config) { c.MinSE = time.Second }, "Min-SE 1s"},
		{func(c *Config) { c.SessionExpires = time.Minute }, "Session-Expires 1m0s"},
		{func(c *Config) { c.Public = netip.IPv4Unspecified() }, "public address"},
		{func(*Config) {}, ""},
	}
	for _, tt := range tests {
		var c Config
		tt.change(&c)
		err := c.validate()
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("got %v, want %q", err, tt.want)
		}
	}
}
