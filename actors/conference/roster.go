package conference

import (
	"cmp"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/skybridge-media/skybridge/bus"
)

// Roles, and states of a participant.
const (
	RoleHost   = "host"
	RoleGuest  = "guest"
	RoleViewer = "viewer" // only sees and hears; see the package comment

	StateConnecting = "connecting"
	StateConnected  = "connected"
)

// roster decides who is in the conference and how it is run. It is plain data:
// no actor, no clock and no I/O, so its tests are tables. Every change adds one
// to the version, and what the world should know of it to the facts.
//
// What participants know first (that they joined, connected, held, left) they
// publish themselves: owners come and go, and the next one cannot know what the
// one before has published last. Only who is lost with its node cannot.
//
// A Participant is replaced, never changed: snapshots that are on their way to
// other actors share it.
type roster struct {
	cfg     Config
	here    place
	epoch   uint64
	version uint64

	locked    bool
	layout    string
	mediaNode string // name; empty while there is none
	speaker   string
	stayMuted bool           // guests may not unmute themselves
	hushed    bool           // guests come in muted
	begun     bool           // guests need not wait for a host
	alone     time.Time      // since when guests, or viewers, are without a host; zero: they are not
	deserted  time.Time      // since when all who are here wait; zero: they do not
	presenter string         // who has the floor; empty for nobody
	members   []*Participant // in order of arrival

	started time.Time // when the first participant was admitted; zero before
	fresh   bool      // it began here, with a newcomer
	moved   bool      // a former owner's roster has been taken over
	total   int       // participants so far
	facts   []bus.Event
	entered []*Participant // need not wait any more, since last asked
}

func newRoster(cfg Config, epoch uint64, here place) *roster {
	return &roster{cfg: cfg, here: here, epoch: epoch, layout: cfg.Layout}
}

// admissible says why a newcomer may not enter, not even to wait.
func (r *roster) admissible(p *Participant, waits bool) error {
	viewer := p.Role == RoleViewer
	waitsFor := r.waitsFor(cmp.Or(p.Role, RoleHost))
	switch {
	case r.find(p.Id) >= 0:
		return nil
	case waitsFor == WaitLock && (viewer || !waits):
		return ErrLocked
	case viewer && (waitsFor != "" || !r.inside((*Participant).active)):
		return ErrNotLive
	case !viewer && waitsFor == "" && r.full(), !viewer && waitsFor != "" && r.lobbyFull():
		return ErrFull
	}
	return nil
}

// active reports whether p does more than watch, or will when it has been let in.
func (p *Participant) active() bool { return p.Role != RoleViewer }

// active counts the members that are, waiting ones included.
func (r *roster) active() (n int) {
	for _, p := range r.members {
		if p.active() {
			n++
		}
	}
	return n
}

// admit lets p in and reports whether it is new here. Joining twice is joining
// once: a retry must not be told that the conference is full. One that was
// admitted by a former owner (again) comes back through a locked door, and its
// arrival is no news.
func (r *roster) admit(p *Participant, again, waits bool, now time.Time) (added bool, err error) {
	if i := r.find(p.Id); i >= 0 {
		r.change(i, func(old *Participant) {
			old.Address = p.Address
			if again && p.Waiting == "" { // a former owner let it in, after its last roster
				old.Waiting = ""
			}
		})
		return false, nil
	}
	if !again {
		if err := r.admissible(p, waits); err != nil {
			return false, err
		}
	}
	p = proto.CloneOf(p)
	if p.Role == "" {
		p.Role = RoleHost
	}
	if p.State == "" {
		p.State = StateConnecting
	}
	if !again {
		p.JoinedUnixMs = now.UnixMilli()
		p.AudioMuted, p.VideoMuted, p.Spotlight, p.HandRaised = false, false, false, false
		p.AudioMuted = r.hushed && p.Role == RoleGuest // or who is muted would come again
		p.Waiting = r.waitsFor(p.Role)
	}
	p.Speaking = false
	r.members = append(r.members, p)
	r.version++
	if again {
		r.sort()
	}
	r.noteStart(now, again)
	r.total++
	if p.Waiting != "" && !again {
		r.fact(bus.ParticipantWaiting{Room: r.cfg.Name, Participant: p.Id, Node: r.here.nameOf(p.Address), For: p.Waiting})
	}
	if p.AudioMuted && !again {
		r.muted(p, "audio", true)
	}
	return true, nil
}

// noteStart notes that the conference runs. A conference that was taken over has
// been started before.
func (r *roster) noteStart(now time.Time, again bool) {
	if !r.started.IsZero() {
		return
	}
	r.started = now
	if !again {
		r.fresh = true
		r.fact(bus.ConferenceStarted{Room: r.cfg.Name, Node: r.here.name, Layout: r.layout})
	}
}

// update takes over what the participant's actor says of itself: state, media,
// hold, name, camera and slides. The rest belongs to the conference.
func (r *roster) update(p *Participant) {
	if i := r.find(p.Id); i >= 0 {
		r.change(i, func(m *Participant) {
			m.State, m.Audio, m.Video, m.Held, m.Name = p.State, p.Audio, p.Video, p.Held, p.Name
			m.Camera, m.Slides = p.Camera, p.Slides
		})
	}
}

