package bridge

import (
	"slices"

	"github.com/skybridge-media/skybridge/media/compose"
)

// audience is some who are to see the same.
type audience struct {
	content     bool // they see what is presented, in a stream of its own
	arrangement *compose.Arrangement
	eyes        []*eye
}

// arrange says anew who sees what, who is decoded for it and how large, and
// which encodes that takes. It is called when something has changed.
func (v *video) arrange() {
	v.assign(v.audiences())
	for _, w := range v.views {
		w.regroup()
	}
	v.tellWanted()
}

// audiences divides all who receive video by what they are to see: everybody
// the same, except that those who have a tile see a picture without it, and that
// those who do not get a presentation in a stream of its own have it in theirs.
func (v *video) audiences() []*audience {
	plan, layout := v.roster.plan, v.roster.layout
	var members []compose.Member
	for i := range plan.Members {
		if m := &plan.Members[i]; !m.NoTile && !m.Held {
			members = append(members, compose.Member{ID: m.ID, Spotlight: m.Spotlight})
		}
	}
	v.all = layout.Arrange(members, v.speakers.recent, "", v.all)
	mixing := layout.Presenting()
	var withPresentation []compose.Member
	if v.showing {
		withPresentation = append([]compose.Member{{ID: presentation, Spotlight: true}}, members...)
		v.mixed = mixing.Arrange(withPresentation, v.speakers.recent, "", v.mixed)
	}

	var as []*audience
	join := func(e *eye, content bool, seen *compose.Arrangement) {
		i := slices.IndexFunc(as, func(a *audience) bool { return a.content == content && a.arrangement.Equal(seen) })
		if i < 0 {
			i = len(as)
			as = append(as, &audience{content: content, arrangement: seen})
		}
		as[i].eyes = append(as[i].eyes, e)
	}
	for _, l := range v.roster.legs {
		if l.content != nil {
			if v.showing && l.content.receives && l.content != v.presenter {
				join(l.content, true, v.slides)
			} else {
				l.content.leaveGroup()
			}
		}
		if !l.eye.receives {
			l.eye.leaveGroup()
			continue
		}
		seen, by, of := v.all, layout, members
		if v.showing && v.mixesFor(l.leg) {
			seen, by, of = v.mixed, mixing, withPresentation
		}
		if !plan.SelfView && seen.Shows(l.id) {
			var before *compose.Arrangement
			if l.eye.view != nil {
				before = l.eye.view.arrangement
			}
			seen = by.Arrange(of, v.speakers.recent, l.id, before)
		}
		join(l.eye, false, seen)
	}
	return as
}

// mixesFor reports whether a leg sees what is presented in its composed picture:
// it has no other, and does not present itself.
func (v *video) mixesFor(l *leg) bool {
	return l.content == nil || !l.content.receives && l.content != v.presenter
}

// awaited reports whether anybody would see what is presented.
func (v *video) awaited() bool {
	return slices.ContainsFunc(v.roster.legs, func(l attached) bool {
		own := l.content != nil && l.content == v.presenter
		return !own && (l.eye.receives || l.content != nil && l.content.receives)
	})
}

// assign gives each audience a view: the one that most of it watches already,
// so that as few as possible need another encoder and a key frame when the
// speaker changes. What a view shows may change as a whole; that is an ordinary
// picture in an ordinary stream.
func (v *video) assign(as []*audience) {
	slices.SortStableFunc(as, func(a, b *audience) int { return len(b.eyes) - len(a.eyes) })
	var kept []*view
	for _, a := range as {
		w := mostWatched(a.eyes, kept)
		if w == nil {
			w = v.newView(a.content)
		}
		w.arrangement, w.eyes = a.arrangement, a.eyes
		kept = append(kept, w)
	}
	for _, w := range v.views {
		if !slices.Contains(kept, w) {
			w.retire()
		}
	}
	for _, w := range kept {
		for _, e := range w.eyes {
			e.view = w
		}
	}
	v.views = kept
}

// mostWatched returns the view that most of eyes watch and that is not taken.
// An eye never goes from composed pictures to presentations or back.
func mostWatched(eyes []*eye, taken []*view) *view {
	var best *view
	most := 0
	counts := map[*view]int{}
	for _, e := range eyes {
		w := e.view
		if w == nil || slices.Contains(taken, w) {
			continue
		}
		if counts[w]++; counts[w] > most {
			best, most = w, counts[w]
		}
	}
	return best
}

// tellWanted lets every stream know at which size it is seen. What is to be
// presented is wanted before it can be shown.
func (v *video) tellWanted() {
	sizes := map[string][2]int{}
	for _, w := range v.views {
		for i, id := range w.arrangement.Seats {
			r := w.arrangement.Rect(i, w.width, w.height)
			s := sizes[id]
			sizes[id] = [2]int{max(s[0], r.W), max(s[1], r.H)}
		}
	}
	for _, l := range v.roster.legs {
		s := sizes[l.id]
		if l.member == nil || l.member.VideoMuted {
			s = [2]int{}
		}
		l.eye.want(s[0], s[1])
		switch {
		case l.content == nil:
		case l.content != v.presenter:
			l.content.want(0, 0)
		case v.showing:
			l.content.want(sizes[presentation][0], sizes[presentation][1])
		case v.awaited():
			l.content.want(contentWidth, contentHeight)
		default:
			l.content.want(0, 0)
		}
	}
}
