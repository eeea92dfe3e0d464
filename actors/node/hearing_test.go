package node_test

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skybridge-media/skybridge/actors/actortest"
	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/actors/node"
	"github.com/skybridge-media/skybridge/actors/participant"
	"github.com/skybridge-media/skybridge/actors/transcoder"
	"github.com/skybridge-media/skybridge/codecs/g711"
	"github.com/skybridge-media/skybridge/codecs/pcm"
	media "github.com/skybridge-media/skybridge/media/bridge"
	"github.com/skybridge-media/skybridge/media/tone"
)

const hum = 500 // Hz

// listener is a port that records what it is sent, and may hum.
type listener struct {
	actortest.Port
	hums bool

	mu    sync.Mutex
	ticks int
	heard pcm.Frame
}

func (l *listener) NextAudio() media.AudioTick {
	return media.AudioTick{Voice: l.hums, Rate: g711.Rate, Level: 10, HasLevel: true}
}

func (l *listener) ReadAudio(dst pcm.Frame) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range dst {
		dst[i] = int16(8000 * math.Sin(2*math.Pi*hum*float64(l.ticks*len(dst)+i)/g711.Rate))
	}
	l.ticks++
}

func (l *listener) AudioOut() (media.AudioSpec, bool) {
	return media.AudioSpec{Codec: &g711.PCMU, Ticks: 1}, true
}

func (l *listener) WriteAudio(payload []byte) {
	d, _ := g711.PCMU.NewDecoder() // never fails
	defer d.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heard, _ = d.Decode(l.heard, payload)
}

// take returns how long it was sent something since last asked, and how loud the
// hum was in that.
func (l *listener) take() (time.Duration, float64) {
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	heard := l.heard
	l.heard = nil
	if len(heard) == 0 {
		return 0, tone.Silence
	}
	return time.Duration(len(heard)) * time.Second / g711.Rate, tone.Detect(heard, g711.Rate, hum)[0]
}

// rehearsed is a real bridge that shows its plan.
type rehearsed struct {
	*media.Bridge
	plan atomic.Pointer[media.Plan]
}

func (b *rehearsed) Apply(p *media.Plan) {
	b.plan.Store(p)
	b.Bridge.Apply(p)
}

func (b *rehearsed) lists(id string) bool {
	return slices.ContainsFunc(b.plan.Load().Members, func(m media.Member) bool { return m.ID == id })
}

// rehearse gives the one room of the stage a real bridge.
func (s *stage) rehearse() *rehearsed {
	room := &rehearsed{}
	s.newBridge = func(_ string, notify func(any)) transcoder.Bridge {
		room.Bridge = media.New(media.Config{Notify: notify})
		return room
	}
	return room
}

// join admits a call to that room.
func (s *stage) join(n *member, id, role string) *call {
	s.Helper()
	m := node.Admit{Call: participant.ID(id), Alias: "standup", Protocol: "sip", Audio: true, Waits: true, Role: role}
	if got := s.admit(n, m); got != "admitted to standup" {
		s.Fatalf("%s: %s", id, got)
	}
	return s.calls[id]
}

// talk connects a call with a listener.
func (c *call) talk(hums bool) *listener {
	l := &listener{hums: hums}
	c.port = &l.Port
	c.node.Send(c.pid, &participant.Connect{Port: l})
	synctest.Wait()
	return l
}

// TestWaitingHearsNothing lets callers in whose media is there before the
// transcoder has a roster that names them. Real conference, real bridge.
func TestWaitingHearsNothing(t *testing.T) {
	run(t, func(s *stage) {
		room := s.rehearse()
		n := s.start("n1", node.Config{Roles: []string{node.RoleMedia}, Rooms: []conference.Config{{Name: "standup"}}})
		join := func(id string) *call { t.Helper(); return s.join(n, id, conference.RoleHost) }
		join("ada").talk(true)
		time.Sleep(time.Second)

		// The roster goes out when the room is locked, and not again so soon.
		order := func(m any) { t.Helper(); s.Must(n, "standup", m) }
		order(&conference.Lock{On: true})
		early := join("eve").talk(false)
		if room.lists("eve") {
			t.Error("the roster was faster, so this proves nothing")
		}
		time.Sleep(time.Second)
		late := join("fay")
		time.Sleep(time.Second) // the roster is there first
		lateEar := late.talk(false)
		time.Sleep(time.Second)
		for id, l := range map[string]*listener{"eve": early, "fay": lateEar} {
			if d, level := l.take(); d > 0 {
				t.Errorf("%s waits, and was sent %v, the room at %.0f dB", id, d, level)
			}
		}
		order(&conference.LetIn{Id: "eve"})
		time.Sleep(150 * time.Millisecond) // rosters are 100 ms apart at least
		if d, level := early.take(); d < 40*time.Millisecond || level < -25 {
			t.Errorf("let in: was sent %v, the room at %.0f dB", d, level)
		}
		if d, level := lateEar.take(); d > 0 {
			t.Errorf("fay still waits, and was sent %v, the room at %.0f dB", d, level)
		}

		// Who need not wait hears the room before any roster names it.
		time.Sleep(time.Second)
		order(&conference.Lock{On: false})
		gil := join("gil").talk(false)
		time.Sleep(60 * time.Millisecond)
		if room.lists("gil") {
			t.Error("the roster was faster, so this proves nothing")
		}
		if d, level := gil.take(); d < 40*time.Millisecond || level < -25 {
			t.Errorf("admitted: was sent %v in 60 ms, the room at %.0f dB", d, level)
		}
	})
}

// TestMuteOutlivesOwner loses the owner of a conference: who was muted is not
// heard for a moment meanwhile, and guests who come later are muted as well.
func TestMuteOutlivesOwner(t *testing.T) {
	run(t, func(s *stage) {
		s.rehearse()
		rooms := []conference.Config{{Name: "standup"}}
		owner := s.start("n1", node.Config{Rooms: rooms})
		n := s.start("n2", node.Config{Roles: []string{node.RoleMedia}, Rooms: rooms})
		m := node.Admit{Call: "x", Alias: "standup", Protocol: "sip", Audio: true}
		if got := s.admit(owner, m); got != "redirected to n2, n2:5060" {
			t.Fatalf("the owner has the media itself: %s", got)
		}
		ear := s.join(n, "ada", conference.RoleHost).talk(false)
		s.join(n, "bob", conference.RoleGuest).talk(true)
		s.join(n, "cy", conference.RoleHost).talk(true)
		heard := func(when string, want bool) {
			t.Helper()
			time.Sleep(time.Second)
			if d, level := ear.take(); want != (level > -25) || d < 900*time.Millisecond {
				t.Errorf("%s: was sent %v, the hum at %.0f dB", when, d, level)
			}
		}
		heard("nobody is muted", true)
		s.Must(n, "standup", &conference.Mute{On: true})
		s.Must(n, "standup", &conference.Mute{Id: "cy", On: true})
		time.Sleep(200 * time.Millisecond)
		ear.take()
		heard("both are muted", false)

		s.cluster.Kill(owner.Node)
		for range 10 {
			heard("while the owner is replaced", false)
		}
		if r := s.roster(n, "standup"); r.GetEpoch() != 2 || !r.GetGuestsMuted() {
			t.Errorf("the roster is %v, want that of another owner, with all guests muted", r)
		}
		s.join(n, "dan", conference.RoleGuest).talk(true)
		heard("another guest comes", false)
		s.Must(n, "standup", &conference.Mute{Id: "cy"})
		time.Sleep(200 * time.Millisecond)
		heard("cy is not muted any more", true)
	})
}
