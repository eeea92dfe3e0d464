package bridge

import (
	"github.com/skybridge-media/skybridge/media/compose"
)

// A roster is what the clocks read: plan and legs, matched. It is immutable;
// every change publishes a new one.
type roster struct {
	plan   *Plan
	layout *compose.Layout
	legs   []attached // in order of attachment
}

// attached is one leg with what the plan says about it.
type attached struct {
	*leg
	member *Member // nil if the plan does not list it
	held   bool    // it is sent nothing
}

// audible reports whether others may hear it.
func (a attached) audible() bool {
	return a.member != nil && !a.member.AudioMuted && !a.member.Held
}

// speakers is who spoke, from the audio clock to the video clock. Immutable.
type speakers struct {
	current string   // who speaks now; "" is nobody
	recent  []string // who spoke, the latest first; current leads if there is one
}

// A leg is an attached [Leg] with the bridge's state about it.
type leg struct {
	Leg
	id       string
	lastHeld bool // as the last plan that listed it said, or else Attach; guarded by mu of the bridge
	ear      ear  // of the audio goroutine
	eye      *eye // on the composed picture
	content  *eye // on presentations; nil if it cannot have a stream for them
}

func newLeg(id string, l Leg, held bool) *leg {
	made := &leg{Leg: l, id: id, lastHeld: held, ear: ear{measured: 127}, eye: &eye{Video: l}}
	if p, ok := l.(Presenter); ok {
		made.content = &eye{Video: p.Content()}
	}
	return made
}

// eyes are those that there are.
func (l *leg) eyes(yield func(*eye) bool) {
	if yield(l.eye) && l.content != nil {
		yield(l.content)
	}
}

// leave returns when no worker writes to the leg, and none will.
func (l *leg) leave() {
	for e := range l.eyes {
		e.leave()
	}
}

// publish makes plan and legs visible to the clocks. It needs mu.
func (b *Bridge) publish() {
	r := &roster{plan: b.plan, layout: b.layout, legs: make([]attached, len(b.legs))}
	listed := make(map[string]*Member, len(b.plan.Members))
	for i := range b.plan.Members {
		listed[b.plan.Members[i].ID] = &b.plan.Members[i]
	}
	for i, l := range b.legs {
		m := listed[l.id]
		if m != nil {
			l.lastHeld = m.Held
		}
		r.legs[i] = attached{l, m, l.lastHeld}
	}
	b.roster.Store(r)
}
