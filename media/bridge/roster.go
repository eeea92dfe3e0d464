package bridge

import (
	"sync"
)

// A roster is what the clocks read: plan and legs, matched. It is immutable;
// every change publishes a new one.
type roster struct {
	plan *Plan
	legs []attached // in order of attachment
}

// attached is one leg with what the plan says about it.
type attached struct {
	*leg
	member *Member // nil if the plan does not list it
}

// audible reports whether others may hear it.
func (a attached) audible() bool {
	return a.member != nil && !a.member.AudioMuted && !a.member.Held
}

// held reports whether it is sent nothing.
func (a attached) held() bool { return a.member != nil && a.member.Held }

// speakers is who spoke, from the audio clock to the video clock. Immutable.
type speakers struct {
	current string   // who speaks now; "" is nobody
	recent  []string // who spoke, the latest first; current leads if there is one
}

// A leg is an attached [Leg] with the bridge's state about it.
type leg struct {
	Leg
	id  string
	ear ear // of the audio goroutine
	eye eye // of the video goroutine

	// mu is held while a worker writes video, so that Detach can wait for it.
	mu   sync.Mutex
	gone bool
}

func newLeg(id string, l Leg) *leg {
	return &leg{Leg: l, id: id, ear: ear{measured: 127}}
}

// leave returns when no worker writes to the leg, and none will.
func (l *leg) leave() {
	l.mu.Lock()
	l.gone = true
	l.mu.Unlock()
}

// publish makes plan and legs visible to the clocks. It needs mu.
func (b *Bridge) publish() {
	r := &roster{plan: b.plan, legs: make([]attached, len(b.legs))}
	listed := make(map[string]*Member, len(b.plan.Members))
	for i := range b.plan.Members {
		listed[b.plan.Members[i].ID] = &b.plan.Members[i]
	}
	for i, l := range b.legs {
		r.legs[i] = attached{l, listed[l.id]}
	}
	b.roster.Store(r)
}
