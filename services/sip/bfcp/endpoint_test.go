package bfcp_test

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skybridge-media/skybridge/media/sdp"
	"github.com/skybridge-media/skybridge/services/sip/bfcp"
)

// grantAll decides at once.
func (p *pair) grantAll() {
	p.server.happen = func(event any) {
		if r, ok := event.(bfcp.Requested); ok {
			p.server.Grant(r.ID)
		}
	}
}

func TestGrantAndRelease(t *testing.T) {
	bubble(t, func(t *testing.T, p *pair) {
		p.grantAll()
		p.client.Request("a talk")
		synctest.Wait()
		p.server.expect(t, bfcp.Requested{ID: 1, Priority: 2, Info: "a talk"})
		// Decided at once: the first answer says it.
		p.client.expect(t, bfcp.Decided{Status: bfcp.Granted}, bfcp.Presenter{User: 9, Mine: true})

		p.client.Request("again") // has it
		p.client.Release()
		p.client.Release()
		synctest.Wait()
		p.server.expect(t, bfcp.Withdrawn{ID: 1})
		p.client.expect(t, bfcp.Decided{Status: bfcp.Released}, bfcp.Presenter{})
	})
}

func TestDecidedLater(t *testing.T) {
	bubble(t, func(t *testing.T, p *pair) {
		p.client.Request("")
		time.Sleep(300 * time.Millisecond)
		p.server.expect(t, bfcp.Requested{ID: 1, Priority: 2})
		p.client.expect(t, bfcp.Decided{Status: bfcp.Pending})
		time.Sleep(time.Hour)
		p.server.Deny(7, "of another request")
		p.server.Deny(1, "not now")
		synctest.Wait()
		p.client.expect(t, bfcp.Decided{Status: bfcp.Denied, Info: "not now"})
		p.server.Grant(1) // over
		synctest.Wait()
		p.client.expect(t)
		p.server.expect(t)
	})
}

func TestCancelled(t *testing.T) {
	bubble(t, func(t *testing.T, p *pair) {
		p.client.Request("")
		p.client.Release() // before there was an answer
		time.Sleep(time.Second)
		p.server.expect(t, bfcp.Requested{ID: 1, Priority: 2}, bfcp.Withdrawn{ID: 1})
		p.client.expect(t, bfcp.Decided{Status: bfcp.Pending}, bfcp.Decided{Status: bfcp.Cancelled})
	})
}

func TestTakeOver(t *testing.T) {
	bubble(t, func(t *testing.T, p *pair) {
		p.grantAll()
		p.client.Request("")
		synctest.Wait()
		p.client.expect(t, bfcp.Decided{Status: bfcp.Granted}, bfcp.Presenter{User: 9, Mine: true})

		p.server.SetPresenter(&bfcp.Presenter{Name: "Alice"})
		synctest.Wait()
		p.client.expect(t, bfcp.Decided{Status: bfcp.Revoked, Info: "Alice"}, bfcp.Presenter{User: 10, Name: "Alice"})
		p.server.SetPresenter(&bfcp.Presenter{Name: "Alice"}) // no news
		p.server.SetPresenter(&bfcp.Presenter{Name: "Bob", User: 33})
		synctest.Wait()
		p.client.expect(t, bfcp.Presenter{User: 33, Name: "Bob"})

		p.client.Request("") // takes it from Bob
		synctest.Wait()
		p.client.expect(t, bfcp.Decided{Status: bfcp.Granted}, bfcp.Presenter{User: 9, Mine: true})
		p.server.Deny(p.lastRequest(t), "enough")
		synctest.Wait()
		p.client.expect(t, bfcp.Decided{Status: bfcp.Revoked, Info: "enough"}, bfcp.Presenter{})
		p.server.SetPresenter(nil)
		synctest.Wait()
		p.client.expect(t)
	})
}

