package sdp

import (
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// protocols are the transports we speak, and whether they are encrypted.
var protocols = map[string]bool{
	"RTP/AVP":   false,
	"RTP/AVPF":  false,
	"RTP/SAVP":  true,
	"RTP/SAVPF": true,
}

// stream reads from the peer's m-line what does not depend on codecs.
func (d *Description) stream(index int, k Kind) Stream {
	m := &d.Media[index]
	s := Stream{Kind: k, Index: index, Proto: m.Proto}
	addr, held := d.address(m)
	if addr.IsValid() {
		s.RTP = netip.AddrPortFrom(addr, uint16(m.Port))
		s.RTCP = m.controlAddress(s.RTP)
	}
	s.Mux = m.Attributes.Has("rtcp-mux")
	if s.Mux {
		s.RTCP = s.RTP
	}
	sends, receives := d.direction(m)
	s.Held = held || !receives
	s.Send, s.Recv = !s.Held, sends
	s.Content, _ = m.Attributes.Get("content")
	s.Label, _ = m.Attributes.Get("label")
	return s
}

// direction is what the peer does: a=sendrecv and its like, of the m-line or
// else of the session.
func (d *Description) direction(m *Media) (sends, receives bool) {
	for _, attributes := range []Attributes{m.Attributes, d.Attributes} {
		for _, a := range attributes {
			switch a.Key {
			case "sendrecv":
				return true, true
			case "sendonly":
				return true, false
			case "recvonly":
				return false, true
			case "inactive":
				return false, false
			}
		}
	}
	return true, true
}

// directionName is the attribute for what we do.
func directionName(send, recv bool) string {
	switch {
	case send && recv:
		return "sendrecv"
	case send:
		return "sendonly"
	case recv:
		return "recvonly"
	}
	return "inactive"
}

// controlAddress is where the peer receives RTCP: "a=rtcp:port [IN IP4 host]"
// (RFC 3605), otherwise the port above that of RTP.
func (m *Media) controlAddress(media netip.AddrPort) netip.AddrPort {
	v, _ := m.Attributes.Get("rtcp")
	f := strings.Fields(v)
	if len(f) > 0 {
		if port, err := strconv.ParseUint(f[0], 10, 16); err == nil && port > 0 {
			host := media.Addr()
			if len(f) == 4 {
				if a, err := netip.ParseAddr(f[3]); err == nil && !a.IsUnspecified() && !a.IsMulticast() {
					host = a.Unmap()
				}
			}
			return netip.AddrPortFrom(host, uint16(port))
		}
	}
	if media.Port() == 65535 {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(media.Addr(), media.Port()+1)
}

// tick is the unit of packet times.
const tick = 20 * time.Millisecond

// packetTime is what the peer wants in one packet, as whole ticks: a=ptime
// bounded by a=maxptime, at least one.
func (m *Media) packetTime() time.Duration {
	const longest = 60 * time.Millisecond
	t := tick
	if v, ok := m.milliseconds("ptime"); ok {
		t = min(v, longest)
	}
	if v, ok := m.milliseconds("maxptime"); ok {
		t = min(t, v)
	}
	return max(t/tick*tick, tick)
}

func (m *Media) milliseconds(key string) (time.Duration, bool) {
	v, _ := m.Attributes.Get(key)
	f, err := strconv.ParseFloat(v, 64)
	if err != nil || !(f > 0 && f < 10000) {
		return 0, false
	}
	return time.Duration(f * float64(time.Millisecond)), true
}

// How much of b=AS is headers (RFC 3890 section 1): IP, UDP and RTP, 40 bytes
// per packet of 20 ms audio, and about a twentieth of video.
const (
	audioHeaders = 40 * 8 * 50
	videoShare   = 0.95
)

// bitrate is the most media the b= lines allow, in bit/s; zero: no limit. TIAS
// wins over AS because it says what it counts. A zero is no limit either:
// endpoints that write b=AS:0 mean anything but silence.
func bitrate(lines []Bandwidth, k Kind) int {
	limit := 0
	for _, b := range lines {
		switch {
		case b.Value <= 0 || b.Value > 1e9:
		case b.Type == "TIAS":
			return b.Value
		case b.Type == "AS" && k == Audio:
			limit = max(b.Value*1000-audioHeaders, 6000)
		case b.Type == "AS":
			limit = int(float64(b.Value*1000) * videoShare)
		}
	}
	return limit
}

// capBitrates applies the session's b= lines to all streams together. Audio
// is served first; picture and slides may each take the rest, because rooms
// lower the one when the other begins.
func (d *Description) capBitrates(streams []Stream) {
	const audioShare = 64_000
	total := bitrate(d.Bandwidth, Video)
	if total == 0 {
		return
	}
	if len(streams) > 1 {
		total = max(total-audioShare, audioShare)
	}
	for i := range streams {
		if s := &streams[i]; s.Kind.moving() || len(streams) == 1 {
			s.Bitrate = least(s.Bitrate, total)
		}
	}
}

// least is the smaller limit, where zero is none.
func least(a, b int) int {
	if a == 0 || b == 0 {
		return a + b
	}
	return min(a, b)
}
