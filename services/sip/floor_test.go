package sip_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/skybridge-media/skybridge/actors"
	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/actors/node"
	"github.com/skybridge-media/skybridge/media/sdp"
	"github.com/skybridge-media/skybridge/services/sip"
	"github.com/skybridge-media/skybridge/services/sip/bfcp"
)

// roomSystem is what a Polycom room system offers of its pictures and its floor,
// in its order and with what it says beside.
func roomSystem(proto string, floorPort int) string {
	return audioOffer +
		"m=video 40002 RTP/AVP 109 110\r\nb=TIAS:1920000\r\na=rtpmap:109 H264/90000\r\na=fmtp:109 profile-level-id=42801f; max-mbps=108000; packetization-mode=1\r\n" +
		"a=rtpmap:110 H264/90000\r\na=fmtp:110 profile-level-id=42801f; max-mbps=108000\r\na=rtcp-fb:* ccm fir tmmbr\r\na=content:main\r\na=label:11\r\na=sendrecv\r\n" +
		fmt.Sprintf("m=application %d %s *\r\n", floorPort, proto) +
		"a=floorctrl:c-only s-only\r\na=confid:1\r\na=userid:2\r\na=floorid:1 mstrm:12\r\na=setup:actpass\r\na=connection:new\r\n" +
		"m=video 40006 RTP/AVP 109\r\nb=TIAS:1920000\r\na=rtpmap:109 H264/90000\r\na=fmtp:109 profile-level-id=42801f; max-mbps=108000; packetization-mode=1\r\n" +
		"a=rtcp-fb:* ccm fir tmmbr\r\na=content:slides\r\na=label:12\r\na=sendrecv\r\n" +
		"m=application 40008 RTP/AVP 100\r\na=rtpmap:100 H224/4800\r\na=sendrecv\r\n"
}

// newFloorHouse is a house whose calls may have slides.
func newFloorHouse(t *testing.T, hd float64, change ...func(*sip.Config, *sip.Deps)) *house {
	t.Helper()
	h := newHouse(t, append(change, func(_ *sip.Config, d *sip.Deps) {
		d.Media.Slides, d.Media.Floor, d.Media.Camera = true, sdp.FloorServer|sdp.FloorClient, true
	})...)
	h.sys.Root.Send(h.node, &node.SetCapacity{Capacity: node.TypicalCapacity(hd)})
	return h
}

// ask sends a command to a room's conference.
func (h *house) ask(room string, msg any) {
	h.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	found, err := actors.Ask[*node.Found](ctx, h.sys, h.node, &node.Find{Alias: room})
	if err != nil {
		h.Fatal(err)
	}
	if _, err := actors.Ask[*conference.Done](ctx, h.sys, found.Conference, msg); err != nil {
		h.Fatal(err)
	}
}

// presenter is who presents in a room.
func (h *house) presenter(room string) string {
	h.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	found, err := actors.Ask[*node.Found](ctx, h.sys, h.node, &node.Find{Alias: room})
	if err != nil || found.Conference == nil {
		return ""
	}
	r, err := actors.Ask[*conference.Roster](ctx, h.sys, found.Conference, &conference.GetRoster{})
	if err != nil {
		h.Fatal(err)
	}
	return r.Presenter
}

// A client is the peer's end of floor control.
type client struct {
	*bfcp.Endpoint
	events chan any
}