// lastRequest is the identifier of what the client has asked for last.
func (p *pair) lastRequest(t *testing.T) uint16 {
	t.Helper()
	p.server.mu.Lock()
	defer p.server.mu.Unlock()
	for _, event := range slices.Backward(p.server.events) {
		if r, ok := event.(bfcp.Requested); ok {
			return r.ID
		}
	}
	t.Fatal("nothing was requested")
	return 0
}

// Who comes while somebody else presents is told.
func TestToldWhenReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plugs := new(cable).plugs("192.0.2.1:40006", "198.51.100.30:16390")
		server, client := new(side), new(side)
		server.Endpoint, _ = bfcp.Datagrams(plugs[0], bfcp.Config{Floor: sdp.Floor{Role: sdp.FloorServer, Server: id}, Notify: server.notify})
		defer server.Close()
		server.SetPresenter(&bfcp.Presenter{Name: "Alice"})
		time.Sleep(time.Minute)
		client.Endpoint, _ = bfcp.Datagrams(plugs[1], bfcp.Config{
			Floor: sdp.Floor{Role: sdp.FloorClient, Client: id, Address: plugs[0].addr}, Notify: client.notify,
		})
		defer client.Close()
		synctest.Wait()
		client.expect(t, bfcp.Ready{}, bfcp.Presenter{User: 10, Name: "Alice"})
	})
}

// "The timer doubles on each retransmit, failing after three unacknowledged
// retransmission attempts" (RFC 8855 section 8.3.1); T1 is 0.5 s (8.3.3).
func TestRetransmission(t *testing.T) {
	bubble(t, func(t *testing.T, p *pair) {
		p.losing(is(bfcp.FloorRequest))
		before := time.Now()
		p.client.Request("")
		time.Sleep(7400 * time.Millisecond)
		p.client.expect(t)
		time.Sleep(200 * time.Millisecond)
		lost := bfcp.Lost{Err: errAs(t, "bfcp: no answer to FloorRequest")}
		p.client.expect(t, bfcp.Decided{Status: bfcp.Cancelled, Info: lost.Err.Error()}, lost)
		var at []time.Duration
		var first []byte
		for _, m := range p.sent(p.client.addr) {
			if is(bfcp.FloorRequest)(m.b) {
				at = append(at, m.at.Sub(before))
				if first == nil {
					first = m.b
				}
				if !slices.Equal(m.b, first) {
					t.Errorf("retransmission %x of %x", m.b, first)
				}
			}
		}
		if want := []time.Duration{0, 500e6, 1500e6, 3500e6}; !slices.Equal(at, want) {
			t.Errorf("sent after %v, want %v", at, want)
		}
		// The keep-alive finds the peer again.
		p.losing(nil)
		time.Sleep(20 * time.Second)
		p.client.expect(t, bfcp.Ready{})
		p.server.expect(t)
		// It may have forgotten that we want to know.
		queries := slices.DeleteFunc(p.sent(p.client.addr), func(m packet) bool { return !is(bfcp.FloorQuery)(m.b) })
		if len(queries) != 2 {
			t.Errorf("%d FloorQuery, want 2", len(queries))
		}
	})
}

// "Timer T1 MUST be adjusted with the reception of a response" (RFC 8855 section
// 8.3.1): on a slow path nothing is sent twice for no reason.
func TestSlowPath(t *testing.T) {
	dialled(t, sdp.FloorClient, func(t *testing.T, p *phone, s *side) {
		answerAfter := func(d time.Duration, request *bfcp.Message, m bfcp.Message) []*bfcp.Message {
			time.Sleep(d)
			return p.exchange(response(numbered(request.Transaction, m)))
		}
		query := answerAfter(450*time.Millisecond, p.received()[0], message(bfcp.HelloAck))
		answerAfter(450*time.Millisecond, query[0], message(bfcp.FloorStatus, floor))
		for range 5 {
			s.Request("")
			synctest.Wait()
			ask := p.received()
			time.Sleep(700 * time.Millisecond)
			if again := p.received(); len(ask) != 1 || len(again) != 0 {
				t.Errorf("asked %d times, and %d times again after 700 ms", len(ask), len(again))
			}
			answerAfter(50*time.Millisecond, ask[0], message(bfcp.FloorRequestStatus, status(bfcp.Denied, 0)))
		}
	})
}

