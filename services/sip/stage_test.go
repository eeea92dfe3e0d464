package sip_test

import (
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/actors/participant"
	"github.com/skybridge-media/skybridge/media/rtp"
	"github.com/skybridge-media/skybridge/media/sdp"
	"github.com/skybridge-media/skybridge/services/sip"
	"github.com/skybridge-media/skybridge/services/sip/bfcp"
)

// A stage is a conference that answers about its floor when the test likes. It
// does at once what it is asked for, and says so to who follows its roster.
type stage struct {
	*bench
	root *actor.RootContext
	pid  *actor.PID

	mu       sync.Mutex // guards what follows
	roster   conference.Roster
	own      string // participant
	follower *actor.PID
	asked    []any
	silent   bool       // TakeFloor gets no answer
	unheard  *actor.PID // who has got none
}

// newStage is a call that controls the floor of a stage, over UDP.
func newStage(t *testing.T) (*stage, *client) {
	t.Helper()
	s := setStage(t, false)
	d, conn := s.call()
	s.followed()
	return s, controls(t, d.answer.body, "UDP/BFCP", conn)
}

// setStage is a stage that nobody has called yet. Who calls later has no
// conference at first.
func setStage(t *testing.T, later bool) *stage {
	t.Helper()
	s := &stage{}
	b := newBench(t, func(_ *sip.Config, d *sip.Deps) {
		d.Media.Slides, d.Media.Floor = true, sdp.FloorServer|sdp.FloorClient
		s.root = d.System.Root
		s.pid = s.root.Spawn(actor.PropsFromFunc(s.receive))
	})
	b.Node.mu.Lock()
	b.Node.conference, b.Node.later = s.pid, later
	b.Node.mu.Unlock()
	s.bench = b
	return s
}

// call calls the stage, with a socket for floor control.
func (s *stage) call() (*dialog, net.PacketConn) {
	s.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		s.Fatal(err)
	}
	d := newUA(s.bench, "UDP").call("one", offer(roomSystem("UDP/BFCP", conn.LocalAddr().(*net.UDPAddr).Port)))
	s.own = string(s.Node.participant(s.T, 0).Call)
	return d, conn
}

// followed waits until somebody follows the roster.
func (s *stage) followed() {
	s.Helper()
	settled(s.T, "followed", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.follower != nil
	})
}

func (s *stage) receive(c actor.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch m := c.Message().(type) {
	case *conference.Subscribe:
		s.follower = m.Subscriber.PID()
		c.Respond(s.now())
	case *conference.GetRoster:
		c.Respond(s.now())
	case *conference.TakeFloor:
		s.asked = append(s.asked, m)
		s.present(m.Id)
		if s.silent {
			s.unheard = c.Sender()
			return
		}
		c.Respond(&conference.Done{})
	case *conference.ReleaseFloor:
		s.asked = append(s.asked, m)
		s.present("")
		c.Respond(&conference.Done{})
	}
}

// now is the roster. s.mu is held.
func (s *stage) now() *conference.Roster {
	return &conference.Roster{
		Epoch: 1, Version: s.roster.Version, Conference: conference.AddressOf(s.pid),
		Presenter: s.roster.Presenter, Participants: s.roster.Participants,
	}
}

// present changes who presents. s.mu is held.
func (s *stage) present(id string) {
	s.roster.Version++
	s.roster.Presenter = id
	s.root.Send(s.follower, s.now())
}

func (s *stage) setSilent(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.silent = on
}

func (s *stage) presenter() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.roster.Presenter
}

// A conference that gives the floor and cannot say so has given it to nobody:
// the peer is refused, and the conference is told.
func TestFloorNotAnswered(t *testing.T) {
	s, c := newStage(t)
	s.setSilent(true)
	c.Request("slides")
	c.told(t, bfcp.Denied) // and was not granted before, by the roster
	settled(t, "given back", func() bool { return s.presenter() == "" })
	s.setSilent(false)
	c.Request("again")
	c.told(t, bfcp.Granted)
}

// A peer that changes its mind while the conference is busy costs nothing.
func TestFloorWantedAgainAndAgain(t *testing.T) {
	s, c := newStage(t)
	s.setSilent(true)
	for range 4 {
		c.Request("")
		c.Release()
		c.told(t, bfcp.Cancelled)
	}
	c.Request("")
	time.Sleep(300 * time.Millisecond)
	s.mu.Lock()
	s.silent = false
	s.root.Send(s.unheard, &conference.Done{})
	s.mu.Unlock()
	c.told(t, bfcp.Granted)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.asked) != 2 {
		t.Errorf("asked for %d things, want 2: %T", len(s.asked), s.asked)
	}
}

