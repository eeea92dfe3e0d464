package conference

import "github.com/skybridge-media/skybridge/bus"

// Who presents: one participant at a time has the floor.

// takeFloor gives a participant the floor. It is refused while somebody else
// has it, but to hosts and by force.
func (r *roster) takeFloor(id string, force bool) error {
	i := r.find(id)
	if i < 0 {
		return ErrNobody
	}
	host := r.members[i].Role == RoleHost
	switch {
	case r.members[i].Role == RoleViewer:
		return ErrViewer
	case r.members[i].Waiting != "":
		return ErrWaiting
	case r.presenter == id:
		return nil
	case force || host:
	case r.cfg.OnlyHostsPresent:
		return ErrPresent
	case r.presenter != "":
		return ErrFloor
	}
	r.present(id)
	return nil
}

// releaseFloor ends a presentation, whoever's it is when id is empty.
func (r *roster) releaseFloor(id string) error {
	switch {
	case id != "" && r.find(id) < 0:
		return ErrNobody
	case r.presenter != "" && (id == "" || r.presenter == id):
		r.present("")
	}
	return nil
}

// present changes who presents.
func (r *roster) present(id string) {
	if was := r.presenter; was != "" {
		r.fact(bus.PresentationStopped{Room: r.cfg.Name, Participant: was, Node: r.nodeOf(was)})
	}
	r.presenter = id
	r.version++
	if id != "" {
		r.fact(bus.PresentationStarted{Room: r.cfg.Name, Participant: id, Node: r.nodeOf(id)})
	}
}

// nodeOf returns the name of the node that has a member's call.
func (r *roster) nodeOf(id string) string {
	if i := r.find(id); i >= 0 {
		return r.here.nameOf(r.members[i].Address)
	}
	return ""
}
