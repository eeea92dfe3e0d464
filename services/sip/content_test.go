package sip_test

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/actors/node"
	"github.com/skybridge-media/skybridge/actors/participant"
	"github.com/skybridge-media/skybridge/media/sdp"
	"github.com/skybridge-media/skybridge/services/sip"
	"github.com/skybridge-media/skybridge/services/sip/bfcp"
)

// dial lets the service call u from a room.
func (h *house) dial(u *ua, room string) *called {
	h.Helper()
	h.Server.Dial(node.NewCall(), node.Dial{Alias: room, URI: "sip:bob@" + u.local.String()})
	return &called{ua: u, invite: u.expectRequest("INVITE"), tag: fmt.Sprintf("bob%d", unique.Add(1))}
}

// roomAnswer is what a room system answers to our offer, in the order of its
// m-lines. The control is what it says of floor control, empty if it refuses
// that.
func roomAnswer(control string) string {
	body := "v=0\r\no=- 7 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n"
	for i, content := range []string{"main", "slides"} {
		body += fmt.Sprintf("m=video %d RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 profile-level-id=42801f;packetization-mode=1\r\na=content:%s\r\n", 40002+2*i, content)
	}
	if control == "" {
		return body + "m=application 0 UDP/BFCP *\r\n"
	}
	return body + "a=label:12\r\n" + control
}

// TestDialWithSlides calls a room system that presents, and is presented to.
func TestDialWithSlides(t *testing.T) {
	h := newFloorHouse(t, 10)
	c := h.dial(dialUA(t, "UDP", h.Server.Addrs().SIP), "one")
	for _, want := range []string{
		"a=content:main\r\n", "a=content:slides\r\na=label:3\r\n", "a=floorctrl:c-only s-only\r\n", "a=floorid:1 mstrm:3\r\n", "a=bfcpver:2\r\n",
	} {
		if !strings.Contains(c.invite.body, want) {
			t.Errorf("no %q in\n%s", want, c.invite.body)
		}
	}
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c.answer(c.with(roomAnswer(fmt.Sprintf("m=application %d UDP/BFCP *\r\na=floorctrl:c-only\r\n", conn.LocalAddr().(*net.UDPAddr).Port))))
	floor := controls(t, c.invite.body, "UDP/BFCP", conn)
	h.leased(2)
	self := h.roster("one")[0].Id
	floor.Request("slides")
	floor.told(t, bfcp.Granted)
	if got := h.presenter("one"); got != self {
		t.Errorf("%q presents, want %q", got, self)
	}
	h.ask("one", &conference.ReleaseFloor{})
	floor.told(t, bfcp.Revoked)
	c.bye()
	settled(t, "gone", func() bool { return h.Server.Calls() == 0 && h.Ports.Used() == 0 })
	h.leased(0)
}

// What the peer does not take is given back, and the call goes on.
func TestDialSlidesRefused(t *testing.T) {
	for name, body := range map[string]string{
		"by port zero":    strings.Replace(roomAnswer(""), "m=video 40004", "m=video 0", 1),
		"by missing line": audioAnswer[:strings.Index(audioAnswer, "m=video")] + "m=video 40002 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			h := newFloorHouse(t, 10)
			c := h.dial(dialUA(t, "UDP", h.Server.Addrs().SIP), "one")
			h.leased(2) // it may take all
			c.answer(c.with(body))
			h.leased(1)
			settled(t, "two streams, no floor", func() bool { return h.Ports.Used() == 2 })
			c.bye()
			settled(t, "gone", func() bool { return h.Server.Calls() == 0 && h.Ports.Used() == 0 })
			h.leased(0)
		})
	}
	t.Run("with sound alone", func(t *testing.T) {
		h := newFloorHouse(t, 10)
		c := h.dial(dialUA(t, "UDP", h.Server.Addrs().SIP), "one")
		c.answer() // no video
		h.leased(1.0 / 40)
		c.bye()
		h.leased(0)
	})
}

