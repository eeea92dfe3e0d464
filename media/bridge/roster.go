package bridge

import (
	"sync"

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
	mu       sync.Mutex
	gone     bool
	watching *group // the only one that may write
	synced   bool   // it has sent a key frame since
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

// watch makes g the only group that may write to the leg, from its next key
// frame on. nil is none.
func (l *leg) watch(g *group) {
	l.mu.Lock()
	l.watching, l.synced = g, false
	l.mu.Unlock()
}

// show writes a picture of g, unless the leg has moved on or would not be able
// to decode it.
func (l *leg) show(g *group, f *VideoFrame) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gone || l.watching != g || !l.synced && !f.Key {
		return
	}
	l.synced = true
	l.WriteVideo(f)
}

// publish makes plan and legs visible to the clocks. It needs mu.
func (b *Bridge) publish() {
	r := &roster{plan: b.plan, layout: b.layout, legs: make([]attached, len(b.legs))}
	listed := make(map[string]*Member, len(b.plan.Members))
	for i := range b.plan.Members {
		listed[b.plan.Members[i].ID] = &b.plan.Members[i]
	}
	for i, l := range b.legs {
		r.legs[i] = attached{l, listed[l.id]}
	}
	b.roster.Store(r)
}
