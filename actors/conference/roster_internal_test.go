package conference

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
)

// TestRosterProperties does anything in any order. Whatever happens: the limit
// holds and nobody is there twice; the version never stands still when something
// changes; a roster that was handed out never changes; a fact is told only when
// something has changed.
func TestRosterProperties(t *testing.T) {
	const limit = 5
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		r := newRoster(Config{Name: "r", Limit: limit, Layout: "1+7"}, 3, place{"n1", "nonhost"})
		now := time.Unix(1e9, 0)
		last := r.snapshot(nil)
		lastCopy := proto.CloneOf(last)
		for step := range 300 {
			now = now.Add(time.Duration(rnd.IntN(1000)) * time.Millisecond)
			what := act(r, rnd, now)
			facts := r.takeFacts()
			s := r.snapshot(nil)
			ids, inside := map[string]bool{}, 0
			for _, p := range s.Participants {
				ids[p.Id] = true
				if p.Waiting == "" {
					inside++
				}
			}
			if len(ids) != len(s.Participants) || inside > limit {
				t.Fatalf("seed %d step %d %s: in the roster %v", seed, step, what, s.Participants)
			}
			if s.Presenter != "" && !ids[s.Presenter] {
				t.Fatalf("seed %d step %d %s: %s presents, and is not here", seed, step, what, s.Presenter)
			}
			if !proto.Equal(last, lastCopy) {
				t.Fatalf("seed %d step %d %s: an older roster has changed", seed, step, what)
			}
			switch changed := !proto.Equal(s, last); {
			case s.Version < last.Version, changed && s.Version == last.Version:
				t.Fatalf("seed %d step %d %s: version %d after %d", seed, step, what, s.Version, last.Version)
			case !changed && len(facts) > 0:
				t.Fatalf("seed %d step %d %s: nothing has changed, told %v", seed, step, what, facts)
			}
			last, lastCopy = s, proto.CloneOf(s)
		}
	}
}

func act(r *roster, rnd *rand.Rand, now time.Time) string {
	id := fmt.Sprint(rnd.IntN(8))
	on := rnd.IntN(2) == 0
	p := &Participant{
		Id: id, Name: fmt.Sprint(rnd.IntN(2)), State: StateConnected, Held: on,
		Address: &Address{Node: "nonhost", Id: id}, Role: []string{"", RoleHost, RoleGuest}[rnd.IntN(3)],
	}
	switch k := rnd.IntN(17); k {
	case 0, 1, 2:
		_, err := r.admit(p, false, on, now)
		return fmt.Sprint("admit ", id, err)
	case 3:
		r.leave(id)
		return "leave " + id
	case 4:
		r.update(p)
	case 5:
		_ = r.mute(id, on)
	case 6:
		_ = r.mute("", on)
	case 7:
		_ = r.muteVideo(id, on)
	case 8:
		if rnd.IntN(4) == 0 {
			r.lock(on)
		}
	case 9:
		r.spoke(id)
	case 10:
		_ = r.spotlight(id, on)
	case 11:
		_ = r.raiseHand(id, on)
	case 12:
		_ = r.setRole(id, p.Role)
	case 13:
		_ = r.takeFloor(id, on)
	case 14:
		_ = r.releaseFloor(id)
	case 15:
		_ = r.letIn(id)
	case 16:
		r.review(now)
	}
	return "change " + id
}

// As many may wait as may be inside, and 50 in any case; without a limit, anybody.
func TestLobbyIsBounded(t *testing.T) {
	for limit, want := range map[int]int{0: 300, 2: 50, 60: 60} {
		r := newRoster(Config{Name: "r", Limit: limit, HostPIN: "1"}, 3, place{"n1", "nonhost"})
		now, n := time.Unix(1e9, 0), 0
		for i := range 300 {
			p := &Participant{Id: fmt.Sprint(i), Role: RoleGuest, Address: &Address{Node: "nonhost", Id: fmt.Sprint(i)}}
			if _, err := r.admit(p, false, true, now); err == nil {
				n++
			}
		}
		if n != want {
			t.Errorf("limit %d: %d wait, want %d", limit, n, want)
		}
		if _, err := r.admit(&Participant{Id: "host"}, false, true, now); err != nil {
			t.Errorf("limit %d: the host: %v", limit, err)
		}
	}
}