// controls reads from an answer how the floor is to be controlled, and begins to.
func controls(t *testing.T, body, proto string, conn net.PacketConn) *client {
	t.Helper()
	m := regexp.MustCompile(`m=application (\d+) ` + proto + ` \*\r\n([\s\S]*?)(m=|$)`).FindStringSubmatch(body)
	if m == nil || m[1] == "0" {
		t.Fatalf("no floor in\n%s", body)
	}
	number := func(pattern string) int {
		v := regexp.MustCompile(pattern).FindStringSubmatch(m[2])
		if v == nil {
			t.Fatalf("no %s in\n%s", pattern, m[2])
		}
		n, err := strconv.Atoi(v[1])
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if !strings.Contains(m[2], "s-only\r\n") {
		t.Errorf("we are no server:\n%s", m[2])
	}
	if label := number(`a=floorid:\d+ mstrm:(\d+)`); !strings.Contains(body, fmt.Sprintf("a=content:slides\r\na=label:%d\r\n", label)) {
		t.Errorf("the floor is for %d, which is not the slides:\n%s", label, body)
	}
	port, err := strconv.Atoi(m[1])
	if err != nil {
		t.Fatal(err)
	}
	c := &client{events: make(chan any, 100)}
	cfg := bfcp.Config{
		Floor: sdp.Floor{
			Proto: proto, Address: netip.AddrPortFrom(loopback, uint16(port)), Role: sdp.FloorClient, Active: true,
			Client: sdp.FloorID{
				Conference: uint32(number(`a=confid:(\d+)`)), User: uint16(number(`a=userid:(\d+)`)), Floor: uint16(number(`a=floorid:(\d+)`)),
			},
		},
		Notify: func(e any) { c.events <- e },
	}
	if conn != nil {
		c.Endpoint, err = bfcp.Datagrams(conn, cfg)
	} else {
		c.Endpoint, err = bfcp.Dial(nil, cfg)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	select {
	case e := <-c.events:
		if _, ok := e.(bfcp.Ready); !ok {
			t.Fatalf("%T %+v before the server was there", e, e)
		}
	case <-time.After(patience):
		t.Fatal("nobody controls the floor")
	}
	return c
}

// told waits for a decision on the peer's request.
func (c *client) told(t *testing.T, want bfcp.Status) {
	t.Helper()
	for {
		select {
		case e := <-c.events:
			d, ok := e.(bfcp.Decided)
			if !ok || d.Status == bfcp.Pending || d.Status == bfcp.Accepted {
				continue
			}
			if d.Status != want {
				t.Fatalf("the floor is %v, want %v", d.Status, want)
			}
			return
		case <-time.After(patience):
			t.Fatalf("the floor is not %v", want)
		}
	}
}

// TestFloor gives a room system the floor, over UDP and TCP, and takes it away.
func TestFloor(t *testing.T) {
	for _, proto := range []string{"UDP/BFCP", "TCP/BFCP"} {
		t.Run(proto, func(t *testing.T) {
			h := newFloorHouse(t, 10)
			u := dialUA(t, "UDP", h.Server.Addrs().SIP)
			var conn net.PacketConn
			at := 9
			if proto == "UDP/BFCP" {
				var err error
				if conn, err = net.ListenPacket("udp", "127.0.0.1:0"); err != nil {
					t.Fatal(err)
				}
				at = conn.LocalAddr().(*net.UDPAddr).Port
			}
			d := u.call("one", offer(roomSystem(proto, at)))
			if n := len(regexp.MustCompile(`m=video [1-9]\d* `).FindAllString(d.answer.body, -1)); n != 2 {
				t.Fatalf("%d pictures, want 2:\n%s", n, d.answer.body)
			}
			if strings.Contains(d.answer.body, "m=application 0 ") {
				t.Errorf("far end camera control is refused:\n%s", d.answer.body)
			}
			h.leased(2) // its picture, and what is presented
			c := controls(t, d.answer.body, proto, conn)
			self := h.roster("one")[0].Id

			c.Request("slides")
			c.told(t, bfcp.Granted)
			if got := h.presenter("one"); got != self {
				t.Errorf("%q presents, want %q", got, self)
			}
			h.ask("one", &conference.ReleaseFloor{}) // a host ends it
			c.told(t, bfcp.Revoked)

			c.Request("again")
			c.told(t, bfcp.Granted)
			c.Release()
			settled(t, "released", func() bool { return h.presenter("one") == "" })

			// Somebody else presents, and this one is no host: refused.
			other := u.call("one")
			h.ask("one", &conference.SetRole{Id: self, Role: conference.RoleGuest})
			var second string
			settled(t, "two in the room", func() bool {
				for _, p := range h.roster("one") {
					if p.Id != self {
						second = p.Id
					}
				}
				return second != ""
			})
			h.ask("one", &conference.TakeFloor{Id: second, Force: true})
			c.told(t, bfcp.Released) // its own release, before
			c.Request("me")
			c.told(t, bfcp.Denied)
			other.bye()
			settled(t, "free again", func() bool { return h.presenter("one") == "" })
			c.Request("now")
			c.told(t, bfcp.Granted)

			// A repeated description changes nothing, a changed one keeps the floor.
			again := strings.ReplaceAll(version(2, roomSystem(proto, at)), "a=connection:new", "a=connection:existing")
			m := d.do("INVITE", 200, offer(again))
			d.ack(m, "")
			if got, want := mLine(m.body, "application"), mLine(d.answer.body, "application"); got != want {
				t.Errorf("the floor has moved from %s to %s", want, got)
			}
			if got := h.presenter("one"); got != self {
				t.Errorf("%q presents after a re-INVITE", got)
			}
			// Without slides there is no floor, and nobody presents.
			m = d.do("INVITE", 200, offer(version(3, videoOffer)))
			d.ack(m, "")
			settled(t, "no presenter", func() bool { return h.presenter("one") == "" })
			h.leased(1)
			d.bye()
			settled(t, "gone", func() bool { return h.Server.Calls() == 0 && h.Ports.Used() == 0 })
			h.leased(0)
		})
	}
}

// The roster says who sees presentations in a stream of its own.
func TestSlidesInRoster(t *testing.T) {
	h := newFloorHouse(t, 10)
	u := dialUA(t, "UDP", h.Server.Addrs().SIP)
	d := u.call("one", offer(roomSystem("UDP/BFCP", 40004)))
	slides := func(want bool) {
		t.Helper()
		settled(t, fmt.Sprintf("slides apart: %v", want), func() bool {
			r := h.roster("one")
			return len(r) == 1 && r[0].Video && r[0].Slides == want
		})
	}
	slides(true)
	m := d.do("INVITE", 200, offer(version(2, videoOffer)))
	d.ack(m, "")
	slides(false)
	d.bye()
}

// Where there is no room for slides they are refused, and the call goes on.
func TestSlidesBeyondCapacity(t *testing.T) {
	h := newFloorHouse(t, 1.5)
	u := dialUA(t, "UDP", h.Server.Addrs().SIP)
	d := u.call("one", offer(roomSystem("UDP/BFCP", 40004)))
	if !strings.Contains(d.answer.body, "m=application 0 UDP/BFCP") || len(regexp.MustCompile(`m=video 0 `).FindAllString(d.answer.body, -1)) != 1 {
		t.Errorf("slides and their floor are not refused:\n%s", d.answer.body)
	}
	h.leased(1)
	d.bye()
	h.leased(0)
}
