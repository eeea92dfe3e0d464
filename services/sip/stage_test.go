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
	"github.com/skybridge-media/skybridge/media/rtp"
	"github.com/skybridge-media/skybridge/media/sdp"
	"github.com/skybridge-media/skybridge/services/sip"
	"github.com/skybridge-media/skybridge/services/sip/bfcp"
)

// A stage is a conference that answers about its floor when the test likes. It
// does at once what it is asked for, and says so to who follows its roster.
type stage struct {
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
	s := &stage{}
	b := newBench(t, func(_ *sip.Config, d *sip.Deps) {
		d.Media.Slides, d.Media.Floor = true, sdp.FloorServer
		s.root = d.System.Root
		s.pid = s.root.Spawn(actor.PropsFromFunc(s.receive))
	})
	b.Node.mu.Lock()
	b.Node.conference = s.pid
	b.Node.mu.Unlock()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u := dialUA(t, "UDP", b.Server.Addrs().SIP)
	d := u.call("one", offer(roomSystem("UDP/BFCP", conn.LocalAddr().(*net.UDPAddr).Port)))
	settled(t, "followed", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.follower != nil
	})
	s.own = string(b.Node.participant(t, 0).Call)
	return s, controls(t, d.answer.body, "UDP/BFCP", conn)
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
