package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/pion/rtp"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/g711"
	"github.com/skybridge-media/skybridge/codecs/pcm"
	"github.com/skybridge-media/skybridge/media/tone"
)

// A tap stands between the phones of sipp, which do not listen, and a server.
// It relays SIP over UDP and, with sockets of its own for each call, RTP; what
// the server sends ends here, is decoded and judged. sipp sends captured
// packets from port 0, as no phone does; they leave the tap as the rest of the
// call does.
type tap struct {
	near, far *net.UDPConn // towards phones, and towards the server
	phones    atomic.Pointer[netip.AddrPort]

	mu    sync.Mutex // guards calls
	calls map[string]*tapped

	wg sync.WaitGroup
}

// A tapped call is one of a pair: a phone with tone a, and one with tone b.
type tapped struct {
	name      string // ends in a or b
	near, far *net.UDPConn
	server    atomic.Pointer[netip.AddrPort]

	// What the server sent, second by second. Read after tap.close.
	own, other []float64 // levels of the two tones, dBFS
}

// The tones of phones a and b, in Hz.
const toneA, toneB = 600, 1100

// newTap returns a tap in front of server; phones call its near socket.
func newTap(t *testing.T, server string) *tap {
	t.Helper()
	p := &tap{calls: map[string]*tapped{}, near: listenUDP(t)}
	conn, err := net.Dial("udp", server)
	if err != nil {
		t.Fatal(err)
	}
	p.far = conn.(*net.UDPConn)
	p.wg.Go(func() {
		relay(p.near, func(b []byte, from netip.AddrPort) {
			p.phones.Store(&from)
			_, _ = p.far.Write(p.rewrite(t, b)) // lost like any datagram
		})
	})
	p.wg.Go(func() {
		relay(p.far, func(b []byte, _ netip.AddrPort) {
			if to := p.phones.Load(); to != nil {
				_, _ = p.near.WriteToUDPAddrPort(p.rewrite(t, b), *to) // lost like any datagram
			}
		})
	})
	t.Cleanup(p.close)
	return p
}

func listenUDP(t *testing.T) *net.UDPConn {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// relay hands over what a socket receives until it is closed.
func relay(conn *net.UDPConn, to func([]byte, netip.AddrPort)) {
	buf := make([]byte, 65535)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil { // else the far end was not there
			to(buf[:n], from)
		}
	}
}

// close ends the tap; nothing changes in its calls from then on.
func (p *tap) close() {
	_ = p.near.Close()
	_ = p.far.Close()
	p.mu.Lock()
	for _, c := range p.calls {
		_ = c.near.Close()
		_ = c.far.Close()
	}
	p.mu.Unlock()
	p.wg.Wait()
}

var (
	callID        = regexp.MustCompile(`(?mi)^Call-ID: *(\S+)`)
	fromName      = regexp.MustCompile(`(?mi)^From: *"?(\w+)`)
	audioPort     = regexp.MustCompile(`(?m)^m=audio (\d+)`)
	contentLength = regexp.MustCompile(`(?mi)^Content-Length: *\d+`)
)

// rewrite puts the tap's sockets in the place of those in an offer or answer.
func (p *tap) rewrite(t *testing.T, message []byte) []byte {
	head, body, ok := strings.Cut(string(message), "\r\n\r\n")
	id, media := callID.FindStringSubmatch(head), audioPort.FindStringSubmatch(body)
	if !ok || id == nil || media == nil {
		return message
	}
	p.mu.Lock()
	c := p.calls[id[1]]
	if c == nil {
		c = &tapped{name: fromName.FindStringSubmatch(head)[1], near: listenUDP(t), far: listenUDP(t)}
		p.calls[id[1]] = c
		p.wg.Go(func() { relay(c.near, c.send) })
		p.wg.Go(func() { relay(c.far, c.listener()) })
	}
	p.mu.Unlock()
	socket := c.far
	if strings.HasPrefix(head, "SIP/2.0 200") {
		port, _ := strconv.ParseUint(media[1], 10, 16) // 0 reaches nobody, which the test notices
		at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(port))
		c.server.Store(&at)
		socket = c.near
	}
	body = audioPort.ReplaceAllString(body, fmt.Sprintf("m=audio %d", socket.LocalAddr().(*net.UDPAddr).Port))
	head = contentLength.ReplaceAllString(head, fmt.Sprintf("Content-Length: %d", len(body)))
	return []byte(head + "\r\n\r\n" + body)
}

// send relays what the phone says.
func (c *tapped) send(b []byte, _ netip.AddrPort) {
	if to := c.server.Load(); to != nil {
		_, _ = c.far.WriteToUDPAddrPort(b, *to) // lost like any datagram
	}
}

// listener hears what the server says to the phone.
func (c *tapped) listener() func([]byte, netip.AddrPort) {
	own, other := float64(toneA), float64(toneB)
	if strings.HasSuffix(c.name, "b") {
		own, other = other, own
	}
	var (
		second  pcm.Frame
		decoder codecs.AudioDecoder
	)
	decoder, _ = g711.PCMU.NewDecoder() // has no way to fail
	return func(b []byte, _ netip.AddrPort) {
		var p rtp.Packet
		if p.Unmarshal(b) != nil || p.PayloadType != 0 {
			return // RTCP
		}
		second, _ = decoder.Decode(second, p.Payload)
		if len(second) < g711.Rate {
			return
		}
		levels := tone.Detect(second, g711.Rate, own, other)
		c.own, c.other = append(c.own, levels[0]), append(c.other, levels[1])
		second = second[:0]
	}
}