// errAs makes an error that prints like one of the package.
func errAs(t *testing.T, text string) error {
	t.Helper()
	if !strings.HasPrefix(text, bfcp.ErrSilent.Error()) {
		t.Fatalf("%q is not ErrSilent", text)
	}
	return errors.New(text)
}

// A lost answer is repeated, and what was asked is done once.
func TestLostAnswer(t *testing.T) {
	bubble(t, func(t *testing.T, p *pair) {
		p.grantAll()
		lost := 0
		p.losing(func(b []byte) bool {
			if is(bfcp.FloorRequestStatus)(b) && lost < 2 {
				lost++
				return true
			}
			return false
		})
		p.client.Request("")
		time.Sleep(5 * time.Second)
		p.server.expect(t, bfcp.Requested{ID: 1, Priority: 2})
		p.client.expect(t, bfcp.Presenter{User: 9, Mine: true}, bfcp.Decided{Status: bfcp.Granted})
	})
}

// The first answer is lost, the decision comes before its repetition: the old
// answer must not undo it.
func TestDecisionOvertakesAnswer(t *testing.T) {
	bubble(t, func(t *testing.T, p *pair) {
		p.losing(func(b []byte) bool { return is(bfcp.FloorRequestStatus)(b) && b[0]&0x10 != 0 })
		p.client.Request("")
		time.Sleep(300 * time.Millisecond)
		p.server.Grant(1)
		synctest.Wait()
		p.losing(nil)
		time.Sleep(5 * time.Second)
		p.client.expect(t, bfcp.Presenter{User: 9, Mine: true}, bfcp.Decided{Status: bfcp.Granted})
	})
}

// A server whose peer does not acknowledge goes on once it does, with what is
// true then.
func TestServerLosesPeer(t *testing.T) {
	bubble(t, func(t *testing.T, p *pair) {
		p.losing(all)
		for _, name := range []string{"Alice", "Bob", "Carol", "Dave"} {
			p.server.SetPresenter(&bfcp.Presenter{Name: name})
		}
		time.Sleep(8 * time.Second)
		p.server.expect(t, bfcp.Lost{Err: errAs(t, "bfcp: no answer to FloorStatus")})
		if n := len(p.sent(p.server.addr)); n > 2+4+4 { // two answers before
			t.Errorf("%d packets for one FloorStatus that was replaced", n)
		}
		p.losing(nil)
		time.Sleep(30 * time.Second)
		p.server.expect(t, bfcp.Ready{})
		p.client.mu.Lock()
		defer p.client.mu.Unlock()
		if last := p.client.events[len(p.client.events)-1]; last != (bfcp.Presenter{User: 10, Name: "Dave"}) {
			t.Errorf("the client knows %+v", last)
		}
	})
}

// What was decided while the peer could not be reached is told when it is
// back.
func TestToldWhenBack(t *testing.T) {
	bubble(t, func(t *testing.T, p *pair) {
		p.grantAll()
		p.client.Request("")
		synctest.Wait()
		p.client.expect(t, bfcp.Decided{Status: bfcp.Granted}, bfcp.Presenter{User: 9, Mine: true})
		p.losing(all)
		p.server.Deny(1, "enough")
		time.Sleep(10 * time.Second)
		p.client.expect(t)
		p.losing(nil)
		time.Sleep(time.Minute)
		p.client.expect(t, bfcp.Decided{Status: bfcp.Revoked, Info: "enough"}, bfcp.Presenter{})
	})
}

