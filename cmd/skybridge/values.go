package main

import (
	"fmt"
	"log/slog"
	"net/netip"
	"strconv"
	"strings"
)

// portRange is a flag of the form FIRST-LAST, both included.
type portRange struct{ First, Last uint16 }

func (p *portRange) String() string { return fmt.Sprintf("%d-%d", p.First, p.Last) }
func (p *portRange) Type() string   { return "ports" }

func (p *portRange) Set(s string) error {
	first, last, ok := strings.Cut(s, "-")
	a, errA := strconv.ParseUint(strings.TrimSpace(first), 10, 16)
	b, errB := strconv.ParseUint(strings.TrimSpace(last), 10, 16)
	switch {
	case !ok || errA != nil || errB != nil:
		return fmt.Errorf("%q is not of the form FIRST-LAST, such as 40000-49999", s)
	case a == 0 || b < a+1:
		return fmt.Errorf("%q must hold at least two ports, lowest first", s)
	}
	p.First, p.Last = uint16(a), uint16(b)
	return nil
}

// addrFlag is an IP address.
type addrFlag struct{ addr netip.Addr }

func (a *addrFlag) String() string { return a.addr.String() }
func (a *addrFlag) Type() string   { return "address" }

func (a *addrFlag) Set(s string) error {
	addr, err := netip.ParseAddr(s)
	if err != nil {
		return fmt.Errorf("%q is not an IP address", s)
	}
	a.addr = addr
	return nil
}

// levelFlag is the lowest level that is logged.
type levelFlag struct{ level slog.Level }

func (l *levelFlag) String() string { return strings.ToLower(l.level.String()) }
func (l *levelFlag) Type() string   { return "level" }

func (l *levelFlag) Set(s string) error {
	if l.level.UnmarshalText([]byte(s)) != nil {
		return fmt.Errorf("%q is not one of debug, info, warn, error", s)
	}
	return nil
}
