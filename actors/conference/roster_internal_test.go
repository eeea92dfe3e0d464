package conference

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/skybridge-media/skybridge/bus"
)

// TestRosterProperties does anything in any order. Whatever happens: the facts
// alone tell who is in, each arrival and each end once; the version never
// stands still when something changes; a roster that was handed out never
// changes; the limit holds.
func TestRosterProperties(t *testing.T) {
	const limit = 5
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		r := newRoster(Config{Name: "r", Limit: limit, Layout: "1+7"}, 3, place{"n1", "nonhost"})
		now := time.Unix(1e9, 0)
		told := map[string]bool{} // who is in, by the facts
		var last, lastCopy *Roster
		for step := range 300 {
			now = now.Add(time.Duration(rnd.IntN(1000)) * time.Millisecond)
			what := act(r, rnd, now)
			for _, e := range r.take() {
				switch e := e.(type) {
				case bus.ParticipantJoined:
					if told[e.Participant] {
						t.Fatalf("seed %d step %d %s: %s joined twice", seed, step, what, e.Participant)
					}
					told[e.Participant] = true
				case bus.ParticipantLeft:
					if !told[e.Participant] || e.Duration < 0 {
						t.Fatalf("seed %d step %d %s: %+v", seed, step, what, e)
					}
					delete(told, e.Participant)
				}
			}
			s := r.snapshot(nil)
			for _, p := range s.Participants {
				if !told[p.Id] {
					t.Fatalf("seed %d step %d %s: nobody told of %s", seed, step, what, p.Id)
				}
			}
			if len(s.Participants) != len(told) || len(told) > limit {
				t.Fatalf("seed %d step %d %s: %d in the roster, %d by the facts", seed, step, what, len(s.Participants), len(told))
			}
			if last != nil {
				if !proto.Equal(last, lastCopy) {
					t.Fatalf("seed %d step %d %s: an older roster has changed", seed, step, what)
				}
				if s.Version < last.Version || s.Version == last.Version && !proto.Equal(s, last) {
					t.Fatalf("seed %d step %d %s: version %d after %d", seed, step, what, s.Version, last.Version)
				}
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
	switch k := rnd.IntN(13); k {
	case 0, 1, 2:
		_, err := r.admit(p, false, now)
		return fmt.Sprint("admit ", id, err)
	case 3:
		r.leave(id, "hangup", now)
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
	}
	return "change " + id
}