// A peer that refuses the call for what it does not know is called without it.
func TestDialAgainWithoutSlides(t *testing.T) {
	for _, code := range []int{400, 415, 488, 606} {
		t.Run(strconv.Itoa(code), func(t *testing.T) {
			h := newFloorHouse(t, 10)
			c := h.dial(dialUA(t, "UDP", h.Server.Addrs().SIP), "one")
			first := c.invite
			c.reply(first, code, "No")
			c.expectRequest("ACK")
			c.invite = c.expectRequest("INVITE")
			if strings.Contains(c.invite.body, "slides") || strings.Contains(c.invite.body, "BFCP") || !strings.Contains(c.invite.body, "m=video ") {
				t.Errorf("offered\n%s", c.invite.body)
			}
			var seq, next int
			fmt.Sscan(first.header("CSeq"), &seq)
			fmt.Sscan(c.invite.header("CSeq"), &next)
			if next != seq+1 || c.invite.header("Call-ID") != first.header("Call-ID") {
				t.Errorf("CSeq %d after %d, Call-ID %s after %s", next, seq, c.invite.header("Call-ID"), first.header("Call-ID"))
			}
			c.answer(c.with(roomAnswer("")[:strings.Index(roomAnswer(""), "m=video 40004")]))
			settled(t, "connected", func() bool {
				r := h.roster("one")
				return len(r) == 1 && r[0].State == conference.StateConnected && r[0].Video
			})
			h.leased(1)
			c.bye()
			settled(t, "gone", func() bool { return h.Server.Calls() == 0 && h.Ports.Used() == 0 })
		})
	}
	t.Run("once", func(t *testing.T) {
		b := newBench(t, func(_ *sip.Config, d *sip.Deps) { d.Media.Slides, d.Media.Floor = true, sdp.FloorServer })
		c := b.dial(newUA(b, "UDP"))
		for range 2 {
			c.reply(c.invite, 488, "Not Acceptable Here")
			c.expectRequest("ACK")
			if !strings.Contains(c.invite.body, "slides") {
				break
			}
			c.invite = c.expectRequest("INVITE")
		}
		next[*participant.Ended](t, b.Node.participant(t, 0))
		c.silence(300 * time.Millisecond)
	})
}

// Without room for slides none are offered.
func TestDialWithoutRoomForSlides(t *testing.T) {
	h := newFloorHouse(t, 1.5)
	c := h.dial(dialUA(t, "UDP", h.Server.Addrs().SIP), "one")
	if strings.Contains(c.invite.body, "slides") || !strings.Contains(c.invite.body, "m=video ") {
		t.Errorf("offered\n%s", c.invite.body)
	}
	c.answer(c.with(roomAnswer("")[:strings.Index(roomAnswer(""), "m=video 40004")]))
	h.leased(1)
	c.bye()
}

