package sip_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	pion "github.com/pion/rtp"

	"github.com/skybridge-media/skybridge/actors"
	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/actors/node"
)

// A remote is the end of camera control of a room system.
type remote struct {
	*testing.T
	conn *net.UDPConn
	to   netip.AddrPort
	seq  uint16
	id   string // of its participant
	*dialog
}

// newRemote is a room system in a room. Others may move its camera unless its
// direction is sendonly.
func newRemote(t *testing.T, h *house, room, direction string) *remote {
	t.Helper()
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback, 0)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	before := map[string]bool{}
	for _, p := range h.roster(room) {
		before[p.Id] = true
	}
	u := dialUA(t, "UDP", h.Server.Addrs().SIP)
	d := u.call(room, offer(videoOffer+fmt.Sprintf("m=application %d RTP/AVP 100\r\na=rtpmap:100 H224/4800\r\na=%s\r\n", conn.LocalAddr().(*net.UDPAddr).Port, direction)))
	m := regexp.MustCompile(`m=application (\d+) RTP/AVP 100\r\n(?:.*\r\n)*?a=rtpmap:100 H224/4800\r\n`).FindStringSubmatch(d.answer.body)
	if m == nil || m[1] == "0" {
		t.Fatalf("no camera control in\n%s", d.answer.body)
	}
	at, err := strconv.Atoi(m[1])
	if err != nil {
		t.Fatal(err)
	}
	r := &remote{T: t, conn: conn, to: netip.AddrPortFrom(loopback, uint16(at)), dialog: d}
	settled(t, "in the room", func() bool {
		for _, p := range h.roster(room) {
			if !before[p.Id] && p.State == conference.StateConnected && p.Camera == (direction != "sendonly") {
				r.id = p.Id
			}
		}
		return r.id != ""
	})
	return r
}

// heard waits until every call of a room has the roster of now.
func (h *house) heard(room string) {
	h.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	found, err := actors.Ask[*node.Found](ctx, h.sys, h.node, &node.Find{Alias: room})
	if err != nil {
		h.Fatal(err)
	}
	r, err := actors.Ask[*conference.Roster](ctx, h.sys, found.Conference, &conference.GetRoster{})
	if err != nil {
		h.Fatal(err)
	}
	settled(h.T, "heard by every call", func() bool { return h.Server.CamerasSee(r) })
}

func (r *remote) send(frame string) {
	r.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(frame, " ", ""))
	if err != nil {
		r.Fatal(err)
	}
	r.seq++
	p := pion.Packet{Header: pion.Header{Version: 2, PayloadType: 100, SequenceNumber: r.seq, SSRC: 77}, Payload: b}
	raw, err := p.Marshal()
	if err != nil {
		r.Fatal(err)
	}
	if _, err := r.conn.WriteToUDPAddrPort(raw, r.to); err != nil {
		r.Fatal(err)
	}
}

// gets wants the next frame to be this; empty: none comes.
func (r *remote) gets(want string) {
	r.Helper()
	wait := patience
	if want == "" {
		wait = 300 * time.Millisecond
	}
	_ = r.conn.SetReadDeadline(time.Now().Add(wait))
	buf := make([]byte, 1500)
	n, err := r.conn.Read(buf)
	switch {
	case err != nil && want == "":
		return
	case err != nil:
		r.Fatalf("%v, want %s", err, want)
	}
	var p pion.Packet
	if err := p.Unmarshal(buf[:n]); err != nil {
		r.Fatal(err)
	}
	b, _ := hex.DecodeString(strings.ReplaceAll(want, " ", ""))
	if !bytes.Equal(p.Payload, b) || p.PayloadType != 100 {
		r.Fatalf("got % x of type %d, want %s", p.Payload, p.PayloadType, want)
	}
}

const (
	wireList         = "00 71 03 0000 0000 00 c0 01 00 01 81"
	wireCapabilities = "00 71 03 0000 0000 00 c0 02 00 81 00 14 e0"
)

