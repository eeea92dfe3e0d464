package webrtc

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/pion/ice/v4"
	piontransport "github.com/pion/transport/v5"
	"github.com/pion/transport/v5/stdnet"
	pion "github.com/pion/webrtc/v4"
	"golang.org/x/net/netutil"
)

// Limits of the TCP side, where a stranger can make us keep state. A
// connection must identify its call at once; what is queued for a slow one is
// about a second of HD video.
const (
	maxTCP       = 4096
	tcpHello     = 5 * time.Second
	tcpWriteSize = 512 << 10
	tcpReadQueue = 64
	udpBuffer    = 4 << 20 // of the kernel, per UDP socket
)

// sockets are what all calls of an Engine share.
type sockets struct {
	port     int
	udp      ice.UDPMux
	tcp      ice.TCPMux
	net      piontransport.Net  // lists the addresses that we listen on, and no others
	networks []pion.NetworkType // those of the addresses
}

// listen binds a UDP socket per address and TCP to one port number.
func listen(cfg Config, logs pionLogs) (*sockets, error) {
	addrs, err := addresses(cfg)
	if err != nil {
		return nil, err
	}
	n, err := newHostNet(addrs)
	if err != nil {
		return nil, err
	}
	// With port 0 the kernel picks one that is free for TCP. It may not be for
	// UDP; then another one is tried.
	attempts := 1
	if cfg.Port == 0 {
		attempts = 20
	}
	var tcp []net.Listener
	var udp []*net.UDPConn
	for range attempts {
		if tcp, udp, err = bind(addrs, cfg.Port); err == nil {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	log := logs.NewLogger("mux")
	s := &sockets{port: tcp[0].Addr().(*net.TCPAddr).Port, net: n, networks: networks(addrs)}
	var udps []ice.UDPMux
	for _, conn := range udp {
		// Best effort: the kernel caps it at net.core.rmem_max, and small
		// buffers cost packets in bursts, not calls.
		_ = conn.SetReadBuffer(udpBuffer)
		_ = conn.SetWriteBuffer(udpBuffer)
		udps = append(udps, ice.NewUDPMuxDefault(ice.UDPMuxParams{Logger: log, UDPConn: conn}))
	}
	s.udp = ice.NewMultiUDPMuxDefault(udps...)
	var tcps []ice.TCPMux
	for _, l := range tcp {
		tcps = append(tcps, ice.NewTCPMuxDefault(ice.TCPMuxParams{
			Logger:                       log,
			Listener:                     netutil.LimitListener(l, maxTCP),
			ReadBufferSize:               tcpReadQueue,
			WriteBufferSize:              tcpWriteSize,
			FirstStunBindTimeout:         tcpHello,
			AliveDurationForConnFromStun: tcpHello,
		}))
	}
	s.tcp = tcps[0]
	if len(tcps) > 1 {
		s.tcp = tcpMuxes(tcps)
	}
	return s, nil
}

// bind binds all sockets to one port, or none.
func bind(addrs []netip.Addr, port int) (tcp []net.Listener, udp []*net.UDPConn, err error) {
	defer func() {
		if err == nil {
			return
		}
		for _, l := range tcp {
			_ = l.Close()
		}
		for _, c := range udp {
			_ = c.Close()
		}
	}()
	for _, addr := range addrs {
		l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(addr, uint16(port))))
		if err != nil {
			return tcp, udp, err
		}
		tcp = append(tcp, l)
		port = l.Addr().(*net.TCPAddr).Port
		c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, uint16(port))))
		if err != nil {
			return tcp, udp, err
		}
		udp = append(udp, c)
	}
	return tcp, udp, nil
}

// Close closes the sockets. Calls that still use them fail.
func (s *sockets) Close() error {
	return errors.Join(s.udp.Close(), s.tcp.Close())
}

// addresses are those to listen on, at least one.
func addresses(cfg Config) ([]netip.Addr, error) {
	if cfg.Bind.IsValid() && !cfg.Bind.IsUnspecified() {
		return []netip.Addr{cfg.Bind.Unmap()}, nil
	}
	if cfg.Public.IsValid() {
		// The NAT maps one address of ours. Connecting a UDP socket sends
		// nothing and tells which.
		conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(cfg.Public, 9)))
		if err != nil {
			return nil, fmt.Errorf("find the address that reaches %s: %w", cfg.Public, err)
		}
		defer conn.Close()
		return []netip.Addr{conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()}, nil
	}
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	var addrs, loopback []netip.Addr
	for _, a := range all {
		prefix, err := netip.ParsePrefix(a.String())
		if err != nil {
			continue // not an IP address
		}
		switch addr := prefix.Addr(); {
		case addr.IsLoopback():
			loopback = append(loopback, addr)
		case addr.IsGlobalUnicast(): // private ones included
			addrs = append(addrs, addr)
		}
	}
	if len(addrs) == 0 {
		addrs = loopback // a machine without a network: its own browser can call
	}
	if len(addrs) == 0 {
		return nil, errors.New("no address to listen on")
	}
	return addrs, nil
}

func networks(addrs []netip.Addr) []pion.NetworkType {
	var v4, v6 bool
	for _, a := range addrs {
		v4 = v4 || a.Is4()
		v6 = v6 || !a.Is4()
	}
	var types []pion.NetworkType
	if v4 {
		types = append(types, pion.NetworkTypeUDP4, pion.NetworkTypeTCP4)
	}
	if v6 {
		types = append(types, pion.NetworkTypeUDP6, pion.NetworkTypeTCP6)
	}
	return types
}

// hostNet is the standard network with one made-up interface that has exactly
// the addresses we listen on. pion makes its TCP candidates from interfaces,
// not from listeners, so an address such as 127.0.0.2, or all but the one we
// were told to bind, would come out wrong.
type hostNet struct {
	*stdnet.Net
	interfaces []*piontransport.Interface
}

func newHostNet(addrs []netip.Addr) (*hostNet, error) {
	std, err := stdnet.NewNet()
	if err != nil {
		return nil, err
	}
	i := piontransport.NewInterface(net.Interface{Index: 1, MTU: 1500, Name: "skybridge", Flags: net.FlagUp | net.FlagMulticast})
	for _, a := range addrs {
		i.AddAddress(&net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(a.BitLen(), a.BitLen())})
	}
	return &hostNet{std, []*piontransport.Interface{i}}, nil
}

func (n *hostNet) Interfaces() ([]*piontransport.Interface, error) { return n.interfaces, nil }

// tcpMuxes is a TCPMux over one listener per address.
type tcpMuxes []ice.TCPMux

func (m tcpMuxes) GetConnByUfrag(ufrag string, v6 bool, local net.IP) (net.PacketConn, error) {
	for _, mux := range m {
		addr, ok := mux.(*ice.TCPMuxDefault).LocalAddr().(*net.TCPAddr)
		if ok && addr.IP.Equal(local) {
			return mux.GetConnByUfrag(ufrag, v6, local)
		}
	}
	return nil, fmt.Errorf("webrtc: no listener on %s", local)
}

func (m tcpMuxes) RemoveConnByUfrag(ufrag string) {
	for _, mux := range m {
		mux.RemoveConnByUfrag(ufrag)
	}
}

func (m tcpMuxes) Close() error {
	var err error
	for _, mux := range m {
		err = errors.Join(err, mux.Close())
	}
	return err
}
