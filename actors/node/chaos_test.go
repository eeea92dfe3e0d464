package node_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/actors/node"
	"github.com/skybridge-media/skybridge/actors/participant"
	"github.com/skybridge-media/skybridge/bus"
)

// TestChaos does what can happen to a cluster, in any order and at any time:
// calls come and go, nodes are lost, the directory is out of reach, actors
// panic. When it is over, every call that nobody ended is still up, with its
// media attached and its name in the roster that its node finds; of every other
// nothing remains; and no fact was published twice. When these have ended as
// well, nothing of the nodes' capacity is leased.
func TestChaos(t *testing.T) {
	for seed := range uint64(times(60)) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			run(t, func(s *stage) {
				c := &chaos{stage: s, rnd: rand.New(rand.NewPCG(seed, 7)), alive: map[string]bool{}, dead: map[string]bool{}}
				for i := range 3 {
					cfg := node.Config{Roles: []string{node.RoleMedia}, AdHoc: &conference.Config{}, Capacity: capacity(1000)}
					if i == 0 && seed%2 == 0 {
						cfg.Roles = nil
					}
					n := s.start(fmt.Sprint("n", i), cfg)
					n.Directory.SetDelay(time.Duration(c.rnd.IntN(5)) * time.Millisecond)
				}
				for range 60 {
					c.step()
					time.Sleep(time.Duration(c.rnd.IntN(1500)) * time.Millisecond)
				}
				for _, n := range s.nodes {
					n.Directory.Cut(false)
					n.fault.Store(nil)
				}
				time.Sleep(time.Minute) // callers who never connected are gone then
				c.check()
				c.end()
			})
		})
	}
}

type chaos struct {
	*stage
	rnd   *rand.Rand
	count int
	log   []string
	alive map[string]bool // calls that nobody has ended
	dead  map[string]bool // nodes
}

func (c *chaos) note(format string, args ...any) {
	c.log = append(c.log, fmt.Sprintf(format, args...))
}

func (c *chaos) step() {
	n := c.nodes[fmt.Sprint("n", c.rnd.IntN(3))]
	if c.dead[n.Name] {
		return
	}
	room := fmt.Sprint("room", c.rnd.IntN(2))
	switch k := c.rnd.IntN(20); {
	case k < 9:
		c.count++
		id := fmt.Sprint("call", c.count)
		answer := c.admit(n, node.Admit{Call: participant.ID(id), Alias: room, Protocol: "sip", Audio: true, Video: c.rnd.IntN(2) == 0})
		c.note("%s calls %s at %s: %s", id, room, n.Name, answer)
		if call := c.calls[id]; call != nil {
			call.connect()
			c.alive[id] = true
		}
	case k < 12:
		for id := range c.alive {
			call := c.calls[id]
			if !c.dead[call.node.Name] {
				call.node.Send(call.pid, &participant.Ended{})
				delete(c.alive, id)
				c.note("%s hangs up", id)
				break
			}
		}
	case k == 12 && len(c.dead) == 0 && c.rnd.IntN(2) == 0:
		c.note("%s is lost", n.Name)
		c.cluster.Kill(n.Node)
		c.dead[n.Name] = true
		for id := range c.alive {
			if c.calls[id].node == n {
				delete(c.alive, id)
			}
		}
	case k == 13:
		c.note("%s cannot reach the directory", n.Name)
		n.Directory.Cut(true)
	case k <= 15:
		c.note("%s reaches the directory", n.Name)
		n.Directory.Cut(false)
	case k == 16:
		c.note("the conference of %s panics, if it is at %s", room, n.Name)
		c.layout(n, room, "conference.layout")
	case k == 17:
		c.note("the transcoder of %s panics, if it is at %s", room, n.Name)
		c.layout(n, room, "plan")
	default:
		time.Sleep(time.Duration(c.rnd.IntN(10)) * time.Second)
	}
}

// layout changes a layout while something is about to panic.
func (c *chaos) layout(n *member, room, what string) {
	pid := c.conference(n, room)
	if pid == nil {
		return
	}
	n.panicNext(what)
	n.Send(pid, &conference.SetLayout{Layout: []string{"2x2", "3x3", "4x4"}[c.rnd.IntN(3)]})
	time.Sleep(200 * time.Millisecond)
	n.fault.Store(nil)
}

// end ends what is left, and wants all that was leased back.
func (c *chaos) end() {
	c.Helper()
	for id := range c.alive {
		call := c.calls[id]
		call.node.Send(call.pid, &participant.Ended{})
	}
	time.Sleep(time.Minute)
	for name, n := range c.nodes {
		if c.dead[name] {
			continue
		}
		if got := c.leased(n); got != "0.00 of 1000.00 HD calls, 0 %\n" && got != "0.00 of 0.00 HD calls, 0 %\n" {
			c.Errorf("%s, which has no calls: %s", name, got)
		}
	}
}

func (c *chaos) check() {
	c.Helper()
	rosters := map[string]string{} // of node and room
	in := func(call *call, room string) bool {
		key := call.node.Name + " " + room
		if _, ok := rosters[key]; !ok {
			rosters[key] = show(c.roster(call.node, room))
		}
		return strings.Contains(rosters[key], "["+call.id+" ")
	}
	for id, call := range c.calls {
		if c.dead[call.node.Name] {
			continue
		}
		up := call.port.Attached() && call.port.Closed() == 0 && len(call.ended) == 0
		listed := in(call, "room0") || in(call, "room1")
		if c.alive[id] != up || c.alive[id] != listed {
			c.Errorf("%s at %s: should be up %v, attached %v, closed %d, hung up on %q, in the roster %v", id, call.node.Name,
				c.alive[id], call.port.Attached(), call.port.Closed(), call.ended, listed)
		}
	}
	told := map[string]int{}
	for name, n := range c.nodes {
		for _, e := range n.events.All() {
			if c.dead[name] {
				continue // nobody hears it
			}
			switch e := e.(type) {
			case bus.ParticipantJoined:
				told[e.Participant+" joined"]++
			case bus.ParticipantConnected:
				told[e.Participant+" connected"]++
			case bus.ParticipantLeft:
				told[e.Participant+" left"]++
				if c.alive[e.Participant] {
					c.Errorf("%s is up, and has left: %s", e.Participant, e.Reason)
				}
			case bus.ConferenceEnded:
				if time.Duration(e.Duration) > time.Hour {
					c.Errorf("a conference lasted for %v", e.Duration)
				}
			}
		}
	}
	for fact, times := range told {
		if times > 1 {
			c.Errorf("published %d times: %s", times, fact)
		}
	}
	if c.Failed() {
		for _, l := range c.log {
			c.Log(l)
		}
		for key, r := range rosters {
			c.Logf("%s: %s", key, r)
		}
	}
}