// A caller who is asked for a PIN finds somebody who controls the floor, and gets
// it once it is in the conference.
func TestFloorBeforeConference(t *testing.T) {
	s := setStage(t, true)
	d, conn := s.call()
	c := controls(t, d.answer.body, "UDP/BFCP", conn)
	c.Request("slides")
	c.told(t, bfcp.Denied)
	s.Node.participant(t, 0).Signalling.(participant.Enterer).Entered(s.pid)
	s.followed()
	c.Request("slides")
	c.told(t, bfcp.Granted)
	if got := s.presenter(); got != s.own {
		t.Errorf("%q presents, want %q", got, s.own)
	}
	d.bye()
}

// A description that changes how the floor is controlled begins anew, and what
// was granted before is given back.
func TestFloorChanged(t *testing.T) {
	s := setStage(t, false)
	d, conn := s.call()
	before := controls(t, d.answer.body, "UDP/BFCP", conn)
	before.Request("slides")
	before.told(t, bfcp.Granted)

	before.Close()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	body := roomSystem("UDP/BFCP", conn.LocalAddr().(*net.UDPAddr).Port)
	again := d.reinvite(offer(version(2, strings.Replace(body, "a=floorctrl:c-only s-only", "a=floorctrl:s-only", 1)))).body
	if !strings.Contains(again, "a=floorctrl:c-only\r\n") {
		t.Fatalf("we are no client:\n%s", again)
	}
	settled(t, "given back", func() bool { return s.presenter() == "" })
	events := make(chan any, 100)
	far, err := bfcp.Datagrams(conn, bfcp.Config{
		Floor:  sdp.Floor{Proto: "UDP/BFCP", Role: sdp.FloorServer, Server: sdp.FloorID{Conference: 1, User: 2, Floor: 1}},
		Notify: func(e any) { events <- e },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(far.Close)
	select {
	case e := <-events:
		if _, ok := e.(bfcp.Ready); !ok {
			t.Fatalf("got %T %+v", e, e)
		}
	case <-time.After(patience):
		t.Fatal("nobody asks the peer, who is the server now")
	}
	far.SetPresenter(&bfcp.Presenter{Name: "Zoe"})
	settled(t, "taken over", func() bool { return s.presenter() == s.own })

	body = strings.Replace(roomSystem("TCP/BFCP", 9), "a=floorctrl:c-only s-only", "a=floorctrl:c-only", 1)
	answer := d.reinvite(offer(version(3, body))).body
	c := controls(t, answer, "TCP/BFCP", nil)
	settled(t, "given back", func() bool { return s.presenter() == "" })
	c.Request("slides")
	c.told(t, bfcp.Granted)
	d.bye()
	settled(t, "gone", func() bool { return s.Server.Calls() == 0 })
}

// Who waits to be let in is not told who presents inside.
func TestFloorWhileWaiting(t *testing.T) {
	s, c := newStage(t)
	told := func() (names []string) {
		for {
			select {
			case e := <-c.events:
				if p, ok := e.(bfcp.Presenter); ok && p.Name != "" {
					names = append(names, p.Name)
				}
			case <-time.After(300 * time.Millisecond):
				return names
			}
		}
	}
	show := func(waiting string) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.roster.Participants = []*conference.Participant{{Id: "alice", Name: "Alice"}, {Id: s.own, Waiting: waiting}}
		s.present("alice")
	}
	show(conference.WaitHost)
	if got := told(); len(got) != 0 {
		t.Errorf("told of %q while it waits", got)
	}
	show("")
	if got := told(); len(got) != 1 || got[0] != "Alice" {
		t.Errorf("told of %q inside", got)
	}
}

// Where there is no port for floor control, there is a call without it.
func TestNoPortForFloor(t *testing.T) {
	ports, err := rtp.NewPortRange(47320, 47325) // for audio, video and slides
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(t, func(_ *sip.Config, d *sip.Deps) {
		d.Media.Slides, d.Media.Floor, d.Ports = true, sdp.FloorServer, ports
	})
	d := dialUA(t, "UDP", b.Server.Addrs().SIP).call("one", offer(roomSystem("UDP/BFCP", 40004)))
	if n := len(regexp.MustCompile(`m=video [1-9]\d* `).FindAllString(d.answer.body, -1)); n != 2 {
		t.Errorf("%d pictures, want 2:\n%s", n, d.answer.body)
	}
	if !strings.Contains(d.answer.body, "m=application 0 UDP/BFCP *\r\n") {
		t.Errorf("floor control is not refused:\n%s", d.answer.body)
	}
	d.bye()
	settled(t, "without ports", func() bool { return ports.Used() == 0 })
}

// Where there are ports for sound and picture only, there is a call with these.
func TestNoPortsForSlides(t *testing.T) {
	tight := func(t *testing.T, first, last int) (*bench, *rtp.PortRange) {
		ports, err := rtp.NewPortRange(first, last)
		if err != nil {
			t.Fatal(err)
		}
		return newBench(t, func(_ *sip.Config, d *sip.Deps) {
			d.Media.Slides, d.Media.Floor, d.Media.Camera, d.Ports = true, sdp.FloorServer, true, ports
		}), ports
	}
	t.Run("incoming", func(t *testing.T) {
		b, ports := tight(t, 47330, 47333)
		d := newUA(b, "UDP").call("one", offer(roomSystem("UDP/BFCP", 40004)))
		for _, want := range []string{"m=video 0 ", "m=application 0 UDP/BFCP ", "m=application 0 RTP/AVP "} {
			if !strings.Contains(d.answer.body, want) {
				t.Errorf("no %q in\n%s", want, d.answer.body)
			}
		}
		d.bye()
		settled(t, "without ports", func() bool { return ports.Used() == 0 })
		b.leasedNoSlides()
	})
	t.Run("outgoing", func(t *testing.T) {
		b, ports := tight(t, 47340, 47343)
		c := b.dial(newUA(b, "UDP"))
		if n := strings.Count(c.invite.body, "m="); n != 2 || !strings.Contains(c.invite.body, "m=video ") {
			t.Errorf("offered\n%s", c.invite.body)
		}
		c.answer()
		c.bye()
		settled(t, "without ports", func() bool { return ports.Used() == 0 })
		b.leasedNoSlides()
	})
}

// leasedNoSlides waits until the room for slides is given back.
func (b *bench) leasedNoSlides() {
	b.Helper()
	settled(b.T, "without a lease for slides", func() bool {
		b.Node.mu.Lock()
		defer b.Node.mu.Unlock()
		n := len(b.Node.leased)
		return n > 0 && !b.Node.leased[n-1].Content
	})
}

// We connect to nobody but the peer.
func TestFloorElsewhere(t *testing.T) {
	b := newBench(t, func(_ *sip.Config, d *sip.Deps) { d.Media.Slides, d.Media.Floor = true, sdp.FloorServer })
	for _, tt := range []struct {
		name, session, floor string // addresses
		taken                bool
	}{
		{"the peer", "127.0.0.1", "127.0.0.1", true},
		{"the peer, media elsewhere", "198.51.100.9", "127.0.0.1", true},
		{"with the media", "198.51.100.9", "198.51.100.9", true},
		{"neither", "127.0.0.1", "198.51.100.9", false},
		{"with the media, on this machine", "127.0.0.2", "127.0.0.2", false},
		{"with the media, in our network", "10.0.0.5", "10.0.0.5", false},
		{"with the media, link-local", "169.254.169.254", "169.254.169.254", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, err := net.Listen("tcp4", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			body := roomSystem("TCP/BFCP", l.Addr().(*net.TCPAddr).Port)
			body = strings.ReplaceAll(body, "c=IN IP4 127.0.0.1", "c=IN IP4 "+tt.session)
			body = strings.Replace(body, "TCP/BFCP *\r\n", "TCP/BFCP *\r\nc=IN IP4 "+tt.floor+"\r\n", 1)
			body = strings.Replace(body, "a=setup:actpass", "a=setup:passive", 1)
			d := dialUA(t, "UDP", b.Server.Addrs().SIP).call("one", offer(body))
			if got := strings.Contains(d.answer.body, "m=application 9 TCP/BFCP *\r\n"); got != tt.taken {
				t.Errorf("taken: %v, want %v\n%s", got, tt.taken, d.answer.body)
			}
			if got := strings.Contains(d.answer.body, "m=application 0 TCP/BFCP *\r\n"); got == tt.taken {
				t.Errorf("refused: %v\n%s", got, d.answer.body)
			}
			d.bye()
		})
	}
}