// A peer that is a conference of its own keeps the floor: we ask it for who
// presents here, and take over who presents there.
func TestPeerKeepsFloor(t *testing.T) {
	log := &journal{}
	h := newFloorHouse(t, 10, func(_ *sip.Config, d *sip.Deps) { d.Log = slog.New(slog.NewTextHandler(log, nil)) })
	c := h.dial(dialUA(t, "UDP", h.Server.Addrs().SIP), "one")
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c.answer(c.with(roomAnswer(fmt.Sprintf("m=application %d UDP/BFCP *\r\na=floorctrl:s-only\r\na=confid:77\r\na=userid:5\r\na=floorid:2 mstrm:12\r\n",
		conn.LocalAddr().(*net.UDPAddr).Port))))
	m := regexp.MustCompile(`m=application (\d+) UDP/BFCP`).FindStringSubmatch(c.invite.body)
	at, err := strconv.Atoi(m[1])
	if err != nil {
		t.Fatal(err)
	}
	events := make(chan any, 100)
	far, err := bfcp.Datagrams(conn, bfcp.Config{
		Floor: sdp.Floor{
			Proto: "UDP/BFCP", Role: sdp.FloorServer, Server: sdp.FloorID{Conference: 77, User: 5, Floor: 2},
			Address: netip.AddrPortFrom(loopback, uint16(at)),
		},
		Notify: func(e any) { events <- e },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(far.Close)
	wait := func(want string) (id uint16) {
		t.Helper()
		select {
		case e := <-events:
			if got := fmt.Sprintf("%T", e); got != want {
				t.Fatalf("got %+v, want %s", e, want)
			}
			r, _ := e.(bfcp.Requested)
			return r.ID
		case <-time.After(patience):
			t.Fatalf("no %s", want)
		}
		return 0
	}
	wait("bfcp.Ready")
	self := h.roster("one")[0].Id
	presents := func(id string) {
		t.Helper()
		settled(t, "presenter "+id, func() bool { return h.presenter("one") == id })
	}

	far.SetPresenter(&bfcp.Presenter{Name: "Zoe"})
	presents(self)
	far.SetPresenter(nil)
	presents("")

	other := dialUA(t, "UDP", h.Server.Addrs().SIP).call("one")
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
	far.Grant(wait("bfcp.Requested"))
	presents(second)
	h.ask("one", &conference.ReleaseFloor{})
	wait("bfcp.Withdrawn")

	// Taken over there, and free there again while somebody presents here.
	h.ask("one", &conference.SetRole{Id: self, Role: conference.RoleGuest})
	h.ask("one", &conference.TakeFloor{Id: second, Force: true})
	far.Grant(wait("bfcp.Requested"))
	before := log.count("floor refused")
	far.SetPresenter(&bfcp.Presenter{Name: "Zoe"})
	settled(t, "refused", func() bool { return log.count("floor refused") > before }) // a guest takes nothing over
	presents(second)
	far.SetPresenter(nil)
	far.Grant(wait("bfcp.Requested"))
	other.bye()
	wait("bfcp.Withdrawn")
	c.bye()
	settled(t, "gone", func() bool { return h.Server.Calls() == 0 && h.Ports.Used() == 0 })
}

// TestPeerBaresipIsCalled: a phone that knows nothing of slides takes the call.
func TestPeerBaresipIsCalled(t *testing.T) {
	needPeer(t, "baresip")
	h := newFloorHouse(t, 10)
	h.ca = identity(t, certificate(t))
	at := "127.0.0.1:" + freePort(t)
	p := startPhone(t, h, phoneConfig{
		name: "bob", account: "audio_codecs=g722/16000/1;video_codecs=h264", rate: 16000, channels: 1, hz: 600, rtp: 28040, listen: at,
	})
	settled(t, "listening", func() bool {
		conn, err := net.Dial("tcp", at)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	h.Server.Dial(node.NewCall(), node.Dial{Alias: "meet", URI: "sip:bob@" + at})
	settled(t, "connected", func() bool {
		r := h.roster("meet")
		return len(r) == 1 && r[0].State == conference.StateConnected && r[0].Audio && r[0].Video
	})
	h.leased(1) // no slides
	settled(t, "sending", func() bool { return h.packets("in") > 100 })
	p.command("hangup")
	settled(t, "gone", func() bool { return h.Server.Calls() == 0 && h.Ports.Used() == 0 })
	h.leased(0)
}

// TestPeerSippIsCalled: sipp refuses slides, in the ways that phones do.
func TestPeerSippIsCalled(t *testing.T) {
	needPeer(t, "sipp")
	for _, name := range []string{"port0", "488"} {
		t.Run(name, func(t *testing.T) {
			scenario, err := filepath.Abs("testdata/sipp/callee-" + name + ".xml")
			if err != nil {
				t.Fatal(err)
			}
			h := newFloorHouse(t, 10)
			at := freePort(t)
			cmd := exec.Command("sipp", "-sf", scenario, "-i", "127.0.0.1", "-mi", "127.0.0.1", "-p", at, "-mp", "27100", "-m", "1",
				"-timeout", "30", "-timeout_error", "-trace_err", "-error_file", "errors.log", "-nostdin")
			cmd.Dir = t.TempDir()
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			settled(t, "listening", func() bool {
				l, err := net.ListenPacket("udp", "127.0.0.1:"+at)
				if err == nil {
					_ = l.Close()
				}
				return err != nil
			})
			h.Server.Dial(node.NewCall(), node.Dial{Alias: "meet", URI: "sip:bob@127.0.0.1:" + at})
			settled(t, "connected", func() bool {
				r := h.roster("meet")
				return len(r) == 1 && r[0].State == conference.StateConnected
			})
			h.leased(1)
			if err := cmd.Wait(); err != nil { // it hangs up
				said, _ := os.ReadFile(filepath.Join(cmd.Dir, "errors.log"))
				t.Fatalf("sipp: %v\n%s", err, said)
			}
			settled(t, "gone", func() bool { return h.Server.Calls() == 0 && h.Ports.Used() == 0 })
			h.leased(0)
		})
	}
}