// TestCamera lets two room systems move each other's camera, and somebody in the
// conference one of them.
func TestCamera(t *testing.T) {
	h := newFloorHouse(t, 10)
	a := newRemote(t, h, "one", "sendrecv")
	a.gets(wireList)
	a.gets(wireCapabilities)
	a.send("00 61 03 0000 0000 00 c0 02 ff 81")
	a.gets(wireCapabilities)
	a.send("00 71 03 0000 0000 01 c0 01 80 0a") // nobody is there: its own stays where it is
	a.gets("")
	b := newRemote(t, h, "one", "sendrecv")
	b.gets(wireList)
	b.gets(wireCapabilities)
	h.heard("one")

	a.send("00 71 03 0000 0000 01 c0 01 b8 0a") // left, up, out
	b.gets("00 71 03 0000 0000 01 c0 01 b8 0a")
	a.send("00 71 03 0000 0000 01 c0 02 b8")
	b.gets("00 71 03 0000 0000 01 c0 02 b8")
	a.send("00 71 03 0000 0000 01 c0 03 b8")
	b.gets("00 71 03 0000 0000 01 c0 03 b8")
	a.send("7e 71 03 0000 0000 01 c0 01 80 0a")
	b.send("00 71 03 0000 0000 01 c0 01 c0 00")
	a.gets("00 71 03 0000 0000 01 c0 01 c0 00")

	h.ask("one", &conference.MoveCamera{
		From: b.id, To: a.id, Action: "start", TimeoutMs: 200,
		Movements: []*conference.Movement{{Axis: "tilt", Direction: "down"}, {Axis: "zoom", Direction: "in"}},
	})
	a.gets("00 71 03 0000 0000 01 c0 01 2c 04")

	// Guests move nothing, and with a third nobody knows whose camera is meant.
	h.ask("one", &conference.SetRole{Id: a.id, Role: conference.RoleGuest})
	h.heard("one")
	a.send("00 71 03 0000 0000 01 c0 01 80 0a")
	b.gets("")
	c := newRemote(t, h, "one", "sendonly")
	h.heard("one")
	b.send("00 71 03 0000 0000 01 c0 01 80 0a")
	a.gets("")
	a.bye()
	settled(t, "two", func() bool { return len(h.roster("one")) == 2 })
	h.heard("one")
	b.send("00 71 03 0000 0000 01 c0 01 80 0a") // its camera is not to be moved
	c.gets("")
	c.send("00 71 03 0000 0000 01 c0 01 80 0a")
	b.gets("00 71 03 0000 0000 01 c0 01 80 0a")

	// A hand that moves without end is slowed down.
	for range 200 {
		c.send("00 71 03 0000 0000 01 c0 02 80")
	}
	time.Sleep(300 * time.Millisecond)
	n := 0
	for _ = b.conn.SetReadDeadline(time.Now().Add(300 * time.Millisecond)); ; n++ {
		if _, err := b.conn.Read(make([]byte, 100)); err != nil {
			break
		}
	}
	if n < 10 || n > 30 {
		t.Errorf("%d of 200 movements at once were passed on, want about 20", n)
	}
	b.bye()
	c.bye()
	settled(t, "gone", func() bool { return h.Server.Calls() == 0 && h.Ports.Used() == 0 })
}

// Whoever sends to the port of camera control without end fills no mailbox.
func TestCameraFlood(t *testing.T) {
	h := newFloorHouse(t, 10)
	r := newRemote(t, h, "one", "sendrecv")
	r.gets(wireList)
	r.gets(wireCapabilities)
	waiting, resume := h.Server.Stall()
	for range 50 {
		for range 20 {
			r.send("00 71 03 0000 0000 01 c0 02 80")
		}
		time.Sleep(time.Millisecond) // the socket's buffer is not what is tested
	}
	time.Sleep(200 * time.Millisecond)
	if n := waiting(); n == 0 || n > 64 {
		t.Errorf("%d of 1000 frames wait for the call, want few", n)
	}
	resume()
	r.bye()
	settled(t, "gone", func() bool { return h.Server.Calls() == 0 && h.Ports.Used() == 0 })
}

// Camera control ends when the peer takes it back.
func TestCameraTakenBack(t *testing.T) {
	h := newFloorHouse(t, 10)
	r := newRemote(t, h, "one", "sendrecv")
	m := r.do("INVITE", 200, offer(version(2, videoOffer+"m=application 0 RTP/AVP 100\r\n")))
	r.ack(m, "")
	settled(t, "not to be moved", func() bool { return !h.roster("one")[0].Camera })
	settled(t, "port given back", func() bool { return h.Ports.Used() == 2 })
	r.bye()
}
