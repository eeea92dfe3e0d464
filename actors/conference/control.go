package conference

import (
	"github.com/skybridge-media/skybridge/bus"
	"github.com/skybridge-media/skybridge/media/compose"
)

// What hosts may do to a roster. Doing what is done already changes nothing and
// is no news.

// mute changes whether one participant is heard, or with an empty id everybody
// who is a guest, and will be.
func (r *roster) mute(id string, on bool) error {
	if id == "" && r.hushed != on {
		r.hushed = on
		r.version++
	}
	return r.each(id, func(i int) {
		if r.change(i, func(p *Participant) { p.AudioMuted = on }) {
			r.muted(r.members[i], "audio", on)
		}
	})
}

// muteVideo is mute for the picture.
func (r *roster) muteVideo(id string, on bool) error {
	return r.each(id, func(i int) {
		if r.change(i, func(p *Participant) { p.VideoMuted = on }) {
			r.muted(r.members[i], "video", on)
		}
	})
}

func (r *roster) each(id string, f func(i int)) error {
	if id != "" {
		i := r.find(id)
		if i < 0 {
			return ErrNobody
		}
		f(i)
		return nil
	}
	for i, p := range r.members {
		if p.Role == RoleGuest {
			f(i)
		}
	}
	return nil
}

func (r *roster) muted(p *Participant, medium string, on bool) {
	if on {
		r.fact(bus.ParticipantMuted{Room: r.cfg.Name, Participant: p.Id, Node: r.here.nameOf(p.Address), Medium: medium})
	} else {
		r.fact(bus.ParticipantUnmuted{Room: r.cfg.Name, Participant: p.Id, Node: r.here.nameOf(p.Address), Medium: medium})
	}
}

func (r *roster) lock(on bool) {
	if r.locked == on {
		return
	}
	r.locked = on
	r.version++
	if on {
		r.fact(bus.ConferenceLocked{Room: r.cfg.Name, Node: r.here.name})
	} else {
		r.fact(bus.ConferenceUnlocked{Room: r.cfg.Name, Node: r.here.name})
		r.admitWaiting(WaitLock)
	}
}

func (r *roster) setLayout(name string) error {
	if _, err := compose.Parse(name); err != nil || name == "" {
		return ErrLayout
	}
	if r.layout != name {
		r.layout = name
		r.version++
		r.fact(bus.ConferenceLayout{Room: r.cfg.Name, Node: r.here.name, Layout: name})
	}
	return nil
}

func (r *roster) spotlight(id string, on bool) error {
	i := r.find(id)
	if i < 0 {
		return ErrNobody
	}
	if r.change(i, func(p *Participant) { p.Spotlight = on }) {
		p := r.members[i]
		r.fact(bus.ParticipantSpotlit{Room: r.cfg.Name, Participant: id, Node: r.here.nameOf(p.Address), On: on})
	}
	return nil
}

func (r *roster) raiseHand(id string, on bool) error {
	i := r.find(id)
	if i < 0 {
		return ErrNobody
	}
	if !r.change(i, func(p *Participant) { p.HandRaised = on }) {
		return nil
	}
	p := r.members[i]
	if on {
		r.fact(bus.ParticipantRaised{Room: r.cfg.Name, Participant: id, Node: r.here.nameOf(p.Address)})
	} else {
		r.fact(bus.ParticipantLowered{Room: r.cfg.Name, Participant: id, Node: r.here.nameOf(p.Address)})
	}
	return nil
}

func (r *roster) setRole(id, role string) error {
	if role != RoleHost && role != RoleGuest {
		return ErrRole
	}
	i := r.find(id)
	switch {
	case i < 0:
		return ErrNobody
	case r.members[i].Role == RoleViewer:
		return ErrViewer
	case role == RoleHost && r.members[i].Waiting == WaitHost && r.full():
		return ErrFull
	}
	if r.change(i, func(p *Participant) { p.Role = role }) {
		r.fact(bus.ParticipantRole{Room: r.cfg.Name, Participant: id, Node: r.here.nameOf(r.members[i].Address), Role: role})
		if role == RoleHost && r.members[i].Waiting == WaitHost {
			r.wait(i, "")
		}
		if role == RoleGuest && r.presenter == id && r.cfg.OnlyHostsPresent {
			r.present("")
		}
	}
	return nil
}

// maxOverlay is the longest text on a tile, in bytes.
const maxOverlay = 1024

func (r *roster) setOverlayText(id, text string) error {
	i := r.find(id)
	switch {
	case i < 0:
		return ErrNobody
	case len(text) > maxOverlay:
		return ErrText
	}
	r.change(i, func(p *Participant) { p.OverlayText = text })
	return nil
}

func (r *roster) setGuestsCanUnmute(on bool) {
	if r.stayMuted == on {
		r.stayMuted = !on
		r.version++
	}
}

// transferable says why a participant cannot be sent elsewhere: only clients of
// the API know how to follow.
func (r *roster) transferable(id string) error {
	switch i := r.find(id); {
	case i < 0:
		return ErrNobody
	case !r.members[i].Api:
		return ErrTransfer
	}
	return nil
}

// spoke notes who speaks now: nobody, when id is empty or not here.
func (r *roster) spoke(id string) {
	if r.find(id) < 0 {
		id = ""
	}
	if r.speaker == id {
		return
	}
	for i, p := range r.members {
		if p.Speaking != (p.Id == id) {
			r.change(i, func(p *Participant) { p.Speaking = p.Id == id })
		}
	}
	r.speaker = id
	r.version++
	r.fact(bus.SpeakerChanged{Room: r.cfg.Name, Node: r.here.name, Participant: id})
}