func TestKeepAlive(t *testing.T) {
	bubble(t, func(t *testing.T, p *pair) {
		before := len(p.sent(p.client.addr))
		time.Sleep(time.Minute + time.Second)
		var hellos int
		for _, m := range p.sent(p.client.addr)[before:] {
			if !is(bfcp.Hello)(m.b) {
				t.Errorf("sent %x", m.b)
			}
			hellos++
		}
		if hellos != 3 {
			t.Errorf("%d Hello in a minute, want 3", hellos)
		}
		p.client.expect(t)
	})
}

// Goodbye ends what was asked for.
func TestGoodbye(t *testing.T) {
	t.Run("of the client", func(t *testing.T) {
		bubble(t, func(t *testing.T, p *pair) {
			p.grantAll()
			p.client.Request("")
			synctest.Wait()
			p.client.Close()
			p.client.Close()
			synctest.Wait()
			p.server.expect(t, bfcp.Requested{ID: 1, Priority: 2}, bfcp.Withdrawn{ID: 1})
			p.server.SetPresenter(&bfcp.Presenter{Name: "Alice"}) // nobody to tell
			time.Sleep(time.Minute)
			p.server.expect(t)
		})
	})
	t.Run("of the server", func(t *testing.T) {
		bubble(t, func(t *testing.T, p *pair) {
			p.grantAll()
			p.client.Request("")
			synctest.Wait()
			p.client.expect(t, bfcp.Decided{Status: bfcp.Granted}, bfcp.Presenter{User: 9, Mine: true})
			p.server.Close()
			synctest.Wait()
			p.client.expect(t, bfcp.Decided{Status: bfcp.Revoked, Info: "the server has left"})
		})
	})
}

// Both are client and server at once, with identifiers of their own.
func TestClientAndServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plugs := new(cable).plugs("192.0.2.1:40006", "198.51.100.30:16390")
		theirs := sdp.FloorID{Conference: 77, User: 3, Floor: 2}
		sides := [2]*side{{}, {}}
		for i, s := range sides {
			floor := sdp.Floor{Role: sdp.FloorClient | sdp.FloorServer, Server: id, Client: theirs, Address: plugs[1-i].addr}
			if i == 1 {
				floor.Server, floor.Client = theirs, id
			}
			s.happen = func(event any) {
				if r, ok := event.(bfcp.Requested); ok {
					s.Grant(r.ID)
				}
			}
			var err error
			if s.Endpoint, err = bfcp.Datagrams(plugs[i], bfcp.Config{Floor: floor, Notify: s.notify}); err != nil {
				t.Fatal(err)
			}
			defer s.Close()
		}
		time.Sleep(time.Second)
		for _, s := range sides {
			s.expect(t, bfcp.Ready{})
		}
		for i, s := range sides {
			s.Request("")
			synctest.Wait()
			user := uint16(3)
			if i == 1 {
				user = 9
			}
			s.expect(t, bfcp.Decided{Status: bfcp.Granted}, bfcp.Presenter{User: user, Mine: true})
			sides[1-i].expect(t, bfcp.Requested{ID: 1, Priority: 2})
		}
	})
}

