package sip

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// A Resolver looks names up. *net.Resolver implements it.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	LookupSRV(ctx context.Context, service, proto, name string) (cname string, addrs []*net.SRV, err error)
}

// maxHops is how many addresses are tried for one URI.
const maxHops = 8

var errUnresolved = errors.New("sip: no address found")

// resolve lists where a URI may be reached, best first (RFC 3263 section 4,
// without NAPTR). Names are asked for with and without SRV.
func resolve(ctx context.Context, r Resolver, uri sip.Uri) ([]streamKey, error) {
	host := strings.Trim(uri.Host, "[]")
	param, _ := uri.UriParams.Get("transport")
	proto := strings.ToUpper(param)
	switch {
	case uri.Scheme != "sip" && uri.Scheme != "sips":
		return nil, fmt.Errorf("sip: cannot call %.20q URIs", uri.Scheme)
	case uri.IsEncrypted() && (proto == "" || proto == "TCP"):
		proto = "TLS"
	case proto != "" && proto != "UDP" && proto != "TCP" && proto != "TLS", uri.IsEncrypted() && proto == "UDP":
		return nil, fmt.Errorf("sip: transport %.20q not supported", param)
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		proto = orUDP(proto)
		return []streamKey{{proto, netip.AddrPortFrom(addr.Unmap(), portOr(uri.Port, proto)), host}}, nil
	}
	var hops []streamKey
	if uri.Port == 0 {
		hops = lookupServices(ctx, r, host, proto)
	}
	if len(hops) == 0 {
		proto = orUDP(proto)
		hops = lookupHost(ctx, r, proto, host, portOr(uri.Port, proto), host)
	}
	if len(hops) == 0 {
		return nil, fmt.Errorf("%w: %s", errUnresolved, host)
	}
	return hops[:min(len(hops), maxHops)], nil
}

// lookupServices asks for SRV records of one transport, or of all.
func lookupServices(ctx context.Context, r Resolver, host, proto string) []streamKey {
	var hops []streamKey
	for _, s := range []struct{ proto, service, network string }{
		{"UDP", "sip", "udp"}, {"TCP", "sip", "tcp"}, {"TLS", "sips", "tcp"},
	} {
		if proto != s.proto && (proto != "" || s.proto == "TLS") {
			continue
		}
		_, records, err := r.LookupSRV(ctx, s.service, s.network, host)
		if err != nil {
			continue // most domains have none
		}
		for _, rec := range records {
			// The certificate is for the name that was called, not for what
			// DNS has made of it (RFC 5922 section 7.3).
			hops = append(hops, lookupHost(ctx, r, s.proto, strings.TrimSuffix(rec.Target, "."), rec.Port, host)...)
			if len(hops) >= maxHops {
				return hops
			}
		}
	}
	return hops
}

func lookupHost(ctx context.Context, r Resolver, proto, host string, port uint16, name string) []streamKey {
	addrs, err := r.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil
	}
	var hops []streamKey
	for _, a := range addrs {
		hops = append(hops, streamKey{proto, netip.AddrPortFrom(a.Unmap(), port), name})
	}
	return hops
}

func orUDP(proto string) string {
	if proto == "" {
		return "UDP"
	}
	return proto
}

func portOr(port int, proto string) uint16 {
	if port == 0 {
		port = sip.DefaultPort(proto)
	}
	return uint16(port)
}

// reach returns a flow to uri: that of the first address that can be had.
func (s *Server) reach(ctx context.Context, uri sip.Uri) (flow, error) {
	hops, err := resolve(ctx, s.resolver, uri)
	if err != nil {
		return nil, err
	}
	var failed error
	for _, hop := range hops {
		f, err := s.transport.flowTo(ctx, hop, s.dialTLS())
		if err == nil {
			return f, nil
		}
		failed = errors.Join(failed, err)
	}
	return nil, failed
}

// dialTLS is how we introduce ourselves to servers.
func (s *Server) dialTLS() *tls.Config {
	config := s.cfg.DialTLS.Clone()
	if config == nil {
		config = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if s.cfg.TLS != nil && len(config.Certificates) == 0 && config.GetClientCertificate == nil {
		config.Certificates = s.cfg.TLS.Certificates
	}
	return config
}