// leave returns the participant that has gone, or nil if it was not here.
func (r *roster) leave(id string) *Participant {
	i := r.find(id)
	if i < 0 {
		return nil
	}
	p := r.members[i]
	if r.speaker == id {
		r.spoke("")
	}
	if r.presenter == id {
		r.present("")
	}
	r.members = slices.Delete(r.members, i, i+1)
	r.version++
	return p
}

// lost notes that p has gone with its node, and so cannot say so itself.
func (r *roster) lost(p *Participant, now time.Time) {
	r.fact(bus.ParticipantLeft{
		Room: r.cfg.Name, Participant: p.Id, Node: r.here.nameOf(p.Address), Reason: reasonNodeLost,
		Duration: bus.Seconds(max(0, now.Sub(time.UnixMilli(p.JoinedUnixMs)))),
	})
}

// restore takes over from a former owner what its last roster said, and reports
// which participants are new here. What this owner knows already stays.
func (r *roster) restore(last *Roster, now time.Time) (added []*Participant) {
	first := !r.fresh && !r.moved
	if first {
		r.moved = true
		r.locked = last.Locked
		r.begun = !last.WaitsForHost
		r.stayMuted, r.hushed = last.GuestsStayMuted, last.GuestsMuted
		if last.Layout != "" {
			r.layout = last.Layout
		}
		r.version++
		if last.StartedUnixMs > 0 {
			r.started = time.UnixMilli(last.StartedUnixMs)
		}
		r.fact(bus.ConferenceMoved{
			Room: r.cfg.Name, Node: r.here.name, From: r.here.nameOf(last.GetConference()),
		})
	}
	for _, p := range last.Participants {
		if p.GetId() == "" || p.GetAddress().GetId() == "" {
			continue
		}
		if i := r.find(p.Id); i >= 0 {
			// It was faster than its transcoder; only the latter knows this.
			r.change(i, func(m *Participant) {
				m.AudioMuted, m.VideoMuted, m.Spotlight = p.AudioMuted, p.VideoMuted, p.Spotlight
				m.HandRaised, m.Role, m.JoinedUnixMs = p.HandRaised, p.Role, p.JoinedUnixMs
				m.OverlayText = p.OverlayText
				if m.Waiting != "" { // who knows that it was let in was so after that roster
					m.Waiting = p.Waiting
				}
			})
			continue
		}
		if ok, _ := r.admit(p, true, false, now); ok {
			added = append(added, p)
		}
	}
	r.sort()
	if first && r.find(last.Presenter) >= 0 {
		r.presenter = last.Presenter // began to, under the former owner
	}
	return added
}

// sort brings the members back into order of arrival, as they may return to
// another owner in any order.
func (r *roster) sort() {
	slices.SortStableFunc(r.members, func(a, b *Participant) int {
		return cmp.Or(cmp.Compare(a.JoinedUnixMs, b.JoinedUnixMs), cmp.Compare(a.Id, b.Id))
	})
}

// snapshot returns the full state, to be shared and never changed.
func (r *roster) snapshot(self *Address) *Roster {
	s := &Roster{
		Room: r.cfg.Name, Epoch: r.epoch, Version: r.version, Locked: r.locked, Layout: r.layout,
		SelfView: r.cfg.SelfView, MediaNode: r.mediaNode, Participants: slices.Clone(r.members),
		Speaker: r.speaker, Conference: self, Presenter: r.presenter, OnlyHostsPresent: r.cfg.OnlyHostsPresent,
		WaitsForHost: r.hosted() && !r.begun, GuestsStayMuted: r.stayMuted, GuestsMuted: r.hushed,
	}
	if !r.started.IsZero() {
		s.StartedUnixMs = r.started.UnixMilli()
	}
	return s
}

// has reports whether the actor at address a is a participant.
func (r *roster) has(a *Address) bool {
	return slices.ContainsFunc(r.members, func(p *Participant) bool { return p.Address.Same(a) })
}

// end notes that the conference is over, if it had begun.
func (r *roster) end(reason string, now time.Time) {
	if r.started.IsZero() {
		return
	}
	r.fact(bus.ConferenceEnded{
		Room: r.cfg.Name, Node: r.here.name, Reason: reason,
		Duration: bus.Seconds(now.Sub(r.started)), Participants: r.total,
	})
}

// takeFacts returns the facts since last asked.
func (r *roster) takeFacts() []bus.Event {
	facts := r.facts
	r.facts = nil
	return facts
}

func (r *roster) fact(e bus.Event) { r.facts = append(r.facts, e) }

func (r *roster) find(id string) int {
	return slices.IndexFunc(r.members, func(p *Participant) bool { return p.Id == id })
}

// change replaces a member by a changed copy, and reports whether it differs.
func (r *roster) change(i int, f func(*Participant)) bool {
	p := proto.CloneOf(r.members[i])
	f(p)
	if proto.Equal(p, r.members[i]) {
		return false
	}
	r.members[i] = p
	r.version++
	return true
}