// The peer sends from elsewhere than its SDP says, and strangers send too.
func TestWhoIsThePeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := new(cable)
		plugs := c.plugs("192.0.2.1:40006", "203.0.113.9:1024", "203.0.113.66:666", "203.0.113.10:2048")
		s := &side{addr: plugs[0].addr}
		var err error
		s.Endpoint, err = bfcp.Datagrams(plugs[0], bfcp.Config{
			Floor:  sdp.Floor{Role: sdp.FloorServer, Server: id, Address: netip.MustParseAddrPort("10.0.0.7:16390")},
			Notify: s.notify,
		})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		behindNAT := &phone{t, plugs[1], plugs[0].LocalAddr()}
		stranger := &phone{t, plugs[2], plugs[0].LocalAddr()}
		moved := &phone{t, plugs[3], plugs[0].LocalAddr()}

		guess := message(bfcp.Hello)
		guess.Conference++
		if got := stranger.exchange(guess); len(got) != 0 {
			t.Errorf("a stranger is told %+v", got[0])
		}
		if got := behindNAT.exchange(message(bfcp.Hello)); len(got) != 1 || got[0].Primitive != bfcp.HelloAck {
			t.Errorf("the peer is told %+v", got)
		}
		if got := stranger.exchange(message(bfcp.Hello)); len(got) != 0 {
			t.Errorf("a stranger who knows everything is told %+v", got[0])
		}
		if got := moved.exchange(message(bfcp.Hello)); len(got) != 0 {
			t.Errorf("told before SDP said so: %+v", got[0])
		}
		s.SetAddress(netip.MustParseAddrPort("10.0.0.7:16390")) // a refresh of the session
		if got := behindNAT.exchange(numbered(8, message(bfcp.Hello))); len(got) != 1 {
			t.Errorf("the peer is told %+v", got)
		}
		s.SetAddress(plugs[3].addr)
		s.SetPresenter(&bfcp.Presenter{Name: "Alice"})
		synctest.Wait()
		if got := moved.exchange(message(bfcp.FloorRequest, bfcp.Number(bfcp.FloorID, 1))); len(got) != 1 || got[0].Primitive != bfcp.FloorStatus {
			t.Errorf("after it has moved: %+v", got)
		}
		s.expect(t, bfcp.Ready{}, bfcp.Ready{}, bfcp.Requested{ID: 2, Priority: 2})
	})
}

// A peer that did not answer may come back from elsewhere, as behind a NAT that
// has forgotten it.
func TestPeerComesBackFromElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plugs := new(cable).plugs("192.0.2.1:40006", "203.0.113.9:1024", "203.0.113.9:2048")
		s := &side{addr: plugs[0].addr}
		var err error
		s.Endpoint, err = bfcp.Datagrams(plugs[0], bfcp.Config{Floor: sdp.Floor{Role: sdp.FloorServer, Server: id}, Notify: s.notify})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		before, after := &phone{t, plugs[1], plugs[0].LocalAddr()}, &phone{t, plugs[2], plugs[0].LocalAddr()}
		before.exchange(message(bfcp.Hello))
		s.SetPresenter(&bfcp.Presenter{Name: "Alice"})
		time.Sleep(time.Minute)
		s.expect(t, bfcp.Ready{}, bfcp.Lost{Err: errAs(t, "bfcp: no answer to FloorStatus")})
		if got := brief(after.exchange(numbered(8, message(bfcp.Hello)))); got != "FloorStatus: 1 of 10 granted; HelloAck to 8" {
			t.Errorf("got %q", got)
		}
		s.expect(t, bfcp.Ready{})
	})
}

func TestConfig(t *testing.T) {
	ignore := func(any) {}
	tests := []struct {
		name string
		cfg  bfcp.Config
		want string
	}{
		{"no role", bfcp.Config{Notify: ignore}, "bfcp: Floor.Role is neither client nor server"},
		{"no Notify", bfcp.Config{Floor: sdp.Floor{Role: sdp.FloorServer}}, "bfcp: Notify is nil"},
		{"MTU", bfcp.Config{Floor: sdp.Floor{Role: sdp.FloorServer}, Notify: ignore, MTU: 63}, "bfcp: MTU is below 64"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := new(cable).plugs("192.0.2.1:40006")[0]
			_, err := bfcp.Datagrams(p, tt.cfg)
			if err == nil || err.Error() != tt.want {
				t.Errorf("got %v, want %s", err, tt.want)
			}
			select {
			case <-p.closed:
			default:
				t.Error("the socket is open")
			}
		})
	}
	if _, err := bfcp.Dial(nil, bfcp.Config{Floor: sdp.Floor{Role: sdp.FloorServer}, Notify: ignore}); err == nil {
		t.Error("dials nowhere")
	}
}
